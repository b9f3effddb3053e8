//! The arguments of `http_benchmark`, and which of them make sense together.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::change::Refusal;
use crate::modules::benchmark_environment::Environment;

/// Most requests of one measurement: their rows must come back in one answer.
const MOST: u64 = 50_000;

/// Requests to one URL, one after the other, with the host's `curl` (7.75 or newer): each request is a sample, also one that
/// fails. All are made by one process, so that its start is not measured; times are in steps of 1 µs.
///
/// Samples are written on the host while they come. If tbctl or the connection dies, the next apply goes on after the last
/// whole one; after Ctrl-C it makes the rest. What was measured is kept in `results/TESTBED/RUN` on the controller, and is not measured again unless an
/// argument or something in `inputs` changes, or `--rerun` asks for it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpBenchmark {
    /// What the measurement is called: letters, digits, `-` and `_`.
    pub name: String,
    /// What is asked for: `http://…` or `https://…`.
    pub url: String,
    /// `asked` says whether a measurement is due and does nothing else, `measured` makes it, `recorded` adds what was looked
    /// at afterwards. Give all three the same arguments.
    #[serde(default)]
    pub state: State,
    /// How many samples.
    #[serde(default = "ten_thousand")]
    pub requests: u64,
    /// Requests before the first sample, discarded and counted.
    #[serde(default = "hundred")]
    pub warm_up: u64,
    /// `new`: a connection for each request, closed after it. `keepalive`: one connection as long as the server keeps it.
    #[serde(default)]
    pub connection: Connection,
    /// `closed`: the next request follows the answer. `open`: requests are due at fixed times, at `rate`; one that is late is
    /// made as soon as the one before has ended, and both times are noted. Needs bash 5 on the host.
    #[serde(default, rename = "loop")]
    pub pace: Pace,
    /// Requests a second of an open loop.
    #[serde(default)]
    pub rate: Option<f64>,
    /// The header of the answer that says who answered. Needs curl 7.84 or newer.
    #[serde(default)]
    pub responder_header: Option<String>,
    /// The status of a right answer; any other is an error.
    #[serde(default = "two_hundred")]
    pub expect_status: u16,
    /// Seconds one request may take.
    #[serde(default = "ten")]
    pub timeout: f64,
    /// So many failures in a row end the measurement.
    #[serde(default = "twenty")]
    pub give_up: u32,
    /// Anything else that makes a new measurement when it changes.
    #[serde(default)]
    pub inputs: serde_json::Value,
    /// A line for people, as `Scenario 1: one network, no VPN`.
    #[serde(default)]
    pub title: String,
    /// What it is compared as in the report: `1`, `2`, `3`, `control` or any other word.
    #[serde(default)]
    pub scenario: String,
    /// The measurement counts as whole only when a task with `state: recorded` has added to it.
    #[serde(default)]
    pub await_record: bool,
    /// What hosts registered with `benchmark_environment` before the measurement.
    #[serde(default)]
    pub before: Vec<Environment>,
    /// The same, afterwards.
    #[serde(default)]
    pub after: Vec<Environment>,
    /// The host that is asked; noted.
    #[serde(default)]
    pub server: Option<String>,
    /// The interface of `server` that all answers must have come through. The counters before and after must account for
    /// them, else the result is marked as not valid.
    #[serde(default)]
    pub tunnel: Option<String>,
    /// Links between regions as the inventory states them; noted.
    #[serde(default)]
    pub links: Vec<Link>,
    /// Hosts with a replica of the application; noted.
    #[serde(default)]
    pub placement: Vec<String>,
    /// Sentences for the reader of the report.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What is kept already; put in by tbctl.
    #[serde(default)]
    #[schemars(skip)]
    pub known_: Option<Known>,
}

fn ten_thousand() -> u64 {
    10_000
}

fn hundred() -> u64 {
    100
}

fn two_hundred() -> u16 {
    200
}

fn ten() -> f64 {
    10.0
}

fn twenty() -> u32 {
    20
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Asked,
    #[default]
    Measured,
    Recorded,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Connection {
    #[default]
    New,
    Keepalive,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    #[default]
    Closed,
    Open,
}

/// A link as the inventory writes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Link {
    pub between: Vec<String>,
    #[serde(default)]
    pub rtt: Option<String>,
    #[serde(default)]
    pub jitter: Option<String>,
    #[serde(default)]
    pub loss: Option<String>,
    #[serde(default)]
    pub rate: Option<String>,
    #[serde(default)]
    pub source: Option<String>,
}

/// What the controller knows; put in by the engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Known {
    pub testbed: String,
    /// The host the task runs for.
    pub host: String,
    /// The begin of this run of tbctl, as part of a name.
    pub begun: String,
    /// Whether the user asked for new measurements.
    #[serde(default)]
    pub rerun: bool,
    /// Oldest first.
    #[serde(default)]
    pub runs: Vec<Kept>,
}

/// A run that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Kept {
    pub run: String,
    pub inputs: String,
    pub whole: bool,
}

impl HttpBenchmark {
    /// Faults of arguments that are known before any host is touched.
    pub(super) fn sensible(&self) -> Result<(), Refusal> {
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if self.name.is_empty() || !self.name.chars().all(fine) {
            return Err(Refusal::new(format!("`{}` is no name of a benchmark", self.name)).help("write letters, digits, `-` and `_`"));
        }
        self.url_is_plain()?;
        if self.requests == 0 || self.requests > MOST {
            return Err(Refusal::new(format!("a benchmark makes from 1 to {MOST} requests")));
        }
        if self.warm_up > MOST || self.give_up == 0 {
            return Err(Refusal::new(format!("`warm_up` is at most {MOST}, and `give_up` at least 1")));
        }
        if !(self.timeout >= 0.1 && self.timeout <= 3600.0) {
            return Err(Refusal::new("`timeout` is from 0.1 to 3600 seconds"));
        }
        if !(100..=599).contains(&self.expect_status) {
            return Err(Refusal::new(format!("{} is no status of HTTP", self.expect_status)));
        }
        let odd = |name: &String| name.is_empty() || !name.chars().all(fine);
        if self.responder_header.as_ref().is_some_and(odd) {
            return Err(Refusal::new("`responder_header` is no name of a header"));
        }
        match (self.pace, self.rate) {
            (Pace::Open, None) => Err(Refusal::new("an open loop needs a `rate`").help("write requests a second: `rate: 50`")),
            (Pace::Closed, Some(_)) => Err(Refusal::new("`rate` has no meaning in a closed loop").help("write `loop: open`")),
            (Pace::Open, Some(rate)) if !(0.01..=10_000.0).contains(&rate) => {
                Err(Refusal::new("`rate` is from 0.01 to 10000 requests a second"))
            }
            _ => Ok(()),
        }
    }

    /// curl takes some letters for patterns, and shows everybody on the host what it was told.
    fn url_is_plain(&self) -> Result<(), Refusal> {
        let rest = self.url.strip_prefix("http://").or_else(|| self.url.strip_prefix("https://"));
        let Some(rest) = rest.filter(|rest| !rest.is_empty() && !rest.starts_with('/')) else {
            return Err(Refusal::new(format!("`{}` is unsupported as a URL", self.url)).help("write http:// or https://"));
        };
        if rest.split('/').next().is_some_and(|host| host.contains('@')) {
            return Err(Refusal::new("a name or password in the URL is unsupported"));
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || "[]{}#\"\\%".contains(c);
        match rest.contains(odd) {
            true => Err(Refusal::new(format!("`{}` is unsupported as a URL", self.url)).help("leave out blanks, quotes and any of []{}#%\\")),
            false => Ok(()),
        }
    }
}
