//! `http_benchmark`: sequential requests to one URL, each a sample.

mod args;
mod record;
mod rows;
mod taken;

use std::collections::BTreeMap;

use minijinja::Value;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Look;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::Undo;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::http_benchmark::args::Connection;
use crate::modules::http_benchmark::args::Known;
use crate::modules::http_benchmark::args::Pace;
use crate::modules::http_benchmark::args::State as Wanted;
use crate::modules::http_benchmark::rows::Handed;
use crate::modules::http_benchmark::rows::Reading;

pub use crate::modules::http_benchmark::args::HttpBenchmark;
pub use crate::modules::http_benchmark::taken::Handover;
pub use crate::modules::http_benchmark::taken::TAKEN;

const MEASURE: &str = include_str!("http_benchmark/measure.sh");
const LOOK: &str = include_str!("http_benchmark/look.sh");
const UNDO: &str = include_str!("http_benchmark/undo.sh");

/// What curl prints of each request, behind a word for its sort. The full stop shows that a row is whole.
const OUT: &str = "\\t%{http_code}\\t%{exitcode}\\t%{time_connect}\\t%{time_starttransfer}\\t%{time_total}\\t%{size_download}\\t";

/// Where samples wait on the host until they are known to be kept.
fn directory(name: &str, testbed: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
    format!("/var/tmp/tbctl-benchmark.{}.{name}", testbed.chars().map(plain).collect::<String>())
}

#[derive(Debug, Deserialize)]
pub struct Identity {
    name: String,
    known_: Known,
}

#[derive(Debug, Deserialize)]
pub struct State {
    /// What is on the host: the run, how it is with it, and its rows.
    #[serde(default)]
    rows: String,
}

/// What is to be done about a measurement.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// It was made, and is kept as this run.
    No(String),
    /// It is to be made, gone on with, or only to be handed over.
    Yes { run: String, whole: bool },
}

impl HttpBenchmark {
    fn known(&self) -> Result<&Known, Refusal> {
        self.known_.as_ref().ok_or_else(|| Refusal::new("nothing is known of earlier measurements"))
    }

    /// A digest of all that would make a new measurement.
    fn digest(&self) -> String {
        use sha2::Digest as _;
        let host = self.known_.as_ref().map_or("", |known| known.host.as_str());
        let loops = (self.connection, self.pace, self.rate.map(f64::to_bits));
        let asked = (&self.responder_header, self.expect_status, self.timeout.to_bits());
        // Maps are ordered by their keys: in which order inputs are written does not matter.
        let inputs = sorted(&self.inputs);
        let text = serde_json::json!([host, self.name, self.url, self.requests, self.warm_up, loops, asked, inputs]);
        sha2::Sha256::digest(text.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn due(&self, now: &State) -> Result<Due, Refusal> {
        let known = self.known()?;
        let digest = self.digest();
        let mut words = now.rows.split_whitespace();
        let (there, how) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let kept = known.runs.iter().find(|kept| kept.run == there);
        // One that failed and was handed over is not gone on with.
        let over = kept.is_some_and(|kept| kept.whole || how == "failed");
        if there.ends_with(&digest[..8]) && !over {
            return Ok(Due::Yes { run: there.to_string(), whole: how == "whole" });
        }
        let last = known.runs.iter().rfind(|kept| kept.whole && kept.inputs == digest);
        match last {
            Some(kept) if !known.rerun => Ok(Due::No(kept.run.clone())),
            _ => Ok(Due::Yes { run: format!("{}-{}", known.begun, &digest[..8]), whole: false }),
        }
    }

    fn period(&self) -> Option<u64> {
        let rate = self.rate.filter(|_| self.pace == Pace::Open)?;
        Some((1e6 / rate).round() as u64)
    }

    fn reading(&self) -> Reading {
        Reading { requests: self.requests as usize, expected: self.expect_status, period: self.period() }
    }

    /// Options of every request, as lines of curl's configuration.
    fn options(&self) -> String {
        let mut lines = vec!["silent".to_string(), "noproxy = \"*\"".into()];
        lines.push(format!("connect-timeout = {0}\nmax-time = {0}", self.timeout));
        if self.connection == Connection::New {
            lines.push("header = \"Connection: close\"".into());
        }
        lines.join("\n")
    }

    fn directory(&self, known: &Known) -> String {
        directory(&self.name, &known.testbed)
    }

    fn measure(&self, known: &Known, run: &str) -> String {
        let header = self.responder_header.as_ref().map(|name| format!("%header{{{name}}}")).unwrap_or_default();
        let before = serde_json::to_string(&self.before).unwrap_or_default();
        let words = [
            ("d", self.directory(known)),
            ("run", run.to_string()),
            ("n", self.requests.to_string()),
            ("warm", self.warm_up.to_string()),
            ("url", self.url.clone()),
            ("ok", format!("{:03}", self.expect_status)),
            ("give", self.give_up.to_string()),
            ("period", self.period().map(|period| period.to_string()).unwrap_or_default()),
            ("least", if header.is_empty() { "75" } else { "84" }.to_string()),
            ("options", self.options()),
            ("out", format!("{OUT}{header}\\t%{{errormsg}}\\t.\\n")),
            ("before", before),
        ];
        let words: Vec<String> = words.iter().map(|(name, value)| format!("_tb_{name}={}", sh::quote(value))).collect();
        format!("{}\n{MEASURE}", words.join("\n"))
    }

    fn steps(&self, known: &Known, run: &str, whole: bool) -> Change {
        let mut change = Change::none();
        let directory = self.directory(known);
        let word = sh::quote(&directory);
        if !whole {
            let there = Look::Script { text: format!("[ ! -d {word} ] || echo there") };
            let what = format!("{} requests to {}", self.requests, self.url);
            let back = format!("_tb_d={word}\n{UNDO}");
            let thing = Resource::new(format!("benchmark:{directory}"), there);
            change.step(what, thing, Apply::run(self.measure(known, run)), Undo::By(back));
        }
        let text = format!("cd {word} && cat before && {{ grep -v '^file:' rows || :; }} && printf '\\n%%\\n' && cat starts");
        change.act("hand the samples over", Apply::run(text), Undo::Nothing);
        let text = format!("read -r _tb_x _tb_l <{word}/end && [ \"$_tb_x\" = whole ] || {{ printf '%s\\n' \"$_tb_l\" >&2; exit 1; }}");
        change.act("see whether all was measured", Apply::run(text), Undo::Nothing);
        change
    }

    /// What the steps handed over; the first one may have been left out.
    fn handed(&self, ran: &[Ran], whole: bool) -> Option<Handed> {
        ran.get(usize::from(!whole)).map(|ran| rows::read(&ran.stdout, &self.reading()))
    }
}

/// The same value with all maps ordered.
fn sorted(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => {
            let map: BTreeMap<&String, serde_json::Value> = map.iter().map(|(key, value)| (key, sorted(value))).collect();
            serde_json::json!(map)
        }
        serde_json::Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

impl Module for HttpBenchmark {
    const NAME: &'static str = "http_benchmark";
    const SUMMARY: &'static str = "Measures requests to a URL, each a sample.";
    const EXAMPLE: &'static str = "http_benchmark:\n  name: try\n  url: http://10.0.0.1:8000/\n  requests: 20\n  warm_up: 2\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Beyond;

    type Identity = Identity;
    type State = State;

    fn check(&self) -> Result<(), Refusal> {
        self.sensible()
    }

    fn probe(identity: &Identity) -> Probe {
        let directory = directory(&identity.name, &identity.known_.testbed);
        Probe::none().ask("rows", Look::Live { text: format!("_tb_d={}\n{LOOK}", sh::quote(&directory)) })
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        match (self.state, self.due(now)?) {
            (Wanted::Measured, Due::Yes { run, whole }) => Ok(self.steps(self.known()?, &run, whole)),
            (Wanted::Recorded, Due::Yes { whole: false, .. }) => {
                let refusal = Refusal::new(format!("nothing was measured as `{}`", self.name));
                Err(refusal.help("write a task `http_benchmark` with the same arguments before this one"))
            }
            _ => Ok(Change::none()),
        }
    }

    fn result(&self, now: &State, ran: &[Ran]) -> Fields {
        let mut fields = Fields::new();
        let (run, whole, due) = match self.due(now) {
            Ok(Due::Yes { run, whole }) => (run, whole, true),
            Ok(Due::No(run)) => (run, true, false),
            Err(_) => return fields,
        };
        fields.insert("due".into(), Value::from(due));
        fields.insert("run".into(), Value::from(run.as_str()));
        let handed = self.handed(ran, whole).filter(|_| self.state == Wanted::Measured && due);
        let taken = match (self.state, &handed) {
            (Wanted::Measured, Some(handed)) => {
                let good: Vec<f64> = handed.samples.iter().filter(|one| !one.failed()).map(|one| one.total_ms).collect();
                fields.insert("samples".into(), Value::from(handed.samples.len()));
                fields.insert("errors".into(), Value::from(handed.samples.len() - good.len()));
                let mean = (!good.is_empty()).then(|| good.iter().sum::<f64>() / good.len() as f64);
                fields.insert("mean_ms".into(), Value::from(mean));
                Some(self.measured(&run, handed, ran))
            }
            (Wanted::Recorded, _) if due && whole => Some(self.recorded(&run)),
            _ => None,
        };
        if let Some(taken) = taken {
            fields.insert(TAKEN.into(), Value::from_object(Handover(taken.into())));
        }
        fields
    }
}
