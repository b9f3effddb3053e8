//! `template`: a file whose content is rendered for the host.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Change;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::modules::Fields;
use crate::modules::FileArg;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::attributes::Wanted;
use crate::modules::place;
use crate::modules::place::Place;
use crate::modules::place::Wish;
use crate::modules::types::Dest;
use crate::modules::types::Mode;
use crate::modules::types::Source;

/// Renders a file of the controller with the host's variables and puts it on the host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The template, searched in the role's `templates`.
    pub src: String,
    /// The rendered file; filled in by the engine.
    #[serde(default)]
    #[schemars(skip)]
    pub source_: Option<Source>,
    /// Where it goes. A directory, or a path with `/` at its end, takes the name of `src`.
    pub dest: Dest,
    /// Permission bits: `0644`, `u=rw,g=r`, or `preserve` for those of the template. Without it a new file gets 0644.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Name or number of the owner.
    #[serde(default)]
    pub owner: Option<String>,
    /// Name or number of the group.
    #[serde(default)]
    pub group: Option<String>,
    /// `false`: a file that is there is left as it is.
    #[serde(default = "yes")]
    pub force: bool,
    /// Keeps the old file beside the new one under a dated name.
    #[serde(default)]
    pub backup: bool,
    /// A command that must accept the new file before it is put in place; `%s` stands for it: `visudo -cf %s`.
    #[serde(default)]
    pub validate: Option<String>,
    /// If `dest` is a link, what it points to is meant; else a link is replaced by a file.
    #[serde(default)]
    pub follow: bool,
    /// Accepted; files are always replaced in one step where the host allows it.
    #[serde(default)]
    pub unsafe_writes: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
pub struct Identity {
    src: String,
    dest: Dest,
}

impl Template {
    fn mode(&self) -> Option<Mode> {
        match (&self.mode, &self.source_) {
            (Some(Mode::Preserve), Some(source)) => Some(Mode::Bits(source.mode)),
            (mode, _) => mode.clone(),
        }
    }

    fn wish<'a>(&'a self, mode: Option<&'a Mode>) -> Wish<'a> {
        let wanted = Wanted { mode, owner: self.owner.as_deref(), group: self.group.as_deref() };
        Wish {
            dest: &self.dest,
            src: Some(&self.src),
            wanted,
            above: Wanted { mode: None, ..wanted },
            follow: self.follow,
            force: self.force,
            backup: self.backup,
            validate: self.validate.as_deref(),
        }
    }
}

impl Module for Template {
    const NAME: &'static str = "template";
    const SUMMARY: &'static str = "Puts a rendered template on the host.";
    const EXAMPLE: &'static str = "template:\n  src: motd.j2\n  dest: /etc/motd\n  mode: '0644'\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Own;
    const UNSUPPORTED: &'static [&'static str] = &["attr", "attributes", "block_end_string", "block_start_string", "comment_end_string", "comment_start_string", "lstrip_blocks", "newline_sequence", "output_encoding", "selevel", "serole", "setype", "seuser", "trim_blocks", "variable_end_string", "variable_start_string"];
    const FILE: Option<FileArg> = Some(FileArg { name: "src", directory: "templates", template: true });

    type Identity = Identity;
    type State = Place;

    fn check(&self) -> Result<(), Refusal> {
        place::check_validate(self.validate.as_deref())
    }

    fn probe(identity: &Identity) -> Probe {
        place::ask(&identity.dest, Some(&identity.src))
    }

    fn change(&self, now: &Place) -> Result<Change, Refusal> {
        let Some(source) = &self.source_ else {
            return Err(Refusal::new(format!("the template {} was not rendered", self.src)));
        };
        if source.tree.is_some() {
            return Err(Refusal::new(format!("{} is a directory", self.src)).help("`copy` takes directories, `template` files"));
        }
        self.wish(self.mode().as_ref()).change(now, &source.content())
    }

    fn result(&self, now: &Place, ran: &[Ran]) -> Fields {
        let content = self.source_.as_ref().map(Source::content);
        let mut fields = self.wish(self.mode().as_ref()).report(now, content.as_ref());
        crate::modules::attributes::told(&mut fields, ran);
        fields
    }
}
