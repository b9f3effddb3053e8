//! What is to be confirmed: alone in its stream, with what woke it, never without a way back.

use std::collections::BTreeMap;

use super::Fake;
use super::play;
use crate::engine::schedule::Rules;

/// Tasks on one host, what was to be confirmed (seconds, and the lines of `confirm`), and how everything ended.
#[track_caller]
fn check(tasks: &str, shut_at: Option<usize>, confirms: &[&str], ends: &[&str]) {
    let text = format!("- hosts: a\n  tasks:\n{tasks}");
    for window in [None, Some(1)] {
        let mut hosts = BTreeMap::from([("a".to_string(), Fake { shut_at, ..Fake::default() })]);
        let played = play(&text, "a,", &mut hosts, Rules { window, ..Rules::default() });
        assert_eq!(hosts["a"].confirms, confirms, "{window:?}");
        assert_eq!(played.ends, ends, "{window:?}");
    }
}

#[test]
fn the_nearest_counts_and_zero_is_none() {
    check(
        "    - confirm: 1m\n      block:\n        - command: touch x creates=/x\n          undo: rm x\n        \
         - command: touch y creates=/y\n          undo: rm y\n          confirm: 5\n        \
         - command: touch z creates=/z\n          confirm: 0\n    - command: touch w creates=/w\n",
        None,
        &["60 3", "5 9"],
        &["a command: changed"; 4],
    );
}

#[test]
fn items_of_a_loop_are_confirmed_one_by_one_and_belong_together() {
    check(
        "    - command: touch {{ item }} creates=/{{ item }}\n      undo: rm {{ item }}\n      loop: [x, y]\n      confirm: 9s\n",
        None,
        &["9 6", "9 6"],
        &["a command: changed"],
    );
}

#[test]
fn handlers_are_confirmed_with_all_that_woke_them() {
    let wakes = |name: &str, confirm: &str| {
        format!("    - command: touch {name} creates=/{name}\n      undo: rm {name}\n      notify: h\n{confirm}")
    };
    let tasks = wakes("x", "      confirm: 30\n") + &wakes("y", "      confirm: 20\n") + &wakes("z", "");
    let handler =
        |more: &str| format!("{tasks}  handlers:\n    - name: h\n      command: say h\n      undo: say i\n{more}");
    let ends = ["a command: changed", "a command: changed", "a command: changed", "a h: changed"];
    check(&handler(""), None, &["30 6", "20 10", "20 6+10"], &ends);
    check(&handler("      confirm: 7\n"), None, &["30 6", "20 10", "7 18"], &ends);
    check(&handler("      confirm: 0\n"), None, &["30 6", "20 10"], &ends);
}

#[test]
fn what_was_taken_back_has_failed_whatever_the_task_says() {
    let task = "    - command: touch x creates=/x\n      undo: rm x\n      confirm: 5\n      failed_when: false\n    \
                - command: touch y\n";
    check(task, Some(1), &["5 5"], &["a command: failed: it locked tbctl out"]);
}

#[test]
fn what_only_looks_or_waits_is_not_confirmed() {
    check("    - stat: {path: /x}\n      confirm: 5\n", None, &[], &["a stat: same"]);
    // A command may do anything, whatever the author says.
    let quiet = "    - command: say x\n      confirm: 5\n      changed_when: false\n";
    check(quiet, None, &["5 4"], &["a command: same"]);
}

#[test]
fn without_a_way_back_nothing_runs() {
    let why = "a h: failed: it stands under `confirm`, but its host could not take it back: a command; give the task an `undo:` to take it back";
    let tasks = "    - command: touch x creates=/x\n      undo: rm x\n      confirm: 5\n      notify: h\n  handlers:\n    \
                 - name: h\n      command: touch y\n";
    check(tasks, None, &["5 5"], &["a command: changed", why]);
}
