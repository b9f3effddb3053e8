//! Real hosts (systemd, sshd, apt, WireGuard) booted on this machine: apply, apply again, destroy, and the hosts as before.
//!
//! Needs root and Linux; `TBCTL_NO_LAB=1` leaves these tests out on purpose.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lab;

use lab::Lab;
use lab::assert_same;

const MESH: &str = "testbed: TESTBED\nall:\n  children:\n    wireguard:\n      hosts:\n        \
    n1: {region: karlskrona, wireguard_address: 10.0.1.1}\n        \
    n2: {region: karlskrona, wireguard_address: 10.0.1.2}\n        \
    n3: {region: stockholm, wireguard_address: 10.0.1.3}\n        \
    n4: {region: frankfurt, wireguard_address: 10.0.1.4}\n";

fn playbook(name: &str) -> String {
    format!("{}/playbooks/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_wireguard_mesh_comes_up_grows_and_goes_without_a_trace() {
    let Some(lab) = Lab::up("tmesh", MESH) else { return };
    let hosts = ["n1", "n2", "n3", "n4"];
    let trees: Vec<_> = hosts.iter().map(|host| lab.tree(host)).collect();
    let lives: Vec<_> = hosts.iter().map(|host| lab.live(host)).collect();
    let mesh = playbook("wireguard.yaml");

    let plan = lab.ok(&["plan", lab.inv(), &mesh]);
    assert!(plan.contains("wireguard : configuration") && plan.contains("add the rule INPUT"), "{plan}");
    assert_same(&trees[0], &lab.tree("n1"), "n1 after a plan");

    let first = lab.apply(&mesh);
    assert!(hosts.iter().all(|host| first[*host].changed >= 5 && first[*host].failed == 0), "{first:?}");
    for host in hosts {
        let dump = lab.on(host, "wg show wg0 dump");
        let peers: Vec<&str> = dump.lines().skip(1).collect();
        assert_eq!(peers.len(), 3, "{host}");
        for peer in peers {
            let handshake: u64 = peer.split('\t').nth(4).unwrap().parse().unwrap();
            assert!(handshake > 0, "{host} has no handshake with {peer}");
        }
        let mode = lab.on(host, "stat -c '%a %U' /etc/wireguard/wg0.conf");
        assert_eq!(mode.trim(), "600 root");
    }
    let second = lab.apply(&mesh);
    assert!(hosts.iter().all(|host| second[*host].changed == 0), "{second:?}");

    // A fifth host: the others learn one peer and keep their sessions.
    let handshakes = |host: &str| lab.on(host, "wg show wg0 latest-handshakes | sort");
    let before: Vec<String> = hosts.iter().map(|host| handshakes(host)).collect();
    let grown = std::fs::read_to_string(&lab.inventory).unwrap()
        + "        n5: {region: frankfurt, wireguard_address: 10.0.1.5}\n";
    std::fs::write(&lab.inventory, grown).unwrap();
    lab.ok(&["lab", "up", lab.inv()]);
    let tree5 = lab.tree("n5");
    let third = lab.apply(&mesh);
    for (host, old) in hosts.iter().zip(&before) {
        assert_eq!(third[*host].changed, 2, "{host}: the configuration and its handler: {third:?}");
        let now = handshakes(host);
        for line in old.lines() {
            let (key, time) = line.split_once('\t').unwrap();
            let new = now.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok()).unwrap();
            assert!(new >= time.parse().unwrap(), "{host} dropped its session with {key}");
        }
    }

    secrets_are_nowhere(&lab, &hosts);
    lab.ok(&["destroy", "--yes", lab.inv()]);
    for ((host, tree), live) in hosts.iter().zip(&trees).zip(&lives) {
        assert_same(tree, &lab.tree(host), host);
        assert_eq!(*live, lab.live(host), "{host}");
    }
    assert_same(&tree5, &lab.tree("n5"), "n5");
}

/// Private keys stand in the configuration and in the key store, and nowhere else.
fn secrets_are_nowhere(lab: &Lab, hosts: &[&str]) {
    for host in hosts {
        let key = lab.on(host, "sed -n 's/^PrivateKey = //p' /etc/wireguard/wg0.conf");
        let key = key.trim();
        assert_eq!(key.len(), 44);
        let found = lab.on(
            host,
            &format!(
                "set -- '{}' '{}'; grep -rlF \"$1$2\" /etc /var /root /home /tmp /run 2>/dev/null; journalctl --no-pager | grep -cF \"$1$2\"; \
                 all=$(cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'); \
                 case $all in *\"$1$2\"*) echo shown ;; *) echo hidden ;; esac",
                &key[..20],
                &key[20..]
            ),
        );
        assert_eq!(found.trim(), "/etc/wireguard/wg0.conf\n0\nhidden", "{host}");
    }
    let runs = [lab.run(&["apply", "-v", "--diff", lab.inv(), &playbook("wireguard.yaml")])];
    let key = lab.on(hosts[0], "sed -n 's/^PrivateKey = //p' /etc/wireguard/wg0.conf");
    for out in runs {
        let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(!text.contains(key.trim()), "a private key was shown");
    }
}

#[test]
fn the_example_of_every_kind_is_applied_is_then_right_and_is_taken_back() {
    let inventory = "testbed: TESTBED\nall:\n  hosts:\n    k1: {}\n";
    let Some(lab) = Lab::up("tkinds", inventory) else { return };
    // What examples take for granted: a server to fetch from, a client to fetch with, a file here.
    let before = lab.tree("k1");
    let live = lab.live("k1");
    let gateway = lab.on("k1", "ip route | sed -n 's/^default via \\([0-9.]*\\) .*/\\1/p'");
    let port = serve(b"#!/bin/sh\necho tool\n");
    let mut text = String::from("- hosts: all\n  tasks:\n    - apt: {name: curl, install_recommends: no}\n");
    for kind in tbctl::modules::KINDS {
        if ["fail", "meta"].contains(&kind.name) {
            continue;
        }
        text += &format!("    - name: {}\n", kind.name);
        let example = match kind.name {
            // `template` has the other one's example file for itself.
            "copy" => kind.example.replace("/etc/motd", "/etc/motd.copied"),
            "get_url" | "http_benchmark" => {
                kind.example.replace("10.0.0.1:8000", &format!("{}:{port}", gateway.trim()))
            }
            _ => kind.example.to_string(),
        };
        for line in example.trim_start_matches("- ").lines() {
            text += &format!("      {line}\n");
        }
        // A command has no way back but what its task says.
        text += match kind.name {
            "command" => "      undo: rm -f /root/marker\n",
            "shell" => "      undo: rm -f /root/links\n",
            "raw" => "      changed_when: false\n",
            _ => "",
        };
    }
    lab.file("templates/motd.j2", "hello {{ inventory_hostname }}\n");
    lab.file("vars/Debian.yaml", "greeting: hello\n");
    let play = lab.file("play.yaml", &text);
    let first = lab.apply(&play);
    assert!(first["k1"].changed >= 15, "{first:?}");
    assert_eq!(lab.on("k1", "/usr/local/bin/tool"), "tool\n");
    let second = lab.apply(&play);
    assert_eq!(second["k1"].changed, 0, "{}", lab.ok(&["apply", "-v", lab.inv(), &play]));
    lab.ok(&["destroy", "--yes", lab.inv()]);
    assert_same(&before, &lab.tree("k1"), "k1");
    assert_eq!(live, lab.live("k1"));
}

#[test]
fn a_connection_of_its_own_sees_what_came_since_the_login() {
    let Some(lab) = Lab::up("tanew", "testbed: TESTBED\nall:\n  hosts:\n    h1: {}\n") else { return };
    let tree = lab.tree("h1");
    let text = "- hosts: all\n  gather_facts: false\n  tasks:\n    - group: {name: testers}\n    \
                - user: {name: root, groups: [testers], append: true}\n    - command: id -nG\n      register: before\n    \
                - meta: reset_connection\n    - command: id -nG\n      register: after\n    \
                - assert:\n        that: [before.stdout == 'root', after.stdout == 'root testers']\n";
    let play = lab.file("anew.yaml", text);
    assert_eq!(lab.apply(&play)["h1"].failed, 0);
    lab.ok(&["destroy", "--yes", lab.inv()]);
    assert_same(&tree, &lab.tree("h1"), "h1");
}

/// What a chain changes that begins with a command is added to the journal that is there.
#[test]
fn a_later_run_that_begins_with_a_command_goes_on_with_the_journal() {
    let Some(lab) = Lab::up("tgoeson", "testbed: TESTBED\nall: {hosts: {k1: {}}}\n") else { return };
    let before = lab.tree("k1");
    let head = "- hosts: all\n  gather_facts: false\n  tasks:\n";
    let first = lab.file("first.yaml", &format!("{head}    - copy: {{dest: /root/a, content: a}}\n"));
    let then = "    - command: 'true'\n    - copy: {dest: /root/b, content: b}\n";
    let second = lab.file("second.yaml", &format!("{head}{then}"));
    assert_eq!(lab.apply(&first)["k1"].changed, 1);
    assert_eq!(lab.apply(&second)["k1"].changed, 2);
    lab.ok(&["destroy", "--yes", lab.inv()]);
    assert_same(&before, &lab.tree("k1"), "k1");
}

/// A server that gives everybody the same file; its port.
fn serve(content: &'static [u8]) -> u16 {
    use std::io::Read as _;
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len());
            let _ = stream.write_all(&[head.as_bytes(), content].concat());
        }
    });
    port
}
