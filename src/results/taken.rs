//! What a benchmark hands over, on its way from the host to the files of a run.

use crate::results::record::Record;
use crate::results::sample::Sample;

/// Part of a run: its samples, or what is known of it only afterwards. The parts of one run bear the same name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Taken {
    /// What this part knows; the rest is left as it is.
    pub record: Record,
    /// `None`: this part adds to the record alone.
    pub samples: Option<Vec<Sample>>,
    pub command: Command,
    /// Where the requests went through, if they went through a tunnel.
    pub tunnel: Option<Through>,
}

/// The command that measured, for `results.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    pub words: Vec<String>,
    /// What it printed.
    pub output: String,
    pub timeout_seconds: u64,
    pub client: End,
    pub server: End,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct End {
    pub host: String,
    pub address: String,
}

/// The host whose counters prove the path, and its tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Through {
    pub host: String,
    pub interface: String,
}
