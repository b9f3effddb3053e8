//! `results.json`: the commands of a run in the form of the Kubernetes network benchmarks (orchestrator, worker, launcher),
//! for tools that read those.

use serde::Deserialize;
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tasks {
    pub results: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What the command printed, both streams.
    pub output: String,
    pub task: Task,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub command: String,
    pub args: Vec<String>,
    pub task_options: Options,
    /// 0 is done.
    pub status: i32,
    pub client: End,
    pub server: End,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    pub timeout_seconds: u64,
}

/// One side of a measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub worker: String,
    pub ip: String,
    pub vm: Machine,
    pub idle: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub hostname: String,
    pub availability_zone: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_others_read() {
        let text = concat!(
            r#"{"results":[{"output":"done","task":{"command":"curl","args":["-s"],"task_options":{"timeout_seconds":60},"#,
            r#""status":0,"client":{"worker":"client","ip":"10.9.0.5","vm":{"hostname":"client","availability_zone":"#,
            r#""karlskrona"},"idle":false},"server":{"worker":"node-1","ip":"10.9.0.10","vm":{"hostname":"node-1","#,
            r#""availability_zone":"frankfurt"},"idle":false}}}]}"#
        );
        let tasks: Tasks = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&tasks).unwrap(), text);
    }
}
