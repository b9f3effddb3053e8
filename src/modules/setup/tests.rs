use super::*;
use crate::change::Seen;
use crate::change::fuse;
use crate::change::fuse::PRELUDE;
use serde_json::json;
use std::process::Command;

/// Printed by a Debian host, shortened.
const DEBIAN: &str = include_str!("../../../tests/facts/debian.txt");
/// Printed by a host of busybox.
const BUSYBOX: &str = include_str!("../../../tests/facts/busybox.txt");

fn check(printed: &str, wanted: &[(&str, serde_json::Value)]) {
    let facts = facts::parse(printed, &Group::ALL);
    for (path, value) in wanted {
        let mut parts = path.split('/');
        let first = parts.next().unwrap_or_default();
        let mut found = facts.get(&format!("ansible_{first}")).cloned().unwrap_or_default();
        for part in parts {
            found = match part.parse::<usize>() {
                Ok(at) => found[at].clone(),
                Err(_) => found[part].clone(),
            };
        }
        assert_eq!(&found, value, "{path}");
    }
}

#[test]
fn a_debian_host() {
    check(
        DEBIAN,
        &[
            ("hostname", json!("alpha")),
            ("fqdn", json!("alpha.example.test")),
            ("domain", json!("example.test")),
            ("kernel", json!("6.1.0-18-amd64")),
            ("kernel_version", json!("#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)")),
            ("architecture", json!("x86_64")),
            ("distribution", json!("Debian")),
            ("distribution_version", json!("12.11")),
            ("distribution_major_version", json!("12")),
            ("distribution_release", json!("bookworm")),
            ("os_family", json!("Debian")),
            ("pkg_mgr", json!("apt")),
            ("service_mgr", json!("systemd")),
            ("processor", json!(["0", "AuthenticAMD", "AMD EPYC", "1", "AuthenticAMD", "AMD EPYC"])),
            ("processor_count", json!(1)),
            ("processor_cores", json!(2)),
            ("processor_vcpus", json!(2)),
            ("memtotal_mb", json!(24105)),
            ("default_ipv4/address", json!("192.0.2.7")),
            ("default_ipv4/gateway", json!("192.0.2.1")),
            ("default_ipv4/netmask", json!("255.255.255.0")),
            ("default_ipv4/network", json!("192.0.2.0")),
            ("default_ipv4/interface", json!("eth0")),
            ("default_ipv4/mtu", json!(1400)),
            ("default_ipv6/address", json!("fd00::2")),
            ("default_ipv6/gateway", json!("fd00::1")),
            ("all_ipv4_addresses", json!(["192.0.2.7", "192.0.2.8", "10.0.1.1", "172.18.0.1"])),
            ("interfaces", json!(["br-lab", "eth0", "lo", "wg0"])),
            ("eth0/ipv4_secondaries/0/address", json!("192.0.2.8")),
            ("eth0/ipv6/1/scope", json!("link")),
            ("wg0/ipv4/prefix", json!("32")),
            ("wg0/type", json!("tunnel")),
            ("br_lab/type", json!("bridge")),
            ("br_lab/interfaces", json!(["veth1"])),
            ("mounts/0/mount", json!("/")),
            ("mounts/0/size_total", json!(4096 * 1000)),
            ("mounts/1/mount", json!("/srv/a b")),
            ("mounts/2/fstype", json!("nfs4")),
            ("date_time/iso8601", json!("2024-02-29T11:00:00Z")),
            ("date_time/tz_offset", json!("+0100")),
            ("user_id", json!("root")),
            ("user_shell", json!("/bin/bash")),
            ("env/HOME", json!("/root")),
            ("virtualization_type", json!("kvm")),
            ("product_name", json!("KVM")),
            ("dns/nameservers", json!(["10.255.255.53"])),
            ("dns/search", json!(["example.test"])),
            ("selinux/status", json!("disabled")),
            ("ssh_host_key_ed25519_public", json!("AAAAC3Nz")),
            ("python_version", json!(null)),
            ("uptime_seconds", json!(5707)),
        ],
    );
}

#[test]
fn a_busybox_host() {
    check(
        BUSYBOX,
        &[
            ("hostname", json!("box")),
            ("fqdn", json!("box")),
            ("domain", json!("")),
            ("distribution", json!("Alpine")),
            ("distribution_version", json!("3.20.1")),
            ("os_family", json!("Alpine")),
            ("pkg_mgr", json!("apk")),
            ("service_mgr", json!("openrc")),
            ("architecture", json!("aarch64")),
            ("processor_count", json!(2)),
            ("processor_vcpus", json!(2)),
            ("default_ipv4", json!({})),
            ("lo/ipv4/address", json!("127.0.0.1")),
            ("mounts/0/size_available", json!(512 * 400)),
        ],
    );
}

#[test]
fn nonsense_is_survived() {
    for text in ["", "@", "x", "@files\n:", "@date\n|||", "@ip\n1:", "@uname\nLinux", "@ip\n1: lo inet 1/99", "@sizes\n|"] {
        facts::parse(text, &Group::ALL);
    }
    for cut in (0..DEBIAN.len()).step_by(7) {
        facts::parse(DEBIAN.get(..cut).unwrap_or_default(), &Group::ALL);
    }
}

/// Asks this machine as a host is asked, and reads the answers.
fn ask(shell: &[&str], groups: &[&str], path: Option<&str>) -> facts::Facts {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_string()).collect::<Vec<_>>();
    let probe = Setup::probe(&Asked { gather_subset: words(groups) });
    let mut looks: Vec<_> = Vec::new();
    for (_, look) in &probe.looks {
        looks.push(look.clone());
    }
    let text = format!("export LC_ALL=C\n{PRELUDE}\n{}", fuse::script(&looks, "@@m"));
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg("-c").arg(text);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let out = command.output().unwrap();
    let answers = fuse::split(&looks, "@@m", &String::from_utf8_lossy(&out.stdout)).unwrap();
    let mut seen = Seen::default();
    for ((name, _), answer) in probe.looks.iter().zip(answers) {
        seen.answers.insert((*name).to_string(), answer);
    }
    let setup = Setup { gather_subset: words(groups), gather_timeout: None, filter: vec![] };
    let fields = setup.result(&seen.decode::<State>().unwrap(), &[]);
    serde_json::to_value(&fields["ansible_facts"]).unwrap().as_object().unwrap().clone()
}

const SHELLS: [&[&str]; 3] = [&["sh"], &["bash"], &["busybox", "sh"]];

#[test]
fn every_shell_prints_facts_of_this_machine() {
    let mut all = Vec::new();
    for shell in SHELLS {
        let facts = ask(shell, &[], None);
        assert_eq!(facts["ansible_system"], "Linux", "{shell:?}: {facts:?}");
        assert_eq!(facts["ansible_lo"]["ipv4"]["address"], "127.0.0.1", "{shell:?}");
        assert!(facts["ansible_memtotal_mb"].as_u64() > Some(0), "{shell:?}");
        assert_ne!(facts["ansible_user_dir"], "", "{shell:?}");
        assert_ne!(facts["ansible_architecture"], "", "{shell:?}");
        assert!(facts["ansible_date_time"]["epoch"].is_string(), "{shell:?}");
        all.push(facts.keys().cloned().collect::<Vec<_>>());
    }
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
}

#[test]
fn each_fact_is_of_its_group() {
    let mut all = std::collections::BTreeSet::new();
    for group in Group::ALL {
        let only = if group == Group::Min { "min" } else { "!min" };
        let facts = ask(&["sh"], &[only, group.name()], None);
        assert!(facts.contains_key(&format!("ansible_{}", group.example())), "{group:?}");
        for name in facts.keys() {
            assert_eq!(Group::of(name), group, "{name}");
            all.insert(name.clone());
        }
    }
    let whole: std::collections::BTreeSet<String> = ask(&["sh"], &["all"], None).keys().cloned().collect();
    assert_eq!(all, whole);
}

/// What is asked of the system itself costs no process but the one that reads files; the network one more, and so on.
#[test]
fn a_process_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    for name in ["uname", "grep", "ip", "stat", "date", "hostname", "timeout", "cat", "id", "df"] {
        let path = dir.path().join(name);
        let body = format!("#!/bin/sh\necho {name} >>{}\nPATH=${{PATH#*:}} exec {name} \"$@\"\n", log.display());
        std::fs::write(&path, body).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let kernel_tells = std::path::Path::new("/proc/sys/kernel/arch").exists();
    let min = if kernel_tells { vec!["grep"] } else { vec!["uname", "grep"] };
    let cases = [(vec!["min"], min), (vec!["!min", "network"], vec!["grep", "ip"]), (vec!["!min", "date_time"], vec!["date"])];
    for (groups, wanted) in cases {
        std::fs::write(&log, "").unwrap();
        ask(&["sh"], &groups, Some(&path));
        let started = std::fs::read_to_string(&log).unwrap();
        let mut known: Vec<&str> = started.lines().filter(|name| !matches!(*name, "timeout" | "hostname")).collect();
        let mut wanted = wanted;
        known.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(known, wanted, "{groups:?}");
    }
}

#[test]
fn filters() {
    for (pattern, name, wanted) in [
        ("ansible_distribution*", "ansible_distribution_version", true),
        ("distribution", "ansible_distribution", true),
        ("*_mb", "ansible_memtotal_mb", true),
        ("eth?", "ansible_eth0", true),
        ("eth", "ansible_eth0", false),
    ] {
        let setup = Setup { gather_subset: vec![], gather_timeout: None, filter: vec![pattern.into()] };
        assert_eq!(setup.wants(name), wanted, "{pattern} {name}");
    }
}
