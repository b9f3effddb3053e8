//! Whether a node is looked at: its include, its block, its role, its handler's silence.

use crate::engine::schedule::Schedule;
use crate::engine::state::Fall;
use crate::event::NodeId;
use crate::graph::Frame;
use crate::graph::HostId;
use crate::graph::Once;
use crate::graph::Part;
use crate::graph::Work;

impl Schedule {
    /// What keeps a node from being looked at at all: its include, its block, its handler's silence, its leader.
    pub(super) fn gate(&mut self, node: NodeId) -> Gate {
        let found = self.graph.node(node);
        let host = found.host;
        if let Some(gate) = found.gate {
            let state = &self.nodes[gate as usize];
            if !state.ended {
                return Gate::Wait(gate);
            }
            if state.skipped {
                return Gate::Silent;
            }
        }
        if let Some(once) = found.once.filter(|once| once.nth > 0) {
            match self.earlier_use(host, once) {
                Use::Ran => return Gate::Silent,
                Use::MayRun(other) => return Gate::Wait(other),
                Use::Not => {}
            }
        }
        for own in found.blocks() {
            if own.together
                && own.part != Part::Body
                && let Some(other) = self.still_inside(node, own)
            {
                return Gate::Wait(other);
            }
            let fall = self.hosts[host].failed_frames.get(&own.id);
            let open = match own.part {
                Part::Body => fall.is_none(),
                Part::Rescue => fall == Some(&Fall::Body),
                Part::Always => true,
            };
            if !open {
                return Gate::Silent;
            }
        }
        if let Some(handler) = found.handler
            && !self.hosts[host].notified.contains(&(found.play, handler))
        {
            return Gate::Silent;
        }
        match found.work {
            Work::Facts { .. } => Gate::Quiet,
            _ => self.others_behind(node),
        }
    }

    /// Where the other hosts of a node's play are.
    pub(super) fn others(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let found = self.graph.node(node);
        let hosts = self.graph.plays[found.play].hosts.iter().filter_map(|name| self.graph.host(name));
        hosts.filter(|&host| host != found.host).filter_map(|host| {
            let ahead = self.graph.chains[host].iter().skip(self.hosts[host].cursor);
            ahead.copied().find(|&other| !self.nodes[other as usize].ended)
        })
    }

    /// Where another host is, if it has not yet come through the body of a block all hosts leave together.
    fn still_inside(&self, node: NodeId, frame: &Frame) -> Option<NodeId> {
        self.others(node).find(|&other| {
            let other = self.graph.node(other);
            other.pos < self.graph.node(node).pos && !frame.is_left_at(other)
        })
    }

    /// What became of the earlier uses of a role that runs once.
    fn earlier_use(&self, host: HostId, once: Once) -> Use {
        let of_it = |own: Option<Once>| own.is_some_and(|own| own.role == once.role && own.nth < once.nth);
        for &node in self.graph.chains[host].iter().filter(|node| of_it(self.graph.node(**node).once)) {
            let state = &self.nodes[node as usize];
            match (state.ended, state.skipped) {
                (false, _) => return Use::MayRun(node),
                (true, false) => return Use::Ran,
                (true, true) => {}
            }
        }
        Use::Not
    }
}

/// What is known of earlier uses of a role.
enum Use {
    Ran,
    Not,
    /// Not before this node has ended.
    MayRun(NodeId),
}

/// Whether a node is looked at.
pub(super) enum Gate {
    Open,
    /// Not part of this run; nobody hears of it.
    Silent,
    /// A place of facts: nothing is done there.
    Quiet,
    Wait(NodeId),
}
