//! `raw`: runs text of the user as it is.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Script;
use crate::change::Undo;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::command;

/// Runs text in a shell, each time. No host needs Python here, so this differs from `shell` in name only.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    /// The text to run.
    pub cmd: String,
    /// The shell to run it with: `/bin/bash`. Without it, `/bin/sh`.
    #[serde(default)]
    pub executable: Option<String>,
}

/// Nothing names what a command touches.
#[derive(Debug, Deserialize)]
pub struct Nameless {}

#[derive(Debug, Deserialize)]
pub struct State {}

impl Module for Raw {
    const NAME: &'static str = "raw";
    const SUMMARY: &'static str = "Runs text in a shell, each time.";
    const EXAMPLE: &'static str = "raw: uname -r\n";
    const NATURE: Nature = Nature::Act;
    const REACH: Reach = Reach::Beyond;
    const FREE: Option<&'static str> = Some("cmd");

    type Identity = Nameless;
    type State = State;

    fn check(&self) -> Result<(), Refusal> {
        command::no_nul(&self.cmd)
    }

    fn probe(_: &Nameless) -> Probe {
        Probe::none()
    }

    fn change(&self, _: &State) -> Result<Change, Refusal> {
        let mut change = Change::none();
        let executable = self.executable.clone();
        let script = Script { text: self.cmd.clone(), user: true, executable, ..Script::default() };
        let never = Undo::Never("a command; give the task an `undo:` to take it back".into());
        change.act("run a shell command", Apply::Run(script), never);
        Ok(change)
    }

    fn result(&self, _: &State, ran: &[Ran]) -> Fields {
        let mut fields = command::result(minijinja::Value::from(()), None, None, ran, false);
        fields.retain(|name, _| matches!(name.as_str(), "rc" | "stdout" | "stdout_lines" | "stderr" | "stderr_lines"));
        fields
    }
}
