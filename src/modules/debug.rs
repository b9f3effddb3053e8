//! `debug`: shows a text or a value.

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

/// Shows a text or the value of a variable. Happens on the controller.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Debug {
    /// What to show. Without `msg` and `var`: `Hello world!`.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    pub msg: Option<Value>,
    /// The expression whose value is shown, without braces: `var: result.stdout`.
    #[serde(default)]
    pub var: Option<String>,
    /// The value of `var`; filled in by the engine.
    #[serde(default)]
    #[schemars(skip)]
    pub value_: Option<Value>,
    /// Shown only when at least so many `-v` are given.
    #[serde(default)]
    pub verbosity: u32,
}

/// What is written is shown, even `null`.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Kinds that happen on the controller look at nothing.
#[derive(Debug, Deserialize)]
pub struct Nothing {}

impl Module for Debug {
    const NAME: &'static str = "debug";
    const SUMMARY: &'static str = "Shows a text or a value.";
    const EXAMPLE: &'static str = "debug:\n  msg: \"{{ inventory_hostname }} is ready\"\n";
    const NATURE: Nature = Nature::Here;
    const REACH: Reach = Reach::Own;

    type Identity = Nothing;
    type State = Nothing;

    fn check(&self) -> Result<(), Refusal> {
        match (&self.msg, &self.var) {
            (Some(_), Some(_)) => Err(Refusal::new("`msg` and `var` cannot both be shown").help("write one of them")),
            _ => Ok(()),
        }
    }

    fn probe(_: &Nothing) -> Probe {
        Probe::none()
    }

    fn change(&self, _: &Nothing) -> Result<Change, Refusal> {
        Ok(Change::none())
    }

    fn result(&self, _: &Nothing, _: &[Ran]) -> Fields {
        let (name, value) = match (&self.var, &self.msg) {
            (Some(var), _) => (var.clone(), self.value_.clone().unwrap_or_default()),
            (None, Some(msg)) => ("msg".into(), msg.clone()),
            (None, None) => ("msg".into(), Value::from("Hello world!")),
        };
        Fields::from([(name, value)])
    }
}
