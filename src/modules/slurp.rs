//! `slurp`: the content of a file on the host.

use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Change;
use crate::change::Look;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::look::PathKind;
use crate::change::look::PathState;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::types::HostPath;

/// Reads a file of the host: `register` gets its `content` as base64.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slurp {
    /// The file.
    #[serde(alias = "path")]
    pub src: HostPath,
}

#[derive(Debug, Deserialize)]
pub struct Identity {
    #[serde(alias = "path")]
    src: HostPath,
}

#[derive(Debug, Deserialize)]
pub struct State {
    src: PathState,
    content: String,
}

impl Module for Slurp {
    const NAME: &'static str = "slurp";
    const SUMMARY: &'static str = "Reads a file of the host.";
    const EXAMPLE: &'static str = "slurp:\n  src: /etc/machine-id\nregister: id\n";
    const NATURE: Nature = Nature::Look;
    const REACH: Reach = Reach::Own;

    type Identity = Identity;
    type State = State;

    fn probe(identity: &Identity) -> Probe {
        let path = sh::quote(&identity.src);
        let text = format!("[ ! -f {path} ] || base64 <{path} | tr -d '\\n'");
        Probe::none().target("src", &identity.src).ask("content", Look::Script { text })
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        let path = &*self.src;
        match now.src.kind {
            PathKind::File if now.src.sha256.is_empty() => {
                Err(Refusal::new(format!("{path} cannot be read")).help("use `become: true`"))
            }
            PathKind::File => Ok(Change::none()),
            PathKind::Absent => Err(Refusal::new(format!("{path} does not exist"))),
            PathKind::Directory => Err(Refusal::new(format!("{path} is a directory; `slurp` reads files"))),
            _ => Err(Refusal::new(format!("{path} is no regular file"))),
        }
    }

    fn result(&self, now: &State, _: &[Ran]) -> Fields {
        Fields::from([
            ("content".into(), Value::from(now.content.as_str())),
            ("encoding".into(), Value::from("base64")),
            ("source".into(), Value::from(&*self.src)),
        ])
    }
}
