//! `lineinfile`: one line of a text file.

use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Change;
use crate::change::Look;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::attributes::Wanted;
use crate::modules::part;
use crate::modules::part::Edit;
use crate::modules::part::Spot;
use crate::modules::part::Target;
use crate::modules::pattern;
use crate::modules::types::HostPath;
use crate::modules::types::Mode;

/// Whether the line should be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Taken out.
    Absent,
    /// Put in.
    #[default]
    Present,
}

/// Sees to it that a line is in a text file, or is not. Everything else in the file stays as it is, also when it is taken back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineInFile {
    /// The file.
    #[serde(alias = "dest", alias = "destfile", alias = "name")]
    pub path: HostPath,
    /// The line as it should be.
    #[serde(default, alias = "value")]
    pub line: Option<String>,
    /// The pattern of the line to be replaced, the last that it finds; for `absent`, of all lines to be taken out.
    #[serde(default, alias = "regex")]
    pub regexp: Option<String>,
    /// Like `regexp`, but the text itself.
    #[serde(default)]
    pub search_string: Option<String>,
    /// Whether the line should be there.
    #[serde(default)]
    pub state: State,
    /// Where a new line goes if nothing is replaced: after the last line this pattern finds, or `EOF`.
    #[serde(default)]
    pub insertafter: Option<String>,
    /// Where a new line goes if nothing is replaced: before the last line this pattern finds, or `BOF`.
    #[serde(default)]
    pub insertbefore: Option<String>,
    /// `line` may hold `\1` for groups of `regexp`; if that finds nothing, nothing is done.
    #[serde(default)]
    pub backrefs: bool,
    /// Patterns mean the first line they find, not the last.
    #[serde(default)]
    pub firstmatch: bool,
    /// Makes the file, and directories above it, if it is not there.
    #[serde(default)]
    pub create: bool,
    /// Keeps the old file beside the new one under a dated name.
    #[serde(default)]
    pub backup: bool,
    /// A command that must accept the new file before it is put in place; `%s` stands for it: `visudo -cf %s`.
    #[serde(default)]
    pub validate: Option<String>,
    /// Permission bits of the file: `0644` or `u=rw,g=r`.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Name or number of the owner.
    #[serde(default)]
    pub owner: Option<String>,
    /// Name or number of the group.
    #[serde(default)]
    pub group: Option<String>,
    /// Accepted; files are always replaced in one step where the host allows it.
    #[serde(default)]
    pub unsafe_writes: bool,
}

/// What is to be done, and how Ansible words it.
enum Verdict {
    Same,
    Added(Edit),
    Replaced(Edit),
    Removed(Vec<usize>),
}

impl LineInFile {
    fn target(&self) -> Target<'_> {
        Target {
            path: &self.path,
            create: self.create,
            wanted: Wanted { mode: self.mode.as_ref(), owner: self.owner.as_deref(), group: self.group.as_deref() },
            backup: self.backup,
            validate: self.validate.as_deref(),
        }
    }

    fn line(&self) -> &str {
        self.line.as_deref().unwrap_or_default()
    }

    /// The last (or first) line that `holds`.
    fn pick(&self, lines: &[&str], holds: impl Fn(&str) -> bool) -> Option<usize> {
        if self.firstmatch { lines.iter().position(|line| holds(line)) } else { lines.iter().rposition(|line| holds(line)) }
    }

    fn matched(&self, lines: &[&str]) -> Result<Option<usize>, Refusal> {
        match (&self.regexp, &self.search_string) {
            (Some(text), _) => {
                let pattern = pattern::compile(text)?;
                Ok(self.pick(lines, |line| pattern.is_match(line)))
            }
            (None, Some(text)) => Ok(self.pick(lines, |line| line.contains(text.as_str()))),
            (None, None) => Ok(None),
        }
    }

    fn decide(&self, lines: &[&str]) -> Result<Verdict, Refusal> {
        if self.state == State::Absent {
            return self.decide_absent(lines);
        }
        let matched = self.matched(lines)?;
        let same = |line: &str| line.trim_end_matches('\r') == self.line();
        if let Some(at) = matched {
            let mut line = self.line().to_string();
            if let (true, Some(text)) = (self.backrefs, &self.regexp) {
                let pattern = pattern::compile(text)?;
                line = pattern.captures(lines[at]).map_or(line, |found| pattern::expand(&found, self.line()));
            }
            return Ok(match lines[at] == line {
                true => Verdict::Same,
                false => Verdict::Replaced(Edit { what: format!("replace line {}", at + 1), at, count: 1, lines: vec![line] }),
            });
        }
        if self.backrefs || lines.iter().any(|line| same(line)) {
            return Ok(Verdict::Same);
        }
        let at = match Spot::read(self.insertafter.as_deref(), self.insertbefore.as_deref())? {
            Spot::Start => 0,
            Spot::End => lines.len(),
            Spot::After(pattern) => self.pick(lines, |line| pattern.is_match(line)).map_or(lines.len(), |at| at + 1),
            Spot::Before(pattern) => self.pick(lines, |line| pattern.is_match(line)).unwrap_or(lines.len()),
        };
        let what = if at == lines.len() { "add a line at the end".into() } else { format!("add a line before line {}", at + 1) };
        Ok(Verdict::Added(Edit { what, at, count: 0, lines: vec![self.line().to_string()] }))
    }

    fn decide_absent(&self, lines: &[&str]) -> Result<Verdict, Refusal> {
        let pattern = self.regexp.as_deref().map(pattern::compile).transpose()?;
        let holds = |line: &str| match (&pattern, &self.search_string) {
            (Some(pattern), _) => pattern.is_match(line),
            (None, Some(text)) => line.contains(text.as_str()),
            (None, None) => line.trim_end_matches('\r') == self.line(),
        };
        let numbers: Vec<usize> = (0..lines.len()).filter(|at| holds(lines[*at])).collect();
        Ok(if numbers.is_empty() { Verdict::Same } else { Verdict::Removed(numbers) })
    }

    /// The part of the file that is this task's: named after what finds it, so that a line may change and stay the same thing.
    /// How it is cannot be seen in the file alone: the shell does not know these patterns.
    fn resource(&self) -> Resource {
        let named = match (&self.regexp, &self.search_string) {
            (Some(text), _) => format!("regexp {text}"),
            (None, Some(text)) => format!("search {text}"),
            (None, None) => format!("line {}", self.line()),
        };
        let text = format!("_tb_line_state {}", sh::quote(&self.path));
        Resource::new(format!("line:{}:{}", &*self.path, part::digest(&named)), Look::Script { text })
    }

    fn steps(&self, now: &part::State) -> Result<Change, Refusal> {
        let mut change = Change::none();
        let (target, lines) = (self.target(), now.lines());
        let undo = format!("_tb_line_back {}", sh::quote(&self.path));
        match self.decide(&lines)? {
            Verdict::Same => {}
            Verdict::Added(edit) | Verdict::Replaced(edit) => {
                target.edit(&mut change, now, &edit, self.resource(), undo);
            }
            Verdict::Removed(numbers) => {
                target.drop(&mut change, now, &numbers, self.resource(), undo);
            }
        }
        target.attributes(&mut change, now);
        Ok(change)
    }
}

impl Module for LineInFile {
    const NAME: &'static str = "lineinfile";
    const SUMMARY: &'static str = "Sees to one line of a text file.";
    const EXAMPLE: &'static str =
        "lineinfile:\n  path: /etc/ssh/sshd_config\n  regexp: '^#?PermitRootLogin'\n  line: PermitRootLogin no\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Own;
    const UNSUPPORTED: &'static [&'static str] = &["attr", "attributes", "encoding", "others", "selevel", "serole", "setype", "seuser",];

    type Identity = part::Identity;
    type State = part::State;

    fn check(&self) -> Result<(), Refusal> {
        if self.regexp.is_some() && self.search_string.is_some() {
            return Err(Refusal::new("`regexp` and `search_string` both say which line is meant").help("write one of them"));
        }
        if self.state == State::Present && self.line.is_none() {
            return Err(Refusal::new("missing argument `line`").help("`line` is the line as it should be"));
        }
        if self.line.is_none() && self.regexp.is_none() && self.search_string.is_none() {
            return Err(Refusal::new("nothing says which line is meant").help("write `line`, `regexp` or `search_string`"));
        }
        if self.line().contains('\n') {
            return Err(Refusal::new("`line` holds more than one line").help("use `blockinfile`, or a loop over the lines"));
        }
        if self.backrefs && self.regexp.is_none() {
            return Err(Refusal::new("`backrefs` needs `regexp`, whose groups they are"));
        }
        if let Some(text) = &self.regexp {
            pattern::compile(text)?;
        }
        Spot::read(self.insertafter.as_deref(), self.insertbefore.as_deref())?;
        crate::modules::place::check_validate(self.validate.as_deref())
    }

    fn probe(identity: &part::Identity) -> Probe {
        part::probe(identity)
    }

    fn change(&self, now: &part::State) -> Result<Change, Refusal> {
        now.refuse(&self.path)?;
        match (now.exists(), self.state) {
            (false, State::Absent) => Ok(Change::none()),
            (false, State::Present) if self.backrefs && self.create => self.target().create(now, &[]),
            (false, State::Present) => self.target().create(now, &[self.line().to_string()]),
            (true, _) => self.steps(now),
        }
    }

    fn result(&self, now: &part::State, _: &[Ran]) -> Fields {
        let mut fields = Fields::new();
        let absent = self.state == State::Absent;
        let (msg, found) = match (now.exists(), self.decide(&now.lines())) {
            (false, _) if absent => ("file not present".to_string(), 0),
            (false, _) => ("line added".into(), 0),
            (true, Ok(Verdict::Added(_))) => ("line added".into(), 0),
            (true, Ok(Verdict::Replaced(_))) => ("line replaced".into(), 0),
            (true, Ok(Verdict::Removed(numbers))) => (format!("{} line(s) removed", numbers.len()), numbers.len()),
            (true, Ok(Verdict::Same) | Err(_)) => (String::new(), 0),
        };
        fields.insert("msg".into(), Value::from(msg));
        if absent {
            fields.insert("found".into(), Value::from(found));
        }
        fields
    }
}
