//! Results as a measurement would leave them, made up: the same on every machine, of any size.

use std::fs;
use std::path::Path;

use indexmap::IndexMap;
use tbctl::results::record::Around;
use tbctl::results::record::Connection;
use tbctl::results::record::Digests;
use tbctl::results::record::Host;
use tbctl::results::record::Link;
use tbctl::results::record::Mtu;
use tbctl::results::record::Pace;
use tbctl::results::record::PathProof;
use tbctl::results::record::Record;
use tbctl::results::record::RoundTrip;
use tbctl::results::record::Settings;
use tbctl::results::record::Tool;
use tbctl::results::record::Tunnel;
use tbctl::results::sample;
use tbctl::results::sample::Sample;

/// Random enough for made-up times.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX)
    }

    /// Around 0, about as wide as 1.
    pub(crate) fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.fraction()).sum::<f64>() - 6.0
    }
}

/// One of the scenarios of the thesis.
pub(crate) struct Made {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    /// Milliseconds a request takes without the way to who answers.
    pub(crate) base: f64,
    /// Who answers, from which region, and how many milliseconds the way takes.
    pub(crate) replicas: [(&'static str, &'static str, f64); 3],
    pub(crate) tunnel: bool,
}

pub(crate) const SCENARIOS: [Made; 4] = [
    Made {
        key: "1",
        title: "Scenario 1: one network, no VPN",
        base: 2.0,
        replicas: [("node-2", "karlskrona", 0.0), ("node-3", "karlskrona", 0.02), ("node-4", "karlskrona", 0.01)],
        tunnel: false,
    },
    Made {
        key: "2",
        title: "Scenario 2: several networks of one region, WireGuard",
        base: 2.3,
        replicas: [("node-2", "karlskrona", 0.0), ("node-3", "karlskrona", 0.05), ("node-4", "karlskrona", 0.03)],
        tunnel: true,
    },
    Made {
        key: "3",
        title: "Scenario 3: three regions, WireGuard",
        base: 2.3,
        replicas: [("node-2", "karlskrona", 0.0), ("node-3", "stockholm", 8.4), ("node-4", "frankfurt", 27.5)],
        tunnel: true,
    },
    Made {
        key: "control",
        title: "Control: several networks of one region, no VPN",
        base: 2.08,
        replicas: [("node-2", "karlskrona", 0.0), ("node-3", "karlskrona", 0.03), ("node-4", "karlskrona", 0.01)],
        tunnel: false,
    },
];

/// Times with slow drifts, so that neighbours are alike, and a tail.
pub(crate) fn samples(made: &Made, n: u64, dice: &mut Dice) -> Vec<Sample> {
    let (mut now, mut busy) = (0.0, 0.0);
    let mut all = Vec::new();
    for number in 1..=n {
        busy = busy * 0.97 + dice.bell() * 0.02;
        let (responder, _, way) = made.replicas[usize::try_from(number % 3).unwrap()];
        let tail = if dice.fraction() < 0.004 { dice.fraction().powi(3) * 11.0 } else { 0.0 };
        let jitter = dice.bell() * (0.12 + way * 0.02);
        let total_ms = round((made.base + way * 1.3 + busy + jitter + tail).max(made.base * 0.5));
        let sample = Sample {
            number,
            intended_ms: round(now),
            start_ms: round(now),
            connect_ms: round(total_ms * 0.2),
            first_byte_ms: round(total_ms * 0.95),
            total_ms,
            status: 200,
            bytes: 512,
            responder: responder.into(),
            error: String::new(),
        };
        now += total_ms + 0.05;
        all.push(sample);
    }
    all
}

fn round(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

/// All that can be said about a run.
pub(crate) fn record(made: &Made, run: &str, n: u64) -> Record {
    let place = |name: &str| made.replicas.iter().find(|replica| replica.0 == name).map_or("karlskrona", |one| one.1);
    let names = ["client", "node-1", "node-2", "node-3", "node-4"];
    let host = |(at, name): (usize, &&str)| {
        let network = if made.key == "1" || at < 2 { "a".to_string() } else { ["b", "c", "d"][at - 2].to_string() };
        let host = Host {
            kernel: Some("6.1.0-18-amd64".into()),
            region: Some(place(name).into()),
            network: Some(network),
            os: Some("Debian 12".into()),
            versions: IndexMap::from([("nginx".to_string(), "1.22.1".to_string())]),
        };
        ((*name).to_string(), host)
    };
    let tunnel =
        |rx_bytes, tx_bytes| vec![Tunnel { host: "node-1".into(), interface: "wg0".into(), rx_bytes, tx_bytes }];
    Record {
        testbed: format!("scenario-{}", made.key),
        run: run.into(),
        title: made.title.into(),
        scenario: made.key.into(),
        started: format!("2026-03-01T10:0{}:00Z", run.len() % 10),
        settings: Some(Settings {
            url: "http://10.9.0.10/".into(),
            requests: n,
            warm_up: 100,
            connection: Connection::New,
            pace: Pace::Closed,
        }),
        tool: Some(Tool { name: "curl".into(), version: "7.88.1".into(), timer_resolution: "1 µs".into() }),
        inputs: Some("5f1c".repeat(16)),
        digests: Some(Digests { inventory: "ab12".repeat(16), playbook: "cd34".repeat(16) }),
        versions: IndexMap::from([("tbctl".to_string(), "0.1.0".to_string())]),
        hosts: names.iter().enumerate().map(host).collect(),
        mtu: vec![
            Mtu { host: "client".into(), interface: "eth0".into(), mtu: 1500 },
            Mtu { host: "node-1".into(), interface: if made.tunnel { "wg0" } else { "eth0" }.into(), mtu: 1420 },
        ],
        links: links(made),
        rtt: Some(Around { before: trips(made, &names, 0.0), after: trips(made, &names, 0.011) }),
        tunnels: made.tunnel.then(|| Around { before: tunnel(1_000, 900), after: tunnel(15_001_000, 9_000_900) }),
        path: Some(PathProof {
            interface: if made.tunnel { "wg0".into() } else { String::new() },
            bytes_over_tunnel: if made.tunnel { 24_000_000 } else { 0 },
            bytes_of_requests: 5_120_000,
            valid: true,
            why: Some(if made.tunnel { "the counters account for all requests" } else { "there is no tunnel" }.into()),
        }),
        placement: made.replicas.iter().map(|replica| replica.0.into()).collect(),
        ..Record::default()
    }
}

fn links(made: &Made) -> Vec<Link> {
    if made.key != "3" {
        return Vec::new();
    }
    let link = |from: &str, to: &str, rtt| Link {
        between: [from.into(), to.into()],
        rtt_ms: Some(rtt),
        jitter_ms: Some(0.2),
        loss_percent: Some(0.0),
        rate_mbit: Some(1000.0),
        source: Some("public round-trip statistics of a provider, read in March 2026".into()),
    };
    vec![
        link("karlskrona", "stockholm", 8.4),
        link("stockholm", "frankfurt", 22.1),
        link("karlskrona", "frankfurt", 27.5),
    ]
}

fn trips(made: &Made, names: &[&str], later: f64) -> Vec<RoundTrip> {
    let way = |name: &str| made.replicas.iter().find(|replica| replica.0 == name).map_or(0.0, |one| one.2);
    let pairs = names.iter().flat_map(|from| names.iter().map(move |to| (*from, *to))).filter(|(from, to)| from != to);
    let trip = |(from, to): (&str, &str)| {
        let avg = 0.21 + (way(from) - way(to)).abs() + later;
        RoundTrip { from: from.into(), to: to.into(), min_ms: avg * 0.9, avg_ms: avg, max_ms: avg * 1.4 }
    };
    pairs.map(trip).collect()
}

/// Writes one run.
pub(crate) fn write(dir: &Path, record: &Record, samples: &[Sample]) {
    let run = dir.join(&record.testbed).join(&record.run);
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("environment.json"), serde_json::to_string_pretty(record).unwrap() + "\n").unwrap();
    sample::write(fs::File::create(run.join("samples.csv")).unwrap(), samples).unwrap();
}

/// All scenarios, so many runs of each.
pub(crate) fn all(dir: &Path, runs: u64, n: u64) {
    for (at, made) in SCENARIOS.iter().enumerate() {
        for run in 0..runs {
            let mut dice = Dice(1 + run * 100 + u64::try_from(at).unwrap());
            write(dir, &record(made, &format!("run-{run}"), n), &samples(made, n, &mut dice));
        }
    }
}

/// What is unusual: an open loop with stalls, errors, a path that is not proven, delays from the thesis, one long name.
pub(crate) fn odd(dir: &Path) {
    let mut dice = Dice(9);
    let n = 3000;
    let mut open = record(&SCENARIOS[0], "open", n);
    if let Some(settings) = &mut open.settings {
        settings.pace = Pace::Open { rate_per_second: 300.0 };
    }
    let mut late = 0.0_f64;
    let mut samples = samples(&SCENARIOS[0], n, &mut dice);
    for (sample, due) in samples.iter_mut().zip(0_u32..) {
        sample.intended_ms = f64::from(due) * 10.0 / 3.0;
        late = late.max(sample.intended_ms);
        sample.start_ms = late;
        if due % 700 == 350 {
            sample.total_ms = 180.0;
        }
        late += sample.total_ms;
    }
    write(dir, &open, &samples);

    let mut failing = self::samples(&SCENARIOS[1], n, &mut dice);
    for sample in failing.iter_mut().skip(1800).take(40) {
        (sample.status, sample.error, sample.total_ms) = (0, "connection refused".into(), 0.9);
    }
    write(dir, &record(&SCENARIOS[1], "failing", n), &failing);

    let mut unproven = record(&SCENARIOS[2], "unproven", n);
    unproven.path = unproven.path.map(|path| PathProof {
        bytes_over_tunnel: 1200,
        valid: false,
        why: Some("1200 bytes went over wg0, and the requests alone have 5120000".into()),
        ..path
    });
    unproven.links.iter_mut().for_each(|link| link.source = Some("derived from table 6.3 of the thesis".into()));
    write(dir, &unproven, &self::samples(&SCENARIOS[2], n, &mut dice));

    let mut long = record(&SCENARIOS[3], "a", n);
    long.testbed = "somewhere".into();
    long.scenario = "a testbed with quite a long name, made by someone else".into();
    long.title = "A testbed with quite a long title, too".into();
    long.hosts.clear();
    write(dir, &long, &self::samples(&SCENARIOS[3], n, &mut dice));
    let few = Record { testbed: "few".into(), run: "a".into(), scenario: "few".into(), ..Record::default() };
    write(dir, &few, &self::samples(&SCENARIOS[3], 2, &mut dice));
}
