//! The scheduler against simulated hosts: small playbooks, and random ones with random losses.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use crate::change::Apply;
use crate::change::Look;
use crate::change::Ran;
use crate::engine::ready::Users;
use crate::engine::saved::Hosts;
use crate::engine::schedule::Command;
use crate::engine::schedule::Input;
use crate::engine::schedule::Rules;
use crate::engine::schedule::Schedule;
use crate::engine::store::Store;
use crate::event::Event;
use crate::event::Outcome;
use crate::event::Run;
use crate::event::What;
use crate::graph::build::Choice;
use crate::graph::build::build;
use crate::journal::Journal;
use crate::lang::files::Files;
use crate::lang::project;
use crate::lang::template::Templates;
use crate::modules;
use crate::remote::order::Answer;
use crate::remote::order::As;
use crate::remote::order::Order;
use crate::remote::order::Stream;

mod confirm_tests;
mod failing_tests;
mod handler_tests;
mod include_tests;
mod value_tests;

/// A host whose whole state is a set of names. `touch x` adds one, `creates: /x` asks for one, `fail` fails, `say x` prints,
/// `drop x` takes one away.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) names: BTreeSet<String>,
    /// Commands that ran, in order.
    pub(super) log: Vec<String>,
    greeted: bool,
    trips: usize,
    /// Seconds and names of each part that was to be confirmed.
    confirms: Vec<String>,
    /// Says of the part of this number that it was taken back.
    shut_at: Option<usize>,
    /// Goes down after so many trips.
    dies_after: Option<usize>,
}

impl Fake {
    fn obey(&mut self, order: Order) -> Vec<Answer> {
        let mut answers = Vec::new();
        self.trips += 1;
        if self.dies_after.is_some_and(|trips| self.trips > trips) {
            let why = crate::remote::unreached_for_tests("the host is down");
            return vec![Answer::Lost { part: None, why }];
        }
        if !self.greeted {
            self.greeted = true;
            answers.push(Answer::Up { peer: "fake".into(), seconds: 0.0 });
            answers.push(Answer::Journal { user: None, journal: Ok(Journal { next: 1, ..Journal::default() }) });
        }
        match order {
            Order::Probe(asked) => {
                answers.push(Answer::Probed(asked.iter().map(|question| Ok(self.answer(question))).collect()));
            }
            Order::Apply(stream) => self.apply(&stream, &mut answers),
            // Nobody waits for it.
            Order::Rest { .. } => self.trips -= 1,
            _ => answers.push(Answer::Finished),
        }
        answers
    }

    fn answer(&self, (_, look): &(As, Look)) -> String {
        let text = match look {
            Look::Script { text } => text,
            Look::Stat { path, .. } => return self.stat(path),
            // Facts, of which there are none.
            Look::Live { .. } => return "@".into(),
            _ => return String::new(),
        };
        let known = self.names.iter().any(|name| text.contains(&format!(" in /{name};")));
        if known { "yes".into() } else { String::new() }
    }

    fn stat(&self, path: &str) -> String {
        match self.names.contains(path.trim_start_matches('/')) {
            true => format!("d\n4096|2|1|1|1|1|1|8|41ed|0|0|root|root|{path}"),
            false => "-".into(),
        }
    }

    fn apply(&mut self, stream: &Stream, answers: &mut Vec<Answer>) {
        let rest = |fake: &Fake| stream.rest.iter().map(|question| Ok(fake.answer(question))).collect();
        for part in &stream.parts {
            if part.guard.iter().any(|(look, text)| self.answer(&(None, look.clone())) != *text) {
                answers.push(Answer::Stale { part: part.id });
                answers.push(Answer::Applied { rest: Some(rest(self)) });
                return;
            }
            answers.push(Answer::Began { part: part.id });
            if let Some(confirm) = &part.confirm {
                assert_eq!(stream.parts.len(), 1, "what is confirmed stands alone");
                let lines: Vec<&str> = confirm.with.iter().filter_map(|name| name.split(':').nth(1)).collect();
                self.confirms.push(format!("{} {}", confirm.within.as_secs(), lines.join("+")));
                if self.shut_at == Some(self.confirms.len()) {
                    let why = Some("it locked tbctl out".to_string());
                    answers.push(Answer::Failed { part: part.id, ran: vec![Ran::default()], why });
                    answers.push(Answer::Applied { rest: None });
                    return;
                }
            }
            let mut ran = Vec::new();
            for step in &part.steps {
                let Apply::Run(script) = &step.apply else { continue };
                let text = script.text.strip_prefix("exec ").unwrap_or(&script.text);
                let mut one = Ran::default();
                if let Some(path) = text.strip_prefix("_tb_paths -S ") {
                    one.stdout = format!("{}\n@@\n@@\n", self.stat(path.lines().next().unwrap()));
                    ran.push(one);
                    continue;
                }
                self.log.push(text.to_string());
                match text.split_once(' ') {
                    Some(("touch", name)) => drop(self.names.insert(name.to_string())),
                    Some(("drop", name)) => drop(self.names.remove(name)),
                    Some(("say", words)) => one.stdout = format!("{words}\n"),
                    _ => one.rc = 1,
                }
                let failed = one.rc != 0;
                ran.push(one);
                if failed {
                    answers.push(Answer::Failed { part: part.id, ran, why: None });
                    answers.push(Answer::Applied { rest: None });
                    return;
                }
            }
            answers.push(Answer::Did { part: part.id, ran });
        }
        answers.push(Answer::Applied { rest: stream.ask_at_end.then(|| rest(self)) });
    }
}

pub(super) struct Played {
    /// `host task: outcome`, in chain order.
    pub(super) ends: Vec<String>,
    /// The same as it happened.
    told: Vec<String>,
    run: Run,
    trips: BTreeMap<String, usize>,
    streams: usize,
    /// What was decided, if that was to be kept.
    pub(super) kept: Hosts,
}

/// Plays a playbook against hosts, answering one order at a time in the order they were sent.
fn play(playbook: &str, inventory: &str, hosts: &mut BTreeMap<String, Fake>, rules: Rules) -> Played {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("play.yaml"), playbook).unwrap();
    play_in(dir.path(), inventory, hosts, rules)
}

pub(super) fn play_in(dir: &Path, inventory: &str, hosts: &mut BTreeMap<String, Fake>, rules: Rules) -> Played {
    let (files, templates) = (Arc::new(Files::new()), Arc::new(Templates::new()));
    let kinds = modules::names();
    let request = project::Request {
        inventories: vec![inventory.to_string()],
        playbooks: vec![dir.join("play.yaml")],
        kinds: &kinds,
        ..project::Request::default()
    };
    let project =
        project::load(&request, &files, &templates).unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    let graph =
        build(&project, &templates, &Choice::default()).unwrap_or_else(|faults| panic!("{}", faults.render(false)));
    let graph = Arc::new(graph);
    let store = Store::new(Arc::new(project), graph.clone(), templates, files, rules.plan);
    let mut schedule = Schedule::new(store, Users::default(), rules);
    let mut run = Run::default();
    let mut ends: BTreeMap<u32, String> = BTreeMap::new();
    let mut told = Vec::new();
    let mut queue: VecDeque<Input> = VecDeque::from([Input::Start]);
    let (mut streams, mut rounds) = (0, 0);
    while let Some(input) = queue.pop_front() {
        rounds += 1;
        assert!(rounds < 100_000, "the run does not end");
        let (events, commands) = schedule.on(input);
        for what in events {
            if let What::NodeEnded { node, place, ended } = &what {
                let outcome = match &ended.outcome {
                    Outcome::Same => "same".to_string(),
                    Outcome::Changed => "changed".into(),
                    Outcome::Unknown(why) => format!("unknown ({why})"),
                    Outcome::Failed(failure) if ended.ignored => format!("ignored: {}", failure.message),
                    Outcome::Failed(failure) if ended.rescued => format!("rescued: {}", failure.message),
                    Outcome::Failed(failure) => format!("failed: {}", failure.message),
                    Outcome::Skipped(_) => "skipped".into(),
                    Outcome::Unreached(_) => "unreached".into(),
                };
                // What an include brings is told by itself.
                if place.kind == crate::event::INCLUDE && ended.outcome == Outcome::Same {
                    continue;
                }
                told.push(format!("{} {}: {outcome}", place.host, place.task));
                let before = ends.insert(*node, format!("{} {}: {outcome}", place.host, place.task));
                assert_eq!(before, None, "a node ended twice");
            }
            run.fold(&Event { seconds: 0.0, what });
        }
        for command in commands {
            match command {
                Command::Send(host, order) => {
                    streams += usize::from(matches!(order, Order::Apply(_)));
                    let fake = hosts.entry(graph.hosts[host].clone()).or_default();
                    queue.extend(fake.obey(order).into_iter().map(|answer| Input::Answer(host, answer)));
                }
                Command::Stop(_) => {}
                Command::Wake(node, _) => queue.push_back(Input::Wake(node)),
            }
        }
    }
    assert!(schedule.is_over(), "nothing is under way, and yet the run is not over");
    let trips = hosts.iter().map(|(name, fake)| (name.clone(), fake.trips)).collect();
    let kept = schedule.decisions(&str::to_string);
    Played { ends: ends.into_values().collect(), told, run, trips, streams, kept }
}

fn check(playbook: &str, expected: &[&str]) -> Played {
    let mut hosts = BTreeMap::new();
    let played = play(playbook, "a,b,", &mut hosts, Rules::default());
    assert_eq!(played.ends, expected);
    played
}

#[test]
fn one_trip_to_ask_one_to_apply_and_one_when_all_is_right() {
    let text = "- hosts: a\n  tasks:\n    - command: touch x creates=/x\n    - command: touch y creates=/y\n";
    let mut hosts = BTreeMap::new();
    let first = play(text, "a,", &mut hosts, Rules::default());
    assert_eq!((first.ends, first.trips["a"]), (vec!["a command: changed".into(), "a command: changed".into()], 2));
    let again = play(text, "a,", &mut hosts, Rules::default());
    assert_eq!((again.ends, again.trips["a"]), (vec!["a command: same".into(), "a command: same".into()], 3));
}

#[test]
fn a_register_decides_what_follows() {
    let text = "- hosts: a\n  tasks:\n    - command: say hello\n      register: said\n      changed_when: false\n    \
                - command: touch x\n      when: said.stdout == 'hello'\n    - command: touch y\n      when: said.stdout == 'bye'\n";
    let played = check(text, &["a command: same", "a command: changed", "a command: skipped"]);
    assert_eq!(played.run.hosts["a"].counts.changed, 1);
}

/// The last host learns one by one whose facts it needs, while nobody else has anything to do.
#[test]
fn facts_of_an_earlier_host_are_asked_for_when_all_others_are_through() {
    let text = "- hosts: all\n  tasks:\n    - debug: msg='{{ hostvars.c.ansible_kernel }} {{ hostvars.a.ansible_kernel \
                }}'\n      when: inventory_hostname == 'b'\n";
    let mut hosts = BTreeMap::new();
    let played = play(text, "a,c,b,", &mut hosts, Rules::default());
    let facts = ["a Gathering Facts: same", "c Gathering Facts: same"];
    assert_eq!(played.ends, [&facts[..], &["a debug: skipped", "c debug: skipped", "b debug: same"]].concat());
}

/// The first host waits for facts of a later one, which itself waits for the first.
#[test]
fn facts_of_a_later_host_free_an_earlier_one_at_once() {
    let text = "- hosts: all\n  tasks:\n    - debug: msg='{{ hostvars.b.ansible_kernel }}'\n      register: seen\n      \
                when: inventory_hostname == 'a'\n    - debug: msg='{{ hostvars.a.seen.msg }}'\n      \
                when: inventory_hostname == 'b'\n";
    let mut hosts = BTreeMap::new();
    let played = play(text, "a,b,", &mut hosts, Rules::default());
    let expected =
        ["b Gathering Facts: same", "a debug: same", "b debug: skipped", "a debug: skipped", "b debug: same"];
    assert_eq!(played.ends, expected);
}

#[test]
fn handlers_run_once_when_something_changed() {
    let text = "- hosts: a\n  tasks:\n    - command: touch x creates=/x\n      notify: later\n    \
                - command: touch y creates=/y\n      notify: later\n    - command: say z\n  handlers:\n    \
                - name: later\n      command: touch handled\n    - name: never\n      command: touch never\n";
    let mut hosts = BTreeMap::new();
    let first = play(text, "a,", &mut hosts, Rules::default());
    assert_eq!(first.ends.last().unwrap(), "a later: changed");
    assert_eq!(hosts["a"].log, ["touch x", "touch y", "say z", "touch handled"]);
    let again = play(text, "a,", &mut hosts, Rules::default());
    assert_eq!(again.ends, ["a command: same", "a command: same", "a command: changed"]);
}

#[test]
fn a_failure_ends_its_host_and_no_other() {
    let text =
        "- hosts: all\n  tasks:\n    - command: fail\n      when: inventory_hostname == 'a'\n    - command: touch x\n";
    let played =
        check(text, &["a command: failed: run fail: it ended with rc 1", "b command: skipped", "b command: changed"]);
    assert_eq!(played.run.exit_code(), 2);
}

#[test]
fn failures_can_be_ignored_rescued_and_fatal() {
    let ignored = "- hosts: a\n  tasks:\n    - command: fail\n      ignore_errors: true\n    - command: touch x\n";
    check(ignored, &["a command: ignored: run fail: it ended with rc 1", "a command: changed"]);
    let rescued = "- hosts: a\n  tasks:\n    - block:\n        - command: fail\n        - command: touch never\n      \
                   rescue:\n        - command: touch r-{{ ansible_failed_result.rc }}\n      always:\n        - command: touch z\n    - command: touch after\n";
    let played = check(
        rescued,
        &[
            "a command: rescued: run fail: it ended with rc 1",
            "a command: changed",
            "a command: changed",
            "a command: changed",
        ],
    );
    assert_eq!(played.run.exit_code(), 0);
    let always = "- hosts: a\n  tasks:\n    - block:\n        - command: fail\n      always:\n        - command: touch z\n    \
                  - command: touch never\n";
    check(always, &["a command: failed: run fail: it ended with rc 1", "a command: changed"]);
    let fatal = "- hosts: all\n  any_errors_fatal: true\n  tasks:\n    - command: fail\n      when: inventory_hostname == 'a'\n    \
                 - command: touch never\n";
    let played = check(fatal, &["a command: failed: run fail: it ended with rc 1", "b command: skipped"]);
    assert_eq!(played.run.exit_code(), 2);
}

#[test]
fn loops_delegation_and_run_once() {
    let text = "- hosts: all\n  tasks:\n    - command: touch {{ item }} creates=/{{ item }}\n      loop: [p, q]\n    \
                - command: touch once\n      run_once: true\n    - command: touch for-{{ inventory_hostname }}\n      delegate_to: b\n";
    let mut hosts = BTreeMap::new();
    let played = play(text, "a,b,", &mut hosts, Rules::default());
    assert_eq!(hosts["a"].log, ["touch p", "touch q", "touch once"], "{:?}", played.ends);
    let mut on_b = hosts["b"].log.clone();
    on_b.sort();
    assert_eq!(on_b, ["touch for-a", "touch for-b", "touch p", "touch q"]);
}

#[test]
fn until_tries_again() {
    let text = "- hosts: a\n  tasks:\n    - command: say no\n      register: said\n      until: said.stdout == 'yes'\n      \
                retries: 2\n      delay: 0\n";
    let mut hosts = BTreeMap::new();
    let played = play(text, "a,", &mut hosts, Rules::default());
    assert_eq!(hosts["a"].log, ["say no", "say no", "say no"]);
    assert_eq!(played.ends, ["a command: failed: its `until` does not hold after 3 tries"]);
    let text = "- hosts: a\n  tasks:\n    - command: fail\n      retries: 1\n      delay: 0\n";
    let mut hosts = BTreeMap::new();
    let played = play(text, "a,", &mut hosts, Rules::default());
    assert_eq!(hosts["a"].log, ["fail", "fail"], "{:?}", played.ends);
    // What cannot even be written down is not tried again.
    let unknown = text.replace("command: fail", "command: touch {{ nowhere }}");
    check_files(&[("play.yaml", &unknown)], &["a command: failed: 'nowhere' is undefined (play.yaml:3:25)"]);
}

#[test]
fn a_plan_applies_nothing_and_knows_what_it_does_not_know() {
    let text = "- hosts: a\n  tasks:\n    - command: touch x creates=/x\n    - command: say hello\n      register: said\n    \
                - command: touch y\n      when: said.stdout == 'hello'\n    - command: touch x creates=/x\n";
    let mut hosts = BTreeMap::new();
    let rules = Rules { plan: true, ..Rules::default() };
    let played = play(text, "a,", &mut hosts, rules);
    assert_eq!(played.streams, 0);
    assert_eq!(hosts["a"].log, Vec::<String>::new());
    assert_eq!(
        played.ends,
        [
            "a command: unknown (it runs)",
            "a command: unknown (it runs)",
            "a command: unknown (known after apply: command)",
            "a command: unknown (it runs)",
        ]
    );
}

#[test]
fn a_lost_host_is_unreachable_and_the_others_go_on() {
    let text = "- hosts: all\n  tasks:\n    - command: touch x creates=/x\n    - command: touch y creates=/y\n";
    let mut hosts = BTreeMap::from([("a".to_string(), Fake { dies_after: Some(0), ..Fake::default() })]);
    let played = play(text, "a,b,", &mut hosts, Rules::default());
    assert_eq!(played.ends, ["a command: unreached", "b command: changed", "b command: changed"]);
    assert_eq!(played.run.exit_code(), 4);
}

/// Plays `play.yaml` among other files, on two hosts.
fn check_files(files: &[(&str, &str)], expected: &[&str]) -> Played {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut hosts = BTreeMap::new();
    let played = play_in(dir.path(), "a,b,", &mut hosts, Rules::default());
    let mut ends = played.told.clone();
    ends.sort_by_key(|line| line.starts_with('b'));
    let here = format!("{}/", dir.path().display());
    let ends: Vec<String> = ends.into_iter().map(|line| line.replace(&here, "")).collect();
    assert_eq!(ends, expected);
    played
}

#[test]
fn handlers_run_although_a_task_fails_if_they_are_forced_to() {
    let text = "- hosts: a\n  force_handlers: FORCED\n  tasks:\n    - command: touch x\n      notify: wake\n    - command: fail\n    - command: touch y\n  handlers:\n    - name: wake\n      command: touch woken\n- hosts: a\n  tasks:\n    - command: touch z\n";
    let first = ["a command: changed", "a command: failed: run fail: it ended with rc 1"];
    check(&text.replace("FORCED", "false"), &first);
    check(&text.replace("FORCED", "true"), &[&first[..], &["a wake: changed"]].concat());
}

#[test]
fn a_role_runs_once_where_an_earlier_use_ran() {
    let needs_r = "dependencies: [r]\n";
    check_files(
        &[
            ("play.yaml", "- hosts: all\n  roles:\n    - {role: one, when: inventory_hostname == 'a'}\n    - two\n"),
            ("roles/one/meta/main.yaml", needs_r),
            ("roles/two/meta/main.yaml", needs_r),
            ("roles/r/tasks/main.yaml", "- command: touch r\n"),
        ],
        &["a r : command: changed", "b r : command: skipped", "b r : command: changed"],
    );
}

#[test]
fn a_failure_inside_of_an_inner_block_is_rescued_further_out() {
    let text = "- hosts: a\n  tasks:\n    - block:\n        - block:\n            - command: fail\n          RESCUE\n          always:\n            - command: touch inner\n        - command: touch never\n      \
                rescue:\n        - command: touch {{ ansible_failed_result.msg }}-{{ ansible_failed_task.action }}\n    - command: touch after-{{ ansible_failed_result.rc }}\n- hosts: a\n  tasks:\n    - command: touch next\n";
    for (inner, rescued) in [("vars: {}", 1), ("rescue:\n            - fail: {msg: again}", 2)] {
        let mut hosts = BTreeMap::new();
        let played = play(&text.replace("RESCUE", inner), "a,", &mut hosts, Rules::default());
        let last = if rescued == 1 { "touch non-zero return code-command" } else { "touch again-fail" };
        let log = &hosts["a"].log;
        assert_eq!(log.get(..3), Some(&["fail", "touch inner", last].map(String::from)[..]), "{:?}", played.ends);
        assert_eq!(log.last().unwrap(), "touch next");
        let counts = &played.run.hosts["a"].counts;
        assert_eq!((counts.rescued, counts.failed, played.run.exit_code()), (rescued, 0, 0), "{:?}", played.ends);
    }
}

#[test]
fn what_one_use_of_a_role_is_given_no_other_use_sees() {
    let say = "- command: say {{ role_name }}-{{ x }}\n";
    let played = check_files(
        &[
            (
                "play.yaml",
                "- hosts: a\n  roles:\n    - r\n    - {role: r, vars: {x: given}}\n    - {role: r, x: param}\n    - top\n    - {role: r, when: true}\n  tasks:\n    - command: say play-{{ x }}\n",
            ),
            (
                "roles/r/tasks/main.yaml",
                &format!("{say}  register: ran\n- set_fact: {{seen: '{{{{ seen | default([]) + [x] }}}}'}}\n"),
            ),
            ("roles/r/defaults/main.yaml", "x: default\n"),
            ("roles/dep/tasks/main.yaml", "- assert: {that: x == 'of-dep'}\n"),
            ("roles/top/meta/main.yaml", "dependencies: [{role: dep, vars: {x: of-dep}}]\n"),
            (
                "roles/top/tasks/main.yaml",
                "- assert: {that: \"seen == ['default', 'given', 'param'] and x == 'default'\"}\n",
            ),
        ],
        &[
            "a r : command: changed",
            "a r : set_fact: same",
            "a r : command: changed",
            "a r : set_fact: same",
            "a r : command: changed",
            "a r : set_fact: same",
            "a dep : assert: same",
            "a top : assert: same",
            "a r : command: changed",
            "a r : set_fact: same",
            "a command: changed",
        ],
    );
    assert_eq!(played.run.exit_code(), 0);
}

#[test]
fn facts_come_also_from_a_host_that_goes_no_further() {
    let text = "- hosts: all\n  tasks:\n    - command: touch x\n- hosts: a\n  gather_facts: false\n  tasks:\n    - command: touch {{ hostvars['b'].ansible_system_vendor | default('none') }}\n";
    let mut hosts = BTreeMap::new();
    let played = play(text, "a,b,", &mut hosts, Rules::default());
    assert_eq!(hosts["a"].log, ["touch x", "touch NA"], "{:?}", played.ends);
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Touch(u8),
    Say,
    Fail,
    When(u8),
    Set,
    Stat(u8),
}

pub(super) fn tasks() -> impl Strategy<Value = Vec<(Kind, bool, bool)>> {
    let kind = prop_oneof![
        4 => (0..4u8).prop_map(Kind::Touch),
        2 => Just(Kind::Say),
        1 => Just(Kind::Fail),
        2 => (0..4u8).prop_map(Kind::When),
        1 => Just(Kind::Set),
        2 => (0..4u8).prop_map(Kind::Stat),
    ];
    proptest::collection::vec((kind, any::<bool>(), any::<bool>()), 1..8)
}

pub(super) fn text_of(tasks: &[(Kind, bool, bool)]) -> String {
    let mut text = String::from("- hosts: all\n  tasks:\n    - set_fact: {v: w0}\n");
    for (at, (kind, flag, notify)) in tasks.iter().enumerate() {
        text += &match kind {
            Kind::Touch(name) => format!("    - command: touch n{name} creates=/n{name}\n"),
            Kind::Say => format!("    - command: say w{at}\n      register: r{at}\n      changed_when: {flag}\n"),
            Kind::Fail => format!("    - command: fail\n      ignore_errors: {flag}\n"),
            Kind::When(name) => {
                let earlier = (0..at).rev().find(|&at| matches!(tasks[at].0, Kind::Say | Kind::Stat(_)));
                let test = match earlier.map(|at| (at, &tasks[at].0)) {
                    Some((at, Kind::Stat(_))) => format!("not s{at}.stat.exists"),
                    Some((at, _)) => format!("r{at}.stdout == 'w{at}'"),
                    None => "v == 'w0'".into(),
                };
                format!("    - command: touch n{name} creates=/n{name}\n      when: {test}\n")
            }
            Kind::Stat(name) => format!("    - stat: path=/n{name}\n      register: s{at}\n"),
            Kind::Set => format!("    - set_fact: {{v: w{}}}\n", u8::from(*flag)),
        };
        if *notify && !matches!(kind, Kind::Set | Kind::Stat(_)) {
            text += "      notify: h\n";
        }
    }
    text + "  handlers:\n    - name: h\n      command: touch handled\n"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_window_changes_no_outcome(tasks in tasks(), has in proptest::collection::btree_set(0..4u8, 0..3), dies in proptest::option::of(0..6usize)) {
        let text = text_of(&tasks);
        let fresh = || -> BTreeMap<String, Fake> {
            let names = has.iter().map(|name| format!("n{name}")).collect();
            let lost = Fake { dies_after: dies, ..Fake::default() };
            BTreeMap::from([("a".into(), Fake { names, ..Fake::default() }), ("c".into(), lost)])
        };
        let mut results = Vec::new();
        for window in [Some(1), Some(2), None] {
            let mut hosts = fresh();
            let rules = Rules { window, ..Rules::default() };
            let played = play(&text, "a,b,", &mut hosts, rules);
            results.push((played.ends, hosts.remove("a").unwrap_or_default().log, hosts.remove("b").unwrap_or_default().log));
        }
        prop_assert_eq!(&results[0], &results[1]);
        prop_assert_eq!(&results[0], &results[2]);
        let mut hosts = fresh();
        let plan = play(&text, "a,b,c,", &mut hosts, Rules { plan: true, ..Rules::default() });
        prop_assert_eq!(plan.streams, 0);
        let mut hosts = fresh();
        let lossy = play(&text, "a,b,c,", &mut hosts, Rules::default());
        prop_assert!(lossy.run.hosts.contains_key("c"));
    }
}
