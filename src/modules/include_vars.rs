//! `include_vars`: variables of files on the controller. The engine reads them; here it is only said what is to be read.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Change;
use crate::change::Probe;
use crate::change::Refusal;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::debug::Nothing;

/// Reads variables of a file, or of all files of a directory, when its turn comes. Happens on the controller.
///
/// They are stronger than the variables of plays, roles and tasks, and weaker than what tasks register or set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncludeVars {
    /// The file, looked for in `vars/` of the role and beside the playbook.
    #[serde(default)]
    pub file: Option<String>,
    /// A directory: its files that end in `.yml`, `.yaml` or `.json`, in order, and those of directories in it.
    #[serde(default)]
    pub dir: Option<String>,
    /// The variable that holds them all, as a mapping. Without it each is a variable of its own.
    #[serde(default)]
    pub name: Option<String>,
}

impl Module for IncludeVars {
    const NAME: &'static str = "include_vars";
    const SUMMARY: &'static str = "Reads variables of files.";
    const EXAMPLE: &'static str = "include_vars: \"{{ ansible_os_family }}.yaml\"\n";
    const NATURE: Nature = Nature::Here;
    const REACH: Reach = Reach::Own;
    const FREE: Option<&'static str> = Some("file");
    const UNSUPPORTED: &'static [&'static str] =
        &["depth", "extensions", "files_matching", "hash_behaviour", "ignore_files", "ignore_unknown_extensions"];

    type Identity = Nothing;
    type State = Nothing;

    fn check(&self) -> Result<(), Refusal> {
        match (&self.file, &self.dir) {
            (Some(_), Some(_)) => Err(Refusal::new("`file` and `dir` are two places").help("write two tasks")),
            (None, None) => Err(Refusal::new("nothing is to be read").help("write `include_vars: FILE`")),
            _ => Ok(()),
        }
    }

    fn probe(_: &Nothing) -> Probe {
        Probe::none()
    }

    fn change(&self, _: &Nothing) -> Result<Change, Refusal> {
        Ok(Change::none())
    }
}
