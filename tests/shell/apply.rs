//! Streams: what steps print and how they end, guards, files that are written, interrupts.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tbctl::change::Apply;
use tbctl::change::Content;
use tbctl::change::Look;
use tbctl::change::Put;
use tbctl::change::Script;
use tbctl::remote::order::Answer;
use tbctl::remote::order::Order;
use tbctl::remote::order::Part;
use tbctl::remote::order::Stream;

use crate::rig::Needs;
use crate::rig::Rig;
use crate::rig::SHELLS;
use crate::rig::part;
use crate::rig::put;
use crate::rig::ran;
use crate::rig::running;
use crate::rig::short;
use crate::rig::user;
use crate::rig::write;

async fn each() -> Vec<Rig> {
    let mut rigs = Vec::new();
    for shell in SHELLS {
        rigs.push(Rig::with(Needs { shell: Some(shell), ..Needs::default() }).await);
    }
    rigs
}

#[tokio::test]
async fn texts_of_users_stay_among_themselves() {
    for mut rig in each().await {
        let big = "head -c 10000000 /dev/zero | tr '\\0' x";
        for (text, rc, stdout, stderr) in [
            ("echo out; echo err >&2", 0, "out\n", "err\n"),
            ("printf 'no end'", 0, "no end", ""),
            ("printf 'a\\0b\\n'", 0, "a\0b\n", ""),
            ("printf '\\n@@tb0123456789abcdef .\\n'", 0, "\n@@tb0123456789abcdef .\n", ""),
            (big, 0, &*"x".repeat(10_000_000), ""),
            ("exit 3", 3, "", ""),
            ("cd /; umask 0; exec true", 0, "", ""),
            ("echo \"it's $((1 + 1))\"", 0, "it's 2\n", ""),
            ("cat", 0, "", ""),
            ("yes | head -n 1", 0, "y\n", ""),
            ("-n", 127, "", "*"),
            ("echo 'unbalanced", 2, "", "*"),
            ("if true", 2, "", "*"),
            ("(sleep 30; echo late) & echo begun", 0, "begun\n", ""),
            ("kill -9 $$", 137, "", "*"),
            ("kill -9 0", 137, "", "*"),
            ("trap : TERM; kill 0; echo alive", 0, "alive\n", "*"),
            ("umask", 0, "0022\n", ""),
        ] {
            let answers = rig.run(user(text)).await;
            let ran = ran(&answers);
            // Shells differ in how they count a fault of syntax.
            let rc = if stderr == "*" && rc == 2 && ran.rc == 1 { 1 } else { rc };
            assert_eq!((ran.rc, ran.stdout == stdout), (rc, true), "{text}: {:.200} {}", ran.stdout, ran.stderr);
            assert!(stderr == "*" || ran.stderr == stderr, "{text}: {}", ran.stderr);
            assert!(matches!(answers.last(), Some(Answer::Applied { rest: None })));
        }
    }
}

#[tokio::test]
async fn output_is_cut_off() {
    let mut rig = Rig::new().await;
    let answers = rig.run(user("head -c 12000000 /dev/zero | tr '\\0' x")).await;
    let out = &ran(&answers).stdout;
    assert_eq!(out.len(), (10 << 20) + "\n[tbctl: cut off after 10 MiB]\n".len());
}

#[tokio::test]
async fn scripts_have_a_place_and_an_input() {
    for mut rig in each().await {
        let script = |text: &str| Script { text: text.into(), user: true, ..Script::default() };
        let dir = rig.path("a b");
        fs::create_dir(&dir).unwrap();
        for (script, environment, rc, stdout) in [
            (Script { chdir: Some(dir.clone()), ..script("pwd") }, vec![], 0, format!("{dir}\n")),
            (Script { chdir: Some("/nowhere".into()), ..script("pwd") }, vec![], 2, String::new()),
            (Script { stdin: Some("in'put".into()), ..script("cat") }, vec![], 0, "in'put".into()),
            (
                Script { executable: Some("/bin/bash".into()), ..script("echo ${BASH_VERSION:+yes}") },
                vec![],
                0,
                "yes\n".into(),
            ),
            (script("echo \"$ONE\""), vec![("ONE".to_string(), "it's".to_string())], 0, "it's\n".into()),
            (script("echo ${LC_ALL-none}"), vec![], 0, "none\n".into()),
            (Script { user: false, ..script("echo $LC_ALL") }, vec![], 0, "C\n".into()),
        ] {
            let step = tbctl::change::Step { apply: Apply::Run(script.clone()), ..user("") };
            let part = Part { environment, ..part(1, vec![step]) };
            let answers = rig.apply(vec![part]).await;
            let ran = ran(&answers);
            assert_eq!(ran.stdout, stdout, "{script:?} {}", ran.stderr);
            assert_eq!(ran.rc == 0, rc == 0, "{script:?} {}", ran.stderr);
        }
    }
}

#[tokio::test]
async fn a_stream_is_one_trip_and_stops_where_it_fails() {
    for mut rig in each().await {
        let parts = vec![
            part(7, vec![user("echo 1"), user("echo 2")]),
            part(8, vec![]),
            part(9, vec![user("true"), user("exit 4"), user("echo never")]),
            part(10, vec![user("echo never")]),
        ];
        let answers = rig.apply(parts).await;
        assert_eq!(short(&answers), ["7 did 0 0", "8 did", "9 failed 0 4"]);
        // Nothing of it is kept, so the journal is not needed.
        assert_eq!(rig.handle.trips(), 1);
        let run = fs::read_dir("/var/tmp").unwrap().flatten();
        rig.ask(vec![(None, Look::Script { text: "true".into() })]).await;
        let left: Vec<_> = run.filter(|entry| entry.file_name().to_string_lossy().contains(&rig.testbed)).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Somebody writes to the file right behind the look at its text: what is decided on that text is not done.
#[tokio::test]
async fn what_changes_while_it_is_looked_at_is_noticed() {
    for shell in SHELLS {
        let late = "#!/bin/dash\n/usr/bin/grep \"$@\"\nrc=$?\n\
                    if [ -s \"$HOME/late\" ]; then read -r file <\"$HOME/late\"; rm \"$HOME/late\"; echo late >>\"$file\"; fi\nexit $rc\n";
        let needs = Needs { shell: Some(shell), programs: vec![("grep", late.to_string())], ..Needs::default() };
        let mut rig = Rig::with(needs).await;
        let path = rig.path("file");
        fs::write(&path, "first\n").unwrap();
        fs::write(rig.dir.path().join("home/late"), format!("{path}\n")).unwrap();
        let digest = Look::Path { path: path.clone(), follow: false };
        let answers = rig.ask(vec![(None, Look::Text { path: path.clone() }), (None, digest.clone())]).await;
        assert_eq!(answers[0].as_deref(), Ok("first"), "{shell}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\nlate\n", "{shell}");
        let guard = vec![(digest, answers[1].clone().unwrap())];
        let answers = rig.apply(vec![Part { guard, ..part(1, vec![user("echo never")]) }]).await;
        assert_eq!(short(&answers), ["1 stale"], "{shell}");
    }
}

#[tokio::test]
async fn a_guard_that_does_not_hold_brings_the_rest() {
    for mut rig in each().await {
        let file = rig.path("file");
        fs::write(&file, "one\n").unwrap();
        let looks = [Look::Text { path: file.clone() }, Look::Passwd { name: "root".into() }];
        let questions: Vec<_> = looks.iter().map(|look| (None, look.clone())).collect();
        let answers: Vec<String> = rig.ask(questions.clone()).await.into_iter().flatten().collect();
        let guard: Vec<_> = looks.iter().cloned().zip(answers.clone()).collect();
        let change = user(&format!("echo two >{file}"));
        let parts = vec![
            Part { guard: guard.clone(), ..part(1, vec![change]) },
            Part { guard: guard[1..].to_vec(), ..part(2, vec![]) },
            Part { guard, ..part(3, vec![user("echo never")]) },
        ];
        let rest = vec![questions[0].clone(), questions[1].clone(), questions[0].clone()];
        let stream = Stream { parts, rest, ..Stream::default() };
        let said = rig.order(Order::Apply(stream)).await;
        assert_eq!(short(&said), ["1 did 0", "2 did", "3 stale"]);
        let Some(Answer::Applied { rest: Some(rest) }) = said.last() else { panic!("{said:?}") };
        assert_eq!(rest[..], [Ok("two".to_string()), Ok(answers[1].clone()), Ok("two".to_string())]);
        assert_eq!(rig.handle.trips(), 2);
        // And at the end, if wanted.
        let stream = Stream { parts: vec![part(1, vec![])], rest: questions, ask_at_end: true, ..Stream::default() };
        let said = rig.order(Order::Apply(stream)).await;
        assert!(matches!(said.last(), Some(Answer::Applied { rest: Some(rest) }) if rest.len() == 2));
        assert_eq!(rig.handle.trips(), 3);
    }
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_killed_with_all_it_started() {
    for mut rig in each().await {
        let sleep = format!("sleep 8{}", std::process::id());
        let slow = &format!("echo begun; sh -c '{sleep}; echo x' & wait");
        for (text, expected) in
            [("true", "1 did 0"), (slow, "1 failed 137: it was stopped, since it took longer than its `timeout`")]
        {
            let parts = vec![Part { timeout: Some(Duration::from_secs(1)), ..part(1, vec![user(text)]) }];
            let answers = rig.apply(parts).await;
            assert_eq!(short(&answers), [expected]);
        }
        assert_eq!(rig.ask(vec![(None, Look::Script { text: running(&sleep) })]).await, [Ok("0".to_string())]);
    }
}

#[tokio::test]
async fn files_are_written_with_their_attributes() {
    for mut rig in each().await {
        let path = |name: &str| rig.path(name);
        let (new, old, link, dir) = (path("new"), path("old"), path("link"), path("dir"));
        let loose = path("nowhere/file");
        let many = "é".repeat(100_000);
        let local = rig.dir.path().join("local");
        fs::write(&local, b"\0\xff\n").unwrap();
        let sha256 = "4b1b6cf5bcb9d0a4ba3ba2bbc3f3b0e3d2d1d0cbe0a1b7b0d3ecbb7a8a0a7f00".to_string();
        let wrong = Content::File { path: local.clone(), sha256 };
        fs::write(&old, "old").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::chown(&old, Some(1234), Some(1235)).unwrap();
        std::os::unix::fs::symlink("old", &link).unwrap();
        fs::create_dir(&dir).unwrap();
        let fails = |why: String| format!("1 failed 1: {why}");
        let ok = "1 did 0".to_string();
        for (file, expected, mode, uid) in [
            (write(&new, "it's\n"), ok.clone(), 0o644, 0),
            (Put { mode: Some(0o4750), ..write(&new, "x") }, ok.clone(), 0o4750, 0),
            (write(&link, "through"), ok.clone(), 0o640, 1234),
            (Put { owner: Some("root".into()), ..write(&old, "y") }, ok.clone(), 0o640, 0),
            (Put { group: Some("1".into()), mode: Some(0o600), ..write(&old, "") }, ok.clone(), 0o600, 0),
            (write(&new, &many), ok.clone(), 0o4750, 0),
            (write(&new, "a\0b"), ok.clone(), 0o4750, 0),
            (Put { validate: Some("grep -q fine %s".into()), ..write(&new, "fine") }, ok.clone(), 0o4750, 0),
            (
                Put { validate: Some("grep -q fine %s".into()), ..write(&old, "bad") },
                fails(format!("the new content of {old} was not accepted by `validate`")),
                0,
                0,
            ),
            (write(&loose, ""), fails(format!("the directory {}/ does not exist", path("nowhere"))), 0, 0),
            (write(&dir, ""), fails(format!("{dir} is a directory")), 0, 0),
            (write("/proc/tbctl", ""), fails("cannot write /proc/tbctl: *".into()), 0, 0),
            (
                Put { content: wrong, ..write(&new, "") },
                format!("1 failed: {} was changed while tbctl was running; run it again", local.display()),
                0,
                0,
            ),
        ] {
            let said = short(&rig.run(put(file.clone())).await);
            match expected.split_once('*') {
                Some((start, _)) => assert!(said[0].starts_with(start), "{said:?}"),
                None => assert_eq!(said, std::slice::from_ref(&expected), "{}", file.path),
            }
            if expected == ok {
                let Content::Text(text) = &file.content else { continue };
                assert_eq!(&fs::read_to_string(&file.path).unwrap(), text);
                let meta = fs::metadata(&file.path).unwrap();
                assert_eq!((meta.mode() & 0o7777, meta.uid()), (mode, uid), "{file:?}");
            }
            let names = fs::read_dir(rig.path("")).unwrap().flatten().map(|entry| entry.file_name());
            let hidden: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with('.')).collect();
            assert!(hidden.is_empty(), "{hidden:?}");
        }
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}

#[tokio::test]
async fn a_stop_ends_the_stream_at_its_next_task() {
    for mut rig in each().await {
        let go = rig.path("go");
        let wait = format!("until [ -e {go} ]; do sleep 0.01; done; echo done");
        let parts = vec![part(1, vec![user(&wait)]), part(2, vec![user("echo never")])];
        rig.handle.send(Order::Apply(Stream { parts: parts.clone(), ..Stream::default() }));
        while !matches!(rig.next().await, Answer::Began { part: 1 }) {}
        rig.handle.send(Order::Apply(Stream { parts, ..Stream::default() }));
        rig.handle.stop();
        let name = format!("tbctl-{}.", rig.testbed);
        let stopped = || {
            let runs = fs::read_dir("/var/tmp").unwrap().flatten();
            runs.filter(|entry| entry.file_name().to_string_lossy().starts_with(&name))
                .any(|entry| entry.path().join("stop").exists())
        };
        while !stopped() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fs::write(&go, "").unwrap();
        assert_eq!(short(&rig.rest().await), ["1 did 0"]);
        // What was ordered before the stop does not begin.
        assert_eq!(short(&rig.rest().await), Vec::<String>::new());
        assert_eq!(short(&rig.run(user("true")).await), ["1 did 0"]);
    }
}

#[tokio::test]
async fn a_lost_connection_does_not_stop_the_stream() {
    for mut rig in each().await {
        let count = rig.path("count");
        let go = rig.path("go");
        let wait = format!("echo x >>{count}; until [ -e {go} ]; do sleep 0.01; done; echo done");
        let parts = vec![
            part(1, vec![user(&format!("echo x >>{count}"))]),
            part(2, vec![user(&wait)]),
            part(3, vec![user(&format!("echo x >>{count}; echo three; echo err >&2"))]),
        ];
        rig.handle.send(Order::Apply(Stream { parts, ..Stream::default() }));
        while !matches!(rig.next().await, Answer::Began { part: 2 }) {}
        rig.server.cut();
        while !matches!(rig.next().await, Answer::Up { .. }) {}
        fs::write(&go, "").unwrap();
        let said = rig.rest().await;
        assert_eq!(short(&said), ["2 did 0", "3 did 0"]);
        assert_eq!(fs::read_to_string(&count).unwrap(), "x\nx\nx\n");
        assert_eq!(short(&rig.run(user("true")).await), ["1 did 0"]);
    }
}

#[tokio::test]
async fn a_task_whose_end_is_unknown_is_said_and_not_repeated() {
    for mut rig in each().await {
        let pid = rig.path("pid");
        // A process of its own, whose parent is the shell that runs everything: as by a crash of the host.
        let kill = format!("echo x >>{pid}; kill -9 $PPID # $$");
        let parts = vec![part(1, vec![user("echo one")]), part(2, vec![user(&kill)])];
        assert_eq!(short(&rig.apply(parts).await), ["1 did 0", "lost Some(2)"]);
        assert_eq!(fs::read_to_string(&pid).unwrap(), "x\n");
    }
}

#[tokio::test]
async fn a_slow_step_is_heard_while_it_runs() {
    for mut rig in each().await {
        let go = rig.path("go");
        let wait = format!("echo one; printf 'two\\nhalf'; until [ -e {go} ]; do sleep 0.01; done; echo; echo end >&2");
        let parts = vec![part(1, vec![user("true")]), part(2, vec![user(&wait)])];
        rig.handle.send(Order::Apply(Stream { parts, ..Stream::default() }));
        let mut said = Vec::new();
        while said.len() < 2 {
            if let Answer::Said { part: 2, line } = rig.next().await {
                said.push(line);
            }
        }
        assert_eq!(said, ["one", "two"]);
        fs::write(&go, "").unwrap();
        let rest = rig.rest().await;
        assert_eq!((ran(&rest).stdout.as_str(), rig.handle.trips()), ("one\ntwo\nhalf\n", 1));
    }
}
