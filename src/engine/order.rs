//! Who waits for whom across hosts: the rule of reach, a play's strategy, `needs`.

use crate::engine::judge;
use crate::engine::schedule::Schedule;
use crate::event::NodeId;
use crate::graph::Work;
use crate::lang::inherit::Reach as Said;
use crate::lang::playbook::Strategy;
use crate::lang::task::Task;
use crate::modules::Kind;
use crate::modules::Nature;
use crate::modules::Reach;

impl Schedule {
    /// Whether what other hosts still do lets this task start: the rule of reach, the play's strategy, `needs`.
    pub(super) fn may_start(&self, node: NodeId, task: &Task, kind: &Kind) -> bool {
        let own = self.graph.node(node);
        let strategy = self.graph.plays[own.play].strategy;
        let needs = self.graph.edges.iter().filter(|edge| edge.to == node && edge.why == crate::graph::Why::Needs);
        if needs.into_iter().any(|edge| !self.nodes[edge.from as usize].ended) {
            return false;
        }
        let beyond = reach(task, kind) == Reach::Beyond;
        for (host, chain) in self.graph.chains.iter().enumerate().filter(|(host, _)| *host != own.host) {
            for &other in chain.iter().skip(self.hosts[host].cursor) {
                let found = self.graph.node(other);
                if found.pos >= own.pos {
                    break;
                }
                if self.nodes[other as usize].ended || matches!(found.work, Work::Facts { .. } | Work::Include(_)) {
                    continue;
                }
                let blocks = match (found.play == own.play, strategy) {
                    (false, _) | (true, Strategy::Linear) => true,
                    (true, Strategy::Free) => false,
                    (true, Strategy::Default) => match found.task() {
                        Some(earlier) => self.orders(earlier, &found.work, beyond),
                        None => false,
                    },
                };
                if blocks && !self.is_dormant(other) {
                    return false;
                }
            }
        }
        true
    }

    /// Whether an earlier task of another host must have ended before one that changes something.
    fn orders(&self, earlier: &Task, work: &Work, beyond: bool) -> bool {
        let Work::Task { kind, .. } = work else { return false };
        match kind.nature {
            Nature::Here | Nature::Look => false,
            Nature::State | Nature::Act if beyond => !judge::is_quiet(earlier),
            Nature::State | Nature::Act => reach(earlier, kind) == Reach::Beyond,
        }
    }

    /// A handler nobody has notified and nobody before it can notify any more blocks no one.
    fn is_dormant(&self, node: NodeId) -> bool {
        let found = self.graph.node(node);
        let Some(handler) = found.handler else { return false };
        let host = &self.hosts[found.host];
        if host.notified.contains(&(found.play, handler)) {
            return false;
        }
        let chain = &self.graph.chains[found.host];
        let earlier = chain.iter().skip(host.cursor).take_while(|&&other| other != node);
        !earlier.into_iter().any(|&other| {
            let task = self.graph.node(other).task();
            !self.nodes[other as usize].ended && task.is_some_and(|task| !task.inherited.notify.is_empty())
        })
    }
}

fn reach(task: &Task, kind: &Kind) -> Reach {
    if task.inherited.delegate_to.is_some() || task.inherited.run_once.is_some() {
        return Reach::Beyond;
    }
    match task.inherited.reach {
        Some(Said::Own) => Reach::Own,
        Some(Said::Beyond) => Reach::Beyond,
        None => kind.reach,
    }
}
