//! `authorized_key`: keys that may log in as a user.

use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::Digest as _;

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
use crate::modules::group::account;
use crate::modules::line;
use crate::modules::types::HostPath;

/// Adds and removes public keys that may log in as a user.
///
/// Undone, just these lines go, and the file and its directory if they were made here and nothing else is in them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizedKey {
    /// The user who is logged in as.
    pub user: String,
    /// Public keys, one a line.
    pub key: String,
    /// `present` or `absent`.
    #[serde(default)]
    pub state: Wanted,
    /// Options in front of the keys: `no-pty,from="10.0.0.0/8"`.
    #[serde(default)]
    pub key_options: Option<String>,
    /// Comment in the place of the keys' own.
    #[serde(default)]
    pub comment: Option<String>,
    /// Removes all other keys.
    #[serde(default)]
    pub exclusive: bool,
    /// Makes the directory of the file when it is not there.
    #[serde(default = "yes")]
    pub manage_dir: bool,
    /// The file. Default: `.ssh/authorized_keys` in the user's home.
    #[serde(default)]
    pub path: Option<HostPath>,
}

fn yes() -> bool {
    true
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
    user: String,
    #[serde(default)]
    path: Option<HostPath>,
}

#[derive(Debug, Deserialize)]
pub struct State {
    #[serde(default)]
    keys: String,
}

/// A line of the file: what stands before the key, its type, the key, what follows.
struct Key<'a> {
    options: &'a str,
    kind: &'a str,
    blob: &'a str,
    comment: &'a str,
}

/// Types of public keys, as OpenSSH names them.
fn is_kind(word: &str) -> bool {
    let plain = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| word.starts_with(start));
    plain && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-@.".contains(&b))
}

impl<'a> Key<'a> {
    /// `None` for comments and for what is no key.
    fn read(text: &'a str) -> Option<Key<'a>> {
        let text = text.trim();
        if text.starts_with('#') {
            return None;
        }
        let mut quoted = false;
        let mut start = 0;
        let mut words = Vec::new();
        for (at, letter) in text.char_indices().chain([(text.len(), ' ')]) {
            match letter {
                '"' => quoted = !quoted,
                ' ' | '\t' if !quoted => {
                    if at > start {
                        words.push((start, &text[start..at]));
                    }
                    start = at + 1;
                }
                _ => {}
            }
        }
        let at = words.iter().position(|(_, word)| is_kind(word)).filter(|at| *at <= 1)?;
        let (_, blob) = words.get(at + 1)?;
        let end = words[at + 1].0 + blob.len();
        let options = text[..words[at].0].trim();
        Some(Key { options, kind: words[at].1, blob, comment: text[end..].trim() })
    }
}

impl AuthorizedKey {
    fn keys(&self) -> Result<Vec<Key<'_>>, Refusal> {
        let lines = self.key.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let read = |line| Key::read(line).ok_or_else(|| Refusal::new("`key` holds a line that is no public key"));
        lines.map(read).collect()
    }

    fn line(&self, key: &Key<'_>) -> String {
        let options = self.key_options.as_deref().unwrap_or(key.options);
        let comment = self.comment.as_deref().unwrap_or(key.comment);
        let parts = [options, key.kind, key.blob, comment];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The step that puts `new` in the place of `old`.
    fn step(&self, place: &Place<'_>, blob: &str, old: Option<&str>, new: Option<&str>, change: &mut Change) {
        let path = &place.path;
        let directory = path.rsplit_once('/').map_or("/", |(directory, _)| if directory.is_empty() { "/" } else { directory });
        let (file, dir) = (sh::quote(path), sh::quote(directory));
        let owner = format!("{}:{}", place.uid, place.gid);
        let make = match (new.is_some() && self.manage_dir, place.uid) {
            (true, _) => format!("if [ ! -d {dir} ]; then : >\"${{_tb_k:?}}/dir\" && mkdir -m 0700 {dir} && chown {owner} {dir} || exit; fi\n"),
            (false, _) => String::new(),
        };
        let own = if new.is_some() { format!("\n[ ! -e \"$_tb_k/created\" ] || chown {owner} {file}") } else { String::new() };
        let script = format!("{make}{}{own}", line::replace(path, old, new, "0600"));
        let undo = format!("{}\n[ ! -e \"$_tb_k/dir\" ] || rmdir {dir} 2>/dev/null || :", line::restore());
        let text = format!(
            "[ -r {file} ] || exit\nwhile IFS= read -r _tb_l || [ -n \"$_tb_l\" ]; do
	case $_tb_l in *{}*) printf '%s\\n' \"$_tb_l\" ;; esac
done <{file}",
            sh::quote(blob)
        );
        let digest: String = sha2::Sha256::digest(blob).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let resource = Resource::new(format!("line:{path}:key-{digest}"), Look::Script { text });
        let verb = match (old, new) {
            (None, _) => "add",
            (_, None) => "remove",
            _ => "change",
        };
        let named = new.or(old).and_then(Key::read).map(|key| key.comment.to_string()).unwrap_or_default();
        let what = format!("{verb} a key of {}: {named}", self.user);
        change.step(what.trim_end_matches([':', ' ']), resource, Apply::run(script), Undo::By(undo));
    }
}

/// What the first line of the answer says.
struct Place<'a> {
    uid: &'a str,
    gid: &'a str,
    path: String,
}

impl Module for AuthorizedKey {
    const NAME: &'static str = "authorized_key";
    const SUMMARY: &'static str = "Adds and removes public keys that may log in as a user.";
    const EXAMPLE: &'static str = "authorized_key:\n  user: root\n  key: >-\n    ssh-ed25519\n    AAAAC3NzaC1lZDI1NTE5AAAAIJ8qFkQ2n4m1n6kq1s0m0cN8Zb4o3D2o4VdXv5r5Jm0N\n    tester\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Own;
    const UNSUPPORTED: &'static [&'static str] = &["follow", "validate_certs"];

    type Identity = Named;
    type State = State;

    fn check(&self) -> Result<(), Refusal> {
        account(&self.user)?;
        if self.key.trim_start().starts_with("http") {
            let refusal = Refusal::new("a URL as `key` is unsupported");
            return Err(refusal.help("fetch the file and write `key: \"{{ lookup('file', 'id.pub') }}\"`"));
        }
        let options = self.key_options.iter().chain(&self.comment);
        if options.into_iter().any(|text| text.contains('\n')) {
            return Err(Refusal::new("options and comments are one line"));
        }
        match self.keys()?.is_empty() {
            true => Err(Refusal::new("`key` holds no key")),
            false => Ok(()),
        }
    }

    fn probe(named: &Named) -> Probe {
        let user = sh::quote(&named.user);
        let path = match &named.path {
            Some(path) => format!("_tb_p={}", sh::quote(path)),
            None => "_tb_p=$_tb_h/.ssh/authorized_keys".to_string(),
        };
        // The home is read from the account file, so that one question is enough.
        let text = format!(
            "while IFS=: read -r _tb_n _tb_x _tb_u _tb_g _tb_x _tb_h _tb_x; do
	[ \"$_tb_n\" = {user} ] || continue
	{path}
	printf '%s:%s:%s\\n' \"$_tb_u\" \"$_tb_g\" \"$_tb_p\"
	[ -r \"$_tb_p\" ] || exit
	while IFS= read -r _tb_l || [ -n \"$_tb_l\" ]; do printf '%s\\n' \"$_tb_l\"; done <\"$_tb_p\"
	exit
done </etc/passwd"
        );
        Probe::none().ask("keys", Look::Script { text })
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        let mut lines = now.keys.lines();
        let first: Vec<&str> = lines.next().unwrap_or_default().splitn(3, ':').collect();
        let [uid, gid, path] = first[..] else {
            return Err(Refusal::new(format!("the host has no user {}", self.user)).help("make it first, with `user`"));
        };
        let place = Place { uid, gid, path: path.to_string() };
        let there: Vec<(&str, Key<'_>)> = lines.filter_map(|line| Some((line, Key::read(line)?))).collect();
        let mut change = Change::none();
        let keys = self.keys()?;
        for key in &keys {
            let old = there.iter().rev().find(|(_, one)| one.blob == key.blob).map(|(line, _)| *line);
            let new = self.line(key);
            match (self.state, old) {
                (Wanted::Present, Some(old)) if old.trim() == new => {}
                (Wanted::Present, old) => self.step(&place, key.blob, old, Some(&new), &mut change),
                (Wanted::Absent, Some(old)) => self.step(&place, key.blob, Some(old), None, &mut change),
                (Wanted::Absent, None) => {}
            }
        }
        if self.exclusive && self.state == Wanted::Present {
            for (line, other) in there.iter().filter(|(_, one)| !keys.iter().any(|key| key.blob == one.blob)) {
                self.step(&place, other.blob, Some(line), None, &mut change);
            }
        }
        Ok(change)
    }

    fn result(&self, now: &State, _: &[Ran]) -> Fields {
        let path = now.keys.lines().next().and_then(|line| line.splitn(3, ':').nth(2)).unwrap_or_default();
        let fields = [("user", self.user.as_str()), ("key", self.key.as_str()), ("keyfile", path)];
        fields.into_iter().map(|(name, value)| (name.to_string(), Value::from(value))).collect()
    }
}
