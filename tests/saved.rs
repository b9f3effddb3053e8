//! Plans that are kept, on real hosts: no secret in them, drift by hand is named and nothing done, else exactly the plan.
//!
//! Needs root and Linux; `TBCTL_NO_LAB=1` leaves these tests out on purpose.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lab;

use base64::Engine as _;

use lab::Lab;
use lab::assert_same;
use lab::counts;

const INVENTORY: &str = "testbed: TESTBED\nall:\n  vars: {token: lagerfeuer-9}\n  hosts:\n    s1: {}\n    s2: {}\n";

/// Lines that move each other, a file with secrets in it, a key, a handler, a value that only apply knows.
const PLAY: &str = "\
- hosts: all
  gather_facts: false
  tasks:
    - name: directory
      file: {path: /etc/app, state: directory, mode: '0750'}
    - name: settings
      template: {src: app.conf.j2, dest: /etc/app/app.conf, mode: '0600'}
      notify: reload
    - name: lines
      lineinfile: {path: /etc/hosts, line: '10.9.9.{{ item }} n{{ item }}'}
      loop: [1, 2, 3]
    - name: accounts
      copy: {dest: '/etc/app/{{ item.name }}', content: '{{ item.password }}', mode: '0600'}
      loop: [{name: anna, password: regenbogen-7}]
    - name: plain items
      copy: {dest: /etc/app/plain, content: '{{ item }}', mode: '0600'}
      loop: [kaminfeuer-3]
    - name: hidden
      copy: {dest: '/etc/app/{{ token }}', content: x}
      no_log: true
    - name: key
      wireguard_key: {path: /etc/app/key}
    - name: who
      command: hostname
      register: who
      changed_when: false
    - name: of the host
      copy: {dest: /etc/app/name, content: '{{ who.stdout }}'}
  handlers:
    - name: reload
      command: touch /root/reloaded
      args: {creates: /root/reloaded}
      undo: rm -f /root/reloaded
";

const SECRETS: [&str; 4] = ["kaminfeuer-3", "lagerfeuer-9", "regenbogen-7", "mondschein-5"];

#[test]
fn a_plan_is_applied_as_it_was_made_or_not_at_all() {
    let Some(lab) = Lab::up("tsav", INVENTORY) else { return };
    let hosts = ["s1", "s2"];
    let before: Vec<_> = hosts.iter().map(|host| lab.tree(host)).collect();
    let unchanged = |at: &str| assert_same(&before[0], &lab.tree("s1"), at);
    let template = lab.file("templates/app.conf.j2", "token={{ token }} {{ word }}\n");
    let play = lab.file("play.yaml", PLAY);
    let kept = lab.home.path().join("friday.plan");
    let file = kept.to_str().unwrap();
    let word = ["-e", "word=mondschein-5"];
    let plan = ["plan", lab.inv(), &play, word[0], word[1], "-o", file];
    let apply = ["apply", "--json", file, word[0], word[1]];
    lab.ok(&plan);
    no_secret_in(&std::fs::read_to_string(&kept).unwrap());
    unchanged("after the plan");

    // Drift on one host: named, and no host is changed.
    lab.on("s2", "mkdir /etc/app");
    let said = refused(&lab, &apply);
    assert!(said.contains("drifted: s2 directory (") && said.contains("/etc/app was not there when"), "{said}");
    assert!(!said.contains("s1"), "{said}");
    unchanged("after a plan that did not hold");
    lab.on("s2", "rmdir /etc/app");

    // Nobody knows how it is on a host that does not answer.
    lab.on("s2", "systemctl stop ssh.socket ssh.service; ! pgrep -x sshd");
    let out = lab.run(&apply);
    let said = String::from_utf8_lossy(&out.stderr).replace('\n', " ");
    assert_eq!(out.status.code(), Some(4), "{said}");
    assert!(said.contains("not reached: s2: ") && said.contains("nothing was changed"), "{said}");
    unchanged("after a host did not answer");
    lab.on("s2", "systemctl start ssh.service");

    // Drift here.
    let old = std::fs::read_to_string(&template).unwrap();
    std::fs::write(&template, "other\n").unwrap();
    assert!(refused(&lab, &apply).contains("app.conf.j2 is another than when the plan was made"));
    std::fs::write(&template, old).unwrap();

    let first = counts(&lab.ok(&apply));
    assert!(hosts.iter().all(|host| first[*host].failed == 0 && first[*host].changed == 9), "{first:?}");
    for host in hosts {
        assert_eq!(lab.on(host, "tail -n 3 /etc/hosts"), "10.9.9.1 n1\n10.9.9.2 n2\n10.9.9.3 n3\n");
        assert_eq!(lab.on(host, "cat /etc/app/name").trim(), host);
    }
    // Once only: what it said is done.
    assert!(refused(&lab, &apply).contains("it would change something when the plan was made, and now it is right"));

    lab.ok(&plan);
    lab.on("s1", "echo more >>/etc/app/app.conf; chmod 0644 /etc/app/anna");
    let said = refused(&lab, &apply);
    assert!(
        said.contains("drifted: s1 settings") && said.contains("the content of /etc/app/app.conf is another"),
        "{said}"
    );
    assert!(
        said.contains("drifted: s1 accounts [{") && said.contains("the mode of /etc/app/anna is another"),
        "{said}"
    );
    lab.on("s1", "sed -i '$d' /etc/app/app.conf; chmod 0600 /etc/app/anna");
    let again = counts(&lab.ok(&apply));
    assert!(hosts.iter().all(|host| again[*host].changed == 0), "{again:?}");

    lab.ok(&["destroy", "--yes", lab.inv()]);
    for (host, tree) in hosts.iter().zip(&before) {
        assert_same(tree, &lab.tree(host), host);
    }
}

/// Packages, facts, keys and units: what the plan could not know is done, and nothing is refused.
#[test]
fn a_mesh_is_built_by_its_plan() {
    let hosts = "    w1: {region: a, wireguard_address: 10.0.1.1}\n    w2: {region: b, wireguard_address: 10.0.1.2}\n";
    let inventory = format!("testbed: TESTBED\nall: {{children: {{wireguard: {{}}}}}}\nwireguard:\n  hosts:\n{hosts}");
    let Some(lab) = Lab::up("tsavmesh", &inventory) else { return };
    let mesh = format!("{}/playbooks/wireguard.yaml", env!("CARGO_MANIFEST_DIR"));
    let kept = lab.home.path().join("mesh.plan");
    let file = kept.to_str().unwrap();
    for expected in [12, 0] {
        lab.ok(&["plan", lab.inv(), &mesh, "-o", file]);
        let found = counts(&lab.ok(&["apply", "--json", file]));
        assert_eq!(found.values().map(|one| one.changed).sum::<u64>(), expected, "{found:?}");
    }
    let key = lab.on("w1", "sed -n 's/^PrivateKey = //p' /etc/wireguard/wg0.conf");
    lab.ok(&["plan", lab.inv(), &mesh, "-o", file]);
    assert!(key.len() > 40 && !std::fs::read_to_string(&kept).unwrap().contains(key.trim()));
    lab.ok(&["destroy", "--yes", lab.inv()]);
}

#[test]
fn what_turns_up_during_an_apply_is_not_done() {
    let Some(lab) = Lab::up("tsavlate", "testbed: TESTBED\nall: {hosts: {s1: {}}}\n") else { return };
    let head = "- hosts: all\n  gather_facts: false\n  tasks:\n";
    let copy = "    - name: note\n      copy: {dest: /root/note, content: a}\n";
    let first = lab.file("first.yaml", &format!("{head}{copy}"));
    let take = "    - name: take\n      command: rm -f /root/note\n      undo: 'true'\n";
    let second = lab.file("second.yaml", &format!("{head}{take}{copy}"));
    lab.apply(&first);
    let kept = lab.home.path().join("p");
    let file = kept.to_str().unwrap();
    lab.ok(&["plan", lab.inv(), &second, "-o", file]);
    let out = lab.run(&["apply", file]);
    let said = String::from_utf8_lossy(&out.stdout).replace('\n', " ");
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("the plan does not say this, so nothing of it was done: create"), "{said}");
    assert_eq!(lab.on("s1", "ls /root"), "", "what was not in the plan was done");
    lab.ok(&["destroy", "--yes", lab.inv()]);
}

/// An apply that ends with 1 and what it says, on one line.
#[track_caller]
fn refused(lab: &Lab, apply: &[&str]) -> String {
    let out = lab.run(apply);
    let said = String::from_utf8_lossy(&out.stderr).replace('\n', " ");
    assert_eq!((out.status.code(), out.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    said
}

#[track_caller]
fn no_secret_in(kept: &str) {
    use std::fmt::Write as _;
    for secret in SECRETS {
        let hex = secret.bytes().fold(String::new(), |mut all, byte| {
            let _ = write!(all, "{byte:02x}");
            all
        });
        let digest = <sha2::Sha256 as sha2::Digest>::digest(secret);
        let plain: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
        for form in [secret, &hex, &base64, &plain[..32]] {
            assert!(!kept.contains(form), "{form} is in the plan");
        }
    }
    assert!(kept.contains("the mode of") || kept.contains("/etc/app"), "{kept}");
}
