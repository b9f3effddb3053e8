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
    let ignored = format!("a command: ignored: {}", &FAILS["failed: ".len()..]);
    check(rescued, &[&ignored, "a command: changed", "b command: changed"]);
}

#[test]
fn without_hosts_the_playbook_is_over() {
    let text = "- hosts: a,b\n  tasks:\n    - command: fail\n- hosts: c\n  tasks:\n    - command: touch x\n";
    check(text, &[&format!("a command: {FAILS}"), &format!("b command: {FAILS}")]);
    let one = "- hosts: a,b\n  tasks:\n    - command: fail\n      when: inventory_hostname == 'a'\n- hosts: c\n  tasks:\n    \
               - command: touch x\n";
    check(one, &[&format!("a command: {FAILS}"), "b command: skipped", "c command: changed"]);
}
