//! The way back: whatever was done, and wherever it stopped, the host is as it was before.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tbctl::change::Apply;
use tbctl::change::Look;
use tbctl::change::Put;
use tbctl::change::Resource;
use tbctl::change::Step;
use tbctl::change::Undo;
use tbctl::journal::Entry;
use tbctl::journal::Journal;
use tbctl::remote::order::Answer;
use tbctl::remote::order::Order;
use tbctl::remote::order::Part;

use crate::rig::Needs;
use crate::rig::Rig;
use crate::rig::SHELLS;
use crate::rig::part;
use crate::rig::put;
use crate::rig::short;
use crate::rig::user;
use crate::rig::write;

/// Everything below a directory: type, mode, owner, content.
pub fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
            "directory".to_string()
        } else {
            String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
        };
        let text = format!("{:o} {} {} {content}", meta.mode(), meta.uid(), meta.gid());
        found.insert(path.display().to_string(), text);
    }
    found
}

/// A world to change, and every kind of step that changes it.
fn scene(rig: &Rig) -> Vec<Step> {
    let path = |name: &str| rig.path(name);
    for dir in ["dir", "tree", "tree/below", "bare"] {
        fs::create_dir(path(dir)).unwrap();
    }
    for name in ["old", "mode", "gone", "it's odd", "tree/one", "tree/below/two", "real", "lines"] {
        fs::write(path(name), format!("{name}\n")).unwrap();
    }
    fs::set_permissions(path("mode"), fs::Permissions::from_mode(0o4711)).unwrap();
    std::os::unix::fs::chown(path("tree/one"), Some(1234), Some(1235)).unwrap();
    std::os::unix::fs::chown(path("old"), Some(1234), None).unwrap();
    std::os::unix::fs::symlink("real", path("link")).unwrap();
    let run = |name: &str, text: String, undo: Undo| Step {
        what: format!("{name}: changed"),
        resource: Some(Resource::path(&path(name))),
        apply: Apply::run(text),
        undo,
        diff: None,
    };
    let back = Undo::Restore;
    let lines = path("lines");
    vec![
        put(Put { mode: Some(0o600), ..write(&path("new"), "new\n") }),
        put(Put { owner: Some("root".into()), ..write(&path("old"), "other\n") }),
        put(write(&path("link"), "through\n")),
        put(write(&path("it's odd"), "odder\n")),
        run("mode", format!("chmod 600 {}", path("mode")), back.clone()),
        run("gone", format!("rm {}", path("gone")), back.clone()),
        run("made", format!("mkdir {}", path("made")), back.clone()),
        put(write(&path("made/inside"), "inside\n")),
        run("tree", format!("rm -rf {}", path("tree")), back.clone()),
        run("dir", format!("chmod 700 {0}; chown 77 {0}", path("dir")), back.clone()),
        run("bare", format!("rmdir {0}; ln -s real {0}", path("bare")), back.clone()),
        run("point", format!("ln -s /nowhere {}", path("point")), back),
        Step {
            resource: Some(Resource::new(format!("line:{lines}"), Look::Text { path: lines.clone() })),
            ..run(
                "lines",
                format!("cp -p {lines} \"$_tb_k/mine\"; echo more >>{lines}"),
                Undo::By(format!("cp -p \"$_tb_k/mine\" {lines}")),
            )
        },
        Step {
            undo: Undo::By(format!("rm -f {}", path("commanded"))),
            ..user(&format!("echo x >{}", path("commanded")))
        },
    ]
}

fn parts(steps: &[Step]) -> Vec<Part> {
    let parts = steps.iter().enumerate().map(|(at, step)| {
        let number = u32::try_from(at).unwrap() + 1;
        part(u64::from(number), vec![step.clone()])
    });
    parts.collect()
}

/// What another operator finds in the journal.
pub async fn journal(rig: &mut Rig) -> Journal {
    rig.again();
    let answers = rig.order(Order::Probe(vec![(None, Look::Passwd { name: "root".into() })])).await;
    let find = |answer: Answer| match answer {
        Answer::Journal { journal, .. } => Some(journal),
        _ => None,
    };
    answers.into_iter().find_map(find).unwrap().unwrap()
}

pub async fn undo(rig: &mut Rig, mut entries: Vec<Entry>, force: bool) -> Vec<String> {
    entries.reverse();
    short(&rig.order(Order::Undo { user: None, entries, force }).await)
}

/// The directory of the journal must be gone as well.
pub async fn forget(rig: &mut Rig) {
    rig.order(Order::Forget { user: None }).await;
    let left = Path::new("/var/lib/tbctl").join(&rig.testbed);
    assert!(!left.exists(), "{left:?}");
}

async fn rig(shell: &'static str) -> Rig {
    Rig::with(Needs { shell: Some(shell), ..Needs::default() }).await
}

#[tokio::test]
async fn everything_goes_back_and_no_trace_is_left() {
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let steps = scene(&rig);
        let root = rig.dir.path().join("root");
        let before = tree(&root);
        let said = short(&rig.apply(parts(&steps)).await);
        let expected: Vec<_> = (1..=steps.len()).map(|at| format!("{at} did 0")).collect();
        // One trip for the journal, one for the stream.
        assert_eq!((said, rig.handle.trips()), (expected, 2), "{shell}");
        let after = tree(&root);
        assert_ne!(after, before);
        let found = journal(&mut rig).await;
        assert_eq!(found.entries.len(), steps.len());
        rig.order(Order::Forget { user: None }).await;
        let said = undo(&mut rig, found.entries.clone(), false).await;
        let expected: Vec<_> = (1..=steps.len()).rev().map(|at| format!("{at} Back")).collect();
        assert_eq!(said, expected, "{shell}");
        assert_eq!(tree(&root), before, "{shell}");
        // Once more, by somebody who has not heard of it.
        let said = undo(&mut rig, found.entries, false).await;
        assert!(said.iter().all(|line| line.ends_with(" Already")), "{said:?}");
        assert_eq!(tree(&root), before, "{shell}");
        let empty = journal(&mut rig).await;
        // With the last entry everything went, as the way back locks the testbed and leaves nothing behind.
        assert_eq!((empty.entries.len(), empty.next), (0, 1));
        forget(&mut rig).await;
    }
}

#[tokio::test]
async fn ten_applies_go_back_to_the_beginning() {
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let path = rig.path("file");
        fs::write(&path, "first\n").unwrap();
        let before = tree(&rig.dir.path().join("root"));
        for round in 0..10 {
            let step = put(write(&path, &format!("{round}\n")));
            let said = rig.apply(vec![part(1, vec![step])]).await;
            assert_eq!(short(&said), ["1 did 0"]);
        }
        let entries = journal(&mut rig).await.entries;
        assert_eq!(undo(&mut rig, entries, false).await, ["1 Back"]);
        assert_eq!(tree(&rig.dir.path().join("root")), before);
        forget(&mut rig).await;
    }
}

#[tokio::test]
async fn a_crash_at_any_step_can_be_undone() {
    for shell in SHELLS {
        let count = scene(&rig(shell).await).len();
        for at in 0..=count {
            let mut rig = rig(shell).await;
            let steps = scene(&rig);
            let root = rig.dir.path().join("root");
            let before = tree(&root);
            let mut parts = parts(&steps);
            // A process of its own, whose parent is the shell that runs everything.
            let crash = user("kill -9 $PPID # $$");
            parts.insert(at, part(99, vec![crash]));
            let said = short(&rig.apply(parts).await);
            assert_eq!(said.last().unwrap(), "lost Some(99)", "{shell} {at}");
            let found = journal(&mut rig).await;
            assert_eq!(found.entries.len(), count);
            let said = undo(&mut rig, found.entries, false).await;
            assert_eq!(said.iter().filter(|line| line.ends_with(" Back")).count(), at, "{shell} {at}: {said:?}");
            assert_eq!(tree(&root), before, "{shell} {at}");
            forget(&mut rig).await;
        }
    }
}

#[tokio::test]
async fn a_step_that_fails_in_the_middle_can_be_undone() {
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let (path, root) = (rig.path("file"), rig.dir.path().join("root"));
        fs::write(&path, "first\n").unwrap();
        let before = tree(&root);
        let half = Step { apply: Apply::run(format!("echo half >{path}; exit 3")), ..put(write(&path, "")) };
        assert_eq!(short(&rig.apply(parts(&[half])).await), ["1 failed 3"]);
        let entries = journal(&mut rig).await.entries;
        assert_eq!(undo(&mut rig, entries, false).await, ["1 Back"]);
        assert_eq!(tree(&root), before);
    }
}

#[tokio::test]
async fn what_was_changed_since_is_left_alone() {
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let (file, dir) = (rig.path("file"), rig.path("dir"));
        let make = Step { apply: Apply::run(format!("mkdir {dir}")), ..put(write(&dir, "")) };
        let make = Step { resource: Some(Resource::path(&dir)), ..make };
        let never = Step { undo: Undo::Never("it is gone for good".into()), ..put(write(&rig.path("never"), "x")) };
        let fails = Step { undo: Undo::By("echo first; echo 'it does not work' >&2; exit 1".into()), ..user("true") };
        let steps = [put(write(&file, "ours\n")), make, never, fails];
        rig.apply(parts(&steps)).await;
        fs::write(&file, "theirs\n").unwrap();
        fs::write(format!("{dir}/more"), "").unwrap();
        let entries = journal(&mut rig).await.entries;
        let said = undo(&mut rig, entries, false).await;
        let never = "3 Never(\"it is gone for good\")".to_string();
        let full = format!("2 Failed(\"the directory {dir} is not empty\")");
        let failed = "4 Failed(\"it does not work\")".to_string();
        assert_eq!(said, [failed.clone(), never, full.clone(), "1 Changed".into()], "{shell}");
        rig.order(Order::Forget { user: None }).await;
        let entries = journal(&mut rig).await.entries;
        assert_eq!(undo(&mut rig, entries, true).await, [failed, full, "1 Back".into()], "{shell}");
        assert!(!Path::new(&file).exists());
    }
}

#[tokio::test]
async fn no_answer_is_no_state() {
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let (value, mute) = (rig.path("value"), rig.path("mute"));
        let look = Look::Script { text: format!("[ ! -e {mute} ] || exit 75\ncat {value}") };
        let step = |text: &str| Step {
            what: "value: changed".into(),
            resource: Some(Resource::new("value", look.clone())),
            apply: Apply::run(text),
            undo: Undo::By(format!("echo first >{value}")),
            diff: None,
        };
        fs::write(&value, "first\n").unwrap();
        fs::write(&mute, "").unwrap();
        let said = short(&rig.apply(vec![part(1, vec![step(&format!("echo second >{value}"))])]).await);
        assert!(said[0].starts_with("1 failed: what was there before could not be seen"), "{shell}: {said:?}");
        assert_eq!(fs::read_to_string(&value).unwrap(), "first\n", "{shell}");
        // Seen before, but not behind: it is not known who wrote what is there, and it goes back all the same.
        fs::remove_file(&mute).unwrap();
        let said = short(&rig.apply(vec![part(2, vec![step(&format!("echo third >{value}; true >{mute}"))])]).await);
        assert_eq!(said, ["2 did 0"], "{shell}");
        let entries = journal(&mut rig).await.entries;
        let said = undo(&mut rig, entries.clone(), false).await;
        assert_eq!(said, ["1 Failed(\"its state cannot be seen: who knows it does not answer\")"], "{shell}");
        assert_eq!(fs::read_to_string(&value).unwrap(), "third\n", "{shell}");
        fs::remove_file(&mute).unwrap();
        assert_eq!(undo(&mut rig, entries, false).await, ["1 Back"], "{shell}");
        assert_eq!(fs::read_to_string(&value).unwrap(), "first\n", "{shell}");
        forget(&mut rig).await;
    }
}

#[tokio::test]
async fn a_lost_connection_does_not_stop_the_way_back() {
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let (go, begun, file) = (rig.path("go"), rig.path("begun"), rig.path("file"));
        let wait = format!("true >{begun}; until [ -e {go} ]; do sleep 0.01; done");
        let slow = Step { undo: Undo::By(wait), ..user("true") };
        rig.apply(parts(&[put(write(&file, "x")), slow])).await;
        let mut entries = journal(&mut rig).await.entries;
        entries.reverse();
        rig.handle.send(Order::Undo { user: None, entries, force: false });
        while !Path::new(&begun).exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        rig.server.cut();
        fs::write(&go, "").unwrap();
        assert_eq!(short(&rig.rest().await), ["2 Back", "1 Back"], "{shell}");
        forget(&mut rig).await;
    }
}

#[tokio::test]
async fn handlers_are_repeated_last_and_once() {
    let program = "#!/bin/dash\necho \"$@\" >>\"$HOME/called\"\ncase $* in *gone*) exit 1 ;; esac\n";
    let programs = vec![("systemctl", program.to_string())];
    let mut rig = Rig::with(Needs { programs, ..Needs::default() }).await;
    let again = |unit: &str| Step {
        undo: Undo::Again { unit: unit.into(), script: format!("systemctl restart {unit}") },
        ..user("true")
    };
    let steps = [put(write(&rig.path("file"), "x")), again("one"), again("one"), again("gone")];
    rig.apply(parts(&steps)).await;
    let entries = journal(&mut rig).await.entries;
    let said = undo(&mut rig, entries, false).await;
    assert_eq!(said, ["1 Back", "3 Already", "2 Back"]);
    let called = fs::read_to_string(rig.dir.path().join("home/called")).unwrap();
    let restarts: Vec<_> = called.lines().filter(|line| line.starts_with("restart")).collect();
    assert_eq!(restarts, ["restart one"]);
    forget(&mut rig).await;
}

#[tokio::test]
async fn a_journal_that_was_cut_short_is_mended() {
    use std::io::Write;
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        rig.apply(parts(&[put(write(&rig.path("one"), "x"))])).await;
        let file = Path::new("/var/lib/tbctl").join(&rig.testbed).join("journal");
        fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"0123 {\"half").unwrap();
        assert_eq!(journal(&mut rig).await.entries.len(), 1);
        let two = part(1, vec![put(write(&rig.path("two"), "x"))]);
        assert_eq!(short(&rig.apply(vec![two]).await), ["1 did 0"]);
        let entries = journal(&mut rig).await.entries;
        assert_eq!(undo(&mut rig, entries, false).await, ["2 Back", "1 Back"]);
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        forget(&mut rig).await;
    }
}

#[tokio::test]
async fn one_user_under_two_names_has_one_journal() {
    let mut rig = Rig::new().await;
    let file = |name: &str| put(write(&rig.path(name), "x"));
    let one = vec![part(1, vec![file("one")])];
    let two = vec![part(1, vec![file("two")])];
    let more = vec![part(1, vec![file("two")])];
    for (user, parts) in [(None, one), (Some("tester".to_string()), two), (Some("tester".to_string()), more)] {
        let stream = tbctl::remote::order::Stream { user, parts, ..Default::default() };
        assert_eq!(short(&rig.order(Order::Apply(stream)).await), ["1 did 0"]);
    }
    let entries = journal(&mut rig).await.entries;
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(undo(&mut rig, entries, false).await, ["2 Back", "1 Back"]);
    forget(&mut rig).await;
}

#[tokio::test]
async fn the_look_is_the_one_of_the_first_time() {
    let mut rig = Rig::new().await;
    let (path, root) = (rig.path("file"), rig.dir.path().join("root"));
    fs::write(&path, "first\n").unwrap();
    let before = tree(&root);
    let step = |text: &str, look: String| Step {
        what: text.into(),
        resource: Some(Resource::new("thing", Look::Script { text: look })),
        apply: Apply::run(format!("echo {text} >{path}")),
        undo: Undo::By(format!("echo first >{path}")),
        diff: None,
    };
    // The second task looks at the same thing in its own way, by which a state of the first could not be compared.
    rig.apply(vec![part(1, vec![step("a", format!("cat {path}")), step("b", format!("wc -c <{path}"))])]).await;
    let entries = journal(&mut rig).await.entries;
    assert_eq!(entries.len(), 1);
    assert_eq!(undo(&mut rig, entries, false).await, ["1 Back"]);
    assert_eq!(tree(&root), before);
}
