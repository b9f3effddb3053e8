//! The graph: every task of every host as a node, in one order.
//!
//! Nodes stand in their host's chain; their [`Pos`] is the place they would have in lock-step, which is what «earlier» means
//! between hosts. Knows nothing of connections, and runs nothing.

pub mod build;
pub mod splice;
pub mod text;

use std::sync::Arc;

use crate::event::GATHERING;
use crate::event::INCLUDE;
use crate::event::NodeId;
use crate::event::Place;
use crate::graph::build::Choice;
use crate::lang::playbook::Play;
use crate::lang::role::Role;
use crate::lang::task::Include;
use crate::lang::task::Task;
use crate::modules::Kind;

/// Lock-step order: play, then place in the play; nodes of an include carry its place and theirs behind it.
pub type Pos = Vec<u32>;

/// Index of a host in [`Graph::hosts`].
pub type HostId = usize;

#[derive(Debug, Clone)]
pub struct Node {
    pub host: HostId,
    pub play: usize,
    pub pos: Pos,
    pub work: Work,
    /// The include whose `when` must have held.
    pub gate: Option<NodeId>,
    pub block: Option<Arc<Frame>>,
    /// The handler's number in its play, if it is one: it runs only when notified.
    pub handler: Option<usize>,
    /// With `run_once`: the node of the first host, whose end counts for all.
    pub leader: Option<NodeId>,
    /// Of a role that runs once: skipped where an earlier use ran.
    pub once: Option<Once>,
}

/// Which use of which role a node belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    /// The same for uses with the same parameters in the same play.
    pub role: usize,
    /// Counted from 0.
    pub nth: usize,
}

#[derive(Debug, Clone)]
pub enum Work {
    Task {
        task: Arc<Task>,
        kind: &'static Kind,
    },
    /// Facts, gathered only if something reads them.
    Facts {
        kind: &'static Kind,
    },
    Include(Arc<Include>),
}

impl Node {
    pub fn task(&self) -> Option<&Arc<Task>> {
        match &self.work {
            Work::Task { task, .. } => Some(task),
            Work::Facts { .. } | Work::Include(_) => None,
        }
    }

    pub fn include(&self) -> Option<&Arc<Include>> {
        match &self.work {
            Work::Include(include) => Some(include),
            Work::Facts { .. } | Work::Task { .. } => None,
        }
    }
}

/// A block around a node, and which part of it the node is in.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Unique in the graph; the same on all hosts.
    pub id: usize,
    pub part: Part,
    pub rescues: bool,
    /// A failure in its body may be one of all hosts: none goes on to the other parts before all are through it.
    pub together: bool,
    pub parent: Option<Arc<Frame>>,
}

impl Node {
    /// The blocks around it, the innermost first.
    pub fn blocks(&self) -> impl Iterator<Item = &Arc<Frame>> {
        outwards(self.block.as_ref())
    }

    /// Whether a block around it deals with its failure.
    pub fn is_rescued(&self) -> bool {
        self.blocks().any(|own| own.part == Part::Body && own.rescues)
    }

    /// Whether it is in any part of a block.
    pub fn is_within(&self, block: usize) -> bool {
        self.blocks().any(|own| own.id == block)
    }

    pub fn role(&self) -> Option<&Arc<Role>> {
        let of_task = self.task().and_then(|task| task.role.as_ref());
        of_task.or_else(|| self.include()?.role.as_ref())
    }
}

/// A block and those around it, the innermost first.
pub fn outwards(block: Option<&Arc<Frame>>) -> impl Iterator<Item = &Arc<Frame>> {
    std::iter::successors(block, |own| own.parent.as_ref())
}

impl Frame {
    /// Whether a node is in another part of this block than its body.
    pub fn is_left_at(&self, node: &Node) -> bool {
        node.blocks().find(|own| own.id == self.id).is_some_and(|own| own.part != Part::Body)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Body,
    Rescue,
    Always,
}

#[derive(Debug, Clone, Default)]
pub struct Graph {
    pub hosts: Vec<String>,
    pub plays: Vec<Arc<Play>>,
    /// Handlers of each play, by definition order.
    pub handlers: Vec<Vec<Arc<Task>>>,
    pub nodes: Vec<Node>,
    /// Program order of each host.
    pub chains: Vec<Vec<NodeId>>,
    /// Edges that are no program order: from, to, why.
    pub edges: Vec<Edge>,
    pub frames: usize,
    /// Which tasks are wanted, for those that are read during the run.
    pub choice: Choice,
    /// The play and place of each flush of its handlers.
    pub flushes: Vec<(usize, Pos)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    pub from: NodeId,
    pub to: NodeId,
    pub why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// A value: the variable's name.
    Data(String),
    /// The handler runs when the task changed something.
    Notify,
    /// Written down with `needs:`.
    Needs,
}

impl Graph {
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// The name of a task, with its role's in front.
    pub fn title(task: &Task) -> String {
        match &task.role {
            Some(role) => format!("{} : {}", role.name, task.title()),
            None => task.title(),
        }
    }

    /// How many tasks there are on all hosts, without handlers, which may never run.
    pub fn tasks(&self) -> usize {
        self.nodes.iter().filter(|node| node.task().is_some() && node.handler.is_none()).count()
    }

    pub fn host(&self, name: &str) -> Option<HostId> {
        self.hosts.iter().position(|known| known == name)
    }

    /// Where a node stands, for events and messages.
    pub fn place(&self, id: NodeId) -> Place {
        let node = self.node(id);
        let (task, kind, at) = match &node.work {
            Work::Task { task, .. } => (Graph::title(task), task.action.kind.name.clone(), task.span.to_string()),
            Work::Facts { .. } => ("Gathering Facts".into(), GATHERING.into(), self.plays[node.play].span.to_string()),
            Work::Include(include) => {
                let name = include.name.as_ref().and_then(crate::lang::node::Node::scalar);
                (name.unwrap_or_else(|| "include".into()), INCLUDE.into(), include.span.to_string())
            }
        };
        let host = self.hosts[node.host].clone();
        Place { host, task, kind, at, delegated: None, handler: node.handler.is_some() }
    }
}
