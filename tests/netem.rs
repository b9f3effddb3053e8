//! Links by a kernel that has netem: the lab's own, and those of `roles/netem`, there and back over SSH.
//!
//! The kernel is a user-mode Linux, a machine of its own within a process; it has this machine's files, but what it writes
//! stays in its memory. Needs root on Linux; `TBCTL_NO_LAB=1` says that it is meant to be skipped.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what is wrong by stopping")]

mod lab;

use std::path::Path;
use std::process::Command;

use lab::Lab;

const HOSTS: &str = "testbed: tlink-netem
all:
  vars:
    links: [{between: [a, b], rtt: 10ms}, {between: [a, a], rtt: 1ms}]
  children:
    x:
      hosts:
        a1: {region: a}
        a2: {region: a, network: two}
        b1: {region: b}
";
const ROLE: &str = "links:\n- {between: [b, a], rtt: 12ms}\n- {between: [a, a], rtt: 2ms}\n";

/// Copies what the machine is to find, and gives what it said.
fn run(work: &Path, lower: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (from, to) in [("tests/netem/script.sh", "script"), ("playbooks/netem.yaml", "netem.yaml"), ("roles", "roles")]
    {
        assert!(Command::new("cp").arg("-r").arg(root.join(from)).arg(work.join(to)).status().unwrap().success());
    }
    std::fs::write(work.join("hosts.yaml"), HOSTS).unwrap();
    std::fs::write(work.join("role.yaml"), ROLE).unwrap();
    let mut machine = Command::new("timeout");
    machine.args(["300", "linux.uml", "rootfstype=hostfs", "rw", "mem=2G", "con=null", "con0=fd:0,fd:1", "quiet"]);
    machine.arg(format!("init={}", root.join("tests/netem/init.sh").display()));
    machine.arg(format!("work={}", work.display())).arg(format!("lower={lower}"));
    machine.arg(format!("tbctl={}", env!("CARGO_BIN_EXE_tbctl"))).arg("HOME=/root");
    let out = machine.stdin(std::process::Stdio::null()).output().expect("user-mode-linux is installed");
    String::from_utf8_lossy(&out.stdout).replace('\r', "")
}

/// The numbers of the findings `rtt NAME FROM TO`, without that of the plain way.
fn check_round_trips(findings: &[&str], said: &str) {
    let rtt = |name: &str| -> f64 {
        let line = findings.iter().find_map(|line| line.strip_prefix(&format!("rtt {name} ")));
        line.and_then(|time| time.parse().ok()).unwrap_or_else(|| panic!("no round trip {name}:\n{said}"))
    };
    let base = rtt("plain a1 b1");
    for (name, stated) in [
        ("lab a1 b1", 10.0),
        ("lab b1 a2", 10.0),
        ("lab a1 a2", 1.0),
        ("lab-changed b1 a1", 20.0),
        ("lab-plain a1 a2", 0.0),
        ("role a1 b1", 12.0),
        ("role b1 a2", 12.0),
        ("role a1 a2", 2.0),
        ("role-changed b1 a1", 24.0),
        ("role-rebooted a1 b1", 24.0),
    ] {
        let (found, allowed) = (rtt(name), f64::max(0.2, stated * 0.05));
        assert!((found - base - stated).abs() <= allowed, "{name}: {found} ms, without a link {base} ms\n{said}");
    }
}

#[test]
fn a_kernel_with_netem_makes_links_for_the_lab_and_for_the_role() {
    // The tree of hosts, which the other machine could not fetch.
    let Some(lab) = Lab::up("tlink-tree", "testbed: TESTBED\nall: {hosts: {a: }}\n") else { return };
    let status: serde_json::Value =
        serde_json::from_slice(&lab.run(&["lab", "status", lab.inv(), "--json"]).stdout).unwrap();
    let lower = status["hosts"][0]["lower"].as_str().unwrap().to_owned();
    let work = tempfile::tempdir().unwrap();
    let said = run(work.path(), &lower);
    let findings: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("= ")).collect();
    check_round_trips(&findings, &said);
    let others: Vec<&str> = findings.into_iter().filter(|line| !line.starts_with("rtt ")).collect();
    let expected = [
        "by \"by\":\"netem\"",
        // Two networks of one region, to and from the other one.
        "words 4",
        "left 0",
        // Root, two or one links, their other ends; on three hosts.
        "changed 0 9",
        "changed 0 0",
        // Only the link that is another one now.
        "changed 0 3",
        // Script, unit, and the unit enabled.
        "changed 0 9",
        "changed 0 0",
        "destroyed 0",
        "same",
        "refused 2",
        "why queueing discipline of somebody else, `pfifo 5:`",
        "foreign 1",
        "end",
    ];
    assert_eq!(others, expected, "{said}");
}
