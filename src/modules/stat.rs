//! `stat`: what is known about a path.

use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Change;
use crate::change::Look;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::look::PathState;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::types::HostPath;

/// How the content is summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    #[default]
    Sha1,
    Sha256,
}

/// Reports what is known about a path: whether it exists, its type, mode, owner, size, times and checksum.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stat {
    /// The path.
    #[serde(alias = "dest", alias = "name")]
    pub path: HostPath,
    /// If the path is a link, what it points to is meant.
    #[serde(default)]
    pub follow: bool,
    /// Whether `checksum` is reported, of files that can be read.
    #[serde(default = "yes")]
    pub get_checksum: bool,
    /// How the checksum is made.
    #[serde(default, alias = "checksum", alias = "checksum_algo")]
    pub checksum_algorithm: Algorithm,
    /// Accepted; the type of the content is not reported.
    #[serde(default)]
    pub get_mime: bool,
    /// Accepted; attributes as `lsattr` shows them are not reported.
    #[serde(default)]
    pub get_attributes: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
pub struct Identity {
    #[serde(alias = "dest", alias = "name")]
    path: HostPath,
    #[serde(default)]
    follow: bool,
    #[serde(default, alias = "checksum", alias = "checksum_algo")]
    checksum_algorithm: Algorithm,
}

#[derive(Debug, Deserialize)]
pub struct State {
    /// A letter, the fields of `stat`, the line of `sha1sum`.
    stat: String,
    #[serde(default)]
    digest: PathState,
    /// What the user may do with it: lines of [`ACCESS`].
    #[serde(default)]
    access: String,
}

const ACCESS: [&str; 3] = ["readable", "writeable", "executable"];

/// The tests on mode bits, by the names of their fields.
const BITS: &[(&str, u32)] = &[
    ("isuid", 0o4000),
    ("isgid", 0o2000),
    ("rusr", 0o400),
    ("wusr", 0o200),
    ("xusr", 0o100),
    ("rgrp", 0o040),
    ("wgrp", 0o020),
    ("xgrp", 0o010),
    ("roth", 0o004),
    ("woth", 0o002),
    ("xoth", 0o001),
];

/// The types, by the names of their fields: the upper bits of the mode.
const TYPES: &[(&str, u32)] = &[
    ("isreg", 0o10),
    ("isdir", 0o04),
    ("islnk", 0o12),
    ("isblk", 0o06),
    ("ischr", 0o02),
    ("isfifo", 0o01),
    ("issock", 0o14),
];

impl Stat {
    /// The fields of `stat`; without any, the path does not exist.
    fn fields(&self, now: &State) -> Option<Fields> {
        let mut lines = now.stat.lines();
        // The letter of its type.
        lines.next()?;
        let parts: Vec<&str> = lines.next()?.splitn(14, '|').collect();
        let [size, links, inode, device, access, modified, changed, blocks, mode, uid, gid, user, group, name] = parts[..] else {
            return None;
        };
        let bits = u32::from_str_radix(mode, 16).ok()?;
        let number = |text: &str| text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from);
        let time = |text: &str| text.parse::<f64>().map_or_else(|_| Value::from(text), Value::from);
        let mut fields = Fields::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_string(), value);
        put("exists", Value::from(true));
        put("path", Value::from(&*self.path));
        put("mode", Value::from(format!("{:04o}", bits & 0o7777)));
        for (name, kind) in TYPES {
            put(name, Value::from(bits >> 12 == *kind));
        }
        for (name, value) in [("uid", uid), ("gid", gid), ("size", size), ("nlink", links), ("inode", inode), ("dev", device), ("blocks", blocks)] {
            put(name, number(value));
        }
        for (name, value) in [("atime", access), ("mtime", modified), ("ctime", changed)] {
            put(name, time(value));
        }
        for (name, bit) in BITS {
            put(name, Value::from(bits & bit != 0));
        }
        // An id without a name has none here either.
        for (name, value) in [("pw_name", user), ("gr_name", group)] {
            if value != "UNKNOWN" {
                put(name, Value::from(value));
            }
        }
        if let (0o12, Some((_, target))) = (bits >> 12, name.split_once(" -> ")) {
            let directory = self.path.rsplit_once('/').map_or("", |(directory, _)| directory);
            let source = if target.starts_with('/') { target.to_string() } else { format!("{directory}/{target}") };
            put("lnk_source", Value::from(source));
            put("lnk_target", Value::from(target));
        }
        for name in ACCESS {
            put(name, Value::from(now.access.lines().any(|line| line == name)));
        }
        let sum = match self.checksum_algorithm {
            Algorithm::Sha1 => lines.next().and_then(|line| line.trim_start_matches('\\').split(' ').next()).unwrap_or_default(),
            Algorithm::Sha256 => &now.digest.sha256,
        };
        if self.get_checksum && !sum.is_empty() {
            put("checksum", Value::from(sum));
        }
        Some(fields)
    }
}

impl Module for Stat {
    const NAME: &'static str = "stat";
    const SUMMARY: &'static str = "Reports what is known about a path.";
    const EXAMPLE: &'static str = "stat:\n  path: /etc/wireguard/wg0.conf\nregister: tunnel\n";
    const NATURE: Nature = Nature::Look;
    const REACH: Reach = Reach::Own;
    const UNSUPPORTED: &'static [&'static str] = &[ "get_selinux_context"];

    type Identity = Identity;
    type State = State;

    fn probe(identity: &Identity) -> Probe {
        let (path, follow) = (identity.path.to_string(), identity.follow);
        let word = crate::change::sh::quote(&path);
        let may = [("-r", "readable"), ("-w", "writeable"), ("-x", "executable")];
        let text = may.map(|(test, name)| format!("[ ! {test} {word} ] || echo {name}")).join("\n");
        let probe = Probe::none().ask("stat", Look::Stat { path: path.clone(), follow });
        let probe = probe.ask("access", Look::Script { text });
        match identity.checksum_algorithm {
            Algorithm::Sha1 => probe,
            Algorithm::Sha256 => probe.ask("digest", Look::Path { path, follow }),
        }
    }

    fn change(&self, _: &State) -> Result<Change, Refusal> {
        Ok(Change::none())
    }

    fn result(&self, now: &State, _: &[Ran]) -> Fields {
        let stat = match self.fields(now) {
            Some(fields) => Value::from_pairs(fields),
            None => Value::from_pairs([("exists", Value::from(false))]),
        };
        Fields::from([("stat".into(), stat)])
    }
}
