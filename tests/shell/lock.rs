//! One run at a time, handlers that are owed, and two testbeds on one host.

use std::fs;
use std::path::Path;

use tbctl::change::Look;
use tbctl::remote::order::Answer;
use tbctl::remote::order::Order;
use tbctl::remote::order::Part;
use tbctl::remote::order::Stream;

use crate::rig::Needs;
use crate::rig::Rig;
use crate::rig::SHELLS;
use crate::rig::part;
use crate::rig::put;
use crate::rig::short;
use crate::rig::user;
use crate::rig::write;

fn changing(parts: Vec<Part>) -> Order {
    Order::Apply(Stream { parts, locks: true, ..Stream::default() })
}

fn owed(answers: &[Answer]) -> Vec<String> {
    let one = |answer: &Answer| match answer {
        Answer::Owed { handlers, .. } => Some(handlers.clone()),
        _ => None,
    };
    answers.iter().filter_map(one).flatten().collect()
}

fn look() -> Order {
    Order::Probe(vec![(None, Look::Script { text: ":".into() })])
}

#[tokio::test]
async fn a_second_run_is_refused_while_the_first_is_there() {
    for shell in SHELLS {
        let mut rig = Rig::with(Needs { shell: Some(shell), ..Needs::default() }).await;
        let step = |name: &str| part(1, vec![put(write(&rig.path(name), "x"))]);
        let (one, two, three) = (step("one"), step("two"), step("three"));
        assert_eq!(short(&rig.order(changing(vec![one])).await), ["1 did 0"], "{shell}");
        let first = rig.other("run-2");
        let said = short(&rig.order(changing(vec![two.clone()])).await).join("");
        let expected = format!("another run holds the lock of the testbed `{}`", rig.testbed);
        assert!(
            said.contains(&expected) && said.contains("tester@desk, since") && said.contains("tbctl unlock"),
            "{shell}: {said}"
        );
        assert!(!Path::new(&rig.path("two")).exists(), "{shell}: nothing of it ran");
        first.close().await;
        assert_eq!(short(&rig.order(changing(vec![two])).await), ["1 did 0"], "{shell}: the first has left");
        // Whoever is gone without a word leaves a lock that nobody has to ask for.
        rig.server.cut();
        rig.other("run-3");
        assert_eq!(short(&rig.order(changing(vec![three])).await), ["1 did 0"], "{shell}: the second is dead");
    }
}

#[tokio::test]
async fn a_lock_can_be_removed() {
    let mut rig = Rig::new().await;
    let step = |name: &str| part(1, vec![put(write(&rig.path(name), "x"))]);
    let (one, two) = (step("one"), step("two"));
    rig.order(changing(vec![one])).await;
    let first = rig.other("run-2");
    let said = rig.order(Order::Unlock { user: None }).await;
    let owner = said.iter().find_map(|answer| match answer {
        Answer::Unlocked { owner } => owner.clone(),
        _ => None,
    });
    assert_eq!(owner.as_deref(), Some("tester@desk, since 2023-11-14T22:13:20Z"));
    assert_eq!(short(&rig.order(changing(vec![two])).await), ["1 did 0"]);
    first.close().await;
    let lock = Path::new("/var/lib/tbctl").join(&rig.testbed).join("lock");
    assert!(lock.exists(), "the first run's goodbye does not take the lock of the second");
}

#[tokio::test]
async fn commands_alone_leave_nothing() {
    for shell in SHELLS {
        let mut rig = Rig::with(Needs { shell: Some(shell), ..Needs::default() }).await;
        assert_eq!(short(&rig.order(changing(vec![part(1, vec![user("true")])])).await), ["1 did 0"]);
        let journal = Path::new("/var/lib/tbctl").join(&rig.testbed);
        assert!(journal.join("lock").exists(), "{shell}");
        rig.other("run-2").close().await;
        assert!(!journal.exists(), "{shell}");
    }
}

#[tokio::test]
async fn a_handler_is_owed_until_it_is_at_rest() {
    for shell in SHELLS {
        let mut rig = Rig::with(Needs { shell: Some(shell), ..Needs::default() }).await;
        let part = Part { wakes: vec!["restart it's".into(), "other".into()], ..part(1, vec![user("true")]) };
        assert_eq!(owed(&rig.order(changing(vec![part.clone(), Part { id: 2, ..part }])).await), Vec::<String>::new());
        rig.other("run-2").close().await;
        assert_eq!(owed(&rig.order(look()).await), ["restart it's", "other"], "{shell}");
        rig.handle.send(Order::Rest { user: None, handler: "restart it's".into() });
        rig.other("run-3").close().await;
        assert_eq!(owed(&rig.order(look()).await), ["other"], "{shell}");
        rig.handle.send(Order::Rest { user: None, handler: "other".into() });
        rig.other("run-4").close().await;
        assert_eq!(owed(&rig.order(look()).await), Vec::<String>::new(), "{shell}");
    }
}

#[tokio::test]
async fn two_testbeds_do_not_share_a_resource() {
    for shell in SHELLS {
        let mut rig = Rig::with(Needs { shell: Some(shell), ..Needs::default() }).await;
        let path = rig.path("file");
        rig.order(changing(vec![part(1, vec![put(write(&path, "ours"))])])).await;
        let ours = rig.testbed.clone();
        rig.testbed = format!("{ours}-other");
        rig.other("run-2").close().await;
        let said = short(&rig.order(changing(vec![part(1, vec![put(write(&path, "theirs"))])])).await).join("");
        assert!(said.contains(&format!("the testbed `{ours}` manages this here too")), "{shell}: {said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours", "{shell}");
        let other = part(1, vec![put(write(&rig.path("another"), "x"))]);
        assert_eq!(short(&rig.order(changing(vec![other])).await), ["1 did 0"], "{shell}");
        fs::remove_dir_all(Path::new("/var/lib/tbctl").join(&ours)).unwrap();
    }
}
