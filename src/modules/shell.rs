//! `shell`: runs text of the user in a shell.

use minijinja::Value;
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

/// Runs text in the host's `/bin/sh`: pipes, variables and globs work.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shell {
    /// The text to run.
    pub cmd: String,
    /// Not run when this path (or glob) exists.
    #[serde(default)]
    pub creates: Option<String>,
    /// Not run when this path (or glob) does not exist.
    #[serde(default)]
    pub removes: Option<String>,
    /// The directory to run in.
    #[serde(default)]
    pub chdir: Option<String>,
    /// The shell to run it with: `/bin/bash`. Without it, `/bin/sh`.
    #[serde(default)]
    pub executable: Option<String>,
    /// Text for the standard input.
    #[serde(default)]
    pub stdin: Option<String>,
    /// Ends `stdin` with a line end.
    #[serde(default = "yes")]
    pub stdin_add_newline: bool,
    /// Accepted from older playbooks; it never had an effect on what is done.
    #[serde(default)]
    pub warn: bool,
}

fn yes() -> bool {
    true
}

impl Module for Shell {
    const NAME: &'static str = "shell";
    const SUMMARY: &'static str = "Runs text in a shell.";
    const EXAMPLE: &'static str = "shell: ip -br link | wc -l > /root/links\nargs:\n  creates: /root/links\n";
    const NATURE: Nature = Nature::Act;
    const REACH: Reach = Reach::Beyond;
    const FREE: Option<&'static str> = Some("cmd");

    type Identity = command::Guarded;
    type State = command::State;

    fn check(&self) -> Result<(), Refusal> {
        if self.cmd.trim().is_empty() { Err(Refusal::new("the command is empty")) } else { command::no_nul(&self.cmd) }
    }

    fn probe(guard: &command::Guarded) -> Probe {
        command::probe(guard)
    }

    fn change(&self, now: &command::State) -> Result<Change, Refusal> {
        let mut change = Change::none();
        if command::wanted(now, self.removes.as_deref()) {
            let end = if self.stdin_add_newline { "\n" } else { "" };
            let script = Script {
                text: self.cmd.clone(),
                user: true,
                chdir: self.chdir.clone(),
                stdin: self.stdin.as_ref().map(|text| format!("{text}{end}")),
                executable: self.executable.clone(),
            };
            let never = Undo::Never("a command; give the task an `undo:` to take it back".into());
            change.act("run a shell command", Apply::Run(script), never);
        }
        Ok(change)
    }

    fn result(&self, _: &command::State, ran: &[Ran]) -> Fields {
        command::result(Value::from(self.cmd.as_str()), self.creates.as_deref(), self.removes.as_deref(), ran, true)
    }
}
