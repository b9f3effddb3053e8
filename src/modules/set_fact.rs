//! `set_fact`: gives the host variables.

use indexmap::IndexMap;
use minijinja::Value;
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
use crate::modules::debug::Nothing;

/// Gives the host variables for the rest of the run. Happens on the controller.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SetFact {
    /// Accepted; facts are not kept from one run to the next.
    #[serde(default)]
    pub cacheable: bool,
    /// The variables, by name; any value.
    #[serde(flatten)]
    #[schemars(with = "std::collections::BTreeMap<String, serde_json::Value>")]
    pub facts: IndexMap<String, Value>,
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

impl Module for SetFact {
    const NAME: &'static str = "set_fact";
    const SUMMARY: &'static str = "Gives the host variables.";
    const EXAMPLE: &'static str = "set_fact:\n  tunnel_port: 51820\n";
    const NATURE: Nature = Nature::Here;
    const REACH: Reach = Reach::Own;

    type Identity = Nothing;
    type State = Nothing;

    fn check(&self) -> Result<(), Refusal> {
        if self.facts.is_empty() {
            return Err(Refusal::new("no fact is set").help("write `name: value` below `set_fact:`"));
        }
        match self.facts.keys().find(|name| !is_name(name)) {
            Some(name) => Err(Refusal::new(format!("`{name}` cannot be the name of a variable"))
                .help("names are letters, digits and `_`, and do not start with a digit")),
            None => Ok(()),
        }
    }

    fn probe(_: &Nothing) -> Probe {
        Probe::none()
    }

    fn change(&self, _: &Nothing) -> Result<Change, Refusal> {
        Ok(Change::none())
    }

    fn result(&self, _: &Nothing, _: &[Ran]) -> Fields {
        let facts = Value::from_pairs(self.facts.iter().map(|(name, value)| (name.as_str(), value.clone())));
        Fields::from([("ansible_facts".into(), facts)])
    }
}
