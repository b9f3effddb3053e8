//! Tasks that would cut tbctl's own way to their host, as far as it shows before the run.
//!
//! Only what is certain is said: a rule that exempts anybody may exempt tbctl. Does not know what the host's firewall says by
//! itself, nor what chains of one's own do.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::diag::Diagnostic;
use crate::graph::HostId;
use crate::lang::decode::decode;
use crate::lang::node::Node;
use crate::modules::iptables::Action;
use crate::modules::iptables::Iptables;
use crate::modules::iptables::Policy;
use crate::modules::iptables::Table;
use crate::modules::iptables::Version;
use crate::modules::iptables::Wanted;
use crate::modules::systemd;
use crate::modules::systemd::Systemd;

/// The port of SSH where nothing else is said.
pub const SSH: u16 = 22;

const CONFIRM: &str = "write `confirm: 60s`";

/// Where tbctl comes in on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// It is this machine.
    None,
    Ssh {
        port: u16,
        /// Unknown where a host goes by its name.
        address: Option<IpAddr>,
    },
}

/// What was seen so far, task by task.
#[derive(Default)]
pub(super) struct Watch {
    /// Hosts on which a rule of an earlier task lets SSH in.
    open: HashSet<HostId>,
}

impl Watch {
    /// What is wrong with a task. To be asked in the order of the tasks.
    pub(super) fn fault(&mut self, host: HostId, door: Door, kind: &str, args: &Node) -> Option<Diagnostic> {
        let Door::Ssh { port, address } = door else { return None };
        match kind {
            // Arguments with faults are another's concern.
            "iptables" => self.rule(host, port, address, &decode(args).ok()?),
            "systemd" => unit(&decode(args).ok()?),
            _ => None,
        }
    }

    fn rule(&mut self, host: HostId, port: u16, address: Option<IpAddr>, rule: &Iptables) -> Option<Diagnostic> {
        let version = if address.is_some_and(|address| address.is_ipv6()) { Version::Ipv6 } else { Version::Ipv4 };
        let here = rule.chain == "INPUT" && rule.table == Table::Filter && rule.ip_version == version;
        if !here || rule.state != Wanted::Present {
            return None;
        }
        let jump = rule.jump.as_deref().unwrap_or_default();
        if jump == "ACCEPT" && concerns(rule, port) && rule.in_interface.as_deref() != Some("lo") {
            self.open.insert(host);
        }
        let shuts = rule.policy == Some(Policy::Drop);
        let cuts = ["DROP", "REJECT"].contains(&jump) && concerns(rule, port) && from_anywhere(rule, address);
        // In front of all others, what they accept is of no use.
        let first = cuts && rule.action == Action::Insert && rule.rule_num.unwrap_or(1) == 1;
        if !(shuts || cuts) || (self.open.contains(&host) && !first) {
            return None;
        }
        let message = format!("this would cut tbctl's own way to the host: SSH on port {port}");
        let limit = if shuts { "" } else { "limit its `source`, " };
        Some(Diagnostic::error(message).help(format!("{limit}accept SSH before it, or {CONFIRM}")))
    }
}

/// Whether a rule looks at packets to the port, from whomever.
fn concerns(rule: &Iptables, port: u16) -> bool {
    let protocol = match rule.protocol.as_deref().map(|name| name.strip_prefix('!').map(str::trim).ok_or(name)) {
        None | Some(Err("tcp" | "6" | "all" | "0")) => true,
        Some(Ok(other)) => !["tcp", "6", "all", "0"].contains(&other),
        Some(Err(_)) => false,
    };
    let ports = rule.destination_port.iter().all(|word| is_port(word, port))
        && (rule.destination_ports.is_empty() || rule.destination_ports.iter().any(|word| is_port(word, port)));
    let states =
        rule.ctstate.is_empty() || rule.ctstate.iter().any(|state| ["NEW", "ESTABLISHED"].contains(&state.as_str()));
    let other = rule.icmp_type.is_some() || rule.fragment || rule.uid_owner.is_some() || rule.gid_owner.is_some();
    protocol && ports && states && !other
}

/// Whether a port is one of `22`, `ssh`, `20:30`, `!80`.
fn is_port(word: &str, port: u16) -> bool {
    let word = word.trim();
    if let Some(rest) = word.strip_prefix('!') {
        return !is_port(rest, port);
    }
    let number = |word: &str, open: u16| match word {
        "" => Some(open),
        "ssh" => Some(SSH),
        word => word.parse::<u16>().ok(),
    };
    match word.split_once(':') {
        Some((first, last)) => match (number(first, 0), number(last, u16::MAX)) {
            (Some(first), Some(last)) => (first..=last).contains(&port),
            _ => false,
        },
        None => number(word, 0) == Some(port),
    }
}

/// Whether a rule exempts nobody.
fn from_anywhere(rule: &Iptables, address: Option<IpAddr>) -> bool {
    const ALL: [&str; 2] = ["0.0.0.0/0", "::/0"];
    // Names of matches that only load what other arguments use.
    const PLAIN: [&str; 6] = ["tcp", "udp", "multiport", "conntrack", "comment", "state"];
    let host = |word: &str| {
        let word = word.split_once('/').filter(|(_, bits)| ["32", "128"].contains(bits)).map_or(word, |(host, _)| host);
        address.is_some_and(|address| word.parse() == Ok(address))
    };
    let source = rule.source.as_deref().is_none_or(|word| ALL.contains(&word));
    let destination = rule.destination.as_deref().is_none_or(|word| ALL.contains(&word) || host(word));
    let interface = rule.in_interface.as_deref().is_none_or(|name| name.strip_prefix('!').map(str::trim) == Some("lo"));
    let ranges = rule.src_range.is_none() && rule.dst_range.is_none() && rule.source_port.is_none();
    let matches = rule.matches.iter().all(|name| PLAIN.contains(&name.as_str()));
    source && destination && interface && ranges && matches && rule.limit.is_none() && rule.mark.is_none()
}

/// The SSH server stopped or barred.
fn unit(unit: &Systemd) -> Option<Diagnostic> {
    let name = unit.name.as_deref()?;
    let is_ssh = ["ssh", "sshd"].contains(&name.strip_suffix(".service").unwrap_or(name));
    if !is_ssh || unit.state != Some(systemd::Wanted::Stopped) {
        return None;
    }
    let message = "this would cut tbctl's own way to the host: it stops the SSH server";
    Some(Diagnostic::error(message).help(format!("leave it running, or {CONFIRM}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Span;
    use crate::lang::node::Key;
    use crate::lang::node::Tree;

    const DOOR: Door = Door::Ssh { port: 22, address: Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1))) };

    /// `a=b c=1,2 iptables` as the arguments of a kind.
    fn task(text: &str) -> (&str, Node) {
        let span = Span::synthetic("t", "t");
        let (kind, rest) = text.split_once(' ').unwrap();
        let entry = |(name, value): (&str, &str)| {
            let list = value.split(',').map(|word| Node::literal(&span, word)).collect();
            let value =
                if value.contains(',') { Node::new(&span, Tree::List(list)) } else { Node::literal(&span, value) };
            (Key { span: span.clone(), name: name.into() }, value)
        };
        let entries = rest.split(' ').map(|word| entry(word.split_once('=').unwrap())).collect();
        (kind, Node::map(&span, entries))
    }

    /// Tasks of one host after each other, and whether the last one would lock tbctl out.
    #[track_caller]
    fn check(door: Door, tasks: &[&str], expected: bool) {
        let mut watch = Watch::default();
        let mut last = None;
        for text in tasks {
            let (kind, args) = task(text);
            assert!((crate::modules::find(kind).unwrap().decode)(&args).is_ok(), "{text}");
            last = watch.fault(0, door, kind, &args);
        }
        assert_eq!(last.is_some(), expected, "{tasks:?}: {last:?}");
    }

    #[test]
    fn what_cuts_everybody_off() {
        for rule in [
            "jump=DROP protocol=tcp destination_port=22",
            "jump=REJECT protocol=tcp destination_port=ssh",
            "jump=DROP",
            "jump=DROP protocol=all source=0.0.0.0/0",
            "jump=DROP protocol=tcp",
            "jump=DROP protocol=!udp",
            "jump=DROP protocol=tcp destination_port=1:1024",
            "jump=DROP protocol=tcp destination_port=:80",
            "jump=DROP protocol=tcp destination_port=!80",
            "jump=DROP protocol=tcp destination_ports=80,22",
            "jump=DROP protocol=tcp destination_port=22 ctstate=NEW,INVALID",
            "jump=DROP protocol=tcp destination_port=22 syn=match",
            "jump=DROP in_interface=!lo",
            "jump=DROP destination=10.0.0.1/32",
            "jump=DROP action=insert",
            "policy=DROP",
        ] {
            check(DOOR, &[&format!("iptables chain=INPUT {rule}")], true);
        }
        check(DOOR, &["systemd name=ssh state=stopped"], true);
        check(DOOR, &["systemd name=sshd.service state=stopped"], true);
    }

    #[test]
    fn what_may_let_tbctl_through() {
        for rule in [
            "chain=INPUT jump=DROP protocol=tcp destination_port=80",
            "chain=INPUT jump=DROP protocol=tcp destination_port=!22",
            "chain=INPUT jump=DROP protocol=tcp destination_ports=80,8000:9000",
            "chain=INPUT jump=DROP protocol=udp",
            "chain=INPUT jump=DROP protocol=!tcp",
            "chain=INPUT jump=DROP in_interface=wg0",
            "chain=INPUT jump=DROP source=10.9.0.0/16",
            "chain=INPUT jump=DROP source=!10.0.0.0/8 protocol=tcp destination_port=22",
            "chain=INPUT jump=DROP src_range=10.9.0.1-10.9.0.9",
            "chain=INPUT jump=DROP destination=10.0.0.2",
            "chain=INPUT jump=DROP ctstate=INVALID",
            "chain=INPUT jump=DROP match=recent",
            "chain=INPUT jump=DROP limit=1/second",
            "chain=INPUT jump=DROP mark=0x1",
            "chain=INPUT jump=DROP protocol=tcp source_port=22",
            "chain=INPUT jump=DROP ip_version=ipv6",
            "chain=INPUT jump=DROP state=absent",
            "chain=INPUT jump=DROP table=mangle",
            "chain=INPUT jump=ACCEPT protocol=tcp destination_port=22",
            "chain=INPUT jump=LOG",
            "chain=INPUT policy=ACCEPT",
            "chain=FORWARD jump=DROP",
            "chain=FORWARD policy=DROP",
            "chain=DOCKER-USER jump=DROP",
        ] {
            check(DOOR, &[&format!("iptables {rule}")], false);
        }
        check(DOOR, &["systemd name=ssh state=restarted"], false);
        check(DOOR, &["systemd name=nginx state=stopped"], false);
        check(DOOR, &["systemd name=ssh enabled=no"], false);
    }

    #[test]
    fn what_is_accepted_before_counts() {
        let drop = "iptables chain=INPUT jump=DROP";
        let shut = "iptables chain=INPUT policy=DROP";
        for (before, expected) in [
            ("protocol=tcp destination_port=22", false),
            ("protocol=tcp destination_port=22 source=10.9.0.0/16", false),
            ("ctstate=ESTABLISHED,RELATED", false),
            ("in_interface=eth0", false),
            ("in_interface=lo", true),
            ("protocol=tcp destination_port=80", true),
            ("protocol=icmp", true),
            ("protocol=tcp destination_port=22 ip_version=ipv6", true),
        ] {
            let before = format!("iptables chain=INPUT jump=ACCEPT {before}");
            check(DOOR, &[&before, drop], expected);
            check(DOOR, &[&before, shut], expected);
            // In front of what is accepted.
            check(DOOR, &[&before, "iptables chain=INPUT jump=DROP action=insert"], true);
        }
    }

    #[test]
    fn the_door_is_the_hosts_own() {
        let door = |port, address: Option<&str>| Door::Ssh { port, address: address.map(|text| text.parse().unwrap()) };
        let drop = "iptables chain=INPUT jump=DROP protocol=tcp destination_port=22";
        check(door(2222, None), &[drop], false);
        check(door(2222, None), &["iptables chain=INPUT jump=DROP protocol=tcp destination_port=2222"], true);
        check(door(22, Some("fd00::1")), &[drop], false);
        check(door(22, Some("fd00::1")), &["iptables chain=INPUT jump=DROP ip_version=ipv6"], true);
        check(Door::None, &[drop], false);
        check(Door::None, &["systemd name=ssh state=stopped"], false);
    }
}
