//! What is written down of a measurement beside its samples.

use indexmap::IndexMap;

use crate::change::Ran;
use crate::modules::benchmark_environment::Environment;
use crate::modules::http_benchmark::HttpBenchmark;
use crate::modules::http_benchmark::args;
use crate::modules::http_benchmark::rows::Handed;
use crate::results::record::Around;
use crate::results::record::Connection;
use crate::results::record::Host;
use crate::results::record::Link;
use crate::results::record::Mtu;
use crate::results::record::Pace;
use crate::results::record::Record;
use crate::results::record::RoundTrip;
use crate::results::record::Settings;
use crate::results::record::State;
use crate::results::record::Tool;
use crate::results::record::Tunnel;
use crate::results::taken::Command;
use crate::results::taken::End;
use crate::results::taken::Taken;
use crate::results::taken::Through;

/// Why a run is not whole that waits for its second part.
const WAITS: &str = "what surrounds it was not looked at afterwards";

impl HttpBenchmark {
    /// The samples, with all that is known by now.
    pub(super) fn measured(&self, run: &str, handed: &Handed, ran: &[Ran]) -> Taken {
        let before: Vec<Environment> = serde_json::from_str(&handed.before).unwrap_or_default();
        let mut record = Record { state: self.state_after(handed, ran), ..self.base(run) };
        record.settings = Some(self.settings(handed));
        record.tool = Some(Tool {
            name: "curl".into(),
            version: handed.version.clone(),
            timer_resolution: "1 µs".into(),
        });
        record.notes.extend(self.how(handed));
        record.rtt = around(round_trips(&before), Vec::new());
        record.tunnels = around(tunnels(&before), Vec::new());
        surroundings(&mut record, &before);
        let end = |host: &str, address: &str| End { host: host.into(), address: address.into() };
        let known = self.known_.as_ref().map_or("", |known| known.host.as_str());
        let command = Command {
            words: self.command(),
            output: ran.iter().map(|ran| format!("{}{}", ran.stdout, ran.stderr)).collect(),
            timeout_seconds: self.timeout.ceil() as u64,
            client: end(known, &handed.client),
            server: end(self.server.as_deref().unwrap_or_default(), &handed.server),
        };
        Taken { record, samples: Some(handed.samples.clone()), command, tunnel: self.through() }
    }

    /// What was looked at afterwards.
    pub(super) fn recorded(&self, run: &str) -> Taken {
        let mut record = self.base(run);
        record.rtt = around(Vec::new(), round_trips(&self.after));
        record.tunnels = around(Vec::new(), tunnels(&self.after));
        surroundings(&mut record, &self.after);
        Taken { record, samples: None, command: Command::default(), tunnel: self.through() }
    }

    /// What the author wrote.
    fn base(&self, run: &str) -> Record {
        Record {
            run: run.to_string(),
            title: self.title.clone(),
            scenario: self.scenario.clone(),
            inputs: Some(self.digest()),
            links: self.links.iter().filter_map(link).collect(),
            placement: self.placement.clone(),
            notes: self.notes.clone(),
            ..Record::default()
        }
    }

    fn through(&self) -> Option<Through> {
        let interface = self.tunnel.clone()?;
        Some(Through { host: self.server.clone().unwrap_or_default(), interface })
    }

    fn state_after(&self, handed: &Handed, ran: &[Ran]) -> State {
        let failed = ran.last().filter(|ran| ran.rc != 0).map(|ran| ran.stderr.trim().to_string());
        match failed {
            Some(why) => State::Partial(why),
            None if (handed.samples.len() as u64) < self.requests => {
                State::Partial(format!("{} of {} requests were made", handed.samples.len(), self.requests))
            }
            None if self.await_record => State::Partial(WAITS.into()),
            None => State::Complete,
        }
    }

    fn settings(&self, handed: &Handed) -> Settings {
        Settings {
            url: self.url.clone(),
            requests: self.requests,
            warm_up: handed.discarded,
            connection: match self.connection {
                args::Connection::New => Connection::New,
                args::Connection::Keepalive => Connection::Keepalive,
            },
            pace: match (self.pace, self.rate) {
                (args::Pace::Open, Some(rate_per_second)) => Pace::Open { rate_per_second },
                _ => Pace::Closed,
            },
        }
    }

    /// curl's words, with what it reads from its configuration.
    fn command(&self) -> Vec<String> {
        let mut words: Vec<String> = ["-q", "-s", "-o", "/dev/null", "--noproxy", "*"].map(String::from).to_vec();
        words.extend(["--max-time".to_string(), self.timeout.to_string()]);
        if self.connection == args::Connection::New {
            words.extend(["-H".to_string(), "Connection: close".to_string()]);
        }
        let globbed = match self.pace {
            args::Pace::Closed => format!("{}#[1-{}]", self.url, self.requests),
            args::Pace::Open => self.url.clone(),
        };
        words.push(globbed);
        words
    }

    /// How it was measured, in sentences.
    fn how(&self, handed: &Handed) -> Vec<String> {
        let mut notes = vec!["One curl process makes all requests; its start is not measured.".to_string()];
        if self.connection == args::Connection::New {
            notes.push("Each request says `Connection: close`, so that the next one needs a new connection.".into());
        }
        notes.push(match (self.pace, handed.pause_ms) {
            (args::Pace::Open, _) => "Requests are released by a clock when they are due; both times are noted as they happen.".into(),
            (args::Pace::Closed, Some(pause)) => format!(
                "When requests began is summed up from what they took and the mean pause between two of them ({pause:.3} ms)."
            ),
            (args::Pace::Closed, None) => {
                "When requests began is summed up from what they took; the pauses between them are not known.".into()
            }
        });
        if handed.sessions > 1 {
            notes.push(format!("It was interrupted and gone on with: curl was started {} times.", handed.sessions));
        }
        notes
    }
}

fn around<T>(before: Vec<T>, after: Vec<T>) -> Option<Around<T>> {
    (!before.is_empty() || !after.is_empty()).then_some(Around { before, after })
}

fn round_trips(all: &[Environment]) -> Vec<RoundTrip> {
    let one = |from: &Environment| {
        let from_name = from.host.clone();
        from.rtt
            .iter()
            .map(|(to, (min_ms, avg_ms, max_ms))| RoundTrip {
                from: from_name.clone(),
                to: to.clone(),
                min_ms: *min_ms,
                avg_ms: *avg_ms,
                max_ms: *max_ms,
            })
            .collect::<Vec<_>>()
    };
    all.iter().flat_map(one).collect()
}

fn tunnels(all: &[Environment]) -> Vec<Tunnel> {
    let one = |host: &Environment| {
        let name = host.host.clone();
        let tunnel = |(interface, (rx_bytes, tx_bytes)): (&String, &(u64, u64))| Tunnel {
            host: name.clone(),
            interface: interface.clone(),
            rx_bytes: *rx_bytes,
            tx_bytes: *tx_bytes,
        };
        host.tunnels.iter().map(tunnel).collect::<Vec<_>>()
    };
    all.iter().flat_map(one).collect()
}

/// What does not change from before to after.
fn surroundings(record: &mut Record, all: &[Environment]) {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_string());
    for one in all.iter().filter(|one| !one.host.is_empty()) {
        let host = Host {
            kernel: text(&one.kernel),
            region: one.region.clone(),
            network: one.network.clone(),
            os: text(&one.os),
            versions: one.versions.clone(),
        };
        record.hosts.insert(one.host.clone(), host);
        let mtu = |(interface, mtu): (&String, &u32)| Mtu { host: one.host.clone(), interface: interface.clone(), mtu: *mtu };
        record.mtu.extend(one.mtu.iter().map(mtu));
    }
    record.versions = common(all);
}

/// Versions that are the same wherever the package is.
fn common(all: &[Environment]) -> IndexMap<String, String> {
    let mut found: IndexMap<String, String> = IndexMap::new();
    for (name, version) in all.iter().flat_map(|one| &one.versions) {
        let known = found.entry(name.clone()).or_insert_with(|| version.clone());
        if known != version {
            *known = "differs between the hosts".into();
        }
    }
    found
}

fn link(link: &args::Link) -> Option<Link> {
    let [one, other] = link.between.as_slice() else { return None };
    Some(Link {
        between: [one.clone(), other.clone()],
        rtt_ms: link.rtt.as_deref().and_then(milliseconds),
        jitter_ms: link.jitter.as_deref().and_then(milliseconds),
        loss_percent: link.loss.as_deref().and_then(|loss| loss.trim_end_matches('%').trim().parse().ok()),
        rate_mbit: link.rate.as_deref().and_then(megabits),
        source: link.source.clone(),
    })
}

/// `9ms`, `200us`, `0.1s`; a plain number is in milliseconds.
fn milliseconds(text: &str) -> Option<f64> {
    scaled(text, &[("us", 0.001), ("µs", 0.001), ("ms", 1.0), ("s", 1000.0), ("", 1.0)])
}

/// `1gbit`, `300mbit`, `64kbit`.
fn megabits(text: &str) -> Option<f64> {
    scaled(&text.to_lowercase(), &[("gbit", 1000.0), ("mbit", 1.0), ("kbit", 0.001)])
}

fn scaled(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let (number, scale) = units.iter().find_map(|(unit, scale)| Some((text.trim().strip_suffix(unit)?, scale)))?;
    number.trim().parse::<f64>().ok().map(|number| number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_links() {
        for (text, expected) in [("9.0ms", Some(9.0)), ("200us", Some(0.2)), ("7", Some(7.0)), ("1 s", Some(1000.0)), ("x", None)] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
        for (text, expected) in [("1gbit", Some(1000.0)), ("300Mbit", Some(300.0)), ("5", None)] {
            assert_eq!(megabits(text), expected, "{text}");
        }
    }
}
