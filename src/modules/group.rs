//! `group`: groups of the host's own account files.

use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::Undo;
use crate::change::look::Look;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;

/// Makes, changes and removes a group. Undone, a group that was made is removed, an old one gets its number and members back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The group.
    pub name: String,
    /// `present` or `absent`.
    #[serde(default)]
    pub state: Wanted,
    /// Its number. Default: the host chooses.
    #[serde(default)]
    pub gid: Option<u32>,
    /// Takes a number from those of the system.
    #[serde(default)]
    pub system: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    #[default]
    Present,
    Absent,
}

#[derive(Debug, Deserialize)]
pub struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
pub struct State {
    #[serde(default)]
    group: String,
}

/// Whether accounts can be called so.
pub(super) fn account(name: &str) -> Result<(), Refusal> {
    let letters = |c: char| c.is_ascii_alphanumeric() || "_-.$@".contains(c);
    match !name.is_empty() && name.len() <= 64 && !name.starts_with('-') && name.chars().all(letters) {
        true => Ok(()),
        false => Err(Refusal::new(format!("`{name}` is no name of a user or group")).help("use letters, digits, `_` and `-`")),
    }
}

impl Module for Group {
    const NAME: &'static str = "group";
    const SUMMARY: &'static str = "Makes, changes and removes a group.";
    const EXAMPLE: &'static str = "group:\n  name: testers\n  system: yes\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Own;
    const UNSUPPORTED: &'static [&'static str] = &["force", "gid_max", "gid_min", "local", "non_unique"];

    type Identity = Named;
    type State = State;

    fn check(&self) -> Result<(), Refusal> {
        account(&self.name)
    }

    fn probe(named: &Named) -> Probe {
        Probe::none().ask("group", Look::Group { name: named.name.clone() })
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        let mut change = Change::none();
        let name = sh::quote(&self.name);
        let resource = || Resource::new(format!("group:{}", self.name), Look::Group { name: self.name.clone() });
        let fields: Vec<&str> = now.group.split(':').collect();
        let (gid, members) = (fields.get(2).copied().unwrap_or_default(), fields.get(3).copied().unwrap_or_default());
        let find = format!("grep -q {} /etc/group", sh::quote(&format!("^{}:", self.name.replace('.', "\\."))));
        match (self.state, now.group.is_empty()) {
            (Wanted::Present, true) => {
                let gid = self.gid.map(|gid| format!(" -g {gid}")).unwrap_or_default();
                let system = if self.system { " -r" } else { "" };
                let undo = Undo::By(format!("! {find} || groupdel {name}"));
                change.step(format!("make the group {}", self.name), resource(), Apply::run(format!("groupadd{gid}{system} {name}")), undo);
            }
            (Wanted::Present, false) => {
                if let Some(wanted) = self.gid.filter(|wanted| wanted.to_string() != gid) {
                    let undo = Undo::By(format!("! {find} || groupmod -g {gid} {name}"));
                    let what = format!("group {}: number {gid} -> {wanted}", self.name);
                    change.step(what, resource(), Apply::run(format!("groupmod -g {wanted} {name}")), undo);
                }
            }
            (Wanted::Absent, false) => {
                let back = format!("{find} || {{ groupadd -g {gid} {name} && gpasswd -M {} {name}; }}", sh::quote(members));
                change.step(format!("remove the group {}", self.name), resource(), Apply::run(format!("groupdel {name}")), Undo::By(back));
            }
            (Wanted::Absent, true) => {}
        }
        Ok(change)
    }

    fn result(&self, now: &State, _: &[Ran]) -> Fields {
        let mut fields = Fields::new();
        fields.insert("name".into(), Value::from(self.name.as_str()));
        fields.insert("state".into(), Value::from(if self.state == Wanted::Present { "present" } else { "absent" }));
        let seen = now.group.split(':').nth(2).and_then(|gid| gid.parse().ok());
        if let Some(gid) = self.gid.or(seen) {
            fields.insert("gid".into(), Value::from(gid));
        }
        fields
    }
}
