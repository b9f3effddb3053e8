//! `wait_for_connection`: until the host can be reached. The waiting is the engine's: it connects before it runs anything.

use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Undo;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;

/// Waits until the host can be reached.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitForConnection {
    /// Seconds to wait before the first try.
    #[serde(default)]
    pub delay: u32,
    /// Seconds after which it gives up.
    #[serde(default = "ten_minutes")]
    pub timeout: u32,
    /// Seconds between tries.
    #[serde(default = "one")]
    pub sleep: u32,
    /// Seconds one try may take.
    #[serde(default = "five")]
    pub connect_timeout: u32,
}

fn ten_minutes() -> u32 {
    600
}

fn one() -> u32 {
    1
}

fn five() -> u32 {
    5
}

#[derive(Debug, Deserialize)]
pub struct Nothing {}

impl Module for WaitForConnection {
    const NAME: &'static str = "wait_for_connection";
    const SUMMARY: &'static str = "Waits until the host can be reached.";
    const EXAMPLE: &'static str = "wait_for_connection:\n  timeout: 60\n";
    const NATURE: Nature = Nature::Act;
    const REACH: Reach = Reach::Beyond;

    type Identity = Nothing;
    type State = Nothing;

    fn probe(_: &Nothing) -> Probe {
        Probe::none()
    }

    fn change(&self, _: &Nothing) -> Result<Change, Refusal> {
        let mut change = Change::none();
        change.act("wait for the host", Apply::run(":"), Undo::Nothing);
        Ok(change)
    }

    fn result(&self, _: &Nothing, ran: &[Ran]) -> Fields {
        let elapsed = ran.iter().map(|ran| ran.end - ran.start).sum::<f64>();
        Fields::from_iter([
            ("changed".to_string(), Value::from(false)),
            ("elapsed".to_string(), Value::from(elapsed as i64)),
        ])
    }
}
