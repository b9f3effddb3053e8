//! A plan as a file: what was decided for which host, on what, and from which words and files.
//!
//! The file holds names and keyed digests (see [`crate::engine::digest`]), no value: variables of the command line, contents,
//! arguments and what hosts answered are in it as digests only. The key lies in the testbed's store on the controller, 0600,
//! and the file names it. So whoever gets hold of the file learns which tasks touch which hosts, and cannot guess a short
//! password against a digest in it; and another machine, which has not the key, cannot tell whether the plan still holds and
//! refuses it. The file ends with a seal under the same key: what was edited by hand is not applied.
//!
//! Pure: reads and writes text, compares, and says what differs. Does not know where files and keys lie.

use indexmap::IndexMap;
use serde::Deserialize;
use serde::Serialize;

use crate::diag::Diagnostic;
use crate::engine::digest::Digests;

/// What the file says it is; every plan begins with it.
const IS: &str = "a plan of tbctl";
/// The form of the file. A reader knows one.
const FORM: u32 = 1;

/// A plan to be applied later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    is: String,
    form: u32,
    /// The version of tbctl: another one may decide otherwise.
    program: String,
    pub testbed: String,
    /// When it was made.
    pub made: String,
    /// Names the key of its digests.
    pub key: String,
    pub salt: String,
    pub words: Words,
    /// Every file that was read, by its whole path.
    pub files: IndexMap<String, String>,
    pub hosts: Hosts,
    seal: String,
}

/// What was decided for each host.
pub type Hosts = IndexMap<String, Host>;

/// One host's part of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Where it was reached: a lab may be up or down in the meantime.
    pub reached: String,
    /// In the order of its chain.
    pub decisions: Vec<Decision>,
}

/// The words of the command line, and where they were typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Relative names mean files from here.
    pub directory: String,
    pub files: Vec<String>,
    pub inventory: Vec<String>,
    pub extra_vars: Vec<Extra>,
    pub limit: Option<String>,
    pub tags: Vec<String>,
    pub skip_tags: Vec<String>,
    pub user: Option<String>,
    pub private_key: Option<String>,
    pub ask_pass: bool,
    pub r#become: bool,
    pub become_user: Option<String>,
    pub become_method: Option<String>,
    pub ask_become_pass: bool,
    /// Whether what was measured is measured again, and where it is kept.
    pub rerun: bool,
    pub results: String,
}

/// One `-e`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Extra {
    /// `@file`, which is read again.
    File(String),
    /// Values, which are not kept: they must be given again.
    Given { names: Vec<String>, digest: String },
}

/// What was decided for one task, or one item of its loop, on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    pub task: String,
    /// `file:line:column`
    pub at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemOf>,
    pub outcome: Decided,
    /// Why it is skipped, fails, or is not known yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What would be changed, a line a step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<String>,
    /// What it was decided on, where that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Box<Basis>>,
}

/// The item of a loop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemOf {
    /// Counted from 1.
    pub number: usize,
    /// As it is shown; it may be a secret, so it is not kept.
    #[serde(skip)]
    pub label: String,
    pub digest: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decided {
    Same,
    Change,
    /// A command: it runs each time.
    Runs,
    Skipped,
    /// Known only after apply.
    After,
    /// Fails, and that is ignored.
    Failed,
}

/// The digests of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    /// What was seen, by the words for it.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub seen: IndexMap<String, String>,
    /// What is done and how it is taken back; `None` where the state of the host allows no decision yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// What is wanted, whatever the host looks like then.
    pub intent: String,
    /// Something before it on its host will have been changed by then, so what was seen may not hold.
    pub behind: bool,
}

/// What a new plan knows of itself, beside what was decided.
#[derive(Debug, Clone)]
pub struct Head {
    pub testbed: String,
    pub made: String,
    pub key: String,
    pub salt: String,
    pub words: Words,
}

impl Saved {
    pub fn new(head: Head, files: IndexMap<String, String>, hosts: Hosts, digests: &Digests) -> Saved {
        let Head { testbed, made, key, salt, words } = head;
        let mut saved = Saved {
            is: IS.into(),
            form: FORM,
            program: env!("CARGO_PKG_VERSION").into(),
            testbed,
            made,
            key,
            salt,
            words,
            files,
            hosts,
            seal: String::new(),
        };
        saved.seal = saved.sealed(digests);
        saved
    }

    /// Whether the seal is whole.
    pub fn holds(&self, digests: &Digests) -> bool {
        self.seal == self.sealed(digests)
    }

    fn sealed(&self, digests: &Digests) -> String {
        let open = Saved { seal: String::new(), ..self.clone() };
        digests.of("seal", &[&open.to_text()])
    }

    pub fn to_text(&self) -> String {
        // Names and texts only: nothing in it could fail to be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// Whether a text is meant to be a plan, damaged or not.
pub fn is_plan(text: &str) -> bool {
    let head = text.chars().take(200).filter(|c| !c.is_whitespace()).collect::<String>();
    head.starts_with(&format!("{{\"is\":\"{}", IS.replace(' ', "")))
}

/// Reads a plan. `name`: the file's, for messages.
pub fn read(name: &str, text: &str) -> Result<Saved, Diagnostic> {
    #[derive(Deserialize)]
    struct Form {
        form: u32,
    }
    let anew = "make the plan anew: `tbctl plan … -o FILE`";
    let damaged = |error: serde_json::Error| {
        let message = format!("the plan `{name}` is damaged (line {}, column {})", error.line(), error.column());
        Diagnostic::error(message).help(anew)
    };
    let form: Form = serde_json::from_str(text).map_err(damaged)?;
    if form.form != FORM {
        let message = format!("the plan `{name}` has form {}, and this tbctl knows form {FORM} only", form.form);
        return Err(Diagnostic::error(message).help("use the tbctl it was made with, or make the plan anew"));
    }
    let saved: Saved = serde_json::from_str(text).map_err(damaged)?;
    if saved.program != env!("CARGO_PKG_VERSION") {
        let own = env!("CARGO_PKG_VERSION");
        let message = format!("the plan `{name}` was made by tbctl {}, and this is {own}", saved.program);
        return Err(Diagnostic::error(message).help("another version may decide otherwise: make the plan anew"));
    }
    Ok(saved)
}

impl Words {
    /// The `-e` of the plan, with the values that were given again.
    pub fn extra_vars(&self, given: &[String], digests: &Digests) -> Result<Vec<String>, Diagnostic> {
        let mut given = given.iter();
        let mut all = Vec::new();
        for one in &self.extra_vars {
            match one {
                Extra::File(name) => all.push(format!("@{name}")),
                Extra::Given { names, digest } => {
                    let names = names.join("`, `");
                    let Some(text) = given.next() else {
                        let fault = Diagnostic::error(format!("the plan was made with `-e` for `{names}`"));
                        return Err(fault.help("the plan does not keep the values: give the same `-e` again"));
                    };
                    if extra(digests, text) != *digest {
                        let message = format!("the `-e` for `{names}` is not what the plan was made with");
                        return Err(Diagnostic::error(message).help("give the same again, in the same order"));
                    }
                    all.push(text.clone());
                }
            }
        }
        match given.next() {
            None => Ok(all),
            Some(_) => {
                let fault = Diagnostic::error("there is an `-e` that the plan was not made with");
                Err(fault.help("leave it out (`-e @file` as well: the plan names it)"))
            }
        }
    }
}

/// The digest of an `-e` with values in it.
pub fn extra(digests: &Digests, text: &str) -> String {
    digests.of("extra", &[text])
}

/// The digest of a file's content, made from the one that is made anyway.
pub fn file(digests: &Digests, sha256: &str) -> String {
    digests.of("file", &[sha256])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests() -> Digests {
        Digests::new(&[1; 32], "s")
    }

    fn plan() -> Saved {
        let words = Words { directory: "/d".into(), extra_vars: vec![], ..Words::default() };
        let head = Head { testbed: "t".into(), made: "now".into(), key: "k".into(), salt: "s".into(), words };
        let basis = Basis { seen: IndexMap::new(), change: Some("c".into()), intent: "i".into(), behind: false };
        let decision = Decision {
            task: "copy".into(),
            at: "p:1:1".into(),
            item: None,
            outcome: Decided::Change,
            why: String::new(),
            what: vec!["content".into()],
            basis: Some(basis.into()),
        };
        let host = Host { reached: "a:22".into(), decisions: vec![decision] };
        Saved::new(head, IndexMap::new(), IndexMap::from([("a".into(), host)]), &digests())
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let text = plan().to_text();
        assert!(is_plan(&text));
        let found = read("f", &text).unwrap();
        assert_eq!(found, plan());
        assert!(found.holds(&digests()));
        assert!(!found.holds(&Digests::new(&[2; 32], "s")));
    }

    #[test]
    fn what_is_no_whole_plan_is_refused_with_a_sentence() {
        let text = plan().to_text();
        let other = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            read("f", &text.replacen(from, to, 1)).map(|plan| plan.holds(&digests())).map_err(|fault| fault.message)
        };
        assert_eq!(other("\"content\"", "\"nothing\""), Ok(false));
        assert_eq!(other("\"change\": \"c\"", "\"change\": \"d\""), Ok(false));
        let newer = "the plan `f` has form 2, and this tbctl knows form 1 only";
        assert_eq!(other("\"form\": 1", "\"form\": 2, \"colour\": 3"), Err(newer.into()));
        let program = format!("\"program\": \"{}\"", env!("CARGO_PKG_VERSION"));
        assert!(
            other(&program, "\"program\": \"0.0.1\"").unwrap_err().contains("was made by tbctl 0.0.1, and this is")
        );
        assert_eq!(
            other("\"form\": 1", "\"form\": 1, \"x\": 1"),
            Err("the plan `f` is damaged (line 3, column 16)".into())
        );
        for end in (0..text.len() - 2).filter(|end| text.is_char_boundary(*end)) {
            let fault = read("f", &text[..end]).unwrap_err();
            assert!(fault.message.starts_with("the plan `f` is damaged"), "{end}: {}", fault.message);
        }
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let text = plan().to_text();
        for (at, bit) in (0..text.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(flipped) = String::from_utf8(bytes) else { continue };
            let Ok(found) = read("f", &flipped) else { continue };
            // White space between the words says nothing.
            assert!(!found.holds(&digests()) || found == plan(), "byte {at}, bit {bit}");
        }
    }

    #[test]
    fn plans_are_known_by_their_content() {
        for (text, expected) in [
            ("{\"is\": \"a plan of tbctl\", \"fo", true),
            ("{ \"is\" :\n\"a plan of tbctl", true),
            ("- hosts: all\n", false),
            ("{\"is\": \"a plan of others\"}", false),
            ("", false),
        ] {
            assert_eq!(is_plan(text), expected, "{text}");
        }
    }

    #[test]
    fn variables_are_given_again() {
        let digests = digests();
        let given = |text: &str| Extra::Given { names: vec!["a".into()], digest: extra(&digests, text) };
        let words = Words { extra_vars: vec![given("a=1"), Extra::File("f".into()), given("a=2")], ..Words::default() };
        let check = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_string()).collect();
            words.extra_vars(&texts, &digests).map_err(|fault| fault.message)
        };
        assert_eq!(check(&["a=1", "a=2"]).unwrap(), ["a=1", "@f", "a=2"]);
        assert_eq!(check(&["a=1"]).unwrap_err(), "the plan was made with `-e` for `a`");
        assert_eq!(check(&["a=2", "a=1"]).unwrap_err(), "the `-e` for `a` is not what the plan was made with");
        assert_eq!(check(&["a=1", "a=2", "b=1"]).unwrap_err(), "there is an `-e` that the plan was not made with");
    }
}
