//! The way back in full, on real hosts: what left the playbook, what left the inventory, handlers that are owed, locks.
//!
//! Needs root and Linux; `TBCTL_NO_LAB=1` leaves these tests out on purpose.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lab;

use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use lab::Lab;
use lab::assert_same;

const TWO: &str = "testbed: TESTBED\nall:\n  hosts:\n    one: {}\n    two: {}\n";

const PLAY: &str = "\
- hosts: all
  tasks:
    - name: a directory
      file: {path: /srv/pruned, state: directory}
    - name: files of a loop
      copy: {content: '{{ item }}', dest: '/srv/pruned/{{ item }}'}
      loop: LOOP
    - name: a line
      lineinfile: {path: /etc/hosts, line: 192.0.2.9 pruned.example}
    - name: a command with a way back
      command: touch /srv/commanded
      args: {creates: /srv/commanded}
      vars: {made: /srv/commanded, not_made: false}
      undo: rm -f {{ made }}
    - name: a command that need not be taken back
      command: touch /srv/commanded
      vars: {not_made: false}
      undo: touch /srv/never
      undo_when: not_made
";

#[test]
fn what_left_the_playbook_and_the_inventory_is_named_and_taken_back() {
    let Some(lab) = Lab::up("tprune", TWO) else { return };
    let (one, two) = (lab.tree("one"), lab.tree("two"));
    let play = lab.file("play.yaml", &PLAY.replace("LOOP", "[a, b, c]"));
    lab.apply(&play);
    assert!(lab.on("one", "cat /srv/pruned/b").contains('b'));

    // A file of the loop and two whole tasks leave; the directory, under another name, stays.
    let text = PLAY.replace("LOOP", "[a, c]").replace("name: a directory", "name: the same directory");
    let shorter = text.split("    - name: a line").next().unwrap();
    let play = lab.file("play.yaml", shorter);
    let plan = lab.ok(&["plan", lab.inv(), &play]);
    for left in ["/srv/pruned/b", "«a line»", "«a command with a way back»"] {
        assert!(plan.contains(left), "{left} is not in\n{plan}");
    }
    assert!(!plan.contains("«a directory»") && !plan.contains("/srv/pruned/a:"), "{plan}");
    lab.apply(&play);
    assert!(lab.on("one", "ls /srv/pruned /srv/commanded").contains('b'), "an apply takes nothing back");
    lab.ok(&["apply", "--prune", lab.inv(), &play]);
    assert_eq!(lab.on("two", "ls /srv/pruned; grep -c pruned /etc/hosts; ls /srv").trim(), "a\nc\n0\npruned");
    assert_eq!(lab.apply(&play)["one"].changed, 0);
    assert!(!lab.ok(&["plan", lab.inv(), &play]).contains("not in the playbook"));

    // A host leaves the inventory: it is named, and given back.
    let whole = std::fs::read_to_string(lab.inv()).unwrap();
    std::fs::write(lab.inv(), whole.replace("    two: {}\n", "")).unwrap();
    assert!(lab.ok(&["plan", lab.inv(), &play]).contains("two is not in the inventory any more"));
    let status = lab.ok(&["status", lab.inv()]);
    assert!(status.contains("two: testbed tprune, 3 resources"), "{status}");
    let pruned = lab.ok(&["apply", "--prune", lab.inv(), &play]);
    assert!(pruned.contains("giving back: two"), "{pruned}");
    assert_same(&two, &lab.tree("two"), "two");
    assert!(!lab.ok(&["plan", lab.inv(), &play]).contains("two is not"));

    // Somebody changes a file by hand: seen, left alone, and taken back if told to.
    lab.on("one", "echo mine >/srv/pruned/a");
    let status = lab.ok(&["status", lab.inv()]);
    assert!(status.contains("file:/srv/pruned/a was changed by somebody since"), "{status}");
    let kept = String::from_utf8(lab.run(&["destroy", "--yes", lab.inv()]).stdout).unwrap();
    assert!(kept.contains("changed by somebody since: left alone"), "{kept}");
    lab.ok(&["destroy", "--yes", "--force", lab.inv()]);
    assert_same(&one, &lab.tree("one"), "one");
    std::fs::write(lab.inv(), whole).unwrap();
}

const HANDLED: &str = "\
- hosts: one
  tasks:
    - name: a setting
      copy: {content: \"v VERSION\\n\", dest: /etc/owed}
      notify: read it anew
    - name: it takes its time
      command: WAIT
      changed_when: false
  handlers:
    - name: read it anew
      shell: cat /etc/owed >>/srv/read
      undo: rm -f /srv/read
";

/// A run in the background; what it says can be read at its end.
fn begin(lab: &Lab, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tbctl"));
    command.args(args).env("HOME", lab.home.path()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn an_interrupted_destroy_tells_what_it_still_ended() {
    let Some(lab) = Lab::up("tinterrupt", "testbed: TESTBED\nall:\n  hosts:\n    one: {}\n") else { return };
    let tree = lab.tree("one");
    let play = lab.file(
        "play.yaml",
        "- hosts: all\n  tasks:\n    - copy: {content: x, dest: /srv/x}\n    - {shell: 'true', undo: sleep 3}\n",
    );
    lab.apply(&play);
    let mut child = begin(&lab, &["destroy", "--yes", lab.inv()]);
    while lab.on("one", "pgrep -x sleep || :").trim().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "the run has ended");
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(130), "{said}");
    let (_, after) = said.split_once("interrupted: what runs now ends first").expect("the interruption is told");
    assert!(after.contains("run a shell command: taken back"), "{said}");
    assert!(after.contains("destroy: 1 taken back"), "{said}");
    let rest = lab.ok(&["destroy", "--yes", lab.inv()]);
    assert!(rest.contains("destroy: 1 taken back"), "{rest}");
    assert_same(&tree, &lab.tree("one"), "one");
}

#[test]
fn an_interrupted_prune_tells_what_it_still_ended() {
    let Some(lab) = Lab::up("tprune", "testbed: TESTBED\nall:\n  hosts:\n    one: {}\n") else { return };
    let tree = lab.tree("one");
    let text = "- hosts: all\n  tasks:\n    - copy: {content: y, dest: /srv/y}\n";
    let fewer = lab.file("fewer.yaml", text);
    let more = "    - copy: {content: x, dest: /srv/x}\n    - {shell: 'true', undo: sleep 3}\n";
    let play = lab.file("play.yaml", &format!("{text}{more}"));
    lab.apply(&play);
    let mut child = begin(&lab, &["apply", "--prune", lab.inv(), &fewer]);
    while lab.on("one", "pgrep -x sleep || :").trim().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "the run has ended");
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(130), "{said}");
    let (_, after) = said.split_once("interrupted: what runs now ends first").expect("the interruption is told");
    assert!(after.contains("run a shell command: taken back"), "{said}");
    assert!(!after.contains("/srv/x"), "{said}");
    let rest = lab.ok(&["apply", "--prune", lab.inv(), &fewer]);
    assert!(rest.contains("file:/srv/x: taken back"), "{rest}");
    lab.ok(&["destroy", "--yes", lab.inv()]);
    assert_same(&tree, &lab.tree("one"), "one");
}

#[test]
fn what_is_delegated_stays_and_a_host_without_a_play_is_given_back() {
    let Some(lab) = Lab::up("tidle", TWO) else { return };
    let tree = lab.tree("two");
    let one = "- hosts: one\n  tasks:\n    - copy: {content: x, dest: /srv/x}\n";
    let fewer = lab.file("fewer.yaml", one);
    let delegated = "    - copy: {content: y, dest: /srv/y}\n      delegate_to: two\n";
    let more = lab
        .file("more.yaml", &format!("{one}{delegated}- hosts: two\n  tasks: [copy: {{content: x, dest: /srv/x}}]\n"));
    lab.apply(&more);
    let pruned = lab.ok(&["apply", "--prune", lab.inv(), &more]);
    assert!(!pruned.contains("taken back"), "{pruned}");
    assert_eq!(lab.on("two", "ls /srv").split_whitespace().collect::<Vec<_>>(), ["x", "y"]);
    let planned = lab.ok(&["plan", lab.inv(), &fewer]);
    assert!(planned.contains("left: two is in no play any more"), "{planned}");
    let limited = lab.ok(&["apply", "--prune", "-l", "one", lab.inv(), &fewer]);
    assert!(!limited.contains("two"), "{limited}");
    let pruned = lab.ok(&["apply", "--prune", lab.inv(), &fewer]);
    assert!(pruned.contains("two: file:/srv/y: taken back"), "{pruned}");
    assert_same(&tree, &lab.tree("two"), "two");
    let planned = lab.ok(&["plan", lab.inv(), &fewer]);
    assert!(!planned.contains("two"), "{planned}");
}

#[test]
fn what_is_right_behind_a_change_stays_and_what_users_and_units_were_given_goes_back() {
    let Some(lab) = Lab::up("tright", "testbed: TESTBED\nall:\n  hosts:\n    one: {}\n") else { return };
    let unit = "[Service]\\nExecStart=/bin/sleep 1000\\n[Install]\\nWantedBy=multi-user.target\\n";
    let make =
        format!("printf '{unit}' >/etc/systemd/system/foo.service; systemctl daemon-reload; systemctl start foo");
    lab.on("one", &make);
    let tree = lab.tree("one");
    let text = "- hosts: all\n  tasks:\n    - copy: {dest: /srv/c, content: VALUE}\n    - copy: {dest: /srv/q, content: x}\n    \
                - {lineinfile: {path: /etc/hosts, regexp: ^192, line: 192.0.2.1 VALUE}}\n    - {user: {name: u1}}\n    \
                - systemd: {name: foo, state: stopped}\n    - copy: {dest: /home/lab/f, content: x}\n      become: true\n      \
                become_user: lab\n";
    lab.apply(&lab.file("play.yaml", &text.replace("VALUE", "first")));
    let second = lab.file("play.yaml", &text.replace("VALUE", "second"));
    let pruned = lab.ok(&["apply", "--prune", lab.inv(), &second]);
    assert!(!pruned.contains("taken back"), "{pruned}");
    assert_eq!(lab.apply(&second)["one"].changed, 0);
    assert_eq!(lab.on("one", "cat /srv/c /srv/q /home/lab/f; systemctl is-active foo || :"), "secondxxinactive\n");
    let (fewer, _) = text.split_once("    - copy: {dest: /home/lab/f").unwrap();
    let fewer = lab.file("fewer.yaml", &fewer.replace("VALUE", "second"));
    let planned = lab.ok(&["plan", lab.inv(), &fewer]);
    assert!(planned.contains("file:/home/lab/f"), "{planned}");
    // Who cannot become root does not say that all is back, and takes back what is theirs.
    lab.on("one", "mv /etc/sudoers.d /etc/sudoers.x");
    let out = lab.run(&["destroy", "--yes", lab.inv(), "-u", "lab", "-b"]);
    assert_eq!(out.status.code(), Some(4), "{out:?}");
    lab.on("one", "mv /etc/sudoers.x /etc/sudoers.d; test ! -e /home/lab/f && test -e /srv/q");
    let back = lab.ok(&["destroy", "--yes", lab.inv()]);
    assert!(back.contains("file:/srv/q: taken back"), "{back}");
    assert_same(&tree, &lab.tree("one"), "one");
    assert_eq!(
        lab.on("one", "systemctl is-active foo; ls -A /home/lab/.local 2>&1 | head -1"),
        "active\nls: cannot access '/home/lab/.local': No such file or directory\n"
    );
}

#[test]
fn a_handler_that_a_killed_run_owes_runs_with_the_next() {
    let Some(lab) = Lab::up("towed", TWO) else { return };
    let tree = lab.tree("one");
    let play = lab.file("play.yaml", &HANDLED.replace("VERSION", "1").replace("WAIT", "sleep 600"));
    let mut child = begin(&lab, &["apply", lab.inv(), &play]);
    while lab.on("one", "pgrep -x sleep || :").trim().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "the run has ended");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let status = lab.ok(&["status", lab.inv()]);
    assert!(status.contains("the handler «read it anew» has still to run"), "{status}");

    let play = lab.file("play.yaml", &HANDLED.replace("VERSION", "1").replace("WAIT", "true"));
    // What runs on the host is not waited for: the lock of a dead owner is taken over once its shell is gone.
    lab.on("one", "pkill -x sleep; while pgrep -f '[t]bctl-towed' >/dev/null; do sleep 0.1; done");
    lab.apply(&play);
    assert_eq!(lab.on("one", "cat /srv/read").trim(), "v 1");
    assert_eq!(lab.apply(&play)["one"].changed, 0);
    assert!(!lab.ok(&["status", lab.inv()]).contains("has still to run"));
    lab.ok(&["destroy", "--yes", lab.inv()]);
    assert_same(&tree, &lab.tree("one"), "one");
}

#[test]
fn two_runs_do_not_meet_and_a_lock_can_be_seen_and_removed() {
    let Some(lab) = Lab::up("tlock", TWO) else { return };
    let play = lab.file(
        "play.yaml",
        "- hosts: all\n  tasks:\n    - copy: {content: x, dest: /srv/x}\n    - command: sleep 600\n",
    );
    let mut first = begin(&lab, &["apply", lab.inv(), &play]);
    while lab.on("two", "pgrep -x sleep || :").trim().is_empty() {
        assert!(first.try_wait().unwrap().is_none(), "the run has ended");
    }
    let other = lab.file("other.yaml", "- hosts: all\n  tasks:\n    - copy: {content: y, dest: /srv/y}\n");
    let refused = lab.run(&["apply", lab.inv(), &other]);
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("another run holds the lock of the testbed `tlock`"), "{said}");
    assert!(!flat.contains("an unknown owner") && flat.contains("@"), "{said}");
    assert!(lab.ok(&["status", lab.inv()]).contains("held by"), "the lock is seen");
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(lab.ok(&["unlock", "--yes", lab.inv()]).contains("2 locks removed"));
    assert_eq!(lab.apply(&other)["one"].changed, 1);
    lab.on("one", "pkill -x sleep");
    lab.on("two", "pkill -x sleep");
    lab.ok(&["destroy", "--yes", lab.inv()]);
}

#[test]
fn a_journal_that_was_tampered_with_is_refused() {
    let Some(lab) = Lab::up("tdamage", "testbed: TESTBED\nall:\n  hosts:\n    one: {}\n") else { return };
    let play =
        "- hosts: all\n  tasks:\n    - copy: {content: new, dest: /etc/motd}\n    - copy: {content: x, dest: /srv/x}\n";
    let play = lab.file("play.yaml", play);
    for (damage, sentence) in [
        ("rm -rf k", "which is gone"),
        (": >journal", "the journal is gone, but what it spoke of is still kept"),
        ("rm journal", "the journal is gone, but what it spoke of is still kept"),
        ("sed -i '$d' journal", "the journal was cut short: entry 2 is kept"),
        ("truncate -s 100 journal", "the journal was cut short: entry 2 is kept"),
        ("sed -i s/motd/mOtd/ journal", "line 2 of the journal does not fit its digest"),
        ("sed -i '1s/.*/x/' journal", "line 1 of the journal"),
    ] {
        lab.on("one", "rm -rf /var/lib/tbctl; echo old >/etc/motd; rm -f /srv/x");
        lab.apply(&play);
        lab.on("one", &format!("cd /var/lib/tbctl/tdamage && {damage}"));
        let out = lab.run(&["destroy", "--yes", lab.inv()]);
        let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!out.status.success() && text.contains(sentence), "{damage}: {text}");
        assert_eq!(lab.on("one", "cat /etc/motd").trim(), "new", "{damage}: nothing was done");
    }
}
