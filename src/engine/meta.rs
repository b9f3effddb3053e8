//! `meta`: what the run itself is told to do.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::gates::Gate;
use crate::engine::judge;
use crate::engine::schedule::Command;
use crate::engine::schedule::Schedule;
use crate::engine::schedule::Step;
use crate::engine::schedule::skipped;
use crate::engine::state::Busy;
use crate::engine::state::CONDITION;
use crate::event::NodeId;
use crate::graph::HostId;
use crate::graph::build::tells_all;
use crate::graph::build::word;
use crate::lang::lookup::Fault;
use crate::lang::role::Role;
use crate::lang::task::Task;
use crate::remote::order::Order;

/// How long a host may take to let tbctl in again.
const RECONNECT: Duration = Duration::from_secs(60);

impl Schedule {
    pub(super) fn meta(&mut self, node: NodeId, task: &Arc<Task>) -> Step {
        let scope = self.scope(node);
        match self.store.templates.condition(&task.inherited.when, &scope.lookup()) {
            Ok(true) => {}
            Ok(false) => return self.end_with(node, skipped(CONDITION), false),
            Err(Fault::Unknown(on)) => return self.unknown(node, on),
            Err(Fault::Error(fault)) => return self.end_failed(node, judge::of_fault(&fault)),
        }
        let host = self.graph.node(node).host;
        match word(task) {
            Some("end_host") => self.end_play(host, node),
            Some("end_play" | "end_batch") => {
                for host in 0..self.hosts.len() {
                    self.end_play(host, node);
                }
            }
            Some("end_role") => self.end_role(host, node),
            Some("clear_host_errors") => self.let_in_again(node),
            Some("reset_connection") if !self.rules.plan && !self.nodes[node as usize].started => {
                self.nodes[node as usize].started = true;
                self.hosts[host].busy = Some(Busy::Other);
                self.commands.push(Command::Send(host, Order::Reconnect { timeout: RECONNECT }));
                return Step::Ended;
            }
            _ => {}
        }
        self.end_silently(node)
    }

    /// The rest of the node's play is nothing to the host.
    fn end_play(&mut self, host: HostId, node: NodeId) {
        let graph = self.graph.clone();
        let found = graph.node(node);
        for &other in &graph.chains[host] {
            if graph.node(other).play == found.play && !self.nodes[other as usize].ended && other != node {
                self.pass_by(other);
            }
        }
        self.store_mut().leave(host, found.pos.clone(), Some(found.play));
    }

    /// What is left of the role a node is in is nothing to the host.
    fn end_role(&mut self, host: HostId, node: NodeId) {
        let graph = self.graph.clone();
        let Some(role) = graph.node(node).role() else { return };
        let of_it =
            |other: &Arc<Role>| Arc::ptr_eq(other, role) || other.parents.iter().any(|one| Arc::ptr_eq(one, role));
        let behind = graph.chains[host].iter().skip_while(|&&other| other != node).skip(1);
        for &other in behind {
            let found = graph.node(other);
            if found.handler.is_none() && found.role().is_some_and(of_it) && !self.nodes[other as usize].ended {
                self.pass_by(other);
            }
        }
    }

    /// What one host is told for all waits until every host has come as far.
    pub(super) fn others_behind(&self, node: NodeId) -> Gate {
        let found = self.graph.node(node);
        let for_all = found.task().is_some_and(|task| tells_all(task));
        let late = || self.others(node).find(|&other| self.graph.node(other).pos < found.pos);
        match for_all.then(late).flatten() {
            Some(other) => Gate::Wait(other),
            None => Gate::Open,
        }
    }

    /// Hosts of the play that were lost take part in the plays behind this one.
    fn let_in_again(&mut self, node: NodeId) {
        let graph = self.graph.clone();
        let play = graph.node(node).play;
        for host in graph.plays[play].hosts.iter().filter_map(|name| graph.host(name)) {
            if !self.store.is_gone(host) {
                continue;
            }
            for absence in Arc::make_mut(&mut self.store_mut().absent).entry(host).or_default() {
                absence.until.get_or_insert(play);
            }
            for &other in &graph.chains[host] {
                let state = &mut self.nodes[other as usize];
                if graph.node(other).play > play && state.passed {
                    (state.passed, state.ended) = (false, false);
                    self.store_mut().forget_all(other);
                }
            }
            let open = graph.chains[host].iter().position(|&other| !self.nodes[other as usize].ended);
            let state = &mut self.hosts[host];
            state.cursor = open.unwrap_or(graph.chains[host].len());
            (state.gone, state.shared, state.rescued) = (None, None, None);
            state.falling.clear();
        }
    }
}
