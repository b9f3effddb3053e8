//! Places that are not as usual: other users' homes, full and read-only file systems, mounted files, this machine.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tbctl::change::Look;
use tbctl::change::Put;
use tbctl::remote::Settings;
use tbctl::remote::Target;
use tbctl::remote::Via;
use tbctl::remote::host::Worker;
use tbctl::remote::host::spawn;
use tbctl::remote::order::Answer;
use tbctl::remote::order::Manner;
use tbctl::remote::order::Order;
use tbctl::remote::order::Stream;
use tokio::sync::mpsc;

use crate::rig::Needs;
use crate::rig::Rig;
use crate::rig::SHELLS;
use crate::rig::part;
use crate::rig::put;
use crate::rig::ran;
use crate::rig::short;
use crate::rig::user;
use crate::rig::write;
use crate::support::Person;

/// A sudo that really becomes somebody: the user with number 65534.
const SUDO: &str = "#!/bin/bash\nwhile :; do case $1 in -n|-H) shift ;; -u) shift 2 ;; *) break ;; esac; done\n\
    exec setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=\"$HOME/nobody\" \"$@\"\n";

fn nobody() -> Option<String> {
    Some("nobody".to_string())
}

#[tokio::test]
async fn a_user_keeps_the_journal_at_home_and_no_trace_of_it() {
    for shell in SHELLS {
        let programs = vec![("sudo", SUDO.to_string())];
        let mut rig = Rig::with(Needs { shell: Some(shell), programs, ..Needs::default() }).await;
        let home = rig.dir.path().join("home/nobody");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(65534), Some(65534)).unwrap();
        let file = home.join("file");
        let step = put(Put { mode: Some(0o400), ..write(file.to_str().unwrap(), "x") });
        let parts = vec![part(1, vec![step.clone(), user("id -u")])];
        let said = rig.order(Order::Apply(Stream { user: nobody(), parts, ..Stream::default() })).await;
        assert_eq!(short(&said), ["1 did 0 0"], "{shell}");
        // Once more, over a file that its owner may not write.
        let again = vec![part(1, vec![step])];
        let said = rig.order(Order::Apply(Stream { user: nobody(), parts: again, ..Stream::default() })).await;
        assert_eq!((short(&said), fs::metadata(&file).unwrap().uid()), (vec!["1 did 0".to_string()], 65534), "{shell}");
        let state = home.join(".local/state/tbctl").join(&rig.testbed);
        assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700, "{shell}");
        rig.again();
        let said = rig.order(Order::Probe(vec![(nobody(), Look::Passwd { name: "root".into() })])).await;
        let find = |answer: Answer| match answer {
            Answer::Journal { user, journal: Ok(journal) } if user == nobody() => Some(journal.entries),
            _ => None,
        };
        let mut entries = said.into_iter().find_map(find).unwrap();
        entries.reverse();
        let said = rig.order(Order::Undo { user: nobody(), entries, force: false }).await;
        assert_eq!(short(&said), ["1 Back"], "{shell}");
        rig.order(Order::Forget { user: nobody() }).await;
        let left: Vec<_> = fs::read_dir(&home).unwrap().flatten().collect();
        assert!(left.is_empty(), "{shell}: {left:?}");
    }
}

#[tokio::test]
async fn a_user_without_a_home_can_run_commands_and_nothing_else() {
    let mut rig = Rig::with(Needs { programs: vec![("sudo", SUDO.to_string())], ..Needs::default() }).await;
    let parts = vec![part(1, vec![user("id -u")])];
    let said = rig.order(Order::Apply(Stream { user: nobody(), parts, ..Stream::default() })).await;
    assert_eq!(ran(&said).stdout, "65534\n");
    let parts = vec![part(1, vec![put(write("/var/tmp/tbctl-never", "x"))])];
    let said = rig.order(Order::Apply(Stream { user: nobody(), parts, ..Stream::default() })).await;
    let place = rig.dir.path().join("home/nobody/.local/state/tbctl").join(&rig.testbed);
    assert_eq!(short(&said), [format!("1 failed: cannot make the directory {} for the journal", place.display())]);
}

/// A mount that goes with the test; `None` where mounting is not allowed.
struct Mount(String);

impl Mount {
    fn new(arguments: &[&str], at: &str) -> Option<Mount> {
        let done = Command::new("mount").args(arguments).arg(at).status().is_ok_and(|status| status.success());
        done.then(|| Mount(at.to_string()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", &self.0]).status();
    }
}

#[tokio::test]
async fn full_read_only_and_mounted() {
    for shell in SHELLS {
        let mut rig = Rig::with(Needs { shell: Some(shell), ..Needs::default() }).await;
        let (small, fixed, real, over) = (rig.path("small"), rig.path("fixed"), rig.path("real"), rig.path("over"));
        fs::create_dir(&small).unwrap();
        fs::create_dir(&fixed).unwrap();
        fs::write(&real, "first\n").unwrap();
        fs::write(&over, "").unwrap();
        chown(&real, Some(1234), Some(1234)).unwrap();
        let Some(_small) = Mount::new(&["-t", "tmpfs", "-o", "size=64k", "none"], &small) else { return };
        let _fixed = Mount::new(&["-t", "tmpfs", "-o", "ro", "none"], &fixed).unwrap();
        let _over = Mount::new(&["--bind", &real], &over).unwrap();
        for length in [60_000, 300_000] {
            let full = write(&format!("{small}/file"), &"x".repeat(length));
            fs::write(format!("{small}/other"), "x".repeat(30_000)).unwrap();
            let said = short(&rig.run(put(full)).await);
            assert_eq!(said, [format!("1 failed 1: cannot write {small}/file: no space is left")], "{shell}");
            assert_eq!(fs::read_dir(&small).unwrap().count(), 1);
        }
        let said = short(&rig.run(put(write(&format!("{fixed}/file"), "x"))).await);
        assert_eq!(said, [format!("1 failed 1: cannot write {fixed}/file: Read-only file system")], "{shell}");
        let said = rig.apply(vec![part(1, vec![put(write(&over, "second\n"))])]).await;
        assert_eq!(short(&said), ["1 did 0"], "{shell}");
        assert_eq!(fs::read_to_string(&real).unwrap(), "second\n", "{shell}");
        rig.again();
        let said = rig.order(Order::Probe(vec![(None, Look::Passwd { name: "root".into() })])).await;
        let find = |answer: Answer| match answer {
            Answer::Journal { journal: Ok(journal), .. } => Some(journal.entries),
            _ => None,
        };
        let entries = said.into_iter().find_map(find).unwrap();
        let said = rig.order(Order::Undo { user: None, entries, force: false }).await;
        assert_eq!(short(&said), ["1 Already", "2 Already", "3 Back"], "{shell}");
        assert_eq!(fs::read_to_string(&real).unwrap(), "first\n", "{shell}");
        assert_eq!(fs::metadata(&real).unwrap().uid(), 1234);
        assert_eq!(fs::read_dir(rig.path("")).unwrap().count(), 4, "{shell}");
    }
}

#[tokio::test]
async fn this_machine_is_worked_on_in_the_same_way() {
    let dir = tempfile::tempdir().unwrap();
    let (tell, mut answers) = mpsc::unbounded_channel();
    let worker = Worker {
        name: "here".into(),
        target: Target { via: Via::Local, ..Target::default() },
        settings: Settings::new(dir.path().to_path_buf(), "root"),
        ask: Arc::new(Person::default()),
        manner: Manner {
            testbed: format!("test-here-{}", std::process::id()),
            run: "run".into(),
            owner: Default::default(),
            journals: false,
            become_password: None,
        },
    };
    let handle = spawn(5, worker, tell);
    let file = dir.path().join("file").display().to_string();
    let parts = vec![part(1, vec![put(write(&file, "x"))]), part(2, vec![user("echo $((6 * 7))")])];
    handle.send(Order::Apply(Stream { user: Some("root".into()), parts, ..Stream::default() }));
    let entry = tbctl::remote::stream::entry(1, &put(write(&file, "x")), &Default::default(), "run").unwrap();
    handle.send(Order::Undo { user: None, entries: vec![entry], force: false });
    handle.send(Order::Forget { user: None });
    handle.close().await;
    let mut said = Vec::new();
    while let Some((5, answer)) = answers.recv().await {
        said.push(answer);
    }
    assert_eq!(short(&said), ["1 did 0", "2 did 0", "1 Back"]);
    assert!(matches!(said.first(), Some(Answer::Up { peer, .. }) if peer == "local"));
    assert!(!Path::new(&file).exists());
}
