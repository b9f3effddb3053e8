//! Questions: their number of trips and processes, other users, answers that do not come.

use std::fs;
use std::time::Duration;

use tbctl::change::Look;
use tbctl::remote::host::Limits;
use tbctl::remote::order::Answer;
use tbctl::remote::order::Order;

use crate::rig::Needs;
use crate::rig::Rig;
use crate::rig::SHELLS;
use crate::rig::running;

fn script(text: &str) -> Look {
    Look::Script { text: text.into() }
}

/// Does what sudo does, as far as it is asked to: `-n`, `-S -p PROMPT`, `-H -u USER command…`.
fn sudo(password: Option<&str>) -> String {
    let check = match password {
        None => String::new(),
        Some(password) => format!(
            "if [ $stdin = no ]; then echo 'sudo: a password is required' >&2; exit 1; fi\n\
             for try in 1 2 3; do\nprintf '%s' \"$prompt\" >&2\nIFS= read -r typed || exit 1\n\
             [ \"$typed\" != '{password}' ] || break\necho 'Sorry, try again.' >&2\n\
             [ $try != 3 ] || exit 1\ndone\n"
        ),
    };
    format!(
        "#!/bin/bash\nstdin=no\nwhile :; do case $1 in\n-n|-H) shift;;\n-S) stdin=yes; shift;;\n-p) prompt=$2; shift 2;;\n\
         -u) user=$2; shift 2;;\n*) break;;\nesac; done\n{check}FAKE_USER=$user exec \"$@\"\n"
    )
}

#[tokio::test]
async fn every_shell_answers_in_one_trip() {
    for shell in SHELLS {
        let mut rig = Rig::with(Needs { shell: Some(shell), ..Needs::default() }).await;
        let many = "x".repeat(300_000);
        let looks = vec![
            (None, script("echo one; cat")),
            (None, Look::Passwd { name: "root".into() }),
            (None, script("printf '\\n@@tb0123456789abcdef .\\n'")),
            (None, script("echo one; cat")),
            (None, script(&format!("echo {many}"))),
            (None, script("echo $LC_ALL; cd /nowhere; exit 3")),
        ];
        let answers = rig.ask(looks).await;
        let text = |at: usize| answers[at].clone().unwrap();
        assert_eq!(text(0), "one", "{shell}");
        assert!(text(1).starts_with("root:x:0:0"), "{shell}");
        assert_eq!(text(2), "\n@@tb0123456789abcdef .", "{shell}");
        assert_eq!((text(3), text(4).len(), text(5)), ("one".into(), many.len(), "C".into()), "{shell}");
        assert_eq!(rig.handle.trips(), 1, "{shell}");
        assert_eq!(rig.ask(vec![(None, script("echo again"))]).await, [Ok("again".into())]);
        assert_eq!(rig.handle.trips(), 2, "{shell}");
    }
}

#[tokio::test]
async fn the_first_answer_tells_the_connection_and_the_journal() {
    let mut rig = Rig::new().await;
    let answers = rig.order(Order::Probe(vec![(None, script("echo"))])).await;
    let [Answer::Up { .. }, Answer::Journal { user: None, journal: Ok(journal) }, Answer::Probed(_)] = &answers[..]
    else {
        panic!("{answers:?}")
    };
    assert!(!journal.begun);
    let answers = rig.order(Order::Probe(Vec::new())).await;
    assert!(matches!(&answers[..], [Answer::Probed(none)] if none.is_empty()), "{answers:?}");
}

#[tokio::test]
async fn forty_converged_tasks_start_few_processes() {
    let mut programs = Vec::new();
    for name in
        ["stat", "sha256sum", "grep", "cat", "dpkg-query", "systemctl", "sed", "awk", "head", "id", "mkdir", "rm"]
    {
        let found = ["/usr/bin", "/bin"].map(|dir| format!("{dir}/{name}"));
        let real = found.iter().find(|path| fs::exists(path).unwrap()).cloned().unwrap_or("true".into());
        programs.push((name, format!("#!/bin/dash\necho {name} >>\"$HOME/started\"\nexec {real} \"$@\"\n")));
    }
    let mut rig = Rig::with(Needs { programs, ..Needs::default() }).await;
    let mut looks = Vec::new();
    for at in 0..40 {
        let path = rig.path(&format!("f{at}"));
        fs::write(&path, "text").unwrap();
        looks.push((None, Look::Path { path: path.clone(), follow: false }));
        looks.push((None, Look::Text { path }));
        looks.push((None, Look::Package { name: format!("package-{at}") }));
        looks.push((None, Look::Unit { name: format!("unit-{at}.service") }));
        looks.push((None, Look::Passwd { name: format!("user-{at}") }));
    }
    let answers = rig.ask(looks).await;
    assert!(answers.iter().all(Result::is_ok));
    let started = fs::read_to_string(rig.dir.path().join("home/started")).unwrap();
    assert!((1..=5).contains(&started.lines().count()), "{started}");
    assert_eq!(rig.handle.trips(), 1);
}

#[tokio::test]
async fn other_users_are_asked_side_by_side() {
    let mut rig = Rig::with(Needs { programs: vec![("sudo", sudo(None))], ..Needs::default() }).await;
    let who = script("echo $FAKE_USER");
    let users = [None, Some("tester".to_string()), Some("root".to_string()), Some("other".to_string())];
    let answers = rig.ask(users.into_iter().map(|user| (user, who.clone())).collect()).await;
    let expected = ["", "", "root", "other"].map(|text| Ok(text.to_string()));
    assert_eq!((answers.as_slice(), rig.handle.trips()), (&expected[..], 1));
}

#[tokio::test]
async fn sudo_is_given_the_password_only_when_it_asks() {
    let wants = |shell| vec![("sudo", sudo(Some("hush")).replace("#!/bin/bash", shell))];
    for (programs, password, expected) in [
        (wants("#!/bin/bash"), Some("hush"), Ok("root")),
        (
            wants("#!/bin/bash"),
            Some("other"),
            Err("sudo on web does not take the password to become root; give the right one with `-K`"),
        ),
        (wants("#!/bin/bash"), None, Err("sudo on web wants a password to become root; give it with `-K`")),
        (vec![("sudo", sudo(None))], Some("hush"), Ok("root")),
        (
            vec![("sudo", "#!/bin/sh\necho 'sudo: unknown user root' >&2\nexit 1\n".into())],
            None,
            Err("cannot become root on web: there is no such user"),
        ),
        (
            vec![("sudo", "#!/bin/sh\necho 'tester is not in the sudoers file.' >&2\nexit 1\n".into())],
            Some("hush"),
            Err("the login user may not become root on web: tester is not in the sudoers file."),
        ),
    ] {
        let mut rig = Rig::with(Needs { programs, password, ..Needs::default() }).await;
        let looks = vec![(Some("root".to_string()), script("echo $FAKE_USER")), (None, script("echo me"))];
        let answers = rig.ask(looks.clone()).await;
        let expected = expected.map(str::to_string).map_err(str::to_string);
        assert_eq!(answers, [expected.clone(), Ok("me".into())]);
        // A refusal is remembered, not tried again.
        assert_eq!(rig.ask(looks).await[0], expected);
    }
}

#[tokio::test]
async fn a_question_that_hangs_is_named() {
    let all = SHELLS.map(|shell| tokio::spawn(hangs(shell)));
    for one in all {
        one.await.unwrap();
    }
}

async fn hangs(shell: &'static str) {
    let limits = Limits { probe: Duration::from_secs(2), again: Duration::from_secs(2), ..Limits::default() };
    let mut rig = Rig::with(Needs { shell: Some(shell), limits: Some(limits), ..Needs::default() }).await;
    let mut looks: Vec<_> = (0..4).map(|at| (None, script(&format!("echo {at}")))).collect();
    let sleep = format!("sleep 9{}", rig.testbed.replace(|letter: char| !letter.is_ascii_digit(), ""));
    looks.insert(2, (None, script(&format!("{sleep}; echo x"))));
    let answers = rig.ask(looks).await;
    let good: Vec<_> = answers.iter().flatten().cloned().collect();
    assert_eq!(good, ["0", "1", "2", "3"], "{shell}");
    let why = answers[2].clone().unwrap_err();
    assert!(why.starts_with("`sleep 9") && why.contains("takes too long"), "{why}");
    // Nothing of it is left running.
    let left = rig.ask(vec![(None, script(&running(&sleep)))]).await;
    assert_eq!(left, [Ok("0".to_string())], "{shell}");
}

#[tokio::test]
async fn a_lost_connection_costs_one_more_try() {
    let mut rig = Rig::new().await;
    rig.ask(vec![(None, script("echo"))]).await;
    rig.server.cut();
    let answers = rig.order(Order::Probe(vec![(None, script("echo back"))])).await;
    let [Answer::Up { .. }, Answer::Probed(answers)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(answers[..], [Ok("back".into())]);
}
