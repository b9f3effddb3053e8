//! `fail`: fails with a message.

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

/// Fails with a message; mostly under a `when`. Happens on the controller.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    /// What to say. Without it: `Failed as requested from task`.
    #[serde(default = "requested")]
    pub msg: String,
}

fn requested() -> String {
    "Failed as requested from task".into()
}

impl Module for Fail {
    const NAME: &'static str = "fail";
    const SUMMARY: &'static str = "Fails with a message.";
    const EXAMPLE: &'static str = "fail:\n  msg: this host has no address\nwhen: ansible_host is not defined\n";
    const NATURE: Nature = Nature::Here;
    const REACH: Reach = Reach::Own;

    type Identity = Nothing;
    type State = Nothing;

    fn probe(_: &Nothing) -> Probe {
        Probe::none()
    }

    fn change(&self, _: &Nothing) -> Result<Change, Refusal> {
        Err(Refusal::new(self.msg.clone()))
    }

    fn result(&self, _: &Nothing, _: &[Ran]) -> Fields {
        Fields::from([("msg".into(), Value::from(self.msg.as_str()))])
    }
}
