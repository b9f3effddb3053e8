//! `file`: files, directories and links, with their mode and owner; not what is in them.

use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Look;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::Step;
use crate::change::Undo;
use crate::change::look::PathKind;
use crate::change::look::PathState;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::attributes;
use crate::modules::attributes::Above;
use crate::modules::attributes::Via;
use crate::modules::attributes::Wanted;
use crate::modules::types::HostPath;
use crate::modules::types::Mode;

/// What should be at the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing; directories go with all that is in them.
    Absent,
    /// A directory; those above it are created too.
    Directory,
    /// What is there already: only mode and owner are seen to. It must exist.
    File,
    /// A hard link to `src`.
    Hard,
    /// A symbolic link to `src`.
    Link,
    /// A file, created empty; one that is there gets a new time.
    Touch,
}

/// What happens to the times of a touched file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Time {
    /// They become the present.
    #[default]
    Now,
    /// They stay.
    Preserve,
}

/// Sees to files, directories and links, and to their mode and owner.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The absolute path.
    #[serde(alias = "dest", alias = "name")]
    pub path: HostPath,
    /// What should be at the path. Without it: a directory if `recurse` is set, else what is there already.
    #[serde(default)]
    pub state: Option<State>,
    /// What a link points to; relative to the link's own directory, or absolute.
    #[serde(default)]
    pub src: Option<String>,
    /// Mode, owner and group also for everything below the directory; links are left alone.
    #[serde(default)]
    pub recurse: bool,
    /// Permission bits: `0644` or `u=rw,g=r`. Links have none of their own.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Name or number of the owner.
    #[serde(default)]
    pub owner: Option<String>,
    /// Name or number of the group.
    #[serde(default)]
    pub group: Option<String>,
    /// If the path is a link, mode and owner are those of what it points to.
    #[serde(default = "yes")]
    pub follow: bool,
    /// Makes a link even if `src` does not exist, or if a file or an empty directory is in its place.
    #[serde(default)]
    pub force: bool,
    /// For `touch`: `preserve` leaves the file's time alone.
    #[serde(default)]
    pub modification_time: Time,
    /// For `touch`: `preserve` leaves the time of last access alone.
    #[serde(default)]
    pub access_time: Time,
    /// Accepted; files are always replaced in one step where the host allows it.
    #[serde(default)]
    pub unsafe_writes: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
pub struct Identity {
    #[serde(alias = "dest", alias = "name")]
    path: HostPath,
    #[serde(default)]
    state: Option<State>,
    #[serde(default)]
    src: Option<String>,
    #[serde(default)]
    recurse: bool,
}

#[derive(Debug, Deserialize)]
pub struct Seen {
    path: PathState,
    #[serde(default)]
    target: PathState,
    #[serde(default)]
    src: PathState,
    /// `same` when path and `src` are one file.
    #[serde(default)]
    hard: String,
    /// A line `mode|uid|gid|user|group|type` for each sort of thing below the directory.
    #[serde(default)]
    tree: String,
    #[serde(flatten)]
    above: Above,
}

/// The place a link's text means.
fn pointed(path: &str, src: &str) -> String {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    if src.starts_with('/') { src.to_string() } else { format!("{directory}/{src}") }
}

/// One line for each distinct mode and owner below a directory: short however large the tree is.
fn tree(path: &str) -> String {
    format!("find {} ! -type l -exec stat -c '%f|%u|%g|%U|%G|%F' {{}} + | sort -u", sh::quote(path))
}

impl File {
    fn wanted(&self) -> Wanted<'_> {
        Wanted { mode: self.mode.as_ref(), owner: self.owner.as_deref(), group: self.group.as_deref() }
    }

    fn state(&self, now: &Seen) -> State {
        match self.state {
            Some(state) => state,
            None if self.recurse => State::Directory,
            None if now.path.kind == PathKind::Directory => State::Directory,
            None => State::File,
        }
    }

    /// The attributes of something that stays what it is.
    fn attributes(&self, change: &mut Change, now: &Seen) {
        match now.path.kind {
            PathKind::Link if self.follow => self.wanted().fix(change, &self.path, &now.target, Via::Attributes),
            PathKind::Link => self.own_link(change, &now.path),
            _ => self.wanted().fix(change, &self.path, &now.path, Via::Whole),
        }
    }

    /// The owner of a link itself; it has no mode.
    fn own_link(&self, change: &mut Change, now: &PathState) {
        let wanted = Wanted { mode: None, ..self.wanted() };
        if !wanted.hold(now) {
            let text = attributes::script(&self.path, self.owner.as_deref(), self.group.as_deref(), None);
            let text = text.replacen("chown -- ", "chown -h -- ", 1).replacen("chgrp -- ", "chgrp -h -- ", 1);
            change.step("owner of the link", Resource::path(&self.path), Apply::run(text), Undo::Restore);
        }
    }

    /// What is to be done, by what is wanted.
    fn decided(&self, now: &Seen) -> Result<Change, Refusal> {
        let mut change = Change::none();
        let path = &*self.path;
        match self.state(now) {
            State::Absent => {
                if now.path.exists() {
                    let text = format!("rm -rf -- {}", sh::quote(path));
                    let what = if now.path.kind == PathKind::Directory { "remove the directory" } else { "remove" };
                    change.step(what, Resource::path(path), Apply::run(text), Undo::Restore);
                }
            }
            State::Directory => return self.directory(now),
            State::File => match now.target.kind {
                PathKind::Absent if now.path.kind != PathKind::Link || self.follow => {
                    let refusal = Refusal::new(format!("{path} does not exist"));
                    return Err(refusal.help("`state: touch` creates an empty file, `state: directory` a directory"));
                }
                PathKind::Directory if self.state == Some(State::File) => {
                    return Err(Refusal::new(format!("{path} is a directory")));
                }
                _ => self.attributes(&mut change, now),
            },
            State::Hard => return self.hard(now),
            State::Link => return self.link(now),
            State::Touch => return self.touch(now),
        }
        Ok(change)
    }

    fn directory(&self, now: &Seen) -> Result<Change, Refusal> {
        let mut change = Change::none();
        match (now.path.kind, now.target.kind) {
            (PathKind::Absent, _) => self.wanted().create_directory(&mut change, &self.path, &now.above)?,
            (PathKind::Directory, _) | (PathKind::Link, PathKind::Directory) if self.recurse => self.below(&mut change, now),
            (PathKind::Directory, _) | (PathKind::Link, PathKind::Directory) => self.attributes(&mut change, now),
            _ => return Err(Refusal::new(format!("{} exists and is no directory", &*self.path))),
        }
        Ok(change)
    }

    /// Attributes of a whole tree: one step, whose way back is a list kept on the host.
    fn below(&self, change: &mut Change, now: &Seen) {
        let wanted = self.wanted();
        let differs = |line: &str| {
            let letter = if line.ends_with("directory") { "d" } else { "f" };
            PathState::parse(&format!("{letter}\n{line}")).is_ok_and(|state| !wanted.hold(&state))
        };
        if !now.tree.lines().any(differs) {
            return;
        }
        let path = sh::quote(&self.path);
        let mut text = format!(
            "[ -e \"$_tb_k/modes\" ] || {{ find {path} ! -type l -exec stat -c '00%a %u:%g %n|' {{}} + >\"$_tb_k/all\" &&\n\
             mv \"$_tb_k/all\" \"$_tb_k/modes\"; }}"
        );
        let mut each = |command: &str| text.push_str(&format!(" &&\nfind {path} ! -type l -exec {command} {{}} +"));
        let who = match (&self.owner, &self.group) {
            (Some(owner), Some(group)) => Some(format!("chown -- {}", sh::quote(&format!("{owner}:{group}")))),
            (Some(owner), None) => Some(format!("chown -- {}", sh::quote(owner))),
            (None, Some(group)) => Some(format!("chgrp -- {}", sh::quote(group))),
            (None, None) => None,
        };
        if let Some(who) = who {
            each(&who);
        }
        match &self.mode {
            Some(Mode::Bits(bits)) => each(&format!("chmod -- {bits:05o}")),
            Some(Mode::Symbolic(mode)) => each(&format!("chmod -- {}", sh::quote(mode))),
            Some(Mode::Preserve) | None => {}
        }
        let undo = "[ ! -f \"$_tb_k/modes\" ] || while read -r _tb_m _tb_o _tb_p; do\n\
                    _tb_p=${_tb_p%|}\n\
                    [ ! -e \"$_tb_p\" ] || { chown \"$_tb_o\" \"$_tb_p\" && chmod \"$_tb_m\" \"$_tb_p\"; }\n\
                    done <\"$_tb_k/modes\"";
        let resource = Resource::new(format!("tree:{}", &*self.path), Look::Script { text: tree(&self.path) });
        change.step("mode and owner of everything below", resource, Apply::run(text), Undo::By(undo.into()));
    }

    fn link(&self, now: &Seen) -> Result<Change, Refusal> {
        let mut change = Change::none();
        let path = &*self.path;
        let Some(src) = &self.src else {
            return Err(Refusal::new("a link needs `src`"));
        };
        if !self.force && !now.src.exists() {
            let refusal = Refusal::new(format!("{} does not exist", pointed(path, src)));
            return Err(refusal.help("create it first, or write `force: true` to make the link anyway"));
        }
        let (from, to) = (sh::quote(src), sh::quote(path));
        let through = self.follow && now.src.exists();
        match now.path.kind {
            PathKind::Link if now.path.target == *src => {
                match through {
                    true => self.behind(&mut change, now, src),
                    false => self.own_link(&mut change, &now.path),
                }
                return Ok(change);
            }
            PathKind::Absent | PathKind::Link => {}
            _ if !self.force => {
                let refusal = Refusal::new(format!("{path} exists and is no link"));
                return Err(refusal.help("`force: true` replaces a file or an empty directory"));
            }
            _ => {}
        }
        let mut text = match now.path.kind {
            PathKind::Directory => format!("rmdir -- {to} && ln -s -- {from} {to}"),
            _ => format!("ln -sfn -- {from} {to}"),
        };
        if !through && (self.owner.is_some() || self.group.is_some()) {
            let who = attributes::script(path, self.owner.as_deref(), self.group.as_deref(), None);
            let who = who.replacen("chown -- ", "chown -h -- ", 1).replacen("chgrp -- ", "chgrp -h -- ", 1);
            text = format!("{text} && {who}");
        }
        let what = match now.path.kind {
            PathKind::Link => format!("link: {} -> {src}", now.path.target),
            PathKind::Absent => format!("create link to {src}"),
            _ => format!("replace by a link to {src}"),
        };
        change.step(what, Resource::path(path), Apply::run(text), Undo::Restore);
        if through {
            self.behind(&mut change, now, src);
        }
        Ok(change)
    }

    /// With `follow`, mode and owner of a link are those of what it leads to.
    fn behind(&self, change: &mut Change, now: &Seen, src: &str) {
        self.wanted().fix(change, &pointed(&self.path, src), &now.src, Via::Attributes);
    }

    fn hard(&self, now: &Seen) -> Result<Change, Refusal> {
        let mut change = Change::none();
        let path = &*self.path;
        let src = self.src.as_deref().unwrap_or_default();
        if now.hard == "same" {
            self.attributes(&mut change, now);
            return Ok(change);
        }
        if now.src.kind != PathKind::File {
            return Err(Refusal::new(format!("{} is no file, so there can be no hard link to it", pointed(path, src))));
        }
        if now.path.exists() && !self.force {
            return Err(Refusal::new(format!("{path} exists")).help("`force: true` replaces it"));
        }
        if now.path.kind == PathKind::Directory {
            return Err(Refusal::new(format!("{path} is a directory")));
        }
        let text = format!("ln -f -- {} {}", sh::quote(&pointed(path, src)), sh::quote(path));
        change.step(format!("create hard link to {src}"), Resource::path(path), Apply::run(text), Undo::Restore);
        self.wanted().fix(&mut change, path, &now.src, Via::Whole);
        Ok(change)
    }

    fn touch(&self, now: &Seen) -> Result<Change, Refusal> {
        let mut change = Change::none();
        let path = &*self.path;
        if !now.path.exists() {
            if !now.above.ready(path) {
                return Err(Refusal::new(format!("the directory of {path} does not exist")));
            }
            let bits = self.mode.as_ref().map(|mode| mode.bits(0o644, false));
            let rest = attributes::script(path, self.owner.as_deref(), self.group.as_deref(), bits);
            let mut text = format!(": >{}", sh::quote(path));
            if !rest.is_empty() {
                text = format!("(umask 077; {text}) && {rest}");
                if bits.is_none() {
                    text = format!("{text} && chmod 0644 {}", sh::quote(path));
                }
            }
            change.step("create an empty file", Resource::path(path), Apply::run(text), Undo::Restore);
            return Ok(change);
        }
        let times = match (self.access_time, self.modification_time) {
            (Time::Now, Time::Now) => "",
            (Time::Now, Time::Preserve) => "-a ",
            (Time::Preserve, Time::Now) => "-m ",
            (Time::Preserve, Time::Preserve) => {
                self.attributes(&mut change, now);
                return Ok(change);
            }
        };
        change.act("set its times", Apply::run(format!("touch -c {times}-- {}", sh::quote(path))), Undo::Nothing);
        self.attributes(&mut change, now);
        Ok(change)
    }
}

impl Module for File {
    const NAME: &'static str = "file";
    const SUMMARY: &'static str = "Sees to files, directories and links.";
    const EXAMPLE: &'static str = "file:\n  path: /etc/app\n  state: directory\n  mode: '0750'\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Own;
    const UNSUPPORTED: &'static [&'static str] = &[ "access_time_format", "attr", "attributes", "modification_time_format", "selevel", "serole", "setype", "seuser",];

    type Identity = Identity;
    type State = Seen;

    fn check(&self) -> Result<(), Refusal> {
        let linked = matches!(self.state, Some(State::Link | State::Hard));
        if linked && self.src.as_deref().is_none_or(str::is_empty) {
            return Err(Refusal::new("a link needs `src`").help("`src` is what the link points to"));
        }
        if self.src.is_some() && !linked {
            return Err(Refusal::new("`src` is used by `state: link` and `state: hard` only"));
        }
        if self.recurse && !matches!(self.state, None | Some(State::Directory)) {
            return Err(Refusal::new("`recurse` is used by `state: directory` only"));
        }
        if self.state == Some(State::Absent) && &*self.path == "/" {
            return Err(Refusal::new("`/` cannot be made absent"));
        }
        if self.mode == Some(Mode::Preserve) {
            return Err(Refusal::new("`mode: preserve` is for `copy` and `template`; here there is no source"));
        }
        if self.recurse && self.path.contains('\n') {
            return Err(Refusal::new("a path with a line end is unsupported"));
        }
        Ok(())
    }

    fn probe(identity: &Identity) -> Probe {
        let path = &*identity.path;
        let mut probe = Probe::none().path("path", path);
        // What a link leads to matters to neither of them.
        if !matches!(identity.state, Some(State::Link | State::Absent)) {
            probe = probe.target("target", path);
        }
        match (identity.state, &identity.src) {
            (Some(State::Link | State::Hard), Some(src)) => probe = probe.target("src", &pointed(path, src)),
            (Some(State::Directory | State::Touch), _) => probe = Above::ask(probe, path),
            (None, _) if identity.recurse => probe = Above::ask(probe, path),
            _ => {}
        }
        if let (Some(State::Hard), Some(src)) = (identity.state, &identity.src) {
            let (one, other) = (sh::quote(path), sh::quote(&pointed(path, src)));
            let text = format!("[ ! -h {one} ] && [ {one} -ef {other} ] && echo same");
            probe = probe.ask("hard", Look::Script { text });
        }
        if identity.recurse {
            let text = format!("[ ! -d {0} ] || {1}", sh::quote(path), tree(path));
            probe = probe.ask("tree", Look::Script { text });
        }
        probe
    }

    fn change(&self, now: &Seen) -> Result<Change, Refusal> {
        let mut change = self.decided(now)?;
        if let Some(Step { apply: Apply::Run(script), .. }) = change.steps.last_mut().filter(|_| self.state(now) != State::Absent) {
            script.text = format!("{{ {}\n}} && _tb_as_is {}", script.text, sh::quote(&self.path));
        }
        Ok(change)
    }
    fn result(&self, now: &Seen, ran: &[Ran]) -> Fields {
        let mut fields = Fields::new();
        let state = self.state(now);
        fields.insert("path".into(), Value::from(&*self.path));
        if matches!(state, State::Link | State::Hard | State::Touch) {
            fields.insert("dest".into(), Value::from(&*self.path));
        }
        fields.extend(self.src.as_deref().map(|src| ("src".to_string(), Value::from(src))));
        let word = match state {
            State::Absent => "absent",
            State::Directory => "directory",
            State::File | State::Touch => "file",
            State::Hard => "hard",
            State::Link => "link",
        };
        fields.insert("state".into(), Value::from(word));
        if state != State::Absent && state != State::Link {
            attributes::report(&mut fields, &now.target, &self.wanted(), state == State::Directory);
        }
        attributes::told(&mut fields, ran);
        fields
    }
}
