//! Who else goes no further when a task fails, and what was still said before it did.

use std::collections::BTreeMap;

use super::play;
use crate::engine::schedule::Rules;

#[track_caller]
fn check(playbook: &str, ends: &[&str]) {
    for window in [None, Some(1)] {
        let mut hosts = BTreeMap::new();
        let played = play(playbook, "a,b,c,", &mut hosts, Rules { window, ..Rules::default() });
        assert_eq!(played.ends, ends, "{window:?}");
    }
}

const FAILS: &str = "failed: run fail: it ended with rc 1";

#[test]
fn what_is_said_before_a_failure_is_said() {
    let text = "- hosts: a\n  tasks:\n    - command: say it\n      register: r\n    - debug: var=r.stdout\n    - command: fail\n";
    check(text, &["a command: changed", "a debug: same", &format!("a command: {FAILS}")]);
}

#[test]
fn what_failed_once_has_failed_for_all() {
    let text = "- hosts: a,b\n  tasks:\n    - command: fail\n      run_once: true\n    - command: touch x\n";
    check(text, &[&format!("a command: {FAILS}")]);
    let rescued = "- hosts: a,b\n  tasks:\n    - block:\n        - command: fail\n          run_once: true\n      rescue:\n        \
                   - command: touch x\n";
    let first = format!("a command: rescued: {}", &FAILS["failed: ".len()..]);
    check(rescued, &[&first, "a command: changed", "b command: changed"]);
}

#[test]
fn without_hosts_the_playbook_is_over() {
    let text = "- hosts: a,b\n  tasks:\n    - command: fail\n- hosts: c\n  tasks:\n    - command: touch x\n";
    check(text, &[&format!("a command: {FAILS}"), &format!("b command: {FAILS}")]);
    let one = "- hosts: a,b\n  tasks:\n    - command: fail\n      when: inventory_hostname == 'a'\n- hosts: c\n  tasks:\n    \
               - command: touch x\n";
    check(one, &[&format!("a command: {FAILS}"), "b command: skipped", "c command: changed"]);
    let in_a_block =
        "- hosts: a\n  tasks:\n    - block:\n        - command: fail\n- hosts: c\n  tasks:\n    - command: touch x\n";
    check(in_a_block, &[&format!("a command: {FAILS}")]);
    let once = "- hosts: a,b\n  tasks:\n    - command: fail\n      run_once: true\n- hosts: c\n  tasks:\n    - command: touch x\n";
    check(once, &[&format!("a command: {FAILS}")]);
    let forced = "- hosts: a,b\n  force_handlers: true\n  tasks:\n    - command: touch y\n      notify: wake\n    \
                  - command: fail\n      run_once: true\n  handlers:\n    - name: wake\n      command: touch z\n\
                  - hosts: c\n  tasks:\n    - command: touch x\n";
    let all = [
        "a command: changed",
        &format!("a command: {FAILS}"),
        "a wake: changed",
        "b command: changed",
        "b wake: changed",
    ];
    check_any_order(forced, &all);
}

/// The same, where hosts go on side by side.
#[track_caller]
fn check_any_order(playbook: &str, ends: &[&str]) {
    let mut hosts = BTreeMap::new();
    let mut played = play(playbook, "a,b,c,", &mut hosts, Rules::default()).ends;
    played.sort_by_key(|line| line.starts_with('b'));
    assert_eq!(played, ends);
}
