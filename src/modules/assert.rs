//! `assert`: fails unless something holds.

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

/// Fails unless all of the given expressions are true. Happens on the controller.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assert {
    /// The expressions, without braces; a list, or one. The engine passes on what they came to.
    #[schemars(with = "Vec<String>")]
    pub that: Vec<bool>,
    /// The expressions as written; filled in by the engine.
    #[serde(default)]
    #[schemars(skip)]
    pub that_text_: Vec<String>,
    /// What to say when one is false.
    #[serde(default, alias = "msg")]
    #[schemars(with = "Option<String>")]
    pub fail_msg: Option<Value>,
    /// What to say when all are true. Without it: `All assertions passed`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub success_msg: Option<Value>,
    /// Says nothing but the outcome.
    #[serde(default)]
    pub quiet: bool,
}

/// A message given as text, or as a list of lines.
fn message(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_string(),
        None => match value.try_iter() {
            Ok(lines) if value.kind() == minijinja::value::ValueKind::Seq => {
                lines.map(|line| line.to_string()).collect::<Vec<_>>().join("\n")
            }
            _ => value.to_string(),
        },
    }
}

impl Module for Assert {
    const NAME: &'static str = "assert";
    const SUMMARY: &'static str = "Fails unless something holds.";
    const EXAMPLE: &'static str = "assert:\n  that:\n    - groups['all'] | length > 0\n  fail_msg: the inventory is empty\n";
    const NATURE: Nature = Nature::Here;
    const REACH: Reach = Reach::Own;

    type Identity = Nothing;
    type State = Nothing;

    fn check(&self) -> Result<(), Refusal> {
        if self.that.is_empty() {
            return Err(Refusal::new("nothing is asserted").help("write the expressions under `that:`"));
        }
        Ok(())
    }

    fn probe(_: &Nothing) -> Probe {
        Probe::none()
    }

    fn change(&self, _: &Nothing) -> Result<Change, Refusal> {
        let Some(at) = self.that.iter().position(|holds| !holds) else { return Ok(Change::none()) };
        let refusal = Refusal::new(self.fail_msg.as_ref().map_or_else(|| "assertion failed".into(), message));
        Err(match self.that_text_.get(at) {
            Some(text) => refusal.help(format!("this is false: {text}")),
            None => refusal,
        })
    }

    fn result(&self, _: &Nothing, _: &[Ran]) -> Fields {
        let mut fields = Fields::new();
        match self.that.iter().position(|holds| !holds) {
            Some(at) => {
                let text = self.that_text_.get(at).map_or("", String::as_str);
                fields.insert("assertion".into(), Value::from(text));
                fields.insert("evaluated_to".into(), Value::from(false));
                let msg = self.fail_msg.clone().unwrap_or_else(|| Value::from("Assertion failed"));
                fields.insert("msg".into(), msg);
            }
            None if self.quiet => {}
            None => {
                let msg = self.success_msg.clone().unwrap_or_else(|| Value::from("All assertions passed"));
                fields.insert("msg".into(), msg);
            }
        }
        fields
    }
}
