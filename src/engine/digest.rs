//! Keyed digests of what was seen and decided, so that a saved plan can be compared and says nothing.
//!
//! HMAC-SHA256 under a key of the plan's own, which is made of the testbed's plan key and a salt in the file. Who has the file
//! alone cannot try out short secrets against it, nor see that two plans hold the same value. Who has the controller's store
//! as well can; the private keys lie there too. Every part is written with its length, so no two inputs read the same.
//!
//! Does not know what a plan is, nor where keys lie.

use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use indexmap::IndexMap;
use sha2::Sha256;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Content;
use crate::change::Look;
use crate::change::Put;
use crate::change::Script;
use crate::change::Seen;
use crate::change::Undo;
use crate::change::look::PathKind;
use crate::change::look::PathState;
use crate::engine::ready::Action;
use crate::engine::ready::hex;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::secret::Secret;

/// The block of SHA-256, which is the form in which its HMAC takes a key.
const BLOCK: usize = 64;
/// Bytes of a digest that are kept; nobody can choose two inputs that meet, for the key is unknown to them.
const KEPT: usize = 16;

/// Makes the digests of one plan.
#[derive(Debug, Clone)]
pub struct Digests {
    key: Secret<[u8; BLOCK]>,
}

impl Digests {
    /// The digests of the plan with this salt.
    pub fn new(key: &[u8; 32], salt: &str) -> Digests {
        let mut block = [0; BLOCK];
        block[..32].copy_from_slice(key);
        let testbed = Digests { key: Secret::new(block) };
        let own: [u8; 32] = testbed.writer("plan").text(salt).mac.finalize().into_bytes().into();
        block[..32].copy_from_slice(&own);
        Digests { key: Secret::new(block) }
    }

    /// A digest of texts; `sort` keeps those of different things apart.
    pub fn of(&self, sort: &str, texts: &[&str]) -> String {
        texts.iter().fold(self.writer(sort), |writer, text| writer.text(text)).end()
    }

    /// What a change does, and how it is taken back. `own`: the task's own way back.
    pub fn change(&self, action: &Action, change: &Change, own: Option<&Undo>) -> String {
        let writer = self.writer("change").manner(action);
        let writer = match own {
            Some(undo) => writer.text("own").undo(undo),
            None => writer.text("none"),
        };
        change.steps.iter().fold(writer, |writer, step| writer.apply(&step.apply).undo(&step.undo)).end()
    }

    /// What is wanted, whatever the host looks like: the arguments, and as whom.
    pub fn intent(&self, action: &Action) -> String {
        self.writer("intent").manner(action).node(&action.args).end()
    }

    /// What was seen, by the words for it: `the content of /etc/hosts`.
    pub fn seen(&self, action: &Action, seen: &Seen) -> IndexMap<String, String> {
        let mut found = IndexMap::new();
        for (name, look) in &action.probe.looks {
            let Some(answer) = seen.answers.get(*name) else { continue };
            for (what, text) in facts(name, look, answer) {
                let digest = self.of("seen", &[&what, &text]);
                found.insert(what, digest);
            }
        }
        found
    }

    fn writer(&self, sort: &str) -> Writer {
        Writer { mac: Hmac::new(self.key.expose().into()) }.text(sort)
    }
}

/// One digest under way.
struct Writer {
    mac: Hmac<Sha256>,
}

impl Writer {
    fn text(mut self, text: &str) -> Writer {
        self.mac.update(&(text.len() as u64).to_be_bytes());
        self.mac.update(text.as_bytes());
        self
    }

    fn maybe(self, text: Option<&str>) -> Writer {
        match text {
            Some(text) => self.text("some").text(text),
            None => self.text("none"),
        }
    }

    fn end(self) -> String {
        hex(&self.mac.finalize().into_bytes()[..KEPT])
    }

    /// As whom, in which environment, for how long.
    fn manner(self, action: &Action) -> Writer {
        let timeout = action.timeout.map(|timeout| format!("{timeout:?}"));
        let writer = self.maybe(action.user.as_deref()).maybe(timeout.as_deref());
        action.environment.iter().fold(writer, |writer, (name, value)| writer.text(name).text(value)).text("")
    }

    fn apply(self, apply: &Apply) -> Writer {
        match apply {
            Apply::Run(script) => self.script(script),
            Apply::Put(put) => self.put(put),
        }
    }

    fn script(self, script: &Script) -> Writer {
        let Script { text, user, chdir, stdin, executable } = script;
        let writer = self.text("run").text(text).text(if *user { "user" } else { "own" });
        writer.maybe(chdir.as_deref()).maybe(stdin.as_deref()).maybe(executable.as_deref())
    }

    fn put(self, put: &Put) -> Writer {
        let Put { path, content, mode, owner, group, validate, backup } = put;
        let writer = match content {
            Content::Text(text) => self.text("put").text(path).text("text").text(text),
            Content::File { path: _, sha256 } => self.text("put").text(path).text("file").text(sha256),
        };
        let mode = mode.map(|mode| format!("{mode:o}"));
        let writer = writer.maybe(mode.as_deref()).maybe(owner.as_deref()).maybe(group.as_deref());
        writer.maybe(validate.as_deref()).text(if *backup { "backup" } else { "" })
    }

    fn undo(self, undo: &Undo) -> Writer {
        match undo {
            Undo::Restore => self.text("restore"),
            Undo::By(script) => self.text("by").text(script),
            Undo::Again { unit, script } => self.text("again").text(unit).text(script),
            Undo::Nothing => self.text("nothing"),
            Undo::Never(why) => self.text("never").text(why),
        }
    }

    fn node(self, node: &Node) -> Writer {
        match &node.tree {
            Tree::Null => self.text("null"),
            Tree::Bool(value) => self.text("bool").text(if *value { "true" } else { "false" }),
            Tree::Int(value) => self.text("int").text(&value.to_string()),
            Tree::Float(value) => self.text("float").text(&value.to_string()),
            Tree::Text(text) => self.text("text").text(&text.text),
            Tree::List(items) => items.iter().fold(self.text("list"), Writer::node).text("end"),
            Tree::Map(entries) => {
                let one = |writer: Writer, (key, node): &(crate::lang::node::Key, Node)| {
                    writer.text("key").text(&key.name).node(node)
                };
                entries.iter().fold(self.text("map"), one).text("end")
            }
        }
    }
}

/// What one answer says, in parts that can be named. What moves by itself, and text whose digest is asked beside it, is left
/// out.
fn facts(name: &str, look: &Look, answer: &str) -> Vec<(String, String)> {
    let whole = |what: String| vec![(what, answer.to_string())];
    match look {
        Look::Path { path, .. } => of_path(path, answer),
        // Times and sizes move; a path that is not there says nothing.
        Look::Stat { path, .. } => match answer.lines().next() {
            Some("-") | None => Vec::new(),
            Some(kind) => vec![(path.clone(), kind.to_string())],
        },
        Look::Text { path } if path.starts_with("/proc/") => whole(format!("the value in {path}")),
        Look::Text { .. } | Look::Files { .. } | Look::Live { .. } => Vec::new(),
        Look::Package { name } => whole(format!("the version of the package {name}")),
        Look::Unit { name } => whole(format!("the state of {name}")),
        Look::Reread { name } => whole(format!("whether {name} was read since its files were changed")),
        Look::Passwd { name } => whole(format!("the account {name}")),
        Look::Shadow { name } => whole(format!("the password of {name}")),
        Look::Group { name } => whole(format!("the group {name}")),
        Look::Member { name } => whole(format!("the groups of {name}")),
        Look::Script { .. } => whole(format!("what the host says to `{name}`")),
    }
}

/// A path that is not there says nothing.
fn of_path(path: &str, answer: &str) -> Vec<(String, String)> {
    let Ok(state) = PathState::parse(answer) else { return vec![(path.to_string(), answer.to_string())] };
    // A capital letter: it was asked where a link leads.
    let of = match answer.starts_with(['F', 'U', 'D', 'O']) {
        true => format!("the target of {path}"),
        false => path.to_string(),
    };
    let kind = match state.kind {
        PathKind::Absent => return Vec::new(),
        PathKind::File => "file",
        PathKind::Directory => "directory",
        PathKind::Link => "link",
        PathKind::Other => "other",
    };
    let mut found = vec![
        (of.clone(), kind.to_string()),
        (format!("the mode of {of}"), format!("{:o}", state.mode)),
        (format!("the owner of {of}"), format!("{}:{}", state.user, state.uid)),
        (format!("the group of {of}"), format!("{}:{}", state.group, state.gid)),
    ];
    match state.kind {
        PathKind::File => found.push((format!("the content of {of}"), state.sha256)),
        PathKind::Link => found.push((format!("where {of} points"), state.target)),
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests() -> Digests {
        Digests::new(&[7; 32], "salt")
    }

    #[test]
    fn a_digest_needs_key_salt_and_sort() {
        let own = digests().of("x", &["a"]);
        assert_eq!(own, digests().of("x", &["a"]));
        let others = [
            Digests::new(&[8; 32], "salt").of("x", &["a"]),
            Digests::new(&[7; 32], "tlas").of("x", &["a"]),
            digests().of("y", &["a"]),
            digests().of("x", &["b"]),
            digests().of("x", &["a", ""]),
        ];
        assert!(!others.contains(&own), "{others:?}");
        assert_ne!(digests().of("x", &["ab", "c"]), digests().of("x", &["a", "bc"]));
        assert!(!format!("{:?}", digests()).contains('7'));
    }

    #[test]
    fn every_part_of_a_change_counts() {
        let put = Put {
            path: "/x".into(),
            content: Content::Text("a".into()),
            mode: None,
            owner: None,
            group: None,
            validate: None,
            backup: false,
        };
        let text = |text: &str| Content::Text(text.into());
        let all = [
            Apply::Put(put.clone()),
            Apply::Put(Put { path: "/y".into(), ..put.clone() }),
            Apply::Put(Put { content: text("b"), ..put.clone() }),
            Apply::Put(Put { content: Content::File { path: "a".into(), sha256: "a".into() }, ..put.clone() }),
            Apply::Put(Put { mode: Some(0o600), ..put.clone() }),
            Apply::Put(Put { owner: Some("a".into()), ..put.clone() }),
            Apply::Put(Put { group: Some("a".into()), ..put.clone() }),
            Apply::Put(Put { validate: Some("a".into()), ..put.clone() }),
            Apply::Put(Put { backup: true, ..put }),
            Apply::run("a"),
            Apply::run("b"),
            Apply::Run(Script { user: true, ..Script::new("a") }),
            Apply::Run(Script { chdir: Some("a".into()), ..Script::new("a") }),
            Apply::Run(Script { stdin: Some("a".into()), ..Script::new("a") }),
            Apply::Run(Script { executable: Some("a".into()), ..Script::new("a") }),
        ];
        let undos = [
            Undo::Restore,
            Undo::By("a".into()),
            Undo::By("b".into()),
            Undo::Again { unit: "a".into(), script: "a".into() },
            Undo::Nothing,
            Undo::Never("a".into()),
        ];
        let digests = digests();
        let ends = all.iter().map(|apply| digests.writer("").apply(apply).end());
        let found: std::collections::BTreeSet<String> =
            ends.chain(undos.iter().map(|undo| digests.writer("").undo(undo).end())).collect();
        assert_eq!(found.len(), all.len() + undos.len());
    }

    #[test]
    fn what_is_seen_is_told_by_parts() {
        let look = Look::Path { path: "/x".into(), follow: false };
        let names = |answer: &str| facts("p", &look, answer).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let file = ["/x", "the mode of /x", "the owner of /x", "the group of /x", "the content of /x"];
        assert_eq!(names("f\n81a4|0|0|root|root|/x\nabc  /x"), file);
        assert_eq!(names("-"), Vec::<String>::new());
        assert_eq!(names("l\na1ff|0|0|root|root|'/x' -> '/y'")[4], "where /x points");
        assert_eq!(names("F\n81a4|0|0|root|root|/x\nabc  /x")[0], "the target of /x");
        assert_eq!(facts("up", &Look::Live { text: "date".into() }, "now"), []);
    }
}
