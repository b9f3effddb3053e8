//! Facts by what they cost: each group is asked for only when a name of it is read.

use crate::change::Probe;
use crate::change::look::Look;

/// A group of facts, under Ansible's name of the subset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// System, distribution, user, environment, security.
    Min,
    /// Processors, memory, firmware, virtualization, mounts.
    Hardware,
    /// Interfaces, addresses, routes, name servers.
    Network,
    DateTime,
}

/// Facts whose names start so, and the group they are in.
const PREFIXES: [(&str, Group); 14] = [
    ("processor", Group::Hardware),
    ("mem", Group::Hardware),
    ("swap", Group::Hardware),
    ("bios_", Group::Hardware),
    ("product_", Group::Hardware),
    ("virtualization_", Group::Hardware),
    ("distribution", Group::Min),
    ("user", Group::Min),
    ("effective_", Group::Min),
    ("real_", Group::Min),
    ("ssh_host_key_", Group::Min),
    ("kernel", Group::Min),
    ("python", Group::Min),
    ("date_time", Group::DateTime),
];

const HARDWARE: [&str; 4] = ["mounts", "uptime_seconds", "loadavg", "system_vendor"];

const MIN: [&str; 20] = [
    "system", "nodename", "hostname", "fqdn", "domain", "machine", "architecture", "machine_id", "cmdline", "is_chroot",
    "local", "service_mgr", "os_family", "pkg_mgr", "lsb", "env", "selinux", "apparmor", "fips", "gather_subset",
];

impl Group {
    pub const ALL: [Group; 4] = [Group::Min, Group::Hardware, Group::Network, Group::DateTime];

    /// The group a fact is in, by its name with or without `ansible_` in front. Interfaces have names of their own, so what
    /// is no other fact is of the network.
    pub fn of(fact: &str) -> Group {
        let name = fact.strip_prefix("ansible_").unwrap_or(fact);
        let start = PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix));
        match start {
            Some((_, group)) => *group,
            None if HARDWARE.contains(&name) => Group::Hardware,
            None if MIN.contains(&name) => Group::Min,
            None => Group::Network,
        }
    }

    /// What Ansible calls it.
    pub fn name(self) -> &'static str {
        match self {
            Group::Min => "min",
            Group::Hardware => "hardware",
            Group::Network => "network",
            Group::DateTime => "date_time",
        }
    }

    /// A fact that is always in it.
    pub fn example(self) -> &'static str {
        match self {
            Group::Min => "distribution",
            Group::Hardware => "processor",
            Group::Network => "default_ipv4",
            Group::DateTime => "date_time",
        }
    }

    /// The groups that Ansible's `gather_subset` names. `min` is there unless `!min` rules it out.
    pub fn chosen(subset: &[String]) -> Result<Vec<Group>, String> {
        let (mut asked, mut out) = (Vec::new(), Vec::new());
        for word in subset {
            match word.strip_prefix('!') {
                Some("min") => out.push(Group::Min),
                Some(name) => out.extend(named(name)?.into_iter().filter(|group| *group != Group::Min)),
                None => asked.extend(named(word)?),
            }
        }
        let mut chosen = if asked.is_empty() { Group::ALL.to_vec() } else { vec![Group::Min] };
        chosen.retain(|group| !out.contains(group));
        // What is asked for by its name is there, whatever else is ruled out.
        chosen.extend(asked);
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen)
    }

    /// Adds what is asked for the group.
    pub(super) fn ask(self, probe: Probe) -> Probe {
        let script = Look::Live { text: self.script().into() };
        let probe = probe.ask(self.name(), script);
        match self.files() {
            [] => probe,
            patterns => probe.ask("files", Look::Files { patterns }),
        }
    }

    fn script(self) -> &'static str {
        match self {
            Group::Min => include_str!("min.sh"),
            Group::Hardware => include_str!("hardware.sh"),
            Group::Network => include_str!("network.sh"),
            Group::DateTime => include_str!("clock.sh"),
        }
    }

    /// Disjoint: a file of two groups would be read twice.
    fn files(self) -> &'static [&'static str] {
        match self {
            Group::Min => &[
                "/proc/sys/kernel/hostname",
                "/proc/sys/kernel/osrelease",
                "/proc/sys/kernel/version",
                "/proc/sys/kernel/arch",
                "/proc/cmdline",
                "/proc/1/comm",
                "/etc/machine-id",
                "/var/lib/dbus/machine-id",
                "/etc/os-release",
                "/etc/debian_version",
                "/etc/lsb-release",
                "/sys/fs/selinux/enforce",
                "/sys/fs/selinux/policyvers",
                "/etc/ssh/ssh_host_*_key.pub",
            ],
            Group::Hardware => &[
                "/proc/cpuinfo",
                "/proc/meminfo",
                "/proc/uptime",
                "/proc/loadavg",
                "/proc/mounts",
                "/proc/1/cgroup",
                "/run/systemd/container",
                "/sys/class/dmi/id/[bps][iry][osr]*",
            ],
            Group::Network => &[
                "/proc/net/route",
                "/proc/net/ipv6_route",
                "/etc/resolv.conf",
                "/sys/class/net/*/mtu",
                "/sys/class/net/*/address",
                "/sys/class/net/*/operstate",
                "/sys/class/net/*/type",
                "/sys/class/net/*/flags",
            ],
            Group::DateTime => &[],
        }
    }
}

fn named(word: &str) -> Result<Vec<Group>, String> {
    Ok(match word {
        "all" => Group::ALL.to_vec(),
        "min" | "distribution" | "user" | "env" | "platform" | "service_mgr" | "pkg_mgr" | "selinux" | "apparmor" | "lsb"
        | "cmdline" | "fips" | "local" | "python" | "ssh_pub_keys" | "system_capabilities" | "chroot" | "facter" | "ohai" => {
            vec![Group::Min]
        }
        "hardware" | "virtual" | "devices" | "mounts" | "processor" | "memory" | "loadavg" => vec![Group::Hardware],
        "network" | "interfaces" | "dns" | "default_ipv4" | "default_ipv6" | "all_ipv4_addresses" | "all_ipv6_addresses"
        | "fibre_channel_wwn" | "iscsi" | "nvme" => vec![Group::Network],
        "date_time" => vec![Group::DateTime],
        _ => return Err(format!("`{word}` is no subset of facts: write `all`, `min`, `hardware`, `network` or `date_time`")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(subset: &[&str], groups: &[Group]) {
        let subset: Vec<String> = subset.iter().map(|word| (*word).to_string()).collect();
        assert_eq!(Group::chosen(&subset).unwrap(), groups, "{subset:?}");
    }

    #[test]
    fn subsets() {
        check(&[], &Group::ALL);
        check(&["all"], &Group::ALL);
        check(&["min"], &[Group::Min]);
        check(&["network"], &[Group::Min, Group::Network]);
        check(&["!min", "network"], &[Group::Network]);
        check(&["!hardware"], &[Group::Min, Group::Network, Group::DateTime]);
        check(&["!all"], &[Group::Min]);
        check(&["!all", "!min", "date_time"], &[Group::DateTime]);
        assert!(Group::chosen(&["netwrok".into()]).unwrap_err().contains("no subset"));
    }
}
