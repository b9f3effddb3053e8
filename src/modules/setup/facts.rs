//! Facts under Ansible's names, from what `facts.sh` printed. Knows nothing of how it was asked.

use std::collections::BTreeSet;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::modules::setup::Group;
use crate::modules::setup::clock;
use crate::modules::setup::network;

pub(super) type Facts = Map<String, Value>;

/// The printed text, taken apart: lines by heading, and lines of files by path.
pub(super) struct Printed<'a> {
    sections: Vec<(&'a str, Vec<&'a str>)>,
    files: Vec<(&'a str, &'a str)>,
}

impl<'a> Printed<'a> {
    fn read(text: &'a str) -> Printed<'a> {
        let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in text.lines() {
            match (line.strip_prefix('@'), sections.last_mut()) {
                (Some(name), _) => sections.push((name, Vec::new())),
                (None, Some((_, lines))) => lines.push(line),
                (None, None) => {}
            }
        }
        let files = sections.iter().filter(|(name, _)| *name == "files").flat_map(|(_, lines)| lines);
        let files = files.filter_map(|line| line.split_once(':')).collect();
        Printed { sections, files }
    }

    pub(super) fn section<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
        self.sections.iter().filter(move |(own, _)| *own == name).flat_map(|(_, lines)| lines.iter().copied())
    }

    pub(super) fn file<'b>(&'b self, path: &'b str) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
        self.files.iter().filter(move |(own, _)| *own == path).map(|(_, line)| *line)
    }

    /// The first line of a file.
    pub(super) fn line(&self, path: &str) -> Option<&'a str> {
        self.file(path).next().map(str::trim)
    }

    /// Files whose path starts and ends so, by what lies between.
    pub(super) fn between(&self, start: &'a str, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        self.files.iter().filter_map(move |(path, line)| Some((path.strip_prefix(start)?.strip_suffix(end)?, *line)))
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.section("paths").any(|line| line == path)
    }
}

/// The facts of some groups, in the order of their names, each with `ansible_` in front.
pub(super) fn parse(text: &str, groups: &[Group]) -> Facts {
    let printed = Printed::read(text);
    let mut facts = Facts::new();
    for group in groups {
        match group {
            Group::Min => {
                system(&printed, &mut facts);
                distribution(&printed, &mut facts);
                user(&printed, &mut facts);
                security(&printed, &mut facts);
            }
            Group::Hardware => {
                processors(&printed, &mut facts);
                memory(&printed, &mut facts);
                load(&printed, &mut facts);
                firmware(&printed, &mut facts);
                virtualization(&printed, &mut facts);
                facts.insert("mounts".into(), mounts(&printed));
            }
            Group::Network => network::facts(&printed, &mut facts),
            Group::DateTime => {
                let line = printed.section("date").next().unwrap_or_default();
                facts.insert("date_time".into(), clock::date_time(line));
            }
        }
    }
    let mut named: Vec<(String, Value)> =
        facts.into_iter().map(|(name, value)| (format!("ansible_{name}"), value)).collect();
    named.sort_by(|a, b| a.0.cmp(&b.0));
    named.into_iter().collect()
}

fn put(facts: &mut Facts, name: &str, value: impl Into<Value>) {
    facts.insert(name.to_string(), value.into());
}

fn number(text: &str) -> u64 {
    let digits = text.trim().split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or_default()
}

fn system(printed: &Printed<'_>, facts: &mut Facts) {
    let kernel = |file: &str| printed.line(&format!("/proc/sys/kernel/{file}")).unwrap_or_default();
    let machine = printed.section("arch").next().unwrap_or(kernel("arch"));
    let name = kernel("hostname");
    let fqdn = printed.section("fqdn").next().unwrap_or(name);
    put(facts, "system", kernel("ostype"));
    put(facts, "nodename", name);
    put(facts, "hostname", name.split('.').next().unwrap_or_default());
    put(facts, "fqdn", fqdn);
    put(facts, "domain", fqdn.split_once('.').map_or("", |(_, domain)| domain));
    put(facts, "kernel", kernel("osrelease"));
    put(facts, "kernel_version", kernel("version"));
    put(facts, "machine", machine);
    let old_intel = matches!(machine, "i486" | "i586" | "i686");
    put(facts, "architecture", if old_intel { "i386" } else { machine });
    let bits = if machine.contains("64") || machine == "s390x" { "64" } else { "32" };
    put(facts, "userspace_bits", bits);
    put(facts, "userspace_architecture", if old_intel { "i386" } else { machine });
    let id = printed.line("/etc/machine-id").or_else(|| printed.line("/var/lib/dbus/machine-id"));
    put(facts, "machine_id", id.unwrap_or_default());
    let words = printed.line("/proc/cmdline").unwrap_or_default().split_whitespace();
    let pairs = words.map(|word| match word.split_once('=') {
        Some((name, value)) => (name.to_string(), Value::from(value)),
        None => (word.to_string(), Value::from(true)),
    });
    put(facts, "cmdline", pairs.collect::<Facts>());
    put(facts, "is_chroot", false);
    put(facts, "local", json!({}));
    put(facts, "service_mgr", service_manager(printed));
}

fn service_manager(printed: &Printed<'_>) -> &'static str {
    match printed.line("/proc/1/comm") {
        Some("systemd") => "systemd",
        _ if printed.exists("/run/systemd/system") => "systemd",
        _ if printed.exists("/sbin/openrc") => "openrc",
        Some("init") => "sysvinit",
        _ => "service",
    }
}

/// `NAME="value"` lines.
fn assignments<'a>(printed: &Printed<'a>, path: &str) -> Vec<(&'a str, &'a str)> {
    let lines = printed.file(path).filter_map(|line| line.split_once('='));
    lines.map(|(name, value)| (name, value.trim().trim_matches(['"', '\'']))).collect()
}

/// Identifier in `os-release`, Ansible's name of the distribution, its family.
const DISTRIBUTIONS: [(&str, &str, &str); 19] = [
    ("debian", "Debian", "Debian"),
    ("ubuntu", "Ubuntu", "Debian"),
    ("raspbian", "Debian", "Debian"),
    ("linuxmint", "Linux Mint", "Debian"),
    ("kali", "Kali", "Debian"),
    ("devuan", "Devuan", "Debian"),
    ("fedora", "Fedora", "RedHat"),
    ("rhel", "RedHat", "RedHat"),
    ("centos", "CentOS", "RedHat"),
    ("rocky", "Rocky", "RedHat"),
    ("almalinux", "AlmaLinux", "RedHat"),
    ("ol", "OracleLinux", "RedHat"),
    ("amzn", "Amazon", "RedHat"),
    ("alpine", "Alpine", "Alpine"),
    ("arch", "Archlinux", "Archlinux"),
    ("opensuse-leap", "openSUSE Leap", "Suse"),
    ("opensuse-tumbleweed", "openSUSE Tumbleweed", "Suse"),
    ("sles", "SLES", "Suse"),
    ("gentoo", "Gentoo", "Gentoo"),
];

const PACKAGE_MANAGERS: [(&str, &str); 7] = [
    ("/usr/bin/apt-get", "apt"),
    ("/usr/bin/dnf5", "dnf5"),
    ("/usr/bin/dnf", "dnf"),
    ("/usr/bin/yum", "yum"),
    ("/sbin/apk", "apk"),
    ("/usr/bin/pacman", "pacman"),
    ("/usr/bin/zypper", "zypper"),
];

fn distribution(printed: &Printed<'_>, facts: &mut Facts) {
    let release = assignments(printed, "/etc/os-release");
    let get = |name: &str| release.iter().find(|(own, _)| *own == name).map_or("", |(_, value)| *value);
    let known = DISTRIBUTIONS.iter().find(|(id, ..)| *id == get("ID"));
    let name = known.map_or_else(|| get("NAME"), |(_, name, _)| name);
    let precise = printed.line("/etc/debian_version").filter(|text| name == "Debian" && text.starts_with(|c: char| c.is_ascii_digit()));
    let version = precise.unwrap_or(get("VERSION_ID"));
    let codename = match get("VERSION_CODENAME") {
        "" => get("VERSION").split_once('(').map_or("NA", |(_, rest)| rest.trim_end_matches(')')),
        codename => codename,
    };
    put(facts, "distribution", name);
    put(facts, "distribution_version", if version.is_empty() { "NA" } else { version });
    put(facts, "distribution_major_version", version.split('.').next().unwrap_or_default());
    if let Some((_, minor)) = version.split_once('.') {
        put(facts, "distribution_minor_version", minor);
    }
    put(facts, "distribution_release", codename);
    put(facts, "distribution_file_parsed", true);
    put(facts, "distribution_file_path", "/etc/os-release");
    let family = known.map_or_else(|| get("NAME"), |(.., family)| family);
    put(facts, "distribution_file_variety", family);
    put(facts, "os_family", family);
    let manager = PACKAGE_MANAGERS.iter().find(|(path, _)| printed.exists(path));
    put(facts, "pkg_mgr", manager.map_or("unknown", |(_, name)| name));
    let own = assignments(printed, "/etc/lsb-release");
    let lsb = |name: &str, other: &str| {
        own.iter().find(|(own, _)| *own == name).map_or(other, |(_, value)| *value).to_string()
    };
    let number = lsb("DISTRIB_RELEASE", version);
    put(facts, "lsb", json!({
        "id": lsb("DISTRIB_ID", name),
        "release": number,
        "major_release": number.split('.').next(),
        "codename": lsb("DISTRIB_CODENAME", codename),
        "description": lsb("DISTRIB_DESCRIPTION", get("PRETTY_NAME")),
    }));
}

fn processors(printed: &Printed<'_>, facts: &mut Facts) {
    let mut list = Vec::new();
    let mut sockets = BTreeSet::new();
    let (mut cores, mut siblings, mut seen) = (0, 0, 0_u64);
    for line in printed.file("/proc/cpuinfo") {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key.trim() {
            "processor" => {
                seen += 1;
                list.push(value);
            }
            "vendor_id" | "model name" | "Model Name" | "cpu" => list.push(value),
            "physical id" => drop(sockets.insert(value)),
            "cpu cores" => cores = number(value),
            "siblings" => siblings = number(value),
            _ => {}
        }
    }
    let count = if sockets.is_empty() { seen } else { sockets.len() as u64 };
    let cores = cores.max(1);
    let threads = if sockets.is_empty() { 1 } else { (siblings / cores).max(1) };
    put(facts, "processor", list);
    put(facts, "processor_count", count);
    put(facts, "processor_cores", cores);
    put(facts, "processor_threads_per_core", threads);
    put(facts, "processor_vcpus", count * cores * threads);
    put(facts, "processor_nproc", seen);
}

fn memory(printed: &Printed<'_>, facts: &mut Facts) {
    let mb = |key: &str| {
        let line = printed.file("/proc/meminfo").find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        number(line.unwrap_or_default()) / 1024
    };
    let (total, free, swap, swap_free) = (mb("MemTotal"), mb("MemFree"), mb("SwapTotal"), mb("SwapFree"));
    let unused = free + mb("Cached") + mb("Buffers");
    put(facts, "memtotal_mb", total);
    put(facts, "memfree_mb", free);
    put(facts, "swaptotal_mb", swap);
    put(facts, "swapfree_mb", swap_free);
    put(facts, "memory_mb", json!({
        "real": {"total": total, "used": total.saturating_sub(free), "free": free},
        "nocache": {"free": unused, "used": total.saturating_sub(unused)},
        "swap": {"total": swap, "free": swap_free, "used": swap.saturating_sub(swap_free), "cached": mb("SwapCached")},
    }));
}

/// How long it has been up, and how busy it is.
fn load(printed: &Printed<'_>, facts: &mut Facts) {
    let uptime = printed.line("/proc/uptime").unwrap_or_default();
    put(facts, "uptime_seconds", number(uptime));
    let loads: Vec<f64> = printed.line("/proc/loadavg").unwrap_or_default().split(' ').take(3).flat_map(str::parse).collect();
    if let [one, five, fifteen] = loads[..] {
        put(facts, "loadavg", json!({"1m": one, "5m": five, "15m": fifteen}));
    }
}

fn firmware(printed: &Printed<'_>, facts: &mut Facts) {
    for (file, name) in [
        ("bios_date", "bios_date"),
        ("bios_vendor", "bios_vendor"),
        ("bios_version", "bios_version"),
        ("product_name", "product_name"),
        ("product_serial", "product_serial"),
        ("product_uuid", "product_uuid"),
        ("product_version", "product_version"),
        ("sys_vendor", "system_vendor"),
    ] {
        put(facts, name, printed.line(&format!("/sys/class/dmi/id/{file}")).unwrap_or("NA"));
    }
}

/// Best effort, from what can be read without rights.
fn virtualization(printed: &Printed<'_>, facts: &mut Facts) {
    let product = printed.line("/sys/class/dmi/id/product_name").unwrap_or_default();
    let vendor = printed.line("/sys/class/dmi/id/sys_vendor").unwrap_or_default();
    let model = printed.file("/proc/cpuinfo").any(|line| line.contains("QEMU"));
    let group = |word: &str| printed.file("/proc/1/cgroup").any(|line| line.contains(word));
    let container = printed.line("/run/systemd/container");
    let (kind, role) = match container {
        Some(container) => (container, "guest"),
        None if printed.exists("/.dockerenv") || group("/docker") => ("docker", "guest"),
        None if printed.exists("/run/.containerenv") || group("/libpod") => ("podman", "guest"),
        None if group("/lxc") => ("lxc", "guest"),
        None if product.contains("VirtualBox") => ("virtualbox", "guest"),
        None if product.contains("VMware") || vendor.contains("VMware") => ("VMware", "guest"),
        None if product.contains("KVM") || vendor == "QEMU" || model => ("kvm", "guest"),
        None if product == "OpenStack Nova" => ("openstack", "guest"),
        None if vendor.starts_with("Amazon EC2") || vendor.starts_with("Google") => ("kvm", "guest"),
        None if vendor.starts_with("Microsoft") && product.starts_with("Virtual") => ("VirtualPC", "guest"),
        None if vendor.starts_with("Xen") => ("xen", "guest"),
        None if printed.exists("/sys/module/kvm") => ("kvm", "host"),
        None => ("NA", "NA"),
    };
    put(facts, "virtualization_type", kind);
    put(facts, "virtualization_role", role);
}

fn user(printed: &Printed<'_>, facts: &mut Facts) {
    let mut env = Facts::new();
    for (name, value) in printed.section("env").filter_map(|line| line.split_once('=')) {
        put(&mut env, name, value);
    }
    let text = |name: &str| env.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
    for line in printed.section("user") {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            ["uid", real, effective] => {
                put(facts, "real_user_id", number(real));
                put(facts, "effective_user_id", number(effective));
                put(facts, "user_uid", number(effective));
            }
            ["gid", real, effective] => {
                put(facts, "real_group_id", number(real));
                put(facts, "effective_group_id", number(effective));
                put(facts, "user_gid", number(effective));
                // What holds for a user that /etc/passwd does not know.
                put(facts, "user_id", text("LOGNAME"));
                put(facts, "user_dir", text("HOME"));
                put(facts, "user_shell", text("SHELL"));
                put(facts, "user_gecos", "");
            }
            [name, _, _, gid, gecos, home, shell] => {
                put(facts, "user_id", name);
                put(facts, "user_gid", number(gid));
                put(facts, "user_gecos", gecos);
                put(facts, "user_dir", home);
                put(facts, "user_shell", shell);
            }
            _ => {}
        }
    }
    put(facts, "env", env);
}

fn security(printed: &Printed<'_>, facts: &mut Facts) {
    let selinux = match printed.line("/sys/fs/selinux/enforce") {
        Some(enforce) => json!({
            "status": "enabled",
            "mode": if enforce == "1" { "enforcing" } else { "permissive" },
            "policyvers": number(printed.line("/sys/fs/selinux/policyvers").unwrap_or_default()),
        }),
        None => json!({"status": "disabled"}),
    };
    put(facts, "selinux", selinux);
    let apparmor = if printed.exists("/sys/kernel/security/apparmor") { "enabled" } else { "disabled" };
    put(facts, "apparmor", json!({"status": apparmor}));
    put(facts, "fips", false);
    for (kind, line) in printed.between("/etc/ssh/ssh_host_", "_key.pub") {
        let mut words = line.split(' ');
        if let (Some(sort), Some(key)) = (words.next(), words.next()) {
            put(facts, &format!("ssh_host_key_{kind}_public"), key);
            put(facts, &format!("ssh_host_key_{kind}_public_keytype"), sort);
        }
    }
}

/// Turns the `\040` of `/proc/mounts` into what it stands for.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

fn mounts(printed: &Printed<'_>) -> Value {
    let mut found = Vec::new();
    for line in printed.file("/proc/mounts") {
        let fields: Vec<&str> = line.split(' ').collect();
        let [device, mount, fstype, options, dump, pass] = fields[..] else { continue };
        if fstype == "none" || !(device.starts_with('/') || device.contains(":/")) {
            continue;
        }
        let mount = unescape(mount);
        let mut one = json!({
            "mount": mount, "device": unescape(device), "fstype": fstype, "options": options,
            "dump": number(dump), "passno": number(pass), "uuid": "N/A",
        });
        let sizes = printed.section("sizes").find_map(|line| {
            let fields: Vec<&str> = line.splitn(6, '|').collect();
            let numbers = || fields[..5].iter().map(|field| number(field)).collect::<Vec<_>>();
            (fields.len() == 6 && fields[5] == mount).then(numbers)
        });
        if let Some([size, blocks, free, inodes, inodes_free]) = sizes.as_deref() {
            one["block_size"] = (*size).into();
            one["block_total"] = (*blocks).into();
            one["block_available"] = (*free).into();
            one["block_used"] = blocks.saturating_sub(*free).into();
            one["size_total"] = (size * blocks).into();
            one["size_available"] = (size * free).into();
            one["inode_total"] = (*inodes).into();
            one["inode_available"] = (*inodes_free).into();
            one["inode_used"] = inodes.saturating_sub(*inodes_free).into();
        }
        found.push(one);
    }
    found.into()
}
