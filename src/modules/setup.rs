//! `setup`: facts of the host, under Ansible's names.

pub mod clock;
mod facts;
mod group;
mod network;
#[cfg(test)]
mod tests;

use minijinja::Value;
use minijinja::value::Serde;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Change;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
pub use crate::modules::setup::group::Group;

/// Collects facts of the host: names, distribution, processors, memory, network, mounts, the user.
///
/// A play gathers only the groups of facts that something reads. Facts about Python, PCI devices, disks and logical volumes
/// are not collected; `ansible_env` holds the common variables only.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Which groups of facts: `all` (the default), `min`, `hardware`, `network`, `date_time`; with `!` in front all but these.
    #[serde(default)]
    pub gather_subset: Vec<String>,
    /// Seconds. Accepted for the sake of old playbooks; the deadline of probes holds.
    #[serde(default)]
    pub gather_timeout: Option<u32>,
    /// Only facts whose name matches one of these patterns (`*` and `?`), with or without `ansible_` in front.
    #[serde(default)]
    pub filter: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub struct Asked {
    #[serde(default)]
    gather_subset: Vec<String>,
}

/// What each group's script printed, and the lines of all files.
#[derive(Debug, Deserialize)]
pub struct State {
    #[serde(default)]
    files: String,
    #[serde(default)]
    min: String,
    #[serde(default)]
    hardware: String,
    #[serde(default)]
    network: String,
    #[serde(default)]
    date_time: String,
}

/// Whether a name is of a pattern in which `*` stands for any text and `?` for a letter.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return name.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches(rest, &name[at..])),
        _ => match name.chars().next() {
            Some(letter) if first == '?' || first == letter => matches(rest, &name[letter.len_utf8()..]),
            _ => false,
        },
    }
}

impl Setup {
    fn wants(&self, name: &str) -> bool {
        let short = name.trim_start_matches("ansible_");
        let one = |pattern: &String| matches(pattern, name) || matches(pattern, short);
        self.filter.is_empty() || self.filter.iter().any(one)
    }
}

impl Module for Setup {
    const NAME: &'static str = "setup";
    const SUMMARY: &'static str = "Collects facts of the host.";
    const EXAMPLE: &'static str = "setup:\n  filter: [ansible_distribution*, ansible_default_ipv4]\n";
    const NATURE: Nature = Nature::Look;
    const REACH: Reach = Reach::Own;
    const UNSUPPORTED: &'static [&'static str] = &["fact_path",];
    const ALIASES: &'static [&'static str] = &["gather_facts"];

    type Identity = Asked;
    type State = State;

    fn check(&self) -> Result<(), Refusal> {
        Group::chosen(&self.gather_subset).map(drop).map_err(Refusal::new)
    }

    fn probe(asked: &Asked) -> Probe {
        // What is no subset is refused by `check`.
        let groups = Group::chosen(&asked.gather_subset).unwrap_or_default();
        groups.into_iter().fold(Probe::none(), |probe, group| group.ask(probe))
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        let printed = [&now.files, &now.min, &now.hardware, &now.network, &now.date_time];
        match printed.iter().all(|text| text.is_empty()) {
            true => Err(Refusal::new("the host printed no facts")),
            false => Ok(Change::none()),
        }
    }

    fn result(&self, now: &State, _: &[Ran]) -> Fields {
        let State { files, min, hardware, network, date_time } = now;
        let groups = Group::chosen(&self.gather_subset).unwrap_or_default();
        let text = format!("@files\n{files}\n{min}\n{hardware}\n{network}\n{date_time}");
        let facts = facts::parse(&text, &groups).into_iter().filter(|(name, _)| self.wants(name));
        let facts: facts::Facts = facts.collect();
        Fields::from_iter([("ansible_facts".to_string(), Value::from(Serde(facts)))])
    }
}
