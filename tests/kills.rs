//! What comes between: tbctl killed, the cable cut, the host rebooted, each at many moments of a run. The next apply converges,
//! the one after it changes nothing, and destroy gives the first state.
//!
//! Needs root and Linux; `TBCTL_NO_LAB=1` leaves this test out on purpose.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lab;

use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use lab::Lab;
use lab::assert_same;

const NAME: &str = "tkills";
const INVENTORY: &str = "testbed: TESTBED\nall:\n  hosts:\n    k1: {}\n";

/// How often each disturbance comes, at moments spread over the length of a run.
const MOMENTS: u32 = 3;

#[derive(Debug, Clone, Copy)]
enum Disturbance {
    Kill,
    Interrupt,
    Cut,
    Reboot,
}

fn begin(lab: &Lab, play: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tbctl"));
    command.args(["apply", lab.inv(), play]).env("HOME", lab.home.path());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
}

/// The machine's end of the host's cable.
fn cable() -> String {
    let links = std::fs::read_dir("/sys/class/net").unwrap().map(|entry| entry.unwrap().file_name());
    let bridge = |name: &str| std::fs::read_link(format!("/sys/class/net/{name}/master"));
    let hosts = std::fs::read_to_string(format!("/run/tbctl-lab/{NAME}/lab.json")).unwrap();
    let mut names = links.map(|name| name.to_string_lossy().into_owned());
    names.find(|name| hosts.contains(&format!("\"{name}\"")) && bridge(name).is_ok()).unwrap()
}

fn disturb(lab: &Lab, child: &mut Child, how: Disturbance) {
    match how {
        Disturbance::Kill => child.kill().unwrap(),
        Disturbance::Interrupt => signal(child, "-INT"),
        Disturbance::Cut => {
            let cable = cable();
            for state in ["down", "up"] {
                assert!(Command::new("ip").args(["link", "set", &cable, state]).status().unwrap().success());
            }
            signal(child, "-KILL");
        }
        Disturbance::Reboot => {
            lab.run(&["lab", "exec", lab.inv(), "k1", "--", "systemctl", "reboot", "--force", "--force"]);
            signal(child, "-KILL");
        }
    }
    child.wait().unwrap();
}

/// Applies until no dead run is in the way and the host is back; bounded by time.
fn converge(lab: &Lab, play: &str, what: &str) {
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        let out = lab.run(&["apply", lab.inv(), play]);
        if out.status.success() {
            return;
        }
        let said = String::from_utf8_lossy(&out.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        let passing = said.contains("another run holds the lock") || out.status.code() == Some(4);
        assert!(passing && Instant::now() < limit, "{what}: {said}");
    }
}

#[test]
fn whatever_comes_between_the_host_converges_and_goes_back() {
    let Some(lab) = Lab::up(NAME, INVENTORY) else { return };
    let play = format!("{}/tests/counts/play.yaml", env!("CARGO_MANIFEST_DIR"));
    let (tree, live) = (lab.tree("k1"), lab.live("k1"));
    let start = Instant::now();
    lab.apply(&play);
    let length = start.elapsed();
    lab.ok(&["destroy", "--yes", lab.inv()]);
    assert_same(&tree, &lab.tree("k1"), "k1");
    for how in [Disturbance::Kill, Disturbance::Interrupt, Disturbance::Cut, Disturbance::Reboot] {
        for moment in 0..MOMENTS {
            let what = format!("{how:?} at {moment}/{MOMENTS} of a run");
            eprintln!("{what}");
            let mut child = begin(&lab, &play);
            // The moment is what is tried: there is no event to wait for.
            std::thread::sleep(length * (2 * moment + 1) / (2 * MOMENTS));
            disturb(&lab, &mut child, how);
            converge(&lab, &play, &what);
            assert_eq!(lab.apply(&play)["k1"].changed, 0, "{what}");
            let runs = lab.on("k1", "systemctl is-active forty; cat /etc/forty/value");
            assert!(runs.starts_with("active\n") && runs.lines().count() == 2, "{what}: {runs}");
            lab.ok(&["destroy", "--yes", lab.inv()]);
            assert_same(&tree, &lab.tree("k1"), &what);
            assert_eq!(live, lab.live("k1"), "{what}");
        }
    }
}

#[test]
fn packages_that_a_reboot_left_halfway_are_settled() {
    let Some(lab) = Lab::up("tapt", INVENTORY) else { return };
    let play = lab.file("play.yaml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - apt: {name: [nginx, jq]}\n");
    let packages = "dpkg-query -W -f='${Package} ${Version} ${Status}\n'; apt-mark showauto";
    // Once through, so that lists of packages and what else is fetched once are there.
    lab.apply(&play);
    lab.ok(&["destroy", "--yes", lab.inv()]);
    let (tree, first) = (lab.tree("k1"), lab.on("k1", packages));
    for words in ["--unpack", "--configure"] {
        let mut child = begin(&lab, &play);
        let runs = format!("pgrep -fx '/usr/bin/dpkg .*{words}.*' || :");
        while lab.on("k1", &runs).trim().is_empty() {
            assert!(child.try_wait().unwrap().is_none(), "the run has ended without {words}");
        }
        disturb(&lab, &mut child, Disturbance::Reboot);
        converge(&lab, &play, words);
        assert_eq!(lab.apply(&play)["k1"].changed, 0, "{words}");
        assert!(!lab.on("k1", packages).contains("half"), "{words}");
        lab.ok(&["destroy", "--yes", lab.inv()]);
        assert_eq!(lab.on("k1", packages), first, "{words}");
        assert_same(&tree, &lab.tree("k1"), words);
    }
    // What one task installs and another removes leaves nothing either, whatever came along.
    lab.apply(&play);
    let text = "- hosts: all\n  gather_facts: false\n  tasks:\n    - apt: {name: [nginx, jq], state: absent}\n";
    lab.apply(&lab.file("fewer.yaml", text));
    lab.ok(&["destroy", "--yes", lab.inv()]);
    assert_eq!(lab.on("k1", packages), first, "installed and removed");
    assert_same(&tree, &lab.tree("k1"), "installed and removed");
}
