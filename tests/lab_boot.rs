//! Real hosts on this machine: they come up, can be reached, reach each other and the package archive, and leave nothing.
//!
//! Needs root on Linux. `TBCTL_NO_LAB=1` says that it is meant to be skipped.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what is wrong by stopping")]

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::PoisonError;

use tbctl::lab;
use tbctl::lab::Access;
use tbctl::lab::HostSpec;
use tbctl::lab::Spec;

/// Whether to go on: a test that needs a lab and cannot have one fails, unless it was said that there is none.
fn wanted() -> bool {
    if std::env::var("TBCTL_NO_LAB").is_ok_and(|value| value == "1") {
        return false;
    }
    let uid = output("id", &["-u"]);
    assert_eq!(uid.trim(), "0", "this test boots hosts and needs root; TBCTL_NO_LAB=1 skips it");
    true
}

/// Takes its lab down, however the test ends.
struct Guard(&'static str);

impl Drop for Guard {
    fn drop(&mut self) {
        let result = lab::down(self.0);
        if !std::thread::panicking() {
            result.unwrap();
        }
    }
}

fn spec(name: &str, hosts: &[(&str, &str, Option<Ipv4Addr>)]) -> Spec {
    let hosts = hosts.iter().map(|(name, region, address)| HostSpec {
        name: (*name).to_owned(),
        region: (*region).to_owned(),
        address: *address,
        ..HostSpec::new(name)
    });
    Spec { name: name.to_owned(), hosts: hosts.collect(), ..Spec::default() }
}

fn up(spec: &Spec) -> lab::Status {
    lab::up(spec, &mut |line| eprintln!("{line}")).unwrap()
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What the real client prints. Nothing of the user's is read or written, and nothing can be asked.
fn ssh(name: &str, host: &str, user: &str, command: &str) -> String {
    let all = lab::access(name).unwrap().expect("the lab is up");
    let (_, Access { address, port, key, known_hosts, .. }) = all.iter().find(|(other, _)| other == host).unwrap();
    let known_hosts = format!("UserKnownHostsFile={}", known_hosts.display());
    let (key, port, target) = (key.display().to_string(), port.to_string(), format!("{user}@{address}"));
    let options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "GlobalKnownHostsFile=/dev/null", &known_hosts];
    let mut args = vec!["-F", "none", "-i", &key, "-p", &port];
    args.extend(options.iter().flat_map(|option| ["-o", option]));
    args.extend([target.as_str(), command]);
    output("ssh", &args)
}

/// Everything a lab changes on the machine.
fn machine() -> Vec<BTreeSet<String>> {
    let lines = |text: String| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let names = |dir: &str| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().display().to_string()).collect::<BTreeSet<_>>()
    };
    let links: serde_json::Value = serde_json::from_str(&output("ip", &["-j", "link"])).unwrap();
    let links = links.as_array().unwrap().iter().map(|link| link["ifname"].as_str().unwrap().to_owned()).collect();
    let without_counters = |line: &str| line.split(" [").next().unwrap_or_default().to_owned();
    let rules = output("iptables-save", &[]);
    let rules = rules.lines().filter(|line| !line.starts_with('#')).map(without_counters).collect();
    let groups = output("find", &["/sys/fs/cgroup", "-maxdepth", "3", "-path", "*tbctl-lab*"]);
    vec![
        links,
        lines(fs::read_to_string("/proc/self/mounts").unwrap()),
        lines(output("ip", &["route"])),
        rules,
        lines(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap()),
        lines(groups),
        names("/run"),
        names("/run/tbctl-lab"),
    ]
}

/// None if other labs come and go meanwhile: then there is nothing to compare.
fn machine_without_others(name: &str) -> Option<Vec<BTreeSet<String>>> {
    let alone = || {
        let entries = fs::read_dir("/run/tbctl-lab").into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.all(|entry| entry.starts_with(name))
    };
    let machine = alone().then(machine);
    machine.filter(|_| alone())
}

/// One at a time: a test looks at the whole machine.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn hosts_boot_reach_each_other_and_leave_nothing() {
    if !wanted() {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let name = "lab-boot";
    lab::down(name).unwrap();
    let before = machine_without_others(name);
    let guard = Guard(name);
    let two = spec(name, &[("a", "east", None), ("b_2", "west", None)]);
    let status = up(&two);
    assert_eq!(status, lab::status(name).unwrap());
    let pids: Vec<u32> = status.hosts.iter().map(|host| host.pid.unwrap()).collect();

    check_systems(name);
    check_networks(name, &status);
    check_again(name, &two, &pids);
    check_ends(name);

    drop(guard);
    for pid in pids {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "the process {pid} is still there: {stat}");
    }
    assert_eq!(lab::access(name).unwrap(), None);
    assert!(lab::status(name).unwrap().hosts.is_empty());
    if let (Some(before), Some(after)) = (before, machine_without_others(name)) {
        assert_eq!(before, after);
    }
}

fn check_systems(name: &str) {
    let mut ids = BTreeSet::new();
    for (host, hostname) in [("a", "a"), ("b_2", "b-2")] {
        let state = "systemctl is-system-running --wait || systemctl --failed";
        assert_eq!(ssh(name, host, "root", state).trim(), "running");
        assert_eq!(ssh(name, host, "root", "hostname; cat /etc/hostname"), format!("{hostname}\n{hostname}\n"));
        assert_eq!(ssh(name, host, "root", "ps -p 1 -o comm="), "systemd\n");
        assert_eq!(ssh(name, host, "root", "ls /usr/bin | grep -c -i python || true"), "0\n");
        let devices = "cat /sys/class/net/eth0/mtu; test -c /dev/net/tun && echo tun";
        assert_eq!(ssh(name, host, "root", devices), "1500\ntun\n");
        assert_eq!(ssh(name, host, "lab", "sudo -n id -un"), "root\n");
        let asked = "sudo -n true 2>/dev/null || echo labpw | sudo -S -p '' id -un";
        assert_eq!(ssh(name, host, "labpw", asked), "root\n");
        let id = ssh(name, host, "root", "cat /etc/machine-id");
        assert_eq!(id.trim().len(), 32, "{id}");
        assert!(ids.insert(id), "two hosts share a machine id");
    }
    let swappiness = fs::read_to_string("/proc/sys/vm/swappiness").unwrap();
    let set = "sysctl -q -w net.ipv4.ip_forward=1 vm.swappiness=7 && sysctl -n net.ipv4.ip_forward vm.swappiness";
    assert_eq!(ssh(name, "a", "root", &format!("sysctl -n net.ipv4.ip_forward; {set}")), "0\n1\n7\n");
    let now = fs::read_to_string("/proc/sys/vm/swappiness").unwrap();
    assert_eq!(now, swappiness, "a host has set up this machine");
}

fn check_networks(name: &str, status: &lab::Status) {
    for (from, to) in [("a", 1), ("b_2", 0)] {
        let address = status.hosts[to].addresses[0];
        ssh(name, from, "root", &format!("ping -c 1 -W 5 {address}"));
    }
    let updated = ssh(name, "a", "root", "apt-get -q update && apt-cache policy nginx");
    assert!(updated.contains("Candidate: 1"), "{updated}");
}

/// The same spec changes nothing; a new host joins and the others do not notice.
fn check_again(name: &str, two: &Spec, pids: &[u32]) {
    let again = up(two);
    let mut three = two.clone();
    three.hosts.insert(0, HostSpec { region: "east".to_owned(), ..HostSpec::new("c") });
    let more = up(&three);
    for status in [&again, &more] {
        assert_eq!(status.hosts.iter().take(2).map(|host| host.pid.unwrap()).collect::<Vec<_>>(), pids);
    }
    assert_eq!(more.hosts[2].name, "c");
    let address = more.hosts[2].addresses[0];
    ssh(name, "a", "root", &format!("ping -c 1 -W 5 {address}"));
    let argv = ["sh", "-c", "test \"$(hostname)\" = c && exit 7"].map(str::to_owned);
    assert_eq!(lab::exec(name, "c", &argv).unwrap().code(), Some(7));
    let text = lab::exec(name, "d", &[]).unwrap_err().to_string();
    assert_eq!(text, "the lab `lab-boot` has no host `d`; it has a, b_2, c");
}

/// A host that reboots comes back with its files; one that was switched off is started by `up`.
fn check_ends(name: &str) {
    let pid = || lab::status(name).unwrap().hosts.iter().find(|host| host.name == "c").unwrap().pid;
    let id = ssh(name, "c", "root", "cat /etc/machine-id");
    let three = spec(name, &[("c", "east", None)]);
    for how in ["reboot", "poweroff"] {
        let before = pid();
        // Ends with the host.
        let argv = ["sh".to_owned(), "-c".to_owned(), format!("systemctl {how}; sleep infinity")];
        assert!(!lab::exec(name, "c", &argv).unwrap().success(), "{how}");
        up(&three);
        assert_ne!(pid(), before, "{how}");
        assert_eq!(ssh(name, "c", "root", "cat /etc/machine-id"), id, "{how}");
    }
}

#[test]
fn labs_side_by_side_and_after_a_crash() {
    if !wanted() {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let guards = (Guard("lab-one"), Guard("lab-two"));
    let wish = Ipv4Addr::new(172, 29, 7, 21);
    let one = spec("lab-one", &[("a", "lab", Some(wish)), ("b", "lab", None)]);
    let two = spec("lab-two", &[("a", "lab", None)]);
    std::thread::scope(|scope| {
        scope.spawn(|| up(&one));
        scope.spawn(|| up(&two));
    });
    let first = up(&one);
    assert_eq!(first.hosts[0].addresses, [wish]);
    assert_ne!(first.hosts[1].addresses, up(&two).hosts[0].addresses);
    ssh("lab-one", "b", "root", &format!("ping -c 1 -W 5 {wish}"));

    // As if `up` had stopped half-way and a host had died.
    output("kill", &["-KILL", &first.hosts[0].pid.unwrap().to_string()]);
    fs::remove_file("/run/tbctl-lab/lab-one/known_hosts").unwrap();
    drop(guards.0);
    assert!(!fs::exists("/run/tbctl-lab/lab-one").unwrap());
    // The other one has not noticed.
    assert_eq!(ssh("lab-two", "a", "root", "hostname"), "a\n");
    let taken = spec("lab-three", &[("a", "lab", Some(up(&two).hosts[0].addresses[0]))]);
    let text = lab::up(&taken, &mut |_| {}).unwrap_err().to_string();
    assert!(text.contains("which this machine reaches by tbl"), "{text}");
    drop(guards.1);
}
