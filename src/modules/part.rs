//! Editing a part of a text file: what `lineinfile` and `blockinfile` share.

use serde::Deserialize;
use sha2::Digest as _;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Content;
use crate::change::Diff;
use crate::change::Probe;
use crate::change::Put;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::Undo;
use crate::change::look::PathKind;
use crate::change::look::PathState;
use crate::change::sh;
use crate::modules::attributes::Above;
use crate::modules::attributes::Via;
use crate::modules::attributes::Wanted;
use crate::modules::pattern;
use crate::modules::place::hex;

#[derive(Debug, Deserialize)]
pub struct Identity {
    #[serde(alias = "dest", alias = "destfile", alias = "name")]
    path: crate::modules::types::HostPath,
    #[serde(default)]
    create: bool,
}

#[derive(Debug, Deserialize)]
pub struct State {
    path: PathState,
    #[serde(default)]
    text: String,
    #[serde(flatten)]
    above: Above,
}

pub fn probe(identity: &Identity) -> Probe {
    let probe = Probe::none().target("path", &identity.path).text("text", &identity.path);
    if identity.create { Above::ask(probe, &identity.path) } else { probe }
}

/// Where something new goes.
#[derive(Debug, Clone)]
pub enum Spot {
    Start,
    End,
    After(regex::Regex),
    Before(regex::Regex),
}

impl Spot {
    /// Reads `insertafter` and `insertbefore`.
    pub fn read(after: Option<&str>, before: Option<&str>) -> Result<Spot, Refusal> {
        match (after, before) {
            (Some(_), Some(_)) => {
                Err(Refusal::new("`insertafter` and `insertbefore` are two places").help("write one of them"))
            }
            (None, None) | (Some("EOF"), _) => Ok(Spot::End),
            (Some("BOF"), _) | (_, Some("BOF")) => Ok(Spot::Start),
            (_, Some("EOF")) => Ok(Spot::End),
            (Some(text), _) => Ok(Spot::After(pattern::compile(text)?)),
            (_, Some(text)) => Ok(Spot::Before(pattern::compile(text)?)),
        }
    }
}

/// The arguments about the file itself.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub path: &'a str,
    pub create: bool,
    pub wanted: Wanted<'a>,
    pub backup: bool,
    pub validate: Option<&'a str>,
}

/// Some lines of the file that become others.
#[derive(Debug)]
pub struct Edit {
    /// One line for people.
    pub what: String,
    /// The first of them, from 0.
    pub at: usize,
    pub count: usize,
    pub lines: Vec<String>,
}

impl State {
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// The lines of the file, without their ends.
    pub fn lines(&self) -> Vec<&str> {
        // The answer is the same for no line and for one empty line.
        if self.text.is_empty() && self.path.sha256 != hex(&sha2::Sha256::digest("\n")) {
            return Vec::new();
        }
        self.text.split('\n').collect()
    }

    /// What forbids any edit.
    pub fn refuse(&self, path: &str) -> Result<(), Refusal> {
        match self.path.kind {
            PathKind::Directory => Err(Refusal::new(format!("{path} is a directory"))),
            PathKind::File if self.path.sha256.is_empty() => {
                Err(Refusal::new(format!("{path} cannot be read")).help("use `become: true`"))
            }
            PathKind::File | PathKind::Absent => Ok(()),
            _ => Err(Refusal::new(format!("{path} is no regular file"))),
        }
    }
}

impl Target<'_> {
    /// The steps that create the file with these lines.
    pub fn create(&self, now: &State, lines: &[String]) -> Result<Change, Refusal> {
        if !self.create {
            let refusal = Refusal::new(format!("{} does not exist", self.path));
            return Err(refusal.help("`create: true` makes it"));
        }
        let mut change = Change::none();
        let above = self.path.rsplit_once('/').map_or("", |(above, _)| above);
        if !now.above.ready(self.path) {
            let plain = Wanted { mode: None, owner: None, group: None };
            plain.create_directory(&mut change, above, &now.above.up())?;
        }
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let put = Put {
            path: self.path.to_string(),
            content: Content::Text(text.clone()),
            mode: self.wanted.mode.map(|mode| mode.bits(0o644, false)),
            owner: self.wanted.owner.map(str::to_string),
            group: self.wanted.group.map(str::to_string),
            validate: self.validate.map(str::to_string),
            backup: false,
        };
        change.step("create", Resource::path(self.path), Apply::Put(put), Undo::Restore).diff =
            Some(Diff { before: Some(String::new()), after: Some(text) });
        Ok(change)
    }

    /// The step of an edit. Text goes through the shell's own `printf`, so that it is in no argument list.
    pub fn edit(&self, change: &mut Change, now: &State, edit: &Edit, resource: Resource, undo: String) {
        let lines: Vec<&str> = edit.lines.iter().map(String::as_str).collect();
        let input =
            if lines.is_empty() { ":".into() } else { format!("printf '%s\\n' {}", sh::words(lines.iter().copied())) };
        let text = format!("{input} | _tb_edit {} {} {}", sh::quote(self.path), edit.at + 1, edit.count);
        let before = now.lines()[edit.at.min(now.lines().len())..]
            .iter()
            .take(edit.count)
            .map(|line| format!("{line}\n"))
            .collect();
        let after = edit.lines.iter().map(|line| format!("{line}\n")).collect();
        self.step(change, edit.what.clone(), resource, &text, undo, before, after);
    }

    /// The step that takes out lines, by their numbers from 0.
    pub fn drop(&self, change: &mut Change, now: &State, numbers: &[usize], resource: Resource, undo: String) {
        let words: Vec<String> = numbers.iter().map(|at| (at + 1).to_string()).collect();
        let text = format!("_tb_take_out {} {}", sh::quote(self.path), words.join(" "));
        let before = numbers.iter().map(|at| format!("{}\n", now.lines()[*at])).collect();
        let what = match words.as_slice() {
            [one] => format!("remove line {one}"),
            many => format!("remove lines {}", many.join(", ")),
        };
        self.step(change, what, resource, &text, undo, before, String::new());
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one step")]
    fn step(
        &self,
        change: &mut Change,
        what: String,
        resource: Resource,
        text: &str,
        undo: String,
        before: String,
        after: String,
    ) {
        let mut script = String::new();
        if self.backup {
            let path = sh::quote(self.path);
            script.push_str(&format!("_tb_backup {path} \"$(date +%Y-%m-%d@%H:%M:%S)~\" &&\n"));
        }
        if let Some(command) = self.validate {
            script = format!("_tb_v={}\n{script}", sh::quote(&command.replace("%s", "\"$_tb_n\"")));
        }
        script.push_str(text);
        change.step(what, resource, Apply::run(script), Undo::By(undo)).diff =
            Some(Diff { before: Some(before), after: Some(after) });
    }

    /// Mode and owner of a file that is there.
    pub fn attributes(&self, change: &mut Change, now: &State) {
        self.wanted.fix(change, self.path, &now.path, Via::Attributes);
    }
}

/// The end of a resource's name: a digest, since what it stands for may be long, or a secret.
pub fn digest(text: &str) -> String {
    hex(&sha2::Sha256::digest(text)[..8])
}
