//! How and where a run was measured.
//!
//! All but the first few fields may be missing: old files and those of others are read too. What is not known is not there,
//! and never a zero.

use indexmap::IndexMap;
use serde::Deserialize;
use serde::Serialize;

/// More failed requests than this share, and the run is not valid.
pub const MOST_ERRORS: f64 = 0.001;

/// `environment.json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Record {
    pub testbed: String,
    /// The name of the run's directory.
    pub run: String,
    /// For people, as "Scenario 1: one network, no VPN".
    #[serde(default)]
    pub title: String,
    /// What it is compared as: `1`, `2`, `3`, `control`, or any other word.
    #[serde(default)]
    pub scenario: String,
    /// RFC 3339, in UTC.
    #[serde(default)]
    pub started: String,
    #[serde(default)]
    pub state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Tool>,
    /// A digest of all that would make a new measurement, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digests: Option<Digests>,
    /// Of programs that matter: `tbctl`, `nginx`, …
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub versions: IndexMap<String, String>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub hosts: IndexMap<String, Host>,
    /// Along the path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mtu: Vec<Mtu>,
    /// As the inventory states them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt: Option<Around<RoundTrip>>,
    /// Counters of tunnels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnels: Option<Around<Tunnel>>,
    /// Proof that the requests went where they should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathProof>,
    /// Hosts with a replica of the application; a host may stand here more than once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placement: Vec<String>,
    /// Anything else a reader should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Whether all requests were made. In JSON `"complete"`, or `{"partial": "why"}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    #[default]
    Complete,
    /// It ended early, and why.
    Partial(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub url: String,
    /// That were to be made.
    pub requests: u64,
    /// Requests before the first sample, which are not in the file.
    #[serde(default)]
    pub warm_up: u64,
    #[serde(default)]
    pub connection: Connection,
    #[serde(default, rename = "loop")]
    pub pace: Pace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connection {
    /// One for each request.
    #[default]
    New,
    /// One for all.
    Keepalive,
}

/// When the next request is made. In JSON `"closed"`, or `{"open": {"rate_per_second": 100.0}}`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// After the last answer.
    #[default]
    Closed,
    /// At fixed times, whatever became of the one before.
    Open { rate_per_second: f64 },
}

/// What measured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    #[serde(default)]
    pub version: String,
    /// In words, as "1 µs".
    #[serde(default)]
    pub timer_resolution: String,
}

/// Of the texts the testbed was built from, in hex.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Digests {
    #[serde(default)]
    pub inventory: String,
    #[serde(default)]
    pub playbook: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Host {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub versions: IndexMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mtu {
    pub host: String,
    pub interface: String,
    pub mtu: u32,
}

/// A link between two regions or hosts, as it is meant to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    pub between: [String; 2],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_percent: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_mbit: Option<f64>,
    /// Where the figures are from, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// The same thing, looked at before and after the measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Around<T> {
    #[serde(default = "Vec::new")]
    pub before: Vec<T>,
    #[serde(default = "Vec::new")]
    pub after: Vec<T>,
}

impl<T> Default for Around<T> {
    fn default() -> Around<T> {
        Around { before: Vec::new(), after: Vec::new() }
    }
}

/// Measured with ping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundTrip {
    pub from: String,
    pub to: String,
    pub min_ms: f64,
    pub avg_ms: f64,
    pub max_ms: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    pub host: String,
    pub interface: String,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
}

/// What went over the tunnel while the requests were made, and whether it accounts for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathProof {
    #[serde(default)]
    pub interface: String,
    #[serde(default)]
    pub bytes_over_tunnel: u64,
    #[serde(default)]
    pub bytes_of_requests: u64,
    pub valid: bool,
    /// In a sentence, in either case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fields_are_enough() {
        let record: Record = serde_json::from_str(r#"{"testbed": "a", "run": "b", "colour": "red"}"#).unwrap();
        assert_eq!(record, Record { testbed: "a".into(), run: "b".into(), ..Record::default() });
        // What is not known is not written either.
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(text, r#"{"testbed":"a","run":"b","title":"","scenario":"","started":"","state":"complete"}"#);
    }

    #[test]
    fn the_form_of_the_enums() {
        for (text, expected) in [
            (r#""complete""#, State::Complete),
            (r#"{"partial":"the connection was lost"}"#, State::Partial("the connection was lost".into())),
        ] {
            assert_eq!(serde_json::from_str::<State>(text).unwrap(), expected);
            assert_eq!(serde_json::to_string(&expected).unwrap(), text);
        }
        for (text, expected) in [
            (r#""closed""#, Pace::Closed),
            (r#"{"open":{"rate_per_second":100.0}}"#, Pace::Open { rate_per_second: 100.0 }),
        ] {
            assert_eq!(serde_json::from_str::<Pace>(text).unwrap(), expected);
            assert_eq!(serde_json::to_string(&expected).unwrap(), text);
        }
        let text = r#"{"url":"http://10.0.0.1/","requests":10,"warm_up":0,"connection":"new","loop":"closed"}"#;
        let settings: Settings = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&settings).unwrap(), text);
    }
}
