//! A lab for one test: booted, asked, compared and taken down. It knows nothing of what a test proves.
#![allow(dead_code, unreachable_pub, reason = "each test uses its own part")]

pub mod starts;

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

/// Paths whose content is a log, a cache or the system's own housekeeping. Everything else must come back exactly.
pub const HOUSEKEEPING: &[&str] = &[
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
pub struct Lab {
    pub inventory: PathBuf,
    pub home: tempfile::TempDir,
}

impl Lab {
    /// `None` when labs are left out on purpose.
    pub fn up(name: &str, inventory: &str) -> Option<Lab> {
        let home = wanted()?;
        let path = home.path().join("hosts.yaml");
        std::fs::write(&path, inventory.replace("TESTBED", name)).unwrap();
        Some(Lab { inventory: path, home }.booted())
    }

    /// The hosts of an inventory that is there; its file's name is the testbed's.
    pub fn of(inventory: PathBuf) -> Option<Lab> {
        Some(Lab { inventory, home: wanted()? }.booted())
    }

    fn booted(self) -> Lab {
        self.ok(&["lab", "up", self.inv()]);
        self
    }

    pub fn inv(&self) -> &str {
        self.inventory.to_str().unwrap()
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tbctl"));
        // Nothing of the user's is read or touched, but the cached Debian tree is shared.
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cache"));
        command.env("XDG_CACHE_HOME", cache).env("HOME", self.home.path()).env_remove("SSH_AUTH_SOCK");
        command.env("TBCTL_RESULTS", self.results()).args(args);
        command
    }

    /// Where measurements are kept.
    pub fn results(&self) -> PathBuf {
        self.home.path().join("results")
    }

    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "tbctl {args:?}: {}\n{stdout}\n{stderr}", out.status);
        format!("{stdout}{stderr}")
    }

    #[track_caller]
    pub fn on(&self, host: &str, script: &str) -> String {
        self.ok(&["lab", "exec", self.inv(), host, "--", "sh", "-c", script])
    }

    /// Applies and gives the counts of each host from the events.
    #[track_caller]
    pub fn apply(&self, playbook: &str) -> BTreeMap<String, Counts> {
        self.apply_with(playbook, &[])
    }

    #[track_caller]
    pub fn apply_with(&self, playbook: &str, more: &[&str]) -> BTreeMap<String, Counts> {
        let args: Vec<&str> =
            ["apply", "--json", self.inv(), playbook].into_iter().chain(more.iter().copied()).collect();
        counts(&self.ok(&args))
    }

    /// Every path of a host with type, mode, owner, link target and digest.
    pub fn tree(&self, host: &str) -> BTreeMap<String, String> {
        let list = self.on(
            host,
            r"find / -xdev -printf '%p\t%y %m %u:%g %l\n' | sort; echo ---; find / -xdev -type f -print0 | xargs -0 sha256sum",
        );
        let (paths, digests) = list.split_once("---\n").unwrap();
        let mut tree: BTreeMap<String, String> = paths
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(path, rest)| (path.into(), rest.into()))
            .collect();
        for line in digests.lines() {
            if let Some((digest, path)) = line.split_once("  ") {
                tree.entry(path.to_string()).or_default().push_str(&format!(" {digest}"));
            }
        }
        // Private directories of services have other names after each boot.
        let private = |path: &str| path.contains("/systemd-private-");
        tree.retain(|path, _| !private(path) && !HOUSEKEEPING.iter().any(|known| path.starts_with(known)));
        tree
    }

    /// What is not in files: rules, units, packages, accounts, addresses, sysctls.
    pub fn live(&self, host: &str) -> String {
        self.on(
            host,
            "iptables-save 2>/dev/null | grep -v -e '^[#:*]' -e COMMIT; systemctl list-unit-files --no-legend --no-pager; \
             systemctl list-units --all --no-legend --no-pager --plain --type=service | grep -v -e '@' -e systemd- -e apt- -e dpkg- \
             -e e2scrub -e man-db | awk '{print $1, $3, $4}'; dpkg-query -W; ip -o link | sed 's/@.*//; s/^[0-9]*: //'; \
             ip -o -4 addr | awk '{print $2, $4}'; ip route; sysctl -n net.ipv4.ip_forward net.core.somaxconn",
        )
    }
}

/// A home for the operator, unless there are to be no labs.
fn wanted() -> Option<tempfile::TempDir> {
    std::env::var_os("TBCTL_NO_LAB").is_none().then(|| tempfile::tempdir().unwrap())
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
pub struct Counts {
    pub changed: u64,
    pub failed: u64,
    pub trips: u64,
}

/// Folds the JSON events of a run.
pub fn counts(events: &str) -> BTreeMap<String, Counts> {
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
pub fn assert_same(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>, host: &str) {
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
