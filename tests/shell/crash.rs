//! The host goes down whenever one of its shells starts a program: at every single one of them. What is applied again then
//! converges, and what is taken back leaves the first state, also when it goes down in the way back.

use std::fs;

use tbctl::change::Look;
use tbctl::change::Seen;
use tbctl::diag::Diagnostics;
use tbctl::diag::Source;
use tbctl::lang::yaml;
use tbctl::modules::find;
use tbctl::remote::order::Answer;

use crate::rig::Needs;
use crate::rig::Rig;
use crate::rig::SHELLS;
use crate::rig::part;
use crate::undo::forget;
use crate::undo::journal;
use crate::undo::tree;
use crate::undo::undo;

/// Programs that the scripts start; the shells' own commands end a step nowhere.
const PROGRAMS: [&str; 22] = [
    "awk",
    "cat",
    "chgrp",
    "chmod",
    "chown",
    "cp",
    "find",
    "grep",
    "head",
    "ln",
    "mkdir",
    "mktemp",
    "mv",
    "readlink",
    "rm",
    "rmdir",
    "sha256sum",
    "stat",
    "sync",
    "tail",
    "tar",
    "wc",
];

/// Counts down with every start. At the last one, every shell above it dies, the uppermost first, and nothing of it runs.
const PROGRAM: &str = r#"#!/bin/dash
if { read -r left <"$HOME/left"; } 2>/dev/null && [ "$left" -gt 0 ]; then
	left=$((left - 1))
	echo $left >"$HOME/left"
	if [ $left = 0 ]; then
		read -r top <"$HOME/top"
		all= pid=$$
		while [ "$pid" != "$top" ] && [ "$pid" -gt 1 ]; do
			all="$pid $all"
			read -r line <"/proc/$pid/stat"
			line=${line##*) ?\ }
			pid=${line%% *}
		done
		true >"$HOME/crashed"
		kill -9 $all
	fi
fi
exec "#;

/// Kinds of every nature of way back: by what is kept, by lines and blocks, by what a step notes for itself. `%` is what the
/// second playbook says otherwise than the first.
const TASKS: &[(&str, &str)] = &[
    ("copy", "{dest: @/new, content: \"new\\n\", mode: '0600'}"),
    ("copy", "{dest: @/old, content: \"other %\\n\", backup: true}"),
    ("copy", "{dest: @/link, content: \"through\\n\"}"),
    ("copy", "{dest: \"@/c\\rr\", content: \"%\\n\"}"),
    ("file", "{path: @/made/deep, state: directory}"),
    ("copy", "{dest: @/made/deep/inside, content: \"inside\\n\"}"),
    ("file", "{path: @/gone, state: absent}"),
    ("file", "{path: @/tree, state: absent}"),
    ("file", "{path: @/below, state: directory, mode: 'g=u', recurse: true}"),
    ("file", "{path: @/point, src: /nowhere, state: link, force: true}"),
    ("file", "{path: @/other, src: real, state: link, force: true}"),
    ("lineinfile", "{path: @/lines, regexp: '^b', line: bee %}"),
    ("lineinfile", "{path: @/lines, line: last}"),
    ("lineinfile", "{path: @/lines, regexp: '^x', state: absent}"),
    ("lineinfile", "{path: @/real, regexp: '^r', line: r %, mode: '0600'}"),
    ("lineinfile", "{path: @/fresh, line: first, create: true}"),
    ("blockinfile", "{path: @/lines, block: \"one\\n%\\n\"}"),
    (
        "sysctl",
        "{name: tb.ctl, value: '%', sysctl_file: @/sysctl.conf, sysctl_set: false, reload: false, ignoreerrors: true}",
    ),
    (
        "sysctl",
        "{name: tb.new, value: '1', sysctl_file: @/another.conf, sysctl_set: false, reload: false, ignoreerrors: true}",
    ),
];

const BOTH: [&str; 2] = ["1", "2"];

fn world(rig: &Rig) {
    let path = |name: &str| rig.path(name);
    for dir in ["tree", "tree/below", "below", "below/it's"] {
        fs::create_dir(path(dir)).unwrap();
    }
    for name in ["old", "gone", "tree/one", "tree/below/two", "real", "other", "below/a", "below/it's/b"] {
        fs::write(path(name), format!("{name}\n")).unwrap();
    }
    fs::write(path("lines"), "a\nb\nx1\nc\nx2\nd").unwrap();
    fs::write(path("sysctl.conf"), "# ours\ntb.ctl = 0\nend = 1\n").unwrap();
    std::os::unix::fs::symlink("real", path("link")).unwrap();
    std::os::unix::fs::chown(path("below/a"), Some(1234), Some(1235)).unwrap();
    fs::write(rig.dir.path().join("home/top"), format!("{}\n", std::process::id())).unwrap();
}

async fn rig(shell: &'static str) -> Rig {
    let run = |name: &str| match shell {
        "busybox" => format!("{PROGRAM} /usr/bin/busybox {name} \"$@\"\n"),
        _ => format!("{PROGRAM} /usr/bin/{name} \"$@\"\n"),
    };
    let programs = PROGRAMS.iter().map(|name| (*name, run(name))).collect();
    let rig = Rig::with(Needs { shell: Some(shell), programs, ..Needs::default() }).await;
    world(&rig);
    rig
}

impl Rig {
    fn crash_at(&self, start: usize) {
        fs::write(self.dir.path().join("home/left"), format!("{start}\n")).unwrap();
    }

    /// Whether it went down; it stays up from now on.
    fn crashed(&self) -> bool {
        self.crash_at(0);
        fs::remove_file(self.dir.path().join("home/crashed")).is_ok()
    }
}

/// Asks, decides and applies one task after the other, as an apply without speculation does, until the host goes down.
/// How many of them changed something, by the first playbook and the second.
async fn apply(rig: &mut Rig, playbooks: &[&str]) -> usize {
    let mut changed = 0;
    for playbook in playbooks {
        changed += one(rig, TASKS, playbook).await;
    }
    changed
}

async fn one(rig: &mut Rig, tasks: &[(&str, &str)], playbook: &str) -> usize {
    let mut changed = 0;
    for (number, (kind, args)) in tasks.iter().enumerate() {
        let text = args.replace('@', rig.path("").trim_end_matches('/')).replace('%', playbook);
        let source = Source::new("args", text);
        let args = yaml::document(&source, &mut Diagnostics::default()).unwrap();
        let kind = find(kind).unwrap();
        let probe = (kind.probe)(&args).unwrap();
        let looks: Vec<(_, Look)> = probe.looks.iter().map(|(_, look)| (None, look.clone())).collect();
        let Some(Answer::Probed(answers)) = rig.order(tbctl::remote::order::Order::Probe(looks)).await.pop() else {
            return changed;
        };
        let mut seen = Seen::default();
        for ((name, _), answer) in probe.looks.iter().zip(answers) {
            let Ok(answer) = answer else { return changed };
            seen.answers.insert((*name).to_string(), answer);
        }
        let change = (kind.decode)(&args).unwrap().decide(&seen).unwrap();
        if change.is_empty() {
            continue;
        }
        let said = rig.apply(vec![part(number as u64 + 1, change.steps)]).await;
        match said.last().unwrap() {
            Answer::Applied { .. } if said.iter().any(|answer| matches!(answer, Answer::Did { .. })) => changed += 1,
            Answer::Lost { .. } => return changed,
            _ if format!("{said:?}").contains("ended by a signal") => return changed,
            other => panic!("{} {args:?}: {other:?} {said:?}", kind.name),
        }
    }
    changed
}

/// Everything back, by somebody who knows nothing; whatever was touched must be said to be as before.
async fn back(rig: &mut Rig, what: &str) {
    let entries = journal(rig).await.entries;
    let said = undo(rig, entries, false).await;
    assert!(said.iter().all(|line| line.ends_with(" Back") || line.ends_with(" Already")), "{what}: {said:?}");
}

#[derive(Debug, Clone, Copy)]
enum When {
    /// In the apply; what was done is taken back.
    Apply,
    /// In the apply; it is applied again, and then taken back.
    Again,
    /// In the way back, which is gone again.
    Back,
}

/// Tries every start of a program, or some of them that are far apart, which is what there is time for.
async fn everywhere(shell: &'static str, when: When) {
    let stride = match shell {
        _ if std::env::var_os("TBCTL_EVERYWHERE").is_some() => 1,
        "dash" => 29,
        _ => 83,
    };
    let mut whole = rig(shell).await;
    let first = relative(&whole);
    assert!(apply(&mut whole, &BOTH).await > TASKS.len());
    let wanted = but_backups(&whole);
    let mut starts = 1;
    loop {
        starts += stride;
        let mut rig = rig(shell).await;
        let what = format!("{shell} {when:?} at start {starts}");
        match when {
            When::Apply | When::Again => {
                rig.crash_at(starts);
                apply(&mut rig, &BOTH).await;
            }
            When::Back => {
                apply(&mut rig, &BOTH).await;
                let entries = journal(&mut rig).await.entries;
                rig.crash_at(starts);
                undo(&mut rig, entries, false).await;
            }
        }
        let crashed = rig.crashed();
        if let When::Again = when {
            rig.again();
            apply(&mut rig, &BOTH).await;
            assert_eq!(but_backups(&rig), wanted, "{what}");
            assert_eq!(apply(&mut rig, &BOTH[1..]).await, 0, "{what}");
        }
        back(&mut rig, &what).await;
        assert_eq!(relative(&rig), first, "{what}");
        forget(&mut rig).await;
        if !crashed {
            break;
        }
    }
    assert!(starts > 100, "{starts}");
}

/// The tree by names that are the same for every rig.
fn relative(rig: &Rig) -> Vec<String> {
    let root = rig.dir.path().join("root");
    let lines = tree(&root).into_iter().map(|(path, of)| format!("{} {of}", &path[root.to_str().unwrap().len()..]));
    lines.collect()
}

/// There is one more of them when a task begins twice.
fn but_backups(rig: &Rig) -> Vec<String> {
    relative(rig).into_iter().filter(|line| !line.contains("~ ")).collect()
}

#[tokio::test]
async fn a_host_that_goes_down_anywhere_is_taken_back() {
    for shell in SHELLS {
        everywhere(shell, When::Apply).await;
    }
}

#[tokio::test]
async fn a_host_that_goes_down_anywhere_converges() {
    for shell in SHELLS {
        everywhere(shell, When::Again).await;
    }
}

#[tokio::test]
async fn a_host_that_goes_down_on_the_way_back_is_taken_back() {
    for shell in SHELLS {
        everywhere(shell, When::Back).await;
    }
}

/// What one task did to a file, and another did over it later, is no change by somebody else.
#[tokio::test]
async fn tasks_that_write_over_each_other_are_taken_back() {
    let cases: &[&[(&str, &str)]] = &[
        &[("copy", "{dest: @/n, content: x}"), ("file", "{path: @/n, state: link, src: zz, force: true}")],
        &[
            ("copy", "{dest: @/fa, content: \"x\\n\"}"),
            ("lineinfile", "{path: @/fa, line: foo}"),
            ("file", "{path: @/fa, state: absent}"),
        ],
        &[("lineinfile", "{path: @/fb, line: foo, create: true}"), ("copy", "{dest: @/fb, content: whole}")],
        &[
            ("lineinfile", "{path: @/old, line: d}"),
            ("copy", "{dest: @/old, content: \"whole\\n\"}"),
            ("lineinfile", "{path: @/old, line: d}"),
            ("blockinfile", "{path: @/old, block: e}"),
        ],
        &[
            ("blockinfile", "{path: @/old, block: e}"),
            ("lineinfile", "{path: @/old, regexp: '^o', line: new, mode: '0600'}"),
            ("file", "{path: @/old, mode: '0640'}"),
            ("copy", "{dest: @/old, content: other}"),
        ],
        &[
            ("file", "{path: @/below, state: directory, recurse: true, mode: 'u=rwX,g=rX,o='}"),
            ("copy", "{dest: @/below/a, content: b, mode: '0644'}"),
            ("file", "{path: @/below, state: directory, recurse: true, mode: 'u=rwX,g=,o='}"),
        ],
    ];
    for shell in SHELLS {
        for tasks in cases {
            let mut rig = rig(shell).await;
            let first = relative(&rig);
            for playbook in ["1", "2"] {
                assert!(one(&mut rig, tasks, playbook).await > 0);
            }
            back(&mut rig, &format!("{shell} {tasks:?}")).await;
            assert_eq!(relative(&rig), first, "{shell} {tasks:?}");
            forget(&mut rig).await;
        }
    }
}

/// What somebody else did is still seen, whatever a later task does to the same file.
#[tokio::test]
async fn what_somebody_else_did_before_is_still_seen() {
    let mut rig = rig("dash").await;
    one(&mut rig, &[("lineinfile", "{path: @/old, line: d}")], "").await;
    fs::write(rig.path("old"), "old\n").unwrap();
    one(&mut rig, &[("copy", "{dest: @/old, content: whole}")], "").await;
    let entries = journal(&mut rig).await.entries;
    assert_eq!(undo(&mut rig, entries, false).await, ["2 Back", "1 Changed"]);
}
