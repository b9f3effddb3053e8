//! Links of a real lab: delays, rates, loss and order are as stated; a dead forwarder is a cut, not a short cut; nothing stays.
//!
//! Needs root on Linux. `TBCTL_NO_LAB=1` says that it is meant to be skipped.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what is wrong by stopping")]

mod lab;

use std::fs;
use std::io::Read as _;
use std::io::Write as _;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use lab::Lab;
use nix::sched::CloneFlags;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

fn hosts(links: &str) -> String {
    format!(
        "testbed: TESTBED\nall:\n  vars:\n    links: [{links}]\n  children:\n    x:\n      hosts:\n        \
         a1: {{region: a}}\n        a2: {{region: a, network: two}}\n        b1: {{region: b}}\n        c1: {{region: c}}\n"
    )
}

fn status(lab: &Lab) -> Value {
    let out = lab.run(&["lab", "status", lab.inv(), "--json"]);
    serde_json::from_slice(&out.stdout).unwrap()
}

fn host<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["hosts"].as_array().unwrap().iter().find(|host| host["name"] == name).unwrap()
}

fn address(lab: &Lab, name: &str) -> String {
    host(&status(lab), name)["addresses"][0].as_str().unwrap().to_owned()
}

/// Runs in a host's network, so that traffic is made by this test itself.
fn within<T: Send>(lab: &Lab, name: &str, run: impl FnOnce() -> T + Send) -> T {
    let pid = host(&status(lab), name)["pid"].as_u64().unwrap();
    let net = fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            nix::sched::setns(net, CloneFlags::CLONE_NEWNET).unwrap();
            run()
        });
        thread.join().unwrap()
    })
}

/// Round trips in milliseconds, sorted; those that got lost are missing.
fn pings(lab: &Lab, from: &str, to: &str, count: u32) -> Vec<f64> {
    let text = lab.on(from, &format!("ping -n -i 0.01 -c {count} -W 2 {} || true", address(lab, to)));
    let times = text.lines().filter_map(|line| line.split_once("time=")?.1.split(' ').next()?.parse().ok());
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times
}

/// The round trip of an undisturbed packet: a machine that is busy adds to it, and never takes away.
fn round_trip(lab: &Lab, from: &str, to: &str) -> f64 {
    *pings(lab, from, to, 100).first().expect("an answer")
}

#[track_caller]
fn check_round_trip(found: f64, base: f64, stated: f64) {
    let allowed = f64::max(0.2, stated * 0.05);
    assert!((found - base - stated).abs() <= allowed, "{found} ms; without the link {base} ms, stated {stated} ms");
}

/// Sends numbered datagrams of `size` bytes and gives the numbers and times as they came.
fn datagrams(lab: &Lab, from: &str, to: &str, count: u32, size: usize, burst: u32) -> Vec<(u32, Duration)> {
    let receiver = within(lab, to, || UdpSocket::bind("0.0.0.0:0").unwrap());
    let port = receiver.local_addr().unwrap().port();
    let target: SocketAddr = format!("{}:{port}", address(lab, to)).parse().unwrap();
    let sender = within(lab, from, || UdpSocket::bind("0.0.0.0:0").unwrap());
    receiver.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = vec![0; size - 28];
            for number in 0..count {
                bytes[..4].copy_from_slice(&number.to_be_bytes());
                sender.send_to(&bytes, target).unwrap();
                if number % burst == burst - 1 {
                    // A pace, so that no socket on the way overflows.
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let (begin, mut came, mut bytes) = (Instant::now(), Vec::new(), [0; 2048]);
        while receiver.recv(&mut bytes).is_ok() {
            came.push((u32::from_be_bytes(bytes[..4].try_into().unwrap()), begin.elapsed()));
        }
        came
    })
}

/// Bits a second of one TCP connection, counted where they arrive.
fn throughput(lab: &Lab, from: &str, to: &str) -> f64 {
    let listener = within(lab, to, || TcpListener::bind("0.0.0.0:0").unwrap());
    let target = format!("{}:{}", address(lab, to), listener.local_addr().unwrap().port());
    let mut sender = within(lab, from, || TcpStream::connect(target).unwrap());
    let (mut receiver, _) = listener.accept().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || while sender.write(&[7; 1 << 16]).is_ok_and(|length| length > 0) {});
        let (mut bytes, mut total, begin) = (vec![0; 1 << 20], 0, Instant::now());
        while begin.elapsed() < Duration::from_secs(2) {
            total += receiver.read(&mut bytes).unwrap();
        }
        let rate = total as f64 * 8.0 / begin.elapsed().as_secs_f64();
        receiver.shutdown(Shutdown::Both).unwrap();
        // What is still on the way is refused, and the sender ends.
        drop(receiver);
        rate
    })
}

/// The keeper of the forwarder and the forwarder.
fn forwarder(name: &str) -> (u32, Option<u32>) {
    let keeper = fs::read_to_string(format!("/run/tbctl-lab/{name}/links.pid")).unwrap().trim().parse().unwrap();
    let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap_or_default();
    let forwards =
        |pid: &&str| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("forward"));
    (keeper, children.split_whitespace().find(forwards).map(|pid| pid.parse().unwrap()))
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

#[track_caller]
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What of a slot is on the machine: links, rules and routes.
fn traces(slot: &str) -> Vec<String> {
    let mut found = Vec::new();
    let first: u32 = 0x1a7e_0000 + slot.parse::<u32>().unwrap() * 256;
    for args in [["-o", "link", "show"].as_slice(), &["rule", "show"], &["route", "show", "table", "all"]] {
        let out = Command::new("ip").args(args).output().unwrap();
        for line in String::from_utf8_lossy(&out.stdout).lines() {
            let table = line.split("lookup ").nth(1).or_else(|| line.split("table ").nth(1)).unwrap_or_default();
            let table = table.split(' ').next().unwrap_or_default().parse().unwrap_or(0);
            if line.contains(&format!("tbl{slot}-")) || (first..first + 256).contains(&table) {
                found.push(line.to_owned());
            }
        }
    }
    found
}

/// The kernel's rules for packets that claim to come from elsewhere, at their strictest, for the devices of this lab.
fn be_strict(slot: &str) {
    for entry in fs::read_dir("/proc/sys/net/ipv4/conf").unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&format!("tbl{slot}-")) {
            fs::write(entry.path().join("rp_filter"), "1").unwrap();
        }
    }
}

#[test]
fn links_are_as_stated() {
    let stated = "{between: [a, b], rtt: 10ms, source: nowhere}, {between: [b, c], rtt: 4ms, rate: 40mbit}, \
                  {between: [a, c], rtt: 20ms, jitter: 2ms, loss: 5}, {between: [a, a], rtt: 1ms}";
    let Some(lab) = Lab::up("tlink-stated", &hosts("")) else { return };
    let slot = address(&lab, "a1").split('.').nth(1).unwrap().to_owned();
    be_strict(&slot);
    let base = round_trip(&lab, "a1", "b1");
    lab.file("hosts.yaml", &hosts(stated).replace("TESTBED", "tlink-stated"));
    lab.ok(&["lab", "up", lab.inv()]);
    be_strict(&slot);

    for (from, to, stated) in [("a1", "b1", 10.0), ("b1", "a2", 10.0), ("c1", "b1", 4.0), ("a2", "a1", 1.0)] {
        check_round_trip(round_trip(&lab, from, to), base, stated);
    }
    // One router lies between, as without a link, and it answers to those whose packets are too large or too old.
    let target = address(&lab, "b1");
    let far = lab.on("a1", &format!("ping -c 1 -W 5 -t 2 {target}; ping -c 1 -W 5 -t 1 {target} || true"));
    assert!(far.contains("1 received") && far.contains("Time to live exceeded"), "{far}");
    let large = lab.on("a1", &format!("ping -c 1 -W 5 -M do -s 1472 {target}; ping -c 1 -W 5 -s 9000 {target}"));
    assert_eq!(large.matches("1 received").count(), 2, "{large}");

    let best = (0..3).map(|_| throughput(&lab, "a1", "b1")).fold(0.0, f64::max);
    assert!(best >= 300e6, "{} Mbit/s", best / 1e6);
    check_rate(&lab);
    check_jitter_and_loss(&lab, base);
    check_status(&lab);
}

/// Twice as much goes in as can come out.
fn check_rate(lab: &Lab) {
    let rate = |_| {
        let came = datagrams(lab, "b1", "c1", 8000, 1250, 8);
        let (first, last) = (came[0], came[came.len() - 1]);
        (came.len() - 1) as f64 * 1250.0 * 8.0 / (last.1 - first.1).as_secs_f64()
    };
    let rates: Vec<f64> = (0..3).map(rate).collect();
    assert!(rates.iter().any(|rate| (rate / 40e6 - 1.0).abs() < 0.05), "{rates:?}");
    let tcp = throughput(lab, "c1", "b1");
    assert!(tcp > 30e6 && tcp < 40e6, "{tcp}");
}

fn check_jitter_and_loss(lab: &Lab, base: f64) {
    let count = 6000;
    let came = datagrams(lab, "a1", "c1", count, 100, 10);
    assert!(came.windows(2).all(|pair| pair[0].0 < pair[1].0), "a packet was overtaken");
    let lost = f64::from(count) - came.len() as f64;
    let deviation = (f64::from(count) * 0.05 * 0.95).sqrt();
    assert!((lost - f64::from(count) * 0.05).abs() < 5.0 * deviation, "{lost} of {count} are lost");

    let times = pings(lab, "c1", "a2", 300);
    let (median, quarter) = (times[times.len() / 2], times[times.len() / 4]);
    check_round_trip(median, base, 20.0);
    // Two ways of 2 ms deviation: a quarter lies 0.67 · 2.83 ms below the middle.
    assert!((median - quarter - 1.91).abs() < 0.7, "{median} {quarter}");
}

fn check_status(lab: &Lab) {
    let status = status(lab);
    let keys: Vec<&str> = status["hosts"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["name", "addresses", "pid", "lower", "upper"], "the form of hosts is a promise");
    let by = status["links"][0]["by"].as_str().unwrap();
    assert_eq!(
        status["links"][0],
        serde_json::json!({"between": ["a", "b"], "rtt_ms": 10.0, "jitter_ms": 0.0, "loss_percent": 0.0, "rate_bits": null,
            "source": "nowhere", "by": by, "up": true})
    );
    let text = lab.ok(&["lab", "status", lab.inv()]);
    let by = if by == "netem" { "by netem" } else { "by the forwarder" };
    assert!(text.contains(&format!("b - c  rtt 4 ms, rate 40 Mbit/s  {by}\n")), "{text}");
    assert!(text.contains(&format!("a - c  rtt 20 ms, jitter 2 ms, loss 5 %  {by}\n")), "{text}");
}

/// Says something over a connection, and waits for the answer.
fn talk(here: &mut TcpStream, there: &mut TcpStream) {
    say(here, there);
    say(there, here);
}

fn say(from: &mut TcpStream, to: &mut TcpStream) {
    from.set_nodelay(true).unwrap();
    to.set_read_timeout(Some(PATIENCE)).unwrap();
    from.write_all(b"hello").unwrap();
    to.read_exact(&mut [0; 5]).unwrap();
}

#[test]
fn links_change_die_and_go() {
    let name = "tlink-life";
    let Some(lab) = Lab::up(name, &hosts("{between: [a, b], rtt: 5ms}, {between: [b, c], rtt: 1ms}")) else { return };
    if status(&lab)["links"][0]["by"] == "netem" {
        return;
    }
    let slot = address(&lab, "a1").split('.').nth(1).unwrap().to_owned();
    let listener = within(&lab, "b1", || TcpListener::bind("0.0.0.0:0").unwrap());
    let target = format!("{}:{}", address(&lab, "b1"), listener.local_addr().unwrap().port());
    let mut here = within(&lab, "a1", || TcpStream::connect(target).unwrap());
    let (mut there, _) = listener.accept().unwrap();
    talk(&mut here, &mut there);

    // Killed, and kept from coming back for a moment: the cable is cut.
    let (keeper, old) = forwarder(name);
    kill("-STOP", keeper);
    kill("-KILL", old.unwrap());
    wait_for("the device notices", || status(&lab)["links"][0]["up"] == false);
    assert!(lab.ok(&["lab", "status", lab.inv()]).contains("a - b  rtt 5 ms  carries nothing now"));
    let dead = lab.on("a1", &format!("ping -c 3 -i 0.1 -W 1 {} || true", address(&lab, "b1")));
    assert!(dead.contains(" 0 received"), "a short cut: {dead}");
    kill("-CONT", keeper);
    wait_for("the forwarder comes back", || forwarder(name).1.is_some_and(|pid| Some(pid) != old));
    wait_for("the links are taken", || status(&lab)["links"][0]["up"] == true);
    assert!(round_trip(&lab, "a1", "b1") >= 5.0);
    talk(&mut here, &mut there);

    // Other figures, one link less and one more: who talks goes on talking, by the same forwarder.
    let (_, before) = forwarder(name);
    let links = "{between: [c, a], rtt: 3ms}, {between: [a, b], rtt: 12ms}";
    lab.file("hosts.yaml", &hosts(links).replace("TESTBED", name));
    lab.ok(&["lab", "up", lab.inv()]);
    talk(&mut here, &mut there);
    assert!(round_trip(&lab, "a1", "b1") >= 12.0);
    assert!(round_trip(&lab, "a1", "c1") >= 3.0);
    let free = pings(&lab, "b1", "c1", 20);
    assert!(free.iter().any(|time| *time < 1.0), "no link any more: {free:?}");
    // A link that loses is of another form: its device is opened anew.
    lab.file("hosts.yaml", &hosts("{between: [a, b], rtt: 12ms, loss: 0.01}").replace("TESTBED", name));
    lab.ok(&["lab", "up", lab.inv()]);
    talk(&mut here, &mut there);
    assert_eq!(forwarder(name).1, before);

    check_up_after_all_is_dead(&lab, name);
    // Everything of the links killed, whoever kept it running too.
    let (keeper, forwarder) = forwarder(name);
    kill("-KILL", keeper);
    kill("-KILL", forwarder.unwrap());
    assert!(!traces(&slot).is_empty());
    lab.ok(&["lab", "down", lab.inv()]);
    assert_eq!(traces(&slot), Vec::<String>::new());
    for pid in [keeper, forwarder.unwrap()] {
        assert!(!fs::exists(format!("/proc/{pid}/cgroup")).unwrap() || is_zombie(pid), "{pid} lives");
    }
}

fn is_zombie(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|text| text.contains(") Z "))
}

fn check_up_after_all_is_dead(lab: &Lab, name: &str) {
    let (keeper, child) = forwarder(name);
    kill("-KILL", keeper);
    kill("-KILL", child.unwrap());
    wait_for("the device notices", || status(lab)["links"][0]["up"] == false);
    lab.ok(&["lab", "up", lab.inv()]);
    assert_ne!(forwarder(name).0, keeper);
    assert!(round_trip(lab, "a1", "b1") >= 12.0);
}
