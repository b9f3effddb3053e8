//! Facts: gathered by groups, when something reads them, and not before their play's turn has come.
//!
//! A play's facts node is a place in its host's chain. Once the host has come past it, whatever is wanted of it goes out with
//! the next questions; what a later play reads is asked anew behind what the earlier one changed.

use crate::change::Probe;
use crate::engine::ready;
use crate::engine::ready::Ready;
use crate::engine::ready::State;
use crate::engine::schedule::Schedule;
use crate::engine::schedule::blank;
use crate::engine::state::ItemResult;
use crate::engine::store::FACTS;
use crate::engine::walk::Ahead;
use crate::event::Failure;
use crate::event::NodeId;
use crate::graph::HostId;
use crate::graph::Work;
use crate::lang::lookup::Pending;
use crate::modules::Fields;
use crate::modules::Kind;
use crate::modules::setup::Group;

impl Schedule {
    /// Facts somebody reads are asked for with the next questions.
    pub(super) fn want_facts(&mut self, on: &[Pending]) {
        for pending in on {
            let Some((node, group)) = pending.0.strip_prefix(FACTS).and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            let group = Group::ALL.into_iter().find(|known| known.name() == group);
            if let (Ok(node), Some(group)) = (node.parse::<NodeId>(), group) {
                let host = self.graph.node(node).host;
                self.hosts[host].facts_wanted.insert((node, group));
            }
        }
    }

    /// A place of facts whose turn has come, and what is still wanted of it.
    fn open_facts(&self, host: HostId) -> Option<(NodeId, &'static Kind, Vec<Group>)> {
        let cursor = self.hosts[host].cursor;
        let chain = self.graph.chains[host].iter().take(cursor);
        chain.copied().find_map(|node| {
            let Work::Facts { kind } = self.graph.node(node).work else { return None };
            let open = |group: &Group| !self.store.has_facts(node, *group);
            let wanted = self.hosts[host].facts_wanted.iter().filter(|(place, _)| *place == node);
            let groups: Vec<Group> = wanted.map(|(_, group)| *group).filter(open).collect();
            (!groups.is_empty()).then_some((node, kind, groups))
        })
    }

    /// Whether somebody waits for facts that can be had now.
    pub(super) fn owes_facts(&self, host: HostId) -> bool {
        self.open_facts(host).is_some()
    }

    /// Takes the facts that are wanted, once their answers are there.
    pub(super) fn settle_facts(&mut self, host: HostId) {
        while let Some((node, kind, groups)) = self.open_facts(host) {
            let fields = match self.facts_read(node, kind, &groups) {
                None => return,
                Some(Ok(fields)) => fields,
                Some(Err(why)) => return self.fail_node(node, Failure { message: why, ..blank() }),
            };
            self.gathered(node, &groups, &fields);
            if !self.nodes[node as usize].ended {
                let result = ItemResult { fields, ..ItemResult::new("", None) };
                self.end_with(node, result, false);
            }
        }
    }

    /// What the answers say of these groups, if they are there.
    fn facts_read(&self, node: NodeId, kind: &'static Kind, groups: &[Group]) -> Option<Result<Fields, String>> {
        let host = self.graph.node(node).host;
        let action = match ready::facts(&self.scope(node), kind, groups) {
            Ready::Go { mut items, .. } => match items.pop()?.state {
                State::Go(action) => action,
                State::Skipped(_) => return None,
            },
            _ => return None,
        };
        let seen = match self.seen(host, &action)? {
            Ok(seen) => seen,
            Err(why) => return Some(Err(why)),
        };
        let decided = action.resource.decide(&seen).and_then(|_| action.resource.report(&seen, &[]));
        Some(decided.map_err(|refusal| refusal.message))
    }

    /// Asks for the facts that are wanted.
    pub(super) fn look_at_facts(&mut self, host: HostId, ahead: &mut Ahead) {
        if let Some((node, kind, groups)) = self.open_facts(host) {
            self.ask_facts(host, node, kind, &groups, ahead);
        }
    }

    /// A place of facts further on: asked for already, since it may be that nothing before it changes anything.
    pub(super) fn look_at_later_facts(&mut self, host: HostId, node: NodeId, kind: &'static Kind, ahead: &mut Ahead) {
        let wanted = self.hosts[host].facts_wanted.iter().filter(|(place, _)| *place == node);
        let groups: Vec<Group> = wanted.map(|(_, group)| *group).collect();
        if !groups.is_empty() {
            self.ask_facts(host, node, kind, &groups, ahead);
            ahead.more = true;
        }
    }

    fn ask_facts(&mut self, host: HostId, node: NodeId, kind: &'static Kind, groups: &[Group], ahead: &mut Ahead) {
        if let Ready::Go { items, .. } = ready::facts(&self.scope(node), kind, groups) {
            for item in items {
                if let State::Go(action) = item.state {
                    self.ask(host, &action, ahead);
                }
            }
        }
    }

    /// Facts are known from now on: of a place of facts, or of a task that collects them.
    pub(super) fn gathered(&mut self, node: NodeId, groups: &[Group], fields: &Fields) {
        let Some(facts) = fields.get("ansible_facts") else { return };
        let pairs = facts.try_iter().into_iter().flatten().map(|key| {
            let value = facts.get_item(&key).unwrap_or_default();
            (key.to_string(), value)
        });
        let pairs: Vec<(String, minijinja::Value)> = pairs.collect();
        self.store_mut().put_facts(node, groups, pairs);
    }

    /// Whoever waits for facts of a host that is gone finds none.
    pub(super) fn give_up_facts(&mut self, host: HostId) {
        for &node in &self.graph.clone().chains[host] {
            if matches!(self.graph.node(node).work, Work::Facts { .. }) {
                self.store_mut().put_facts(node, &Group::ALL, Vec::new());
            }
        }
    }
}

/// The groups a task's own questions are about.
pub(super) fn groups_of(probe: &Probe) -> Vec<Group> {
    let asked = |group: &Group| probe.looks.iter().any(|(name, _)| *name == group.name());
    Group::ALL.into_iter().filter(asked).collect()
}
