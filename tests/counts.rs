//! What a run costs a host, as numbers: round trips, bytes and program starts of a play of forty tasks.
//!
//! Needs root and Linux; `TBCTL_NO_LAB=1` leaves this test out on purpose.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lab;

use std::collections::BTreeMap;

use lab::Lab;
use lab::assert_same;
use lab::starts::Watch;

const NAME: &str = "tcounts";
const INVENTORY: &str = "testbed: TESTBED\nall:\n  hosts:\n    c1: {}\n";

/// Values that need a trip of their own: only `getconf` has to run before what reads its register can be decided. The facts
/// and the `stat` are asked for in the same trip as everything else, and `set_fact` and `assert` are worked out here.
const DEPTH: u64 = 1;

/// Tasks decided on a state that a task before them changes: the directory in a new directory, the loop in the new one in
/// it, the second line and the block of /etc/hosts, the key of a new user, the unit of a new file. Kernel parameters look
/// only at the lines of their own name, and files in a new directory are decided anew together with it.
const INVALIDATED: u64 = 6;

/// Programs beside the user's commands and the login itself, however many tasks ask.
const LOOKING: usize = 10;

/// Commands that run although everything is right: `getconf`.
const COMMANDS: usize = 1;

#[test]
fn forty_tasks_cost_a_converged_host_one_trip_a_value_and_few_programs() {
    let Some(lab) = Lab::up(NAME, INVENTORY) else { return };
    let play = format!("{}/tests/counts/play.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&play).unwrap();
    assert_eq!(text.matches("- name: ").count() - 1, 40, "the play's own name is no task's");
    let tree = lab.tree("c1");
    let live = lab.live("c1");

    let first = &lab.apply(&play)["c1"];
    assert_eq!(first.failed, 0);
    let most = 2 + DEPTH + INVALIDATED;
    assert!(first.trips <= most, "the first apply took {} trips, more than {most}", first.trips);

    let greeting = greeting(&lab);
    let carried = bytes(&lab);
    let watch = Watch::begin(&lab, NAME, "c1");
    let second = &lab.apply(&play)["c1"];
    let starts = watch.over_ssh();
    let carried = bytes(&lab) - carried;
    eprintln!("first {first:?}, second {second:?}, {carried} bytes, {} programs", starts.len());
    assert_eq!((second.changed, second.failed), (0, 0));
    let most = 1 + DEPTH;
    assert!(second.trips <= most, "a converged host took {} trips, more than {most}", second.trips);

    let mut programs: BTreeMap<&str, usize> = BTreeMap::new();
    for start in &starts {
        *programs.entry(&start.program).or_default() += 1;
    }
    assert!(!starts.is_empty(), "the watch saw nothing");
    let ours = starts.len() - greeting;
    assert!(ours <= LOOKING + COMMANDS, "{ours} programs beside the {greeting} of any login: {programs:#?}");
    assert!(carried <= BYTES, "{carried} bytes were carried, more than {BYTES}");

    lab.ok(&["destroy", "--yes", lab.inv()]);
    assert_same(&tree, &lab.tree("c1"), "c1");
    assert_eq!(live, lab.live("c1"));
}

/// Most bytes both ways on a converged host, login and all.
const BYTES: u64 = 96 << 10;

/// Programs that the login itself starts: the user's shell, and what greets by PAM. Those of `ssh HOST :`.
fn greeting(lab: &Lab) -> usize {
    let watch = Watch::begin(lab, NAME, "c1");
    let all = tbctl::lab::access(NAME).unwrap().unwrap();
    let way = &all.iter().find(|(host, _)| host == "c1").unwrap().1;
    let known = format!("UserKnownHostsFile={}", way.known_hosts.display());
    let mut ssh = std::process::Command::new("ssh");
    ssh.args(["-F", "none", "-o", &known, "-o", "BatchMode=yes", "-i"]).arg(&way.key);
    let status = ssh.arg(format!("{}@{}", way.user, way.address)).arg(":").status().unwrap();
    assert!(status.success());
    let starts = watch.over_ssh();
    assert!(!starts.is_empty(), "the watch saw nothing");
    starts.len()
}

/// All bytes the host has received and sent.
fn bytes(lab: &Lab) -> u64 {
    let text = lab.on("c1", "cat /sys/class/net/eth0/statistics/rx_bytes /sys/class/net/eth0/statistics/tx_bytes");
    text.lines().map(|line| line.trim().parse::<u64>().unwrap()).sum()
}
