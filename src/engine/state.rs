//! The state of a run inside the scheduler: hosts, nodes, blocks. Only data; the rules are in `schedule`.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;
use std::collections::VecDeque;
use std::sync::Arc;

use minijinja::Value;

use crate::change::Change;
use crate::change::Look;
use crate::change::Seen;
use crate::change::Undo;
use crate::engine::left::Wanted;
use crate::engine::ready::Action;
use crate::engine::saved::Basis;
use crate::engine::scope::Scope;
use crate::engine::store::Output;
use crate::event::Failure;
use crate::event::NodeId;
use crate::event::Shown;
use crate::graph::Frame;
use crate::graph::HostId;
use crate::journal::Journal;
use crate::lang::task::Vars;
use crate::modules::Fields;
use crate::modules::setup::Group;
use crate::remote::order::As;
use crate::remote::order::Confirm;

/// Why a task is skipped whose `when` does not hold, as said to people.
pub const CONDITION: &str = "its condition is false";

/// A question and the user it is asked as.
pub type Question = (As, Look);

#[derive(Default)]
pub struct HostState {
    /// Index in the chain: everything before has ended.
    pub cursor: usize,
    pub busy: Option<Busy>,
    /// What the host said last, as long as nothing was applied since.
    pub answers: HashMap<Question, Result<String, String>>,
    /// Plan: something earlier would change, so what was seen may not hold.
    pub provisional: bool,
    /// Failed, lost or ended early, and why.
    pub gone: Option<String>,
    /// Nodes of other hosts that wait to run here.
    pub guests: VecDeque<NodeId>,
    pub notified: HashSet<(usize, usize)>,
    /// Handlers the host has a note of, by name, and in whose journals.
    pub woken: HashMap<String, HashSet<As>>,
    /// What the run wants of the host.
    pub wanted: Wanted,
    /// Journals that were read.
    pub journals: HashMap<As, Journal>,
    /// What tasks that woke a handler want to have confirmed, by play and handler.
    pub confirms: HashMap<(usize, usize), Confirm>,
    /// Blocks in which a body failed, by frame.
    pub failed_frames: HashMap<usize, Fall>,
    /// Blocks whose failure goes on outwards once they are left, innermost last.
    pub falling: Vec<(Arc<Frame>, Failure)>,
    /// The play in which it began.
    pub fell_in: usize,
    /// With `any_errors_fatal`: the node of another host whose failure is this one's too, once it has come past that place.
    pub shared: Option<NodeId>,
    /// What is seen of the last failure inside of a block: `ansible_failed_task`, `ansible_failed_result`.
    pub rescued: Option<[(String, Value); 2]>,
    /// What somebody reads of which place of facts.
    pub facts_wanted: BTreeSet<(NodeId, Group)>,
    pub connected: bool,
    /// The handlers of that play run all the same: `force_handlers`.
    pub forces: bool,
}

/// What happened in a block on one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fall {
    Body,
    Rescue,
}

/// What a host was asked last.
pub enum Busy {
    Probing {
        asked: Vec<Question>,
    },
    Applying {
        parts: HashMap<u64, Sent>,
        rest: Vec<Question>,
        changes: bool,
    },
    /// Only orders without an answer of interest.
    Other,
}

/// One part of a stream, until it is answered.
pub struct Sent {
    pub node: NodeId,
    /// `None`: the part only checks.
    pub item: Option<SentItem>,
    /// Items found right that its guard confirms.
    pub confirms: Vec<Right>,
}

/// An item found right.
pub struct Right {
    pub node: NodeId,
    pub index: usize,
    pub result: ItemResult,
    /// What `set_fact` leaves behind.
    pub output: Option<Output>,
    /// What `include_vars` has read.
    pub loaded: Option<Vars>,
}

pub struct SentItem {
    pub index: usize,
    pub scope: Scope,
    pub action: Action,
    pub seen: Seen,
    pub change: Change,
    /// The task's own way back.
    pub undo: Option<Undo>,
    pub label: String,
    pub turn: Turned,
}

/// What an item sees of its loop, the item itself first; `None` without a loop.
pub type Turned = Option<Arc<Vec<(String, Value)>>>;

#[derive(Default)]
pub struct NodeState {
    pub ended: bool,
    pub started: bool,
    /// By item.
    pub results: HashMap<usize, ItemResult>,
    pub tries: u32,
    /// Another try would not help: it did not come to run.
    pub hopeless: bool,
    /// Waits for a timer before it is tried again.
    pub sleeping: bool,
    /// How often its guard failed; twice turns speculation off before it.
    pub stale: u32,
    /// It failed, and nobody ignores it.
    pub failure: Option<Failure>,
    pub changed: bool,
    pub skipped: bool,
    /// An include whose entries are in the graph: how often they are.
    pub opened: Option<usize>,
    /// It had no turn: its host was gone, or it was no part of the run there.
    pub passed: bool,
    /// All its items were looked at, and ended well.
    pub settled: bool,
}

/// How one item ended, before the node is judged as a whole.
#[derive(Clone)]
pub struct ItemResult {
    pub label: String,
    pub turn: Turned,
    pub changed: bool,
    pub skipped: Option<String>,
    pub failed: Option<Failure>,
    /// Plan: known only after apply, and why.
    pub unknown: Option<String>,
    pub fields: Fields,
    pub steps: Vec<Shown>,
    pub seconds: f64,
    /// For a plan that is kept.
    pub basis: Option<Box<Basis>>,
}

impl ItemResult {
    pub fn new(label: &str, turn: Turned) -> ItemResult {
        ItemResult {
            label: label.to_string(),
            turn,
            changed: false,
            skipped: None,
            failed: None,
            unknown: None,
            fields: Fields::new(),
            steps: Vec::new(),
            seconds: 0.0,
            basis: None,
        }
    }

    /// As `register` sees it.
    pub fn to_value(&self) -> Value {
        let mut fields = self.fields.clone();
        fields.insert("changed".into(), Value::from(self.changed));
        fields.insert("failed".into(), Value::from(self.failed.is_some()));
        if let Some(failure) = &self.failed {
            // A command has its own word for it, which says nothing of why.
            if !(fields.contains_key("rc") && fields.contains_key("msg")) {
                fields.insert("msg".into(), Value::from(failure.message.as_str()));
            }
        }
        if let Some(why) = &self.skipped {
            fields.insert("skipped".into(), Value::from(true));
            let why = if why == CONDITION { "Conditional result was False" } else { why.as_str() };
            fields.insert("skip_reason".into(), Value::from(why));
        }
        Value::from_pairs(fields)
    }
}

/// Where a node is executed, beside whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Where {
    pub owner: HostId,
    pub runs: HostId,
}
