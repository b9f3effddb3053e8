//! `benchmark_environment`: what surrounds a benchmark on one host, looked at before and after it.

use indexmap::IndexMap;
use minijinja::Value;
use minijinja::value::Serde;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Undo;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;

const SCRIPT: &str = include_str!("benchmark_environment/look.sh");

/// Notes what surrounds a benchmark: round trips to other hosts, counters of tunnels, MTUs, kernel and versions.
///
/// It changes nothing, but takes a second or two, so let it run only when a measurement is due. Give what it registers to
/// `http_benchmark` as `before` and `after`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BenchmarkEnvironment {
    /// What the host is called in the record; usually `{{ inventory_hostname }}`.
    pub host: String,
    /// Hosts to which round trips are measured, all at once: an address by name. Needs `ping` on this host.
    #[serde(default)]
    pub peers: IndexMap<String, String>,
    /// Packets to each of them, five a second.
    #[serde(default = "ten")]
    pub packets: u32,
    /// Debian packages whose versions are noted, if they are installed.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Where the host is; noted.
    #[serde(default)]
    pub region: Option<String>,
    /// The network it is in; noted.
    #[serde(default)]
    pub network: Option<String>,
}

fn ten() -> u32 {
    10
}

#[derive(Debug, Deserialize)]
pub struct Nothing {}

/// What one host said of itself; what `register` sees.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Environment {
    pub host: String,
    pub region: Option<String>,
    pub network: Option<String>,
    pub kernel: String,
    pub os: String,
    /// By interface.
    pub mtu: IndexMap<String, u32>,
    /// Bytes received and sent, by interface.
    pub tunnels: IndexMap<String, (u64, u64)>,
    pub versions: IndexMap<String, String>,
    /// Milliseconds: least, average, most; by peer.
    pub rtt: IndexMap<String, (f64, f64, f64)>,
    /// There was nothing to look at, since its task was skipped.
    #[serde(skip_serializing)]
    pub skipped: bool,
}

impl BenchmarkEnvironment {
    fn script(&self) -> String {
        let pairs = self.peers.iter().flat_map(|(name, address)| [name.as_str(), address.as_str()]);
        format!(
            "set -- {}\n_tb_packets={} _tb_packages={}\n{SCRIPT}",
            sh::words(pairs),
            self.packets,
            sh::quote(&self.packages.join(" ")),
        )
    }

    fn read(&self, text: &str) -> Environment {
        let (region, network) = (self.region.clone(), self.network.clone());
        let mut found = Environment { host: self.host.clone(), region, network, ..Environment::default() };
        for line in text.lines() {
            let Some((word, rest)) = line.split_once(' ') else { continue };
            let fields: Vec<&str> = rest.split_whitespace().collect();
            match (word, fields.as_slice()) {
                ("kernel", _) => found.kernel = rest.to_string(),
                ("os", _) => found.os = rest.to_string(),
                ("mtu", [interface, mtu]) => {
                    found.mtu.extend(mtu.parse().ok().map(|mtu| ((*interface).to_string(), mtu)));
                }
                ("tunnel", [interface, received, sent]) => {
                    let sum = found.tunnels.entry((*interface).to_string()).or_default();
                    sum.0 += received.parse::<u64>().unwrap_or_default();
                    sum.1 += sent.parse::<u64>().unwrap_or_default();
                }
                ("version", [package, version]) => {
                    found.versions.insert((*package).to_string(), (*version).to_string());
                }
                ("ping", [peer, times, ..]) => found.rtt.extend(round_trip(times).map(|times| ((*peer).to_string(), times))),
                _ => {}
            }
        }
        found
    }
}

/// `min/avg/max` and what may follow.
fn round_trip(text: &str) -> Option<(f64, f64, f64)> {
    let mut times = text.split('/').map(|time| time.parse::<f64>().ok());
    Some((times.next()??, times.next()??, times.next()??))
}

impl Module for BenchmarkEnvironment {
    const NAME: &'static str = "benchmark_environment";
    const SUMMARY: &'static str = "Notes what surrounds a benchmark: round trips, tunnels, MTUs, versions.";
    const EXAMPLE: &'static str =
        "benchmark_environment:\n  host: node-1\n  peers: {node-1: 127.0.0.1}\n  packages: [curl]\nregister: before\n";
    const NATURE: Nature = Nature::Act;
    const REACH: Reach = Reach::Beyond;

    type Identity = Nothing;
    type State = Nothing;

    fn check(&self) -> Result<(), Refusal> {
        let odd = |name: &&String| name.is_empty() || name.contains(['/', ' ', '\n', '\t']) || name.starts_with(['-', '.']);
        if let Some(name) = self.peers.keys().chain(self.peers.values()).find(odd) {
            return Err(Refusal::new(format!("`{name}` is no name or address of a host")));
        }
        let fine = |c: char| c.is_ascii_alphanumeric() || "+-.:".contains(c);
        match self.packages.iter().find(|name| name.starts_with('-') || !name.chars().all(fine)) {
            Some(name) => Err(Refusal::new(format!("`{name}` is no name of a package"))),
            None => Ok(()),
        }
    }

    fn probe(_: &Nothing) -> Probe {
        Probe::none()
    }

    fn change(&self, _: &Nothing) -> Result<Change, Refusal> {
        let mut change = Change::none();
        change.act("look at what surrounds the benchmark", Apply::run(self.script()), Undo::Nothing);
        Ok(change)
    }

    fn result(&self, _: &Nothing, ran: &[Ran]) -> Fields {
        let found = self.read(ran.last().map_or("", |ran| ran.stdout.as_str()));
        let value = Value::from(Serde(found));
        let mut fields: Fields = value
            .try_iter()
            .into_iter()
            .flatten()
            .map(|key| (key.to_string(), value.get_item(&key).unwrap_or_default()))
            .collect();
        fields.insert("changed".into(), Value::from(false));
        fields
    }
}
