//! What left the playbook: entries of a host's journal that no task of the run wants any more.
//!
//! A task is known by what it looks at, so that a new name is no new task; what only acts is known by its name. What a run did
//! not get to see, because it was skipped or failed, counts as wanted.

use std::collections::HashSet;

use crate::change::Look;
use crate::change::fuse;
use crate::engine::ready::Action;
use crate::engine::ready::hex;
use crate::engine::schedule::Schedule;
use crate::event::NodeId;
use crate::graph::HostId;
use crate::journal::Entry;
use crate::journal::Journal;
use crate::journal::Writer;
use crate::lang::task::Task;
use crate::modules;
use crate::modules::Nature;
use crate::remote::order::As;
use sha2::Digest as _;

/// Keys of one version of tbctl mean nothing to another.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a run wants of one host.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    keys: HashSet<String>,
    /// Paths that some task looks at.
    paths: HashSet<String>,
}

/// An entry that nobody wants, or whose first task is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub user: As,
    pub entry: Entry,
    /// Another task that wants it still.
    pub also: Option<String>,
}

impl Schedule {
    /// Who a part of a stream is, for the journal.
    pub(super) fn writer(&self, node: NodeId, task: &Task, action: &Action, label: &str) -> Writer {
        Writer { task: self.graph.place(node).task, key: key(task, action, label) }
    }

    /// Notes that the run wants what this action manages on the host where it is done.
    pub(super) fn want(&mut self, host: HostId, task: &Task, action: &Action, label: &str) {
        let wanted = &mut self.hosts[host].wanted;
        wanted.keys.insert(key(task, action, label));
        wanted.paths.extend(action.probe.looks.iter().filter_map(|(_, look)| match look {
            Look::Path { path, .. } => Some(path.clone()),
            _ => None,
        }));
    }

    /// Tasks that may have been done on any host.
    pub fn delegated(&self) -> Vec<NodeId> {
        let is_delegated =
            |id: &NodeId| self.graph.node(*id).task().is_some_and(|task| task.inherited.delegate_to.is_some());
        (0..self.graph.nodes.len() as NodeId).filter(is_delegated).collect()
    }

    /// What of a user's journal left the playbook, the last touched first. `delegated`: see [`Schedule::delegated`].
    pub fn left(&self, host: HostId, user: &As, journal: &Journal, delegated: &[NodeId]) -> Vec<Left> {
        let wanted = &self.hosts[host].wanted;
        let tasks = self.graph.chains[host].iter().chain(delegated).copied();
        let (mut all, mut unseen) = (HashSet::new(), HashSet::new());
        for node in tasks.filter(|node| self.graph.node(*node).task().is_some()) {
            let title = self.graph.place(node).task;
            if !self.nodes[node as usize].settled {
                unseen.insert(title.clone());
            }
            all.insert(title);
        }
        let wants = |writer: &Writer| match writer.key.split_once(':') {
            Some((VERSION, _)) => wanted.keys.contains(&writer.key) || unseen.contains(&writer.task),
            _ => all.contains(&writer.task),
        };
        let managed = |entry: &Entry| {
            let path = entry.resource.as_deref().and_then(|id| id.strip_prefix("file:"));
            path.is_some_and(|path| wanted.paths.contains(path))
        };
        let one = |entry: &Entry| {
            if wants(&entry.writer) || managed(entry) {
                return None;
            }
            let also = entry.also.iter().find(|writer| wants(writer)).map(|writer| writer.task.clone());
            Some(Left { user: user.clone(), entry: entry.clone(), also })
        };
        journal.entries.iter().rev().filter_map(one).collect()
    }
}

/// What a task manages, in short.
fn key(task: &Task, action: &Action, label: &str) -> String {
    let steady = |look: &&Look| !matches!(look, Look::Live { .. } | Look::Files { .. });
    let looks: Vec<Look> = action.probe.looks.iter().map(|(_, look)| look).filter(steady).cloned().collect();
    let acts = modules::find(&task.action.kind.name).is_none_or(|kind| kind.nature == Nature::Act);
    let identity = match acts || looks.is_empty() {
        true => format!("{} {} {label}", task.action.kind.name, task.title()),
        false => fuse::script(&looks, ""),
    };
    format!("{VERSION}:{}", hex(&sha2::Sha256::digest(identity)[..8]))
}
