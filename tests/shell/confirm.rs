//! Parts that have to be confirmed: the host takes them back by itself when no new connection comes.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use tbctl::change::Look;
use tbctl::change::Step;
use tbctl::change::Undo;
use tbctl::journal::Entry;
use tbctl::remote::host::Limits;
use tbctl::remote::order::Answer;
use tbctl::remote::order::Confirm;
use tbctl::remote::order::Order;
use tbctl::remote::order::Part;
use tbctl::remote::order::Stream;

use crate::rig::By;
use crate::rig::Needs;
use crate::rig::Rig;
use crate::rig::SHELLS;
use crate::rig::part;
use crate::rig::put;
use crate::rig::short;
use crate::rig::user;
use crate::rig::write;
use crate::support::server::Shuts;

const LONG: u64 = 600;

fn confirmed(seconds: u64, name: &str, steps: Vec<Step>) -> Part {
    let confirm = Confirm { within: Duration::from_secs(seconds), with: vec![name.into()] };
    Part { confirm: Some(confirm), ..part(1, steps) }
}

/// Nobody new comes in from now on.
fn shut(rig: &Rig) -> Step {
    let path = rig.path("shut");
    Step { undo: Undo::By(format!("rm -f {path}")), ..user(&format!("true >{path}")) }
}

async fn rig(shell: &'static str) -> Rig {
    Rig::with(Needs { shell: Some(shell), ..Needs::default() }).await
}

async fn entries(rig: &mut Rig) -> Vec<Entry> {
    rig.again();
    let nothing = Look::Script { text: ":".into() };
    let answers = rig.order(Order::Probe(vec![(None, nothing)])).await;
    let find = |answer: Answer| match answer {
        Answer::Journal { journal, .. } => Some(journal.unwrap().entries),
        _ => None,
    };
    answers.into_iter().find_map(find).unwrap()
}

async fn undo(rig: &mut Rig) -> Vec<String> {
    let mut entries = entries(rig).await;
    entries.reverse();
    short(&rig.order(Order::Undo { user: None, entries, force: false }).await)
}

/// The run directories of a testbed.
fn runs(rig: &Rig) -> Vec<PathBuf> {
    let all = ["/tmp", "/var/tmp"].into_iter().flat_map(|dir| fs::read_dir(dir).unwrap().flatten());
    let name = format!("tbctl-{}.", rig.testbed);
    all.filter(|entry| entry.file_name().to_string_lossy().starts_with(&name)).map(|entry| entry.path()).collect()
}

/// Processes that watch over parts of the testbed.
fn watchdogs(rig: &Rig) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| Some((entry.file_name(), fs::read(entry.path().join("cmdline")).ok()?)));
    let mine = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        line.contains(&format!("/tbctl-{}.", rig.testbed)) && line.contains("/watchdog")
    };
    lines.filter(|(_, line)| mine(line)).map(|(pid, _)| pid.to_string_lossy().into_owned()).collect()
}

async fn until(what: impl Fn() -> bool) {
    tokio::time::timeout(Duration::from_secs(60), async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

fn is_clean(rig: &Rig, shell: &str) {
    assert_eq!((runs(rig), watchdogs(rig)), (Vec::new(), Vec::new()), "{shell}");
}

#[tokio::test]
async fn what_is_confirmed_stays_and_nobody_watches_any_more() {
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let path = rig.path("file");
        let said = rig.apply(vec![confirmed(LONG, "a", vec![put(write(&path, "new\n"))])]).await;
        assert_eq!((short(&said), rig.server.connections()), (vec!["1 did 0".to_string()], 2), "{shell}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        // It goes by itself once it is told; the directory went before.
        is_clean(&rig, shell);
        assert_eq!(undo(&mut rig).await, ["1 Back"]);
        assert!(!Path::new(&path).exists());
    }
}

#[tokio::test]
async fn what_locks_tbctl_out_is_taken_back_to_right_before_it() {
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let path = rig.path("file");
        fs::write(&path, "first\n").unwrap();
        rig.apply(vec![part(1, vec![put(write(&path, "second\n"))])]).await;
        let steps = vec![put(write(&path, "third\n")), shut(&rig)];
        let said = short(&rig.apply(vec![confirmed(1, "a", steps)]).await);
        let expected = "1 failed 0 0: it locked tbctl out; the host took it back after 1 s (`web` (127.0.0.1) hung up";
        assert!(said[0].starts_with(expected), "{shell}: {said:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "second\n", "{shell}");
        is_clean(&rig, shell);
        // The same actor goes on with what the journal says now.
        let again = rig.apply(vec![confirmed(LONG, "a", vec![put(write(&path, "fourth\n"))])]).await;
        assert_eq!(short(&again), ["1 did 0"], "{shell}");
        assert_eq!(undo(&mut rig).await, ["4 Back", "1 Back"], "{shell}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\n");
    }
}

#[tokio::test]
async fn what_stands_under_one_word_goes_back_together() {
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let (one, two, other) = (rig.path("one"), rig.path("two"), rig.path("other"));
        for (path, name) in [(&other, "b"), (&one, "a")] {
            let said = rig.apply(vec![confirmed(LONG, name, vec![put(write(path, "x"))])]).await;
            assert_eq!(short(&said), ["1 did 0"]);
        }
        let said = short(&rig.apply(vec![confirmed(1, "a", vec![put(write(&two, "x")), shut(&rig)])]).await);
        assert!(said[0].contains("after 1 s, with what was changed before under the same `confirm`"), "{said:?}");
        let left = [one, two, other].map(|path| Path::new(&path).exists());
        assert_eq!(left, [false, false, true], "{shell}");
        assert_eq!(undo(&mut rig).await, ["1 Back"], "{shell}");
    }
}

#[tokio::test]
async fn nobody_has_to_be_there_for_it_to_go_back() {
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let path = rig.path("file");
        fs::write(&path, "first\n").unwrap();
        let part = confirmed(1, "a", vec![put(write(&path, "new\n")), shut(&rig)]);
        let stream = Stream { parts: vec![part], ..Stream::default() };
        rig.handle.send(Order::Apply(stream));
        let door = rig.path("shut");
        until(|| Path::new(&door).exists()).await;
        rig.server.cut();
        // A new operator hears nothing of the old one's run.
        until(|| !Path::new(&door).exists() && watchdogs(&rig).is_empty()).await;
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\n", "{shell}");
        assert_eq!(entries(&mut rig).await, [], "{shell}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_meanwhile_is_no_lock_out() {
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let (go, begun) = (rig.path("go"), rig.path("begun"));
        let step = user(&format!("true >{begun}; until [ -e {go} ]; do sleep 0.01; done; echo said"));
        let stream = Stream { parts: vec![confirmed(LONG, "a", vec![step])], ..Stream::default() };
        rig.handle.send(Order::Apply(stream));
        until(|| Path::new(&begun).exists()).await;
        rig.server.cut();
        fs::write(&go, "").unwrap();
        let said = rig.rest().await;
        assert_eq!((short(&said), rig.server.connections()), (vec!["1 did 0".to_string()], 3), "{shell}");
        assert_eq!(crate::rig::ran(&said).stdout, "said\n");
        is_clean(&rig, shell);
    }
}

/// The lock of the testbed is the run's own throughout, and nobody comes in while something may yet be taken back.
#[tokio::test]
async fn another_run_waits_until_it_is_settled() {
    let locks = |part: Part| Order::Apply(Stream { parts: vec![part], locks: true, ..Stream::default() });
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let file = |name: &str| part(1, vec![put(write(&rig.path(name), "x"))]);
        let other = file("other");
        let said = rig.order(locks(confirmed(LONG, "a", vec![put(write(&rig.path("one"), "x"))]))).await;
        assert_eq!(short(&said), ["1 did 0"]);
        let first = rig.other("run-2");
        let said = short(&rig.order(locks(other.clone())).await).join("");
        assert!(said.contains("another run holds the lock"), "{shell}: {said}");
        first.close().await;

        // The shell that holds the lock is gone, but the watchdog is not.
        rig.other("run-3");
        rig.order(Order::Probe(vec![(None, Look::Script { text: ":".into() })])).await;
        let answers = std::mem::replace(&mut rig.answers, tokio::sync::mpsc::unbounded_channel().1);
        let handle = rig.other("run-4");
        rig.handle.send(locks(confirmed(LONG, "a", vec![shut(&rig)])));
        let door = rig.path("shut");
        until(|| Path::new(&door).exists()).await;
        let lock = fs::read_to_string(Path::new("/var/lib/tbctl").join(&rig.testbed).join("lock")).unwrap();
        let holder = lock.lines().nth(1).unwrap().split(' ').next().unwrap();
        // It may have ended by itself: its connection is given up for a new one.
        Command::new("kill").args(["-9", holder]).stderr(Stdio::null()).status().unwrap();
        (rig.handle, rig.answers) = (handle, answers);
        let said = short(&rig.order(locks(other)).await).join("");
        assert!(said.contains("another run holds the lock"), "{shell}: {said}");
    }
}

#[tokio::test]
async fn steps_that_take_all_the_time_are_stopped_and_taken_back() {
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let path = rig.path("begun");
        let slow = Step { undo: Undo::By(format!("rm {path}")), ..user(&format!("true >{path}; sleep 1234567; true")) };
        let said = short(&rig.apply(vec![confirmed(1, "a", vec![slow])]).await);
        assert_eq!(said, ["1 failed: it took longer than its `confirm`; the host took it back after 1 s"], "{shell}");
        assert!(!Path::new(&path).exists());
        let left = Command::new("sh").args(["-c", &crate::rig::running("sleep 1234567")]).output().unwrap();
        assert_eq!(String::from_utf8(left.stdout).unwrap().trim(), "0", "{shell}");
        is_clean(&rig, shell);
    }
}

#[tokio::test]
async fn a_host_that_goes_down_takes_it_back_first() {
    for shell in SHELLS {
        let mut rig = rig(shell).await;
        let part = confirmed(LONG, "a", vec![shut(&rig)]);
        let stream = Stream { parts: vec![part], ..Stream::default() };
        rig.handle.send(Order::Apply(stream));
        let door = rig.path("shut");
        until(|| Path::new(&door).exists()).await;
        let awake = fs::read_to_string(runs(&rig)[0].join("awake")).unwrap();
        Command::new("kill").arg(awake.split(' ').next().unwrap()).status().unwrap();
        until(|| !Path::new(&door).exists()).await;
        let said = short(&rig.rest().await);
        assert!(said[0].contains("; the host took it back before its 600 s were over"), "{shell}: {said:?}");
        is_clean(&rig, shell);
    }
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_named() {
    let mut rig = Rig::new().await;
    let stuck = Step { undo: Undo::By("echo 'it is stuck' >&2; exit 1".into()), ..user("true") };
    let said = short(&rig.apply(vec![confirmed(1, "a", vec![stuck, shut(&rig)])]).await);
    assert!(said[0].ends_with("; but «run» could not be taken back: it is stuck"), "{said:?}");
    assert_eq!(entries(&mut rig).await.len(), 1);
}

#[tokio::test]
async fn logins_that_are_refused_are_not_tried_again_and_again() {
    let limits = Limits { calm: Duration::from_secs(1), ..Limits::default() };
    let needs = Needs { limits: Some(limits), shuts: Some(Shuts::Login), ..Needs::default() };
    let mut rig = Rig::with(needs).await;
    let said = short(&rig.apply(vec![confirmed(2, "a", vec![shut(&rig)])]).await);
    assert!(said[0].starts_with("1 failed 0: it locked tbctl out; the host took it back after 2 s ("), "{said:?}");
    // The first one, the one that was refused, and the one after the host had decided.
    assert_eq!(rig.server.connections(), 3);
}

#[tokio::test]
async fn the_new_connection_takes_the_same_way() {
    let mut rig = Rig::with(Needs { by: By::Jump, ..Needs::default() }).await;
    let path = rig.path("file");
    let said = short(&rig.apply(vec![confirmed(LONG, "a", vec![put(write(&path, "x"))])]).await);
    let forwards = rig.jump.seen().iter().filter(|what| *what == "forward 127.0.0.1").count();
    assert_eq!((said, rig.server.connections(), forwards), (vec!["1 did 0".to_string()], 2, 2));
    let said = short(&rig.apply(vec![confirmed(1, "a", vec![shut(&rig)])]).await);
    assert!(said[0].starts_with("1 failed 0: it locked tbctl out; the host took it back after 1 s"), "{said:?}");
    assert!(!Path::new(&path).exists());
}

#[tokio::test]
async fn on_this_machine_there_is_nothing_to_confirm() {
    let mut rig = Rig::with(Needs { by: By::Local, ..Needs::default() }).await;
    let path = rig.path("file");
    let said = short(&rig.apply(vec![confirmed(LONG, "a", vec![put(write(&path, "x"))])]).await);
    assert_eq!((said, rig.server.connections()), (vec!["1 did 0".to_string()], 0));
    assert_eq!((fs::read_to_string(&path).unwrap(), watchdogs(&rig)), ("x".to_string(), Vec::new()));
}

#[tokio::test]
async fn a_host_that_cannot_watch_runs_nothing() {
    let programs = vec![("setsid", "#!/bin/dash\nexit 1\n".to_string())];
    let mut rig = Rig::with(Needs { programs, ..Needs::default() }).await;
    let path = rig.path("file");
    let said = short(&rig.apply(vec![confirmed(1, "a", vec![put(write(&path, "x"))])]).await);
    assert!(said[0].starts_with("1 failed: the host cannot watch over it"), "{said:?}");
    assert!(!Path::new(&path).exists());
}

#[tokio::test]
async fn a_host_without_setsid_watches_as_well() {
    let mut rig = Rig::with(Needs { shell: Some("busybox"), bare: true, ..Needs::default() }).await;
    let said = short(&rig.apply(vec![confirmed(1, "a", vec![shut(&rig)])]).await);
    assert!(said[0].starts_with("1 failed 0: it locked tbctl out; the host took it back"), "{said:?}");
    is_clean(&rig, "busybox");
}

#[tokio::test]
async fn a_unit_that_ran_before_runs_afterwards() {
    // Running is a file; a restart under `bad` ends the unit.
    let text = "#!/bin/dash\nr=$HOME/../root\necho \"$@\" >>$r/called\ncase \"$*\" in\n\
                is-active*) [ -e $r/running ] ;;\n\
                *restart*) rm -f $r/running; [ ! -e $r/bad ] && true >$r/running ;;\n\
                start*) true >$r/running ;;\nesac\n";
    for shell in SHELLS {
        let programs = vec![("systemctl", text.to_string())];
        let mut rig = Rig::with(Needs { shell: Some(shell), programs, ..Needs::default() }).await;
        fs::write(rig.path("running"), "").unwrap();
        let undo = Undo::Again { unit: "ssh.service".into(), script: "systemctl try-restart ssh.service".into() };
        let steps =
            vec![put(write(&rig.path("bad"), "x")), shut(&rig), Step { undo, ..user("systemctl restart ssh.service") }];
        let said = short(&rig.apply(vec![confirmed(1, "a", steps)]).await);
        assert!(
            said[0].starts_with("1 failed 0 0 1: it failed, and locked tbctl out; the host took it back"),
            "{said:?}"
        );
        let left = ["bad", "running"].map(|name| Path::new(&rig.path(name)).exists());
        assert_eq!(left, [false, true], "{shell}");
    }
}
