//! `setup`: facts of the host, under Ansible's names.

mod clock;
mod facts;
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
use crate::change::look::Look;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;

/// What is run on the host.
const SCRIPT: &str = include_str!("setup/facts.sh");

/// Collects facts of the host: names, distribution, processors, memory, network, mounts, the user.
///
/// They come from five processes, whatever is asked for. Facts about Python, PCI devices, disks and logical volumes are
/// not collected; `ansible_env` holds the common variables only.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Which groups of facts. Accepted for the sake of old playbooks: all facts are collected, since they cost the same.
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
pub struct Nobody {}

#[derive(Debug, Deserialize)]
pub struct State {
    #[serde(default)]
    facts: String,
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
    const ALIASES: &'static [&'static str] = &["gather_facts"];

    type Identity = Nobody;
    type State = State;

    fn probe(_: &Nobody) -> Probe {
        Probe::none().ask("facts", Look::Live { text: SCRIPT.into() })
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        match now.facts.is_empty() {
            true => Err(Refusal::new("the host printed no facts")),
            false => Ok(Change::none()),
        }
    }

    fn result(&self, now: &State, _: &[Ran]) -> Fields {
        let facts: facts::Facts = facts::parse(&now.facts).into_iter().filter(|(name, _)| self.wants(name)).collect();
        Fields::from_iter([("ansible_facts".to_string(), Value::from(Serde(facts)))])
    }
}
