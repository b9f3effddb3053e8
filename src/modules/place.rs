//! Putting one file where a task wants it: what `copy`, `template` and `get_url` share.
//!
//! A destination written with `/` at its end, or that is a directory, takes the source's name. Knows nothing of where the
//! content comes from.

use minijinja::Value;
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
use crate::modules::Fields;
use crate::modules::attributes;
use crate::modules::attributes::Above;
use crate::modules::attributes::Via;
use crate::modules::attributes::Wanted;
use crate::modules::attributes::basename;
use crate::modules::attributes::below;
use crate::modules::types::Dest;

/// What is seen of the destination, and of the path below it that is meant should it be a directory.
#[derive(Debug, Deserialize)]
pub struct Place {
    dest: PathState,
    dest_target: PathState,
    #[serde(default)]
    inner: PathState,
    #[serde(default)]
    inner_target: PathState,
    #[serde(flatten)]
    above: Above,
}

/// The questions. `src` gives the name a file gets inside of a directory.
pub fn ask(dest: &Dest, src: Option<&str>) -> Probe {
    let probe = Probe::none().path("dest", &dest.path).target("dest_target", &dest.path);
    let Some(name) = src.map(basename).filter(|name| !name.is_empty()) else { return Above::ask(probe, &dest.path) };
    let inner = below(&dest.path, name);
    Above::ask(probe.path("inner", &inner).target("inner_target", &inner), &dest.path)
}

impl Place {
    pub fn dest_missing(&self) -> bool {
        self.dest_target.kind == PathKind::Absent
    }

    /// The directories above the destination.
    pub fn above(&self) -> &Above {
        &self.above
    }
}

/// How the file is to be put.
#[derive(Debug)]
pub struct Wish<'a> {
    pub dest: &'a Dest,
    /// Its name inside of a directory.
    pub src: Option<&'a str>,
    pub wanted: Wanted<'a>,
    /// Attributes of directories created for it.
    pub above: Wanted<'a>,
    /// Write through a link instead of replacing it.
    pub follow: bool,
    /// `false`: a file that is there is left as it is.
    pub force: bool,
    pub backup: bool,
    pub validate: Option<&'a str>,
}

/// Where the file will be, and what is there.
#[derive(Debug)]
pub struct Final<'a> {
    pub path: String,
    pub itself: &'a PathState,
    pub target: &'a PathState,
}

impl Final<'_> {
    /// Whether this content is there already, as a file of its own or, if links are followed, behind one.
    pub fn holds(&self, sha256: &str, follow: bool) -> bool {
        let seen = if follow { self.target } else { self.itself };
        seen.kind == PathKind::File && seen.sha256 == sha256
    }
}

impl Wish<'_> {
    pub fn place<'a>(&self, now: &'a Place) -> Final<'a> {
        match self.src.map(basename).filter(|name| !name.is_empty()) {
            Some(name) if self.dest.directory || now.dest_target.kind == PathKind::Directory => {
                Final { path: below(&self.dest.path, name), itself: &now.inner, target: &now.inner_target }
            }
            _ => Final { path: self.dest.path.to_string(), itself: &now.dest, target: &now.dest_target },
        }
    }

    /// The directories created first, and what forbids the rest.
    pub fn prepare(&self, now: &Place, place: &Final<'_>) -> Result<Change, Refusal> {
        let mut change = Change::none();
        let path = &place.path;
        if place.target.kind == PathKind::Directory {
            return Err(Refusal::new(format!("{path} is a directory")));
        }
        if place.target.kind == PathKind::Other {
            return Err(Refusal::new(format!("{path} is no regular file")));
        }
        let inside = *path != *self.dest.path;
        if inside && now.dest_target.kind == PathKind::Absent {
            self.above.create_directory(&mut change, &self.dest.path, &now.above)?;
        } else if inside && now.dest_target.kind != PathKind::Directory {
            return Err(Refusal::new(format!("{} is no directory", &*self.dest.path)));
        } else if !inside && !place.itself.exists() && !now.above.ready(path) {
            let refusal = Refusal::new(format!("the directory of {path} does not exist"));
            return Err(refusal.help("create it with `file: state=directory`, or end `dest` with `/`"));
        }
        Ok(change)
    }

    /// The steps that bring this content there.
    pub fn change(&self, now: &Place, content: &Content) -> Result<Change, Refusal> {
        let place = self.place(now);
        if place.itself.exists() && !self.force {
            return Ok(Change::none());
        }
        let mut change = self.prepare(now, &place)?;
        let linked = place.itself.kind == PathKind::Link;
        if place.holds(&digest(content), self.follow) {
            let via = if linked { Via::Attributes } else { Via::Whole };
            self.wanted.fix(&mut change, &place.path, place.target, via);
            return Ok(change);
        }
        self.unlink(&mut change, &place)?;
        let what = if place.itself.kind == PathKind::File { "content" } else { "create" };
        let put = self.put(&place, content);
        let diff = match content {
            Content::Text(text) => Some(Diff { before: None, after: Some(text.clone()) }),
            Content::File { .. } => None,
        };
        change.step(what, Resource::path(&place.path), Apply::Put(put), Undo::Restore).diff = diff;
        Ok(change)
    }

    /// A link in the place of the file goes first, since writing to it would change what it points to.
    pub fn unlink(&self, change: &mut Change, place: &Final<'_>) -> Result<(), Refusal> {
        if place.itself.kind != PathKind::Link {
            return Ok(());
        }
        if self.follow {
            let refusal = Refusal::new(format!("{} is a link; writing through it is unsupported", place.path));
            return Err(refusal.help("name the link's target as `dest`, or leave out `follow`"));
        }
        let text = format!("rm -f -- {}", sh::quote(&place.path));
        change.step("remove the link in its place", Resource::path(&place.path), Apply::run(text), Undo::Restore);
        Ok(())
    }

    fn put(&self, place: &Final<'_>, content: &Content) -> Put {
        let file = place.itself.kind == PathKind::File;
        let before = if file { place.itself.mode } else { 0o644 };
        Put {
            path: place.path.clone(),
            content: content.clone(),
            mode: self.wanted.mode.map(|mode| mode.bits(before, false)),
            owner: self.wanted.owner.map(str::to_string),
            group: self.wanted.group.map(str::to_string),
            validate: self.validate.map(str::to_string),
            backup: self.backup && file,
        }
    }

    /// What `register` sees.
    pub fn report(&self, now: &Place, content: Option<&Content>) -> Fields {
        let place = self.place(now);
        let mut fields = Fields::new();
        fields.insert("dest".into(), Value::from(place.path.as_str()));
        fields.extend(self.src.map(|src| ("src".to_string(), Value::from(src))));
        fields.insert("state".into(), Value::from("file"));
        attributes::report(&mut fields, place.target, &self.wanted, false);
        if let Some(Content::Text(text)) = content {
            fields.insert("checksum".into(), Value::from(hex(&<sha1::Sha1 as sha1::Digest>::digest(text))));
            fields.insert("size".into(), Value::from(text.len()));
        }
        fields
    }
}

/// Hex SHA-256 of a content.
pub fn digest(content: &Content) -> String {
    match content {
        Content::Text(text) => hex(&sha2::Sha256::digest(text)),
        Content::File { sha256, .. } => sha256.clone(),
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A `validate` command must say where the file goes.
pub fn check_validate(validate: Option<&str>) -> Result<(), Refusal> {
    match validate {
        Some(command) if !command.contains("%s") => {
            Err(Refusal::new("`validate` must contain `%s`").help("`%s` stands for the file to be checked"))
        }
        _ => Ok(()),
    }
}
