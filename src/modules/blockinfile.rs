//! `blockinfile`: some lines of a text file, between two marker lines.

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
use crate::modules::lineinfile::State;
use crate::modules::part;
use crate::modules::part::Edit;
use crate::modules::part::Spot;
use crate::modules::part::Target;
use crate::modules::types::HostPath;
use crate::modules::types::Mode;

/// Sees to some lines of a text file, kept between two marker lines. Everything else in the file stays as it is, also when it
/// is taken back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockInFile {
    /// The file.
    #[serde(alias = "dest", alias = "destfile", alias = "name")]
    pub path: HostPath,
    /// The lines. Without any, the block is taken out.
    #[serde(default, alias = "content")]
    pub block: String,
    /// The marker lines; `{mark}` becomes `marker_begin` and `marker_end`. Two blocks of one file need two markers.
    #[serde(default = "marker")]
    pub marker: String,
    /// What `{mark}` is in the first marker line.
    #[serde(default = "begin")]
    pub marker_begin: String,
    /// What `{mark}` is in the last marker line.
    #[serde(default = "end")]
    pub marker_end: String,
    /// Whether the block should be there.
    #[serde(default)]
    pub state: State,
    /// Where a new block goes: after the last line this pattern finds, or `EOF`.
    #[serde(default)]
    pub insertafter: Option<String>,
    /// Where a new block goes: before the last line this pattern finds, or `BOF`.
    #[serde(default)]
    pub insertbefore: Option<String>,
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

fn marker() -> String {
    "# {mark} ANSIBLE MANAGED BLOCK".into()
}

fn begin() -> String {
    "BEGIN".into()
}

fn end() -> String {
    "END".into()
}

impl BlockInFile {
    fn target(&self) -> Target<'_> {
        Target {
            path: &self.path,
            create: self.create,
            wanted: Wanted { mode: self.mode.as_ref(), owner: self.owner.as_deref(), group: self.group.as_deref() },
            backup: self.backup,
            validate: self.validate.as_deref(),
        }
    }

    fn markers(&self) -> (String, String) {
        (self.marker.replace("{mark}", &self.marker_begin), self.marker.replace("{mark}", &self.marker_end))
    }

    /// The block with its markers; empty when it should not be there.
    fn wanted(&self) -> Vec<String> {
        if self.state == State::Absent || self.block.is_empty() {
            return Vec::new();
        }
        let (begin, end) = self.markers();
        let block = self.block.strip_suffix('\n').unwrap_or(&self.block);
        std::iter::once(begin).chain(block.split('\n').map(str::to_string)).chain([end]).collect()
    }

    fn decide(&self, lines: &[&str]) -> Result<Option<Edit>, Refusal> {
        let (begin, end) = self.markers();
        let find = |marker: &str| lines.iter().rposition(|line| line.trim_end_matches('\r') == marker);
        let wanted = self.wanted();
        if let (Some(one), Some(other)) = (find(&begin), find(&end)) {
            let (at, last) = (one.min(other), one.max(other));
            let count = last + 1 - at;
            if lines[at..=last] == wanted {
                return Ok(None);
            }
            let what = if wanted.is_empty() { "remove the block" } else { "replace the block" };
            return Ok(Some(Edit { what: what.into(), at, count, lines: wanted }));
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        let last = |pattern: &regex::Regex| lines.iter().rposition(|line| pattern.is_match(line));
        let at = match Spot::read(self.insertafter.as_deref(), self.insertbefore.as_deref())? {
            Spot::Start => 0,
            Spot::End => lines.len(),
            Spot::After(pattern) => last(&pattern).map_or(lines.len(), |at| at + 1),
            Spot::Before(pattern) => last(&pattern).unwrap_or(lines.len()),
        };
        Ok(Some(Edit { what: "add the block".into(), at, count: 0, lines: wanted }))
    }
}

impl Module for BlockInFile {
    const NAME: &'static str = "blockinfile";
    const SUMMARY: &'static str = "Sees to some lines of a text file, between two marker lines.";
    const EXAMPLE: &'static str = "blockinfile:\n  path: /etc/hosts\n  block: |\n    10.0.0.1 one\n    10.0.0.2 two\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Own;
    const UNSUPPORTED: &'static [&'static str] = &["append_newline", "attr", "attributes", "encoding", "prepend_newline", "selevel", "serole", "setype", "seuser",];

    type Identity = part::Identity;
    type State = part::State;

    fn check(&self) -> Result<(), Refusal> {
        let (begin, end) = self.markers();
        if begin == end {
            let refusal = Refusal::new("both marker lines are the same");
            return Err(refusal.help("write `{mark}` in `marker`: it becomes BEGIN and END"));
        }
        if self.marker.contains('\n') || self.marker_begin.contains('\n') || self.marker_end.contains('\n') {
            return Err(Refusal::new("a marker is one line"));
        }
        if self.block.split('\n').any(|line| line == begin || line == end) {
            return Err(Refusal::new("`block` holds one of its own marker lines").help("give it another `marker`"));
        }
        if self.insertafter.as_deref() == Some("BOF") {
            let refusal = Refusal::new("`insertafter: BOF` would look for a line that matches BOF, as in Ansible");
            return Err(refusal.help("write `insertbefore: BOF` for the beginning of the file"));
        }
        Spot::read(self.insertafter.as_deref(), self.insertbefore.as_deref())?;
        crate::modules::place::check_validate(self.validate.as_deref())
    }

    fn probe(identity: &part::Identity) -> Probe {
        part::probe(identity)
    }

    fn change(&self, now: &part::State) -> Result<Change, Refusal> {
        now.refuse(&self.path)?;
        let target = self.target();
        if !now.exists() {
            let wanted = self.wanted();
            return if wanted.is_empty() { Ok(Change::none()) } else { target.create(now, &wanted) };
        }
        let mut change = Change::none();
        if let Some(edit) = self.decide(&now.lines())? {
            let (begin, end) = self.markers();
            let words = sh::words([&*self.path, &begin, &end]);
            let look = Look::Script { text: format!("_tb_block_sum {words}") };
            let resource = Resource::new(format!("block:{}:{}", &*self.path, self.marker), look);
            target.edit(&mut change, now, &edit, resource, format!("_tb_block_back {words}"));
        }
        target.attributes(&mut change, now);
        Ok(change)
    }

    fn result(&self, now: &part::State, _: &[Ran]) -> Fields {
        let msg = match (now.exists(), self.decide(&now.lines())) {
            (false, _) if self.wanted().is_empty() => "File not present".to_string(),
            (_, Ok(Some(edit))) if edit.lines.is_empty() => "Block removed".into(),
            (_, Ok(Some(edit))) if edit.count > 0 => "Block inserted".into(),
            (_, Ok(Some(_))) => "Block inserted".into(),
            (_, Ok(None) | Err(_)) => String::new(),
        };
        Fields::from([("msg".into(), Value::from(msg))])
    }
}
