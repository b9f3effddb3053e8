//! Plans that are kept, and what an apply of them does, against simulated hosts.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use crate::engine::digest::Digests;
use crate::engine::drift;
use crate::engine::promise::Promise;
use crate::engine::saved::Hosts;
use crate::engine::schedule::Rules;
use crate::engine::tests::Fake;
use crate::engine::tests::Played;
use crate::engine::tests::play_in;
use crate::engine::tests::tasks;
use crate::engine::tests::text_of;

fn digests() -> Digests {
    Digests::new(&[3; 32], "salt")
}

/// A host `a` that has these names.
fn host(names: &str) -> BTreeMap<String, Fake> {
    let mut fake = Fake::default();
    fake.names = names.split_whitespace().map(str::to_string).collect();
    BTreeMap::from([("a".to_string(), fake)])
}

/// A directory with a playbook; places in it are the same in every run.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(text: &str) -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        desk.write("play.yaml", text);
        desk
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn play(&self, hosts: &mut BTreeMap<String, Fake>, rules: Rules) -> Played {
        play_in(self.0.path(), "a,b,", hosts, rules)
    }

    fn plan(&self, names: &str) -> Hosts {
        self.play(&mut host(names), Rules { plan: true, keep: Some(Arc::new(digests())), ..Rules::default() }).kept
    }

    fn apply(&self, hosts: &mut BTreeMap<String, Fake>, plan: &Hosts) -> Played {
        let only = Some(Arc::new(Promise::new(plan, digests())));
        self.play(hosts, Rules { only, ..Rules::default() })
    }
}

const REFUSED: &str = "failed: the plan does not say this, so nothing of it was done: run touch";

/// Plans on a host with the names `before`, and applies on one with the names `after`: how tasks end and what runs.
#[track_caller]
fn check(tasks: &str, before: &str, after: &str, ends: &[&str], log: &[&str]) {
    let desk = Desk::new(&format!("- hosts: a\n  tasks:\n{tasks}"));
    let mut hosts = host(after);
    let played = desk.apply(&mut hosts, &desk.plan(before));
    let ends: Vec<String> = ends.iter().map(|end| format!("a command: {}", end.replace("REFUSED", REFUSED))).collect();
    assert_eq!((played.ends, hosts["a"].log.iter().map(String::as_str).collect::<Vec<_>>()), (ends, log.to_vec()));
}

#[test]
fn an_apply_does_what_the_plan_says() {
    let two = "    - command: touch x creates=/x\n    - command: touch y creates=/y\n";
    check(two, "y", "y", &["changed", "same"], &["touch x"]);
    // Less to do is no harm.
    check(two, "", "x", &["same", "changed"], &["touch y"]);
    // What the plan could not know.
    let unknown = "    - command: say hello\n      register: said\n    - command: touch {{ said.stdout }}\n    \
                   - command: touch y\n      when: said.stdout == 'hello'\n";
    check(unknown, "", "", &["changed", "changed", "changed"], &["say hello", "touch hello", "touch y"]);
}

#[test]
fn what_the_plan_does_not_say_is_not_done() {
    let two = "    - command: touch x creates=/x\n    - command: touch y creates=/y\n";
    check(two, "x", "", &["REFUSED"], &[]);
    check(two, "y", "", &["changed", "REFUSED"], &["touch x"]);
    // Nothing of a loop is done if one of its items may not be.
    let looped = "    - command: touch {{ item }} creates=/{{ item }}\n      loop: [p, q, r]\n";
    check(looped, "q", "", &["REFUSED"], &[]);
    check(looped, "q", "q", &["changed"], &["touch p", "touch r"]);
    // Nor what the plan itself brings about and could not foresee.
    let itself = "    - command: drop y\n    - command: touch y creates=/y\n";
    check(itself, "y", "y", &["changed", "REFUSED"], &["drop y"]);
    // A failure is what it always is.
    let rescued =
        "    - block:\n        - command: touch x creates=/x\n      rescue:\n        - command: touch saved\n";
    check(
        rescued,
        "x",
        "",
        &["rescued: the plan does not say this, so nothing of it was done: run touch", "REFUSED"],
        &[],
    );
}

#[test]
fn another_command_or_way_back_is_another_change() {
    let text = |word: &str, undo: &str| {
        format!(
            "- hosts: a\n  vars: {{back: {undo}}}\n  tasks:\n    - command: touch {word}\n      undo: drop {{{{ back }}}}\n"
        )
    };
    let desk = Desk::new(&text("x", "x"));
    let kept = desk.plan("");
    for (other, refused) in [(text("y", "x"), true), (text("x", "y"), true), (text("x", "x"), false)] {
        desk.write("play.yaml", &other);
        let mut hosts = host("");
        let played = desk.apply(&mut hosts, &kept);
        let end = if refused { REFUSED } else { "changed" };
        assert_eq!((played.ends, hosts["a"].log.is_empty()), (vec![format!("a command: {end}")], refused), "{other}");
    }
}

#[test]
fn what_only_checks_in_an_apply_is_left_alone() {
    let desk = Desk::new(
        "- hosts: a\n  tasks:\n    - command: touch x creates=/x\n      check_mode: true\n    - command: touch y\n",
    );
    let mut hosts = host("");
    let played = desk.apply(&mut hosts, &desk.plan("x"));
    assert_eq!(
        (played.ends[1].as_str(), hosts["a"].log.as_slice()),
        ("a command: changed", &["touch y".to_string()][..])
    );
}

#[test]
fn tasks_and_handlers_of_an_include_that_the_plan_could_not_open_run() {
    let desk = Desk::new(
        "- hosts: a\n  tasks:\n    - command: say t.yaml\n      register: said\n    - include_tasks: '{{ said.stdout }}'\n  \
         handlers:\n    - name: wake\n      command: touch woken\n",
    );
    desk.write("t.yaml", "- command: touch inside\n  notify: wake\n");
    let mut hosts = host("");
    desk.apply(&mut hosts, &desk.plan(""));
    assert_eq!(hosts["a"].log[1..], ["touch inside", "touch woken"]);
}

#[test]
fn drift_is_named_and_nothing_else_is() {
    let text = "- hosts: a\n  tasks:\n    - name: one\n      command: touch x creates=/x\n    - stat: path=/y\n";
    let desk = Desk::new(text);
    let kept = desk.plan("");
    assert_eq!(drift::decisions(&kept, &desk.plan("")), Vec::<String>::new());
    let here = format!("{}/", desk.0.path().display());
    let found = drift::decisions(&kept, &desk.plan("x y"));
    assert_eq!(
        found.iter().map(|line| line.replace(&here, "")).collect::<Vec<_>>(),
        [
            "drifted: a one (play.yaml:3:7): what the host says to `creates` is another than when the plan was made",
            "drifted: a one (play.yaml:3:7): it would run when the plan was made, and now it is right",
            "drifted: a stat (play.yaml:5:7): /y was not there when the plan was made",
        ]
    );
}

#[test]
fn what_no_log_hides_is_not_in_the_plan() {
    let text = "- hosts: a\n  tasks:\n    - command: touch {{ item.secret }} creates=/geheim\n      no_log: true\n      \
                loop: [{secret: geheim}]\n    - command: touch {{ item.secret }} creates=/x\n      loop: [{secret: geheim}]\n    \
                - name: the {{ word }}\n      command: touch {{ word }}\n      vars: {word: geheim}\n";
    let found = serde_json::to_string(&Desk::new(text).plan("")).unwrap();
    assert!(!found.contains("geheim"), "{found}");
    assert!(found.contains("\"number\":1") && found.contains("the {{ word }}"), "{found}");
}

#[test]
fn tasks_on_other_hosts_are_their_owners() {
    let desk = Desk::new(
        "- hosts: all\n  tasks:\n    - command: touch {{ item }} creates=/{{ item }}\n      loop: [p, q]\n    \
         - command: touch once creates=/once\n      run_once: true\n    \
         - command: touch for-{{ inventory_hostname }} creates=/for-{{ inventory_hostname }}\n      delegate_to: b\n",
    );
    let kept = desk.plan("q");
    let (mut plain, mut only) = (host("q"), host("q"));
    let expected = desk.play(&mut plain, Rules::default());
    assert_eq!(expected.ends, desk.apply(&mut only, &kept).ends);
    assert_eq!((&plain["a"].log, &plain["b"].log), (&only["a"].log, &only["b"].log));
    // It was there when the plan was made, where it is done.
    let mut was = host("q");
    was.insert("b".into(), Fake::default());
    was.get_mut("b").unwrap().names.insert("for-a".into());
    let rules = Rules { plan: true, keep: Some(Arc::new(digests())), ..Rules::default() };
    let kept = desk.play(&mut was, rules).kept;
    let mut hosts = host("q");
    let played = desk.apply(&mut hosts, &kept);
    assert!(played.ends.contains(&format!("a command: {REFUSED}")), "{:?}", played.ends);
    assert!(
        !hosts["b"].log.contains(&"touch for-a".to_string()) && hosts["b"].log.contains(&"touch for-b".to_string())
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_of_a_host_that_stays_as_it_is_holds(tasks in tasks(), has in proptest::collection::btree_set(0..4u8, 0..3)) {
        let text = text_of(&tasks);
        let names: Vec<String> = has.iter().map(|name| format!("n{name}")).collect();
        let (desk, names) = (Desk::new(&text), names.join(" "));
        let kept = desk.plan(&names);
        prop_assert_eq!(drift::decisions(&kept, &desk.plan(&names)), Vec::<String>::new());
        let (mut plain, mut only) = (host(&names), host(&names));
        let expected = desk.play(&mut plain, Rules::default());
        let found = desk.apply(&mut only, &kept);
        prop_assert_eq!(expected.ends, found.ends);
        prop_assert_eq!(&plain["a"].log, &only["a"].log);
    }
}
