//! `ping`: whether the host answers.

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

/// Reports whether the host can be reached and runs a shell. Nothing is run but that shell.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ping {
    /// What is given back as `ping`.
    #[serde(default = "pong")]
    pub data: String,
}

fn pong() -> String {
    "pong".into()
}

#[derive(Debug, Deserialize)]
pub struct Nothing {}

impl Module for Ping {
    const NAME: &'static str = "ping";
    const SUMMARY: &'static str = "Reports whether the host answers.";
    const EXAMPLE: &'static str = "ping: {}\n";
    const NATURE: Nature = Nature::Look;
    const REACH: Reach = Reach::Own;

    type Identity = Nothing;
    type State = Nothing;

    fn probe(_: &Nothing) -> Probe {
        Probe::none()
    }

    fn change(&self, _: &Nothing) -> Result<Change, Refusal> {
        Ok(Change::none())
    }

    fn result(&self, _: &Nothing, _: &[Ran]) -> Fields {
        Fields::from_iter([("ping".to_string(), Value::from(self.data.as_str()))])
    }
}
