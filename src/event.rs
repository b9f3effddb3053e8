//! What happens in a run, as values: the border between the engine and everything that shows or keeps it.
//!
//! Events carry data, not text for people. [`Run::fold`] is the only place that turns them into a state.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::Serialize;

use crate::results::taken::Taken;

/// The kinds of nodes that are no tasks: a play's facts, an include.
pub const GATHERING: &str = "gather_facts";
pub const INCLUDE: &str = "include";

/// The number of a node within one run.
pub type NodeId = u32;

/// Something that happened. `seconds` counts from the start of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub seconds: f64,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    RunStarted {
        mode: Mode,
        testbed: String,
        hosts: Vec<String>,
        nodes: usize,
    },
    /// An include brought tasks during the run: how many there are now.
    Grown {
        nodes: usize,
    },
    PlayStarted {
        name: String,
        hosts: usize,
    },
    HostUp {
        host: String,
        peer: String,
        // The event's own time is `seconds` in JSON; a second key of that name would hide it.
        #[serde(rename = "took")]
        seconds: f64,
    },
    HostLost {
        host: String,
        why: String,
        help: Option<String>,
    },
    /// A node runs on its host now.
    NodeStarted {
        node: NodeId,
        place: Place,
    },
    /// A line of output of a running command.
    Line {
        node: NodeId,
        host: String,
        line: String,
    },
    /// A try of `until` was not the last one.
    Retry {
        node: NodeId,
        place: Place,
        left: u32,
        delay: f64,
    },
    NodeEnded {
        node: NodeId,
        place: Place,
        ended: Box<Ended>,
    },
    /// An entry of a host's journal was taken back, or not.
    Undone {
        host: String,
        what: String,
        how: String,
        kept: bool,
    },
    /// What a host was given and the playbook does not ask for any more. `also`: another task that wants it still.
    Left {
        host: String,
        what: String,
        task: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        also: Option<String>,
    },
    /// A part of a measurement. The samples themselves are for whoever keeps them, and are in no log.
    Measured {
        host: String,
        run: String,
        /// How many; none if the part adds to the record alone.
        samples: Option<usize>,
        failed: usize,
        #[serde(skip)]
        taken: Option<Arc<Taken>>,
    },
    Warned {
        host: Option<String>,
        text: String,
    },
    Interrupted,
    RunEnded {
        #[serde(rename = "took")]
        seconds: f64,
        trips: BTreeMap<String, u64>,
        /// What it came to, by host, for readers that keep no state of their own.
        #[serde(default)]
        recap: BTreeMap<String, Counts>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Plan,
    Apply,
    Destroy,
}

/// Which task of which play, on which host; the same in every run of the same text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub host: String,
    /// `role : name`, or the name, or the kind.
    pub task: String,
    pub kind: String,
    /// `file:line:column`
    pub at: String,
    /// Where it runs, when that is another host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegated: Option<String>,
    #[serde(default)]
    pub handler: bool,
}

/// The end of a node. Items of a loop are in `items`; a task without a loop has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub outcome: Outcome,
    /// What was or would be changed, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Shown>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemEnded>,
    /// It changed something, however it ended.
    #[serde(default)]
    pub changed: bool,
    /// The failure was ignored: `ignore_errors`.
    #[serde(default)]
    pub ignored: bool,
    /// The failure was dealt with by a block's `rescue`.
    #[serde(default)]
    pub rescued: bool,
    /// What `debug` says, and what `register` sees, without secrets and `no_log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// Seconds on the host.
    pub seconds: f64,
}

impl Ended {
    /// An end that there is nothing else to be said of.
    pub fn plain(outcome: Outcome) -> Ended {
        Ended {
            outcome,
            steps: Vec::new(),
            items: Vec::new(),
            changed: false,
            ignored: false,
            rescued: false,
            result: None,
            seconds: 0.0,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemEnded {
    pub label: String,
    pub outcome: Outcome,
}

/// One step as shown by plan, `--diff` and logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Why there is no way back, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never: Option<String>,
    /// What else is to be said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a node ended, with reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", content = "why", rename_all = "lowercase")]
pub enum Outcome {
    /// Already right, or it changes nothing.
    Same,
    /// Changed; in a plan: would change.
    Changed,
    /// In a plan: it would run, or it depends on a value that is known only after apply.
    Unknown(String),
    Failed(Failure),
    Skipped(String),
    Unreached(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rc: Option<i32>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
}

/// The recap's numbers, under Ansible's names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Ended well, changed or not.
    pub ok: u32,
    pub changed: u32,
    pub unreachable: u32,
    pub failed: u32,
    pub skipped: u32,
    pub rescued: u32,
    pub ignored: u32,
    /// In a plan: known only after apply.
    pub unknown: u32,
}

/// The state of a run: a fold of its events.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub mode: Option<Mode>,
    pub testbed: String,
    pub nodes: usize,
    pub ended: usize,
    pub seconds: f64,
    pub hosts: IndexMap<String, HostRun>,
    /// Nodes that failed for good, in order.
    pub failures: Vec<(Place, Failure)>,
    pub interrupted: bool,
    pub over: bool,
}

#[derive(Debug, Clone, Default)]
pub struct HostRun {
    pub counts: Counts,
    /// What runs there now, and since when.
    pub running: Option<(NodeId, Place, f64)>,
    pub up: bool,
    pub lost: Option<String>,
    pub kept: u32,
    pub undone: u32,
    /// What the playbook does not ask for any more.
    pub left: u32,
    /// Trips after login.
    pub trips: u64,
}

impl Run {
    pub fn fold(&mut self, event: &Event) {
        self.seconds = event.seconds;
        match &event.what {
            What::RunStarted { mode, testbed, hosts, nodes } => {
                self.mode = Some(*mode);
                self.testbed.clone_from(testbed);
                self.nodes = *nodes;
                self.hosts = hosts.iter().map(|host| (host.clone(), HostRun::default())).collect();
            }
            What::Grown { nodes } => self.nodes = *nodes,
            What::HostUp { host, .. } => self.host(host).up = true,
            What::HostLost { host, why, .. } => self.host(host).lost = Some(why.clone()),
            What::NodeStarted { node, place } => {
                let seconds = event.seconds;
                self.host(&place.host).running = Some((*node, place.clone(), seconds));
            }
            What::NodeEnded { place, ended, .. } => self.end(place, ended),
            What::Undone { host, kept, .. } => match kept {
                true => self.host(host).kept += 1,
                false => self.host(host).undone += 1,
            },
            What::RunEnded { trips, .. } => {
                self.over = true;
                for (host, count) in trips {
                    self.host(host).trips = *count;
                }
            }
            What::Interrupted => self.interrupted = true,
            What::Left { host, .. } => self.host(host).left += 1,
            What::PlayStarted { .. }
            | What::Line { .. }
            | What::Retry { .. }
            | What::Measured { .. }
            | What::Warned { .. } => {}
        }
    }

    fn host(&mut self, name: &str) -> &mut HostRun {
        self.hosts.entry(name.to_string()).or_default()
    }

    fn end(&mut self, place: &Place, ended: &Ended) {
        self.ended += usize::from(!place.handler && !matches!(place.kind.as_str(), GATHERING | INCLUDE));
        let host = self.host(&place.host);
        host.running = None;
        let counts = &mut host.counts;
        match &ended.outcome {
            // Ansible counts what is included as often as it is.
            Outcome::Same if place.kind == INCLUDE => counts.ok += ended.items.len() as u32,
            Outcome::Same => counts.ok += 1,
            Outcome::Changed => {
                counts.ok += 1;
                counts.changed += 1;
            }
            Outcome::Unknown(_) => counts.unknown += 1,
            // Ansible counts none of what the run itself is told.
            Outcome::Skipped(_) if place.kind == "meta" => {}
            Outcome::Skipped(_) => counts.skipped += 1,
            Outcome::Unreached(_) => counts.unreachable += 1,
            Outcome::Failed(_) if ended.rescued => counts.rescued += 1,
            Outcome::Failed(_) if ended.ignored => {
                counts.ok += 1;
                counts.ignored += 1;
                counts.changed += u32::from(ended.changed);
            }
            Outcome::Failed(failure) => {
                counts.failed += 1;
                self.failures.push((place.clone(), failure.clone()));
            }
        }
    }

    /// 0 ok, 2 a task failed, 4 a host was not reached.
    pub fn exit_code(&self) -> u8 {
        let any = |test: fn(&HostRun) -> bool| self.hosts.values().any(test);
        match (any(|host| host.counts.failed > 0), any(|host| host.lost.is_some() || host.counts.unreachable > 0)) {
            (true, _) => 2,
            (_, true) => 4,
            _ => 0,
        }
    }
}
