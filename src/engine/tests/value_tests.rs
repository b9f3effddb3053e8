//! What tasks see: registers, values of other hosts, names nobody gave a value.

use std::collections::BTreeMap;

use super::check;
use super::play;
use crate::engine::schedule::Rules;

#[test]
fn registers_look_as_they_do_in_ansible() {
    let say = |text: &str| format!("    - command: say {text}\n      register: r\n");
    let cases = [
        (
            say("x") + "      loop: []\n",
            "r == {'changed': false, 'skipped': true, 'skipped_reason': 'No items in the list', 'results': []} and r is skipped",
        ),
        (
            say("x") + "      loop: [1, 2]\n",
            "r.msg == 'All items completed' and r.skipped == false and r.results[0].msg == ''",
        ),
        (
            say("x") + "      loop: [1, 2]\n      when: item == 1\n",
            "r.skipped == false and r.results[1].skipped and r.results[0].skipped is undefined and r.results[1].skip_reason == 'Conditional result was False'",
        ),
        (
            say("x") + "      loop: [1, 2]\n      when: item > 2\n",
            "r.skipped and r.msg == 'All items skipped' and not r.changed",
        ),
        (
            "    - command: fail\n      register: r\n      loop: [1]\n      ignore_errors: true\n".into(),
            "r.msg == 'One or more items failed' and r.results[0].msg == 'non-zero return code'",
        ),
        (
            "    - command: fail\n      register: r\n      failed_when: false\n".into(),
            "r.failed_when_result == false and not r.failed and r.msg == 'non-zero return code'",
        ),
        (say("x") + "      failed_when: true\n      ignore_errors: true\n", "r.failed_when_result and r.failed"),
        (say("x") + "      until: r.stdout == 'x'\n      delay: 0\n", "r.attempts == 1"),
        (
            say("x") + "      until: r.stdout == 'y'\n      retries: 2\n      delay: 0\n      ignore_errors: true\n",
            "r.attempts == 2 and r.failed",
        ),
        (
            say("x"),
            "r.start == '1970-01-01 00:00:00.000000' and r.delta == '0:00:00.000000' and r.attempts is undefined",
        ),
    ];
    for (task, holds) in cases {
        let text = format!("- hosts: a\n  tasks:\n{task}    - assert: {{that: \"{holds}\"}}\n");
        let mut hosts = BTreeMap::new();
        let played = play(&text, "a,", &mut hosts, Rules::default());
        assert_eq!(played.ends.last().unwrap(), "a assert: same", "{task}{holds}");
    }
}

#[test]
fn hosts_of_the_play_are_those_that_have_not_failed_before() {
    let here = "    - set_fact: {here: '{{ ansible_play_hosts }}'}\n    - assert: {that: \"here == LEFT\"}\n";
    let text = format!(
        "- hosts: all\n  tasks:\n{here}    - command: touch x\n    - command: fail\n      when: inventory_hostname == 'b'\n{}- hosts: all\n  tasks:\n{}",
        here.replace("LEFT", "['a']"),
        here.replace("LEFT", "['a'] and ansible_play_hosts_all == ['a', 'b']"),
    );
    let mut hosts = BTreeMap::new();
    let played = play(&text.replace("LEFT", "['a', 'b']"), "a,b,", &mut hosts, Rules::default());
    let failed: Vec<_> = played.ends.iter().filter(|end| end.contains("failed")).collect();
    assert_eq!(failed, ["b command: failed: run fail: it ended with rc 1"], "{:?}", played.ends);
}

#[test]
fn names_that_have_a_value_though_nobody_gave_one() {
    for (holds, outcome) in [
        ("ansible_host == 'a' and hostvars['a'].ansible_host is undefined", "same"),
        ("ansible_managed == 'Ansible managed' and ansible_verbosity == 0 and ansible_forks == 5", "same"),
        ("ansible_run_tags == ['all'] and ansible_skip_tags == [] and inventory_file is undefined", "same"),
        ("ansible_limit is undefined and ansible_play_role_names == []", "same"),
    ] {
        let text = format!("- hosts: a\n  tasks:\n    - assert: {{that: \"{holds}\"}}\n");
        check(&text, &[&format!("a assert: {outcome}")]);
    }
    let given = "- hosts: a\n  vars: {ansible_host: b, ansible_managed: mine}\n  tasks:\n    - assert: {that: \"ansible_host == 'b' and ansible_managed == 'mine'\"}\n";
    check(given, &["a assert: same"]);
}

#[test]
fn values_cross_hosts_as_in_lock_step() {
    let text = "- hosts: all\n  tasks:\n    - command: say from-{{ inventory_hostname }}\n      register: mine\n    \
                - command: touch got-{{ hostvars['b'].mine.stdout }}\n      when: inventory_hostname == 'a'\n";
    let mut hosts = BTreeMap::new();
    play(text, "a,b,", &mut hosts, Rules::default());
    assert_eq!(hosts["a"].log, ["say from-a", "touch got-from-b"]);
}
