//! Real hosts (systemd, sshd, apt, WireGuard) booted on this machine: apply, apply again, destroy, and the hosts as before.
//!
//! Needs root and Linux; `TBCTL_NO_LAB=1` leaves these tests out on purpose.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

/// Paths whose content is a log, a cache or the system's own housekeeping. Everything else must come back exactly.
const HOUSEKEEPING: &[&str] = &[
    "/var/log",
    "/var/cache",
    "/var/lib/apt/lists",
    "/var/lib/apt/extended_states",
    "/var/lib/apt/periodic",
    "/var/lib/dpkg/lock",
    "/var/lib/dpkg/triggers/Lock",
    // Old copies dpkg keeps of its own tables.
    "/var/lib/dpkg/status-old",
    "/var/lib/dpkg/diversions-old",
    "/var/lib/dpkg/statoverride-old",
    "/var/lib/dpkg/alternatives.old",
    "/var/lib/systemd",
    "/var/backups",
    // Rebuilt from what is installed.
    "/etc/ld.so.cache",
    // Copies the account tools keep of the state before.
    "/etc/passwd-",
    "/etc/shadow-",
    "/etc/group-",
    "/etc/gshadow-",
    "/etc/subuid-",
    "/etc/subgid-",
    "/etc/.pwd.lock",
    // What a login leaves.
    "/root/.ansible",
];

/// A lab of its own, taken down at the end whatever happens.
struct Lab {
    inventory: PathBuf,
    home: tempfile::TempDir,
}

impl Lab {
    /// `None` when labs are left out on purpose.
    fn up(name: &str, inventory: &str) -> Option<Lab> {
        if std::env::var_os("TBCTL_NO_LAB").is_some() {
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("hosts.yaml");
        std::fs::write(&path, inventory.replace("TESTBED", name)).unwrap();
        let lab = Lab { inventory: path, home };
        lab.ok(&["lab", "up", lab.inv()]);
        Some(lab)
    }

    fn inv(&self) -> &str {
        self.inventory.to_str().unwrap()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tbctl"));
        // Nothing of the user's is read or touched, but the cached Debian tree is shared.
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cache"));
        command.env("XDG_CACHE_HOME", cache).env("HOME", self.home.path()).env_remove("SSH_AUTH_SOCK");
        command.args(args).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "tbctl {args:?}: {}\n{stdout}\n{stderr}", out.status);
        format!("{stdout}{stderr}")
    }

    #[track_caller]
    fn on(&self, host: &str, script: &str) -> String {
        self.ok(&["lab", "exec", self.inv(), host, "--", "sh", "-c", script])
    }

    /// Applies and gives the counts of each host from the events.
    #[track_caller]
    fn apply(&self, playbook: &str) -> BTreeMap<String, Counts> {
        self.apply_with(playbook, &[])
    }

    #[track_caller]
    fn apply_with(&self, playbook: &str, more: &[&str]) -> BTreeMap<String, Counts> {
        let args: Vec<&str> = ["apply", "--json", self.inv(), playbook].into_iter().chain(more.iter().copied()).collect();
        counts(&self.ok(&args))
    }

    /// Every path of a host with type, mode, owner, link target and digest.
    fn tree(&self, host: &str) -> BTreeMap<String, String> {
        let list = self.on(
            host,
            r"find / -xdev -printf '%p\t%y %m %u:%g %l\n' | sort; echo ---; find / -xdev -type f -print0 | xargs -0 sha256sum",
        );
        let (paths, digests) = list.split_once("---\n").unwrap();
        let mut tree: BTreeMap<String, String> =
            paths.lines().filter_map(|line| line.split_once('\t')).map(|(path, rest)| (path.into(), rest.into())).collect();
        for line in digests.lines() {
            if let Some((digest, path)) = line.split_once("  ") {
                tree.entry(path.to_string()).or_default().push_str(&format!(" {digest}"));
            }
        }
        tree.retain(|path, _| !HOUSEKEEPING.iter().any(|known| path.starts_with(known)));
        tree
    }

    /// What is not in files: rules, units, packages, accounts, addresses, sysctls.
    fn live(&self, host: &str) -> String {
        self.on(
            host,
            "iptables-save 2>/dev/null | grep -v '^[#:]'; systemctl list-unit-files --no-legend --no-pager; \
             systemctl list-units --all --no-legend --no-pager --plain --type=service | grep -v -e '@' -e systemd- -e apt- -e dpkg- \
             -e e2scrub -e man-db | awk '{print $1, $3, $4}'; dpkg-query -W; ip -o link | sed 's/@.*//; s/^[0-9]*: //'; \
             ip -o -4 addr | awk '{print $2, $4}'; ip route; sysctl -n net.ipv4.ip_forward net.core.somaxconn",
        )
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let out = self.run(&["lab", "down", self.inv()]);
        if !out.status.success() && !std::thread::panicking() {
            panic!("lab down: {}", String::from_utf8_lossy(&out.stderr));
        }
    }
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Counts {
    changed: u64,
    failed: u64,
    trips: u64,
}

/// Folds the JSON events of a run.
fn counts(events: &str) -> BTreeMap<String, Counts> {
    let mut found: BTreeMap<String, Counts> = BTreeMap::new();
    for line in events.lines() {
        let Ok(event) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        match event["event"].as_str() {
            Some("node_ended") => {
                let host = found.entry(event["place"]["host"].as_str().unwrap().into()).or_default();
                match event["ended"]["outcome"]["is"].as_str() {
                    Some("changed") => host.changed += 1,
                    Some("failed") => host.failed += 1,
                    _ => {}
                }
            }
            Some("run_ended") => {
                for (name, trips) in event["trips"].as_object().unwrap() {
                    found.entry(name.clone()).or_default().trips = trips.as_u64().unwrap();
                }
            }
            _ => {}
        }
    }
    found
}

#[track_caller]
fn assert_same(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>, host: &str) {
    let mut differences = Vec::new();
    for path in before.keys().chain(after.keys()) {
        let (was, is) = (before.get(path), after.get(path));
        let line = format!("{path}: {} -> {}", was.map_or("absent", |text| text), is.map_or("absent", |text| text));
        if was != is && !differences.contains(&line) {
            differences.push(line);
        }
    }
    assert!(differences.is_empty(), "{host} is not as before:\n{}", differences.join("\n"));
}

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
    assert!(plan.contains("wg0.conf"), "{plan}");
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
                 cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -cF \"$1$2\"; true",
                &key[..20],
                &key[20..]
            ),
        );
        assert_eq!(found.trim(), "/etc/wireguard/wg0.conf\n0\n0", "{host}");
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
    // What examples take for granted.
    let before = lab.tree("k1");
    let live = lab.live("k1");
    let mut text = String::from("- hosts: all\n  tasks:\n");
    for kind in tbctl::modules::KINDS {
        if ["fail", "meta", "script"].contains(&kind.name) {
            continue;
        }
        text += &format!("    - name: {}\n", kind.name);
        for line in kind.example.trim_start_matches("- ").lines() {
            text += &format!("      {line}\n");
        }
    }
    lab.file("files/motd", "hello\n");
    lab.file("templates/motd.j2", "hello {{ inventory_hostname }}\n");
    let play = lab.file("play.yaml", &text);
    let first = lab.apply(&play);
    assert!(first["k1"].changed > 10, "{first:?}");
    let second = lab.apply(&play);
    let acts = 0;
    assert!(second["k1"].changed <= acts + 3, "{second:?}\n{}", lab.ok(&["apply", lab.inv(), &play]));
    lab.ok(&["destroy", "--yes", lab.inv()]);
    assert_same(&before, &lab.tree("k1"), "k1");
    assert_eq!(live, lab.live("k1"));
}
