//! What locks tbctl out on real hosts is taken back by them: a rule of the packet filter, another port of sshd.
//!
//! Needs root and Linux; `TBCTL_NO_LAB=1` leaves these tests out on purpose.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lab;

use std::process::Stdio;

use lab::Lab;
use lab::assert_same;

const HOSTS: &str = "testbed: TESTBED\nall: {hosts: {k1: {}, k2: {}}}\n";

/// The same by `sudo`.
const BECOME: &str =
    "testbed: TESTBED\nall: {vars: {ansible_user: lab, ansible_become: true}, hosts: {k1: {}, k2: {}}}\n";
const HEAD: &str = "- hosts: all\n  gather_facts: false\n  tasks:\n";

/// A rule that drops all of SSH, also of connections that are there.
const DROP: &str = "    - name: shut\n      iptables: {chain: INPUT, protocol: tcp, destination_port: 22, jump: DROP}\n      \
                    when: inventory_hostname == 'k1'\n      confirm: 5s\n    - copy: {dest: /root/after, content: x}\n";

/// Nothing of what the host says comes through, the end of the task included.
const MUTE: &str = "    - iptables: {chain: OUTPUT, protocol: tcp, source_port: 22, jump: DROP}\n      \
                    when: inventory_hostname == 'k1'\n      confirm: 5s\n    - copy: {dest: /root/after, content: x}\n";

/// Another port of sshd in one block with its restart.
const PORT: &str = "    - confirm: 5s\n      when: inventory_hostname == 'k1'\n      block:\n        \
                    - copy: {dest: /etc/ssh/sshd_config.d/port.conf, content: \"Port 2222\\n\"}\n        \
                    - systemd: {name: ssh, state: restarted}\n    - copy: {dest: /root/after, content: x}\n";

/// The same with a handler, which is confirmed because what woke it is.
const HANDLER: &str = "    - copy: {dest: /etc/ssh/sshd_config.d/port.conf, content: \"Port 2222\\n\"}\n      \
                       when: inventory_hostname == 'k1'\n      confirm: 5\n      notify: again\n    - meta: flush_handlers\n    \
                       - copy: {dest: /root/after, content: x}\n  handlers:\n    \
                       - name: again\n      systemd: {name: ssh, state: restarted}\n";

/// A configuration that sshd does not start with at all.
const BROKEN: &str = "    - copy: {dest: /etc/ssh/sshd_config.d/port.conf, content: \"Port none\\n\"}\n      \
                      when: inventory_hostname == 'k1'\n      confirm: 5\n      notify: again\n    - meta: flush_handlers\n    \
                      - copy: {dest: /root/after, content: x}\n  handlers:\n    \
                      - name: again\n      systemd: {name: ssh, state: restarted}\n";

/// By a command with a way back of its own.
const COMMAND: &str = "    - shell: echo 'Port 2222' >/etc/ssh/sshd_config.d/port.conf && systemctl restart ssh\n      \
                       undo: rm -f /etc/ssh/sshd_config.d/port.conf && systemctl restart ssh\n      \
                       when: inventory_hostname == 'k1'\n      confirm: 5\n    - copy: {dest: /root/after, content: x}\n";

fn left(lab: &Lab, host: &str) -> String {
    lab.on(host, "ls -d /tmp/tb[c]tl-* /var/tmp/tb[c]tl-* 2>/dev/null; ps -eo args | grep '[t]bctl-' || :")
}

/// Applies a play that locks tbctl out of k1, then takes everything back.
#[track_caller]
fn check(lab: &Lab, name: &str, tasks: &str, expected: &str) {
    let (trees, lives) = (["k1", "k2"].map(|host| lab.tree(host)), ["k1", "k2"].map(|host| lab.live(host)));
    let play = lab.file("play.yaml", &format!("{HEAD}{tasks}"));
    let out = lab.run(&["apply", lab.inv(), &play]);
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert_eq!(out.status.code(), Some(2), "{name}: {text}");
    assert!(text.contains(expected), "{name}: {text}");
    // The host is reached again, by its journal nothing is left to do, and nobody watches any more.
    assert_eq!(left(lab, "k1"), "", "{name}");
    assert_eq!(lab.live("k1"), lives[0], "{name}");
    assert_eq!(lab.on("k2", "cat /root/after"), "x", "{name}");
    assert_eq!(lab.on("k1", "ls /root/after 2>/dev/null || :"), "", "{name}");
    let undone = lab.ok(&["destroy", "--yes", lab.inv()]);
    assert!(undone.contains("destroy: 1 taken back, 0 kept on 2 hosts"), "{name}: {undone}");
    for (at, host) in ["k1", "k2"].into_iter().enumerate() {
        assert_same(&trees[at], &lab.tree(host), host);
        assert_eq!(lives[at], lab.live(host), "{name}: {host}");
    }
}

#[test]
fn what_locks_tbctl_out_is_taken_back_by_the_host() {
    let Some(lab) = Lab::up("tdeadout", BECOME) else { return };
    let sentence = "it locked tbctl out; the host took it back after 5 s";
    check(&lab, "a rule", DROP, sentence);
    check(&lab, "a rule that makes it mute", MUTE, sentence);
    check(&lab, "a block", PORT, sentence);
    check(&lab, "a handler", HANDLER, sentence);
    check(&lab, "a command", COMMAND, sentence);
    check(
        &lab,
        "a service that does not start",
        BROKEN,
        "it failed, and locked tbctl out; the host took it back after 5 s",
    );
}

#[test]
fn what_does_no_harm_is_confirmed_and_stays() {
    let Some(lab) = Lab::up("tdeadok", HOSTS) else { return };
    let (tree, live) = (lab.tree("k1"), lab.live("k1"));
    let rules = "    - iptables: {chain: INPUT, protocol: tcp, destination_port: 22, jump: ACCEPT}\n    \
                 - iptables: {chain: INPUT, protocol: tcp, destination_port: 22, jump: DROP}\n      register: shut\n    \
                 - copy: {dest: /root/after, content: x}\n      when: shut is changed\n";
    let head = HEAD.replace("  tasks:", "  confirm: 1m\n  tasks:");
    let play = lab.file("play.yaml", &format!("{head}{rules}"));
    let plan = lab.ok(&["plan", lab.inv(), &play]);
    assert!(plan.contains("confirmed within 60 s, or taken back by the host"), "{plan}");
    let first = lab.apply(&play);
    assert!(first.values().all(|host| host.changed == 3 && host.failed == 0), "{first:?}");
    assert_eq!(left(&lab, "k1"), "");
    let second = lab.apply(&play);
    assert!(second.values().all(|host| host.changed == 0), "{second:?}");
    lab.ok(&["destroy", "--yes", lab.inv()]);
    assert_same(&tree, &lab.tree("k1"), "k1");
    assert_eq!(live, lab.live("k1"));
}

/// Waits until a script succeeds on a host.
fn until(lab: &Lab, host: &str, script: &str) {
    let loops = format!("until {script}; do sleep 0.05; done");
    lab.ok(&["lab", "exec", lab.inv(), host, "--", "timeout", "60", "sh", "-c", &loops]);
}

#[test]
fn it_goes_back_when_tbctl_is_killed_and_when_the_host_is_rebooted() {
    let Some(lab) = Lab::up("tdeadboot", "testbed: TESTBED\nall: {hosts: {k1: {}}}\n") else { return };
    let tree = || {
        let mut tree = lab.tree("k1");
        // Made anew at each boot.
        tree.retain(|path, _| !path.contains("/systemd-private-"));
        tree
    };
    let before = tree();

    let play = lab.file("play.yaml", &format!("{HEAD}{PORT}"));
    let mut apply =
        lab.command(&["apply", lab.inv(), &play]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until(&lab, "k1", "ss -ltn | grep -q :2222");
    apply.kill().unwrap();
    apply.wait().unwrap();
    until(&lab, "k1", "ss -ltn | grep -q ':22 ' && ! ps -eo args | grep -q '[w]atchdog'");
    let undone = lab.ok(&["destroy", "--yes", lab.inv()]);
    assert!(undone.contains("destroy: 0 taken back, 0 kept"), "{undone}");
    assert_same(&before, &tree(), "k1, tbctl being killed");

    let play = lab.file("play.yaml", &format!("{HEAD}{}", PORT.replace("5s", "10m")));
    let text = std::thread::scope(|scope| {
        let apply = scope.spawn(|| lab.run(&["apply", lab.inv(), &play]));
        until(&lab, "k1", "ss -ltn | grep -q :2222");
        lab.ok(&["lab", "exec", lab.inv(), "k1", "--", "systemctl", "reboot"]);
        String::from_utf8(apply.join().unwrap().stdout).unwrap()
    });
    assert!(text.contains("the host took it back before its 600 s were over"), "{text}");
    lab.ok(&["destroy", "--yes", lab.inv()]);
    assert_same(&before, &tree(), "k1, being rebooted");
}
