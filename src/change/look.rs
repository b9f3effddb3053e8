//! What can be looked at on a host, and the answers as types.
//!
//! Answers hold only what decides: no times, counters or process ids; content as a digest.

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::de::Error as _;

/// One read-only question. Looks of one sort, of all tasks of a host, are asked by one process (see [`crate::change::fuse`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Look {
    /// Type, mode, owner, group, link target, digest. Decodes to [`PathState`].
    Path { path: String, follow: bool },
    /// Everything `stat` knows, times included; only for kinds that report it. Text: `key=value` lines, or nothing.
    Stat { path: String, follow: bool },
    /// The lines of a small text file or of a file below `/proc`; empty when it is not there. Ask [`Look::Path`] beside it.
    Text { path: String },
    /// The lines of all readable files that match one of these patterns, each with `path:` in front. They tell of what moves
    /// by itself, so they are never compared.
    Files { patterns: &'static [&'static str] },
    /// Decodes to [`PackageState`].
    Package { name: String },
    /// Decodes to [`UnitState`].
    Unit { name: String },
    /// `NeedDaemonReload=yes` when the unit's files were changed since systemd read them.
    Reread { name: String },
    /// The line of `/etc/passwd`, or nothing.
    Passwd { name: String },
    /// The password field of `/etc/shadow`, or nothing (also when it may not be read).
    Shadow { name: String },
    /// The line of `/etc/group`, or nothing.
    Group { name: String },
    /// The groups that list the user, a name a line.
    Member { name: String },
    /// What this read-only script prints.
    Script { text: String },
    /// Like `Script`, but its truth moves by itself: never taken from before.
    Live { text: String },
}

/// Named questions of one task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Probe {
    pub looks: Vec<(&'static str, Look)>,
}

impl Probe {
    pub fn none() -> Probe {
        Probe::default()
    }

    #[must_use]
    pub fn ask(mut self, name: &'static str, look: Look) -> Probe {
        self.looks.push((name, look));
        self
    }

    #[must_use]
    pub fn path(self, name: &'static str, path: &str) -> Probe {
        self.ask(name, Look::Path { path: path.into(), follow: false })
    }

    #[must_use]
    pub fn target(self, name: &'static str, path: &str) -> Probe {
        self.ask(name, Look::Path { path: path.into(), follow: true })
    }

    #[must_use]
    pub fn text(self, name: &'static str, path: &str) -> Probe {
        self.ask(name, Look::Text { path: path.into() })
    }
}

/// The answers of one task's probe, by the names of its questions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    pub answers: IndexMap<String, String>,
}

impl Seen {
    /// The answers as the kind's own type; its fields carry the names of the questions.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, String> {
        let entries = self.answers.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        T::deserialize(serde::de::value::MapDeserializer::<_, serde::de::value::Error>::new(entries))
            .map_err(|error| error.to_string())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathKind {
    #[default]
    Absent,
    File,
    Directory,
    Link,
    Other,
}

/// A path as `lstat` (or `stat`, when followed) and `sha256sum` show it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathState {
    pub kind: PathKind,
    /// Permission bits, 0o7777.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// `UNKNOWN` when the id has no name.
    pub user: String,
    pub group: String,
    /// Where a link points; empty otherwise.
    pub target: String,
    /// Hex SHA-256 of a regular file that could be read; empty otherwise.
    pub sha256: String,
}

impl PathState {
    pub fn exists(&self) -> bool {
        self.kind != PathKind::Absent
    }

    /// Reads one answer: a letter for the type, the line of `stat`, the line of `sha256sum`.
    pub fn parse(text: &str) -> Result<PathState, String> {
        let mut lines = text.split_terminator('\n');
        let kind = match lines.next() {
            Some("-") | None => return Ok(PathState::default()),
            // A capital letter: a link leads there.
            Some("f" | "u" | "F" | "U") => PathKind::File,
            Some("d" | "D") => PathKind::Directory,
            Some("l") => PathKind::Link,
            Some("o" | "O") => PathKind::Other,
            Some(other) => return Err(format!("`{other}` is no type of file")),
        };
        let stat = lines.next().ok_or("a line of stat is missing")?;
        let fields: Vec<&str> = stat.splitn(6, '|').collect();
        let [mode, uid, gid, user, group, name] = fields.as_slice() else {
            return Err(format!("stat printed `{stat}`"));
        };
        let number = |text: &str, radix| u32::from_str_radix(text, radix).map_err(|_| format!("stat printed `{stat}`"));
        let target = match kind {
            PathKind::Link => name.split_once(" -> ").map_or("", |(_, target)| target.trim_matches('\'')),
            _ => "",
        };
        let sha256 = lines.next().and_then(|line| line.trim_start_matches('\\').split(' ').next()).unwrap_or_default();
        Ok(PathState {
            kind,
            mode: number(mode, 16)? & 0o7777,
            uid: number(uid, 10)?,
            gid: number(gid, 10)?,
            user: (*user).to_string(),
            group: (*group).to_string(),
            target: target.to_string(),
            sha256: sha256.to_string(),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageState {
    /// The installed version, if the package is installed and configured.
    pub version: Option<String>,
}

impl PackageState {
    /// Reads `name status version`.
    pub fn parse(text: &str) -> Result<PackageState, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let installed = fields.get(1).is_some_and(|status| status.ends_with("i") && status.len() >= 2);
        Ok(PackageState { version: fields.get(2).filter(|_| installed).map(|version| (*version).to_string()) })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitState {
    /// `LoadState`: `loaded`, `not-found`, `masked`; empty where there is no systemd.
    pub load: String,
    /// `ActiveState`: `active`, `inactive`, `failed`, `activating` …
    pub active: String,
    /// `UnitFileState`: `enabled`, `disabled`, `static` …
    pub file: String,
}

impl UnitState {
    /// Reads `Key=value` lines of `systemctl show`.
    pub fn parse(text: &str) -> Result<UnitState, String> {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().to_string()
        };
        Ok(UnitState { load: value("LoadState"), active: value("ActiveState"), file: value("UnitFileState") })
    }
}

macro_rules! from_text {
    ($($name:ty),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    )*};
}

from_text!(PathState, PackageState, UnitState);
