//! Mode, owner and group of a path, and the directories above it: what the kinds that write files share.

use indexmap::IndexMap;
use minijinja::Value;
use serde::Deserialize;
use serde::de::Error as _;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Look;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::Undo;
use crate::change::look::PathKind;
use crate::change::look::PathState;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::types::Mode;

/// What is wanted of a path; `None` leaves it as it is.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub mode: Option<&'a Mode>,
    pub owner: Option<&'a str>,
    pub group: Option<&'a str>,
}

/// Whose the path is: what is journalled, and taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The task owns the path with all that is in it.
    Whole,
    /// The task owns mode and owner only: of a link's target, whose name is another, or of a file it writes a part of.
    Attributes,
}

/// Whether a name or number from a task means this one.
fn means(wanted: &str, name: &str, id: u32) -> bool {
    wanted == name || wanted.parse() == Ok(id)
}

impl Wanted<'_> {
    /// The bits the path should have; `None` when they are right, or nothing is wanted.
    pub fn bits(&self, now: &PathState) -> Option<u32> {
        let directory = now.kind == PathKind::Directory;
        self.mode.map(|mode| mode.bits(now.mode, directory)).filter(|bits| *bits != now.mode)
    }

    fn owner(&self, now: &PathState) -> Option<&str> {
        self.owner.filter(|owner| !means(owner, &now.user, now.uid))
    }

    fn group(&self, now: &PathState) -> Option<&str> {
        self.group.filter(|group| !means(group, &now.group, now.gid))
    }

    pub fn hold(&self, now: &PathState) -> bool {
        self.bits(now).is_none() && self.owner(now).is_none() && self.group(now).is_none()
    }

    /// Adds the step that gives an existing path what it lacks, if it lacks anything.
    pub fn fix(&self, change: &mut Change, path: &str, now: &PathState, via: Via) {
        if self.hold(now) {
            return;
        }
        let mut what = Vec::new();
        if let Some(bits) = self.bits(now) {
            what.push(format!("mode: {:04o} -> {bits:04o}", now.mode));
        }
        what.extend(self.owner(now).map(|owner| format!("owner: {} -> {owner}", now.user)));
        what.extend(self.group(now).map(|group| format!("group: {} -> {group}", now.group)));
        let script = script(path, self.owner(now), self.group(now), self.bits(now));
        let (resource, undo) = match via {
            Via::Whole => (Resource::path(path), Undo::Restore),
            Via::Attributes => {
                let word = sh::quote(path);
                // Others write to the file; its content is not what is looked at.
                let look = Look::Script { text: format!("stat -Lc '%a %u:%g' -- {word}") };
                let undo = format!(
                    "[ ! -e {word} ] || {{ chown {}:{} {word} && chmod {:05o} {word}; }}",
                    now.uid, now.gid, now.mode
                );
                (Resource::new(format!("attributes:{path}"), look), Undo::By(undo))
            }
        };
        change.step(what.join(", "), resource, Apply::run(script), undo);
    }

    /// Adds the steps that create a directory and those missing above it, each with these attributes.
    pub fn create_directory(&self, change: &mut Change, path: &str, above: &Above) -> Result<(), Refusal> {
        let missing = above.missing(path)?;
        for directory in missing.iter().map(String::as_str).chain([path]) {
            let bits = self.mode.map_or(0o755, |mode| mode.bits(0o755, true));
            let word = sh::quote(directory);
            let text = if self.mode.is_none() && self.owner.is_none() && self.group.is_none() {
                format!("mkdir -m 0755 {word}")
            } else {
                format!("mkdir -m 0700 {word} && {}", script(directory, self.owner, self.group, Some(bits)))
            };
            change.step(
                format!("create directory {directory}"),
                Resource::path(directory),
                Apply::run(text),
                Undo::Restore,
            );
        }
        Ok(())
    }
}

/// `chown` comes first, since it takes special bits away. Five digits, since with four chmod keeps a directory's special bits.
pub fn script(path: &str, owner: Option<&str>, group: Option<&str>, bits: Option<u32>) -> String {
    let mut commands = Vec::new();
    let path = sh::quote(path);
    match (owner, group) {
        (Some(owner), Some(group)) => {
            commands.push(format!("chown -- {}:{} {path}", sh::quote(owner), sh::quote(group)))
        }
        (Some(owner), None) => commands.push(format!("chown -- {} {path}", sh::quote(owner))),
        (None, Some(group)) => commands.push(format!("chgrp -- {} {path}", sh::quote(group))),
        (None, None) => {}
    }
    commands.extend(bits.map(|bits| format!("chmod {bits:05o} {path}")));
    commands.join(" && ")
}

/// Questions about the directories above a path, nearest first. A probe's questions have names known beforehand.
const ABOVE: [&str; 16] = [
    "above0", "above1", "above2", "above3", "above4", "above5", "above6", "above7", "above8", "above9", "above10",
    "above11", "above12", "above13", "above14", "above15",
];

/// What is seen of the directories above a path, nearest first, links followed.
#[derive(Debug, Clone, Default)]
pub struct Above(Vec<PathState>);

impl<'de> Deserialize<'de> for Above {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Above, D::Error> {
        let answers = IndexMap::<String, String>::deserialize(deserializer)?;
        let own = ABOVE.iter().map_while(|name| answers.get(*name));
        own.map(|text| PathState::parse(text)).collect::<Result<_, _>>().map(Above).map_err(D::Error::custom)
    }
}

impl Above {
    /// Asks for every directory above the path but `/`.
    pub fn ask(mut probe: Probe, path: &str) -> Probe {
        for (name, directory) in ABOVE.iter().zip(ancestors(path)) {
            probe = probe.target(name, directory);
        }
        probe
    }

    /// The same, seen from the directory the path lies in.
    pub fn up(&self) -> Above {
        Above(self.0.iter().skip(1).cloned().collect())
    }

    /// For a path whose directory is known to be there.
    pub fn there() -> Above {
        Above(vec![PathState { kind: PathKind::Directory, ..PathState::default() }])
    }

    /// The directories that must be created before the path can be, topmost first.
    fn missing(&self, path: &str) -> Result<Vec<String>, Refusal> {
        let mut missing = Vec::new();
        let count = ancestors(path).count();
        if count > ABOVE.len() {
            return Err(Refusal::new(format!("{path}: more than {} directories deep is unsupported", ABOVE.len())));
        }
        for (directory, state) in ancestors(path).zip(&self.0) {
            match state.kind {
                PathKind::Directory => break,
                PathKind::Absent => missing.push(directory.to_string()),
                _ => return Err(Refusal::new(format!("{directory} is in the way: it is no directory"))),
            }
        }
        missing.reverse();
        Ok(missing)
    }

    /// Whether the directory the path lies in is there.
    pub fn ready(&self, path: &str) -> bool {
        ancestors(path).next().is_none() || self.0.first().is_some_and(|state| state.kind == PathKind::Directory)
    }
}

/// `/a/b/c`: `/a/b`, `/a`.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(path), |path| parent(path))
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(directory, _)| directory).filter(|directory| !directory.is_empty())
}

/// The last part of a path.
pub fn basename(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// A path below a directory.
pub fn below(directory: &str, name: &str) -> String {
    format!("{}/{}", directory.trim_end_matches('/'), name.trim_start_matches('/'))
}

/// What the last step said of the path as it left it, and of a copy it kept.
pub fn told(fields: &mut Fields, ran: &[Ran]) {
    for line in ran.last().into_iter().flat_map(|ran| ran.stdout.lines()) {
        if let Some(name) = line.strip_prefix("@backup ") {
            fields.insert("backup_file".into(), Value::from(name));
        }
        let words: Vec<&str> = line.strip_prefix("@stat ").map(|rest| rest.split(' ').collect()).unwrap_or_default();
        let [mode, uid, gid, owner, group, size] = words[..] else { continue };
        let number = |text: &str| Value::from(text.parse::<i64>().unwrap_or_default());
        fields.insert("mode".into(), Value::from(format!("0{mode:0>3}")));
        for (name, id) in [("uid", uid), ("gid", gid), ("size", size)] {
            fields.insert(name.into(), number(id));
        }
        for (name, value, id) in [("owner", owner, uid), ("group", group, gid)] {
            fields.insert(name.into(), Value::from(if value == "UNKNOWN" { id } else { value }));
        }
    }
}

/// `mode`, `owner`, `group`, `uid` and `gid` as they are once the task is done, under Ansible's names.
pub fn report(fields: &mut Fields, now: &PathState, wanted: &Wanted<'_>, directory: bool) {
    let new = if directory { 0o755 } else { 0o644 };
    let before = if now.exists() { now.mode } else { new };
    let bits = wanted.mode.map_or(before, |mode| mode.bits(before, directory));
    fields.insert("mode".into(), Value::from(format!("0{bits:03o}")));
    for (name, wanted, now_name) in [("owner", wanted.owner, &now.user), ("group", wanted.group, &now.group)] {
        match wanted {
            Some(wanted) if wanted.parse::<u32>().is_err() => {
                fields.insert(name.into(), Value::from(wanted));
            }
            _ if !now_name.is_empty() => {
                fields.insert(name.into(), Value::from(now_name.as_str()));
            }
            _ => {}
        }
    }
    for (name, id, wanted) in [("uid", now.uid, wanted.owner), ("gid", now.gid, wanted.group)] {
        if now.exists() && wanted.is_none() {
            fields.insert(name.into(), Value::from(id));
        }
    }
}
