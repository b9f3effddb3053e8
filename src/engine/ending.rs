//! How nodes end: registers, handlers, tries, failures and the blocks around them.
//!
//! Knows nothing of questions, streams or connections.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use minijinja::Value;

use crate::engine::judge;
use crate::engine::measured;
use crate::engine::ready;
use crate::engine::schedule::Command;
use crate::engine::schedule::Leaving;
use crate::engine::schedule::Schedule;
use crate::engine::schedule::Step;
use crate::engine::schedule::blank;
use crate::engine::scope::Scope;
use crate::engine::state::Fall;
use crate::engine::state::ItemResult;
use crate::engine::store::Output;
use crate::event::Ended;
use crate::event::Failure;
use crate::event::NodeId;
use crate::event::What;
use crate::graph::Frame;
use crate::graph::HostId;
use crate::graph::Node;
use crate::graph::Part;
use crate::graph::Pos;
use crate::graph::outwards;
use crate::lang::decode::decode;
use crate::lang::node::Node as Static;
use crate::lang::task::Task;

impl Schedule {
    pub(super) fn end_silently(&mut self, node: NodeId) -> Step {
        self.nodes[node as usize].ended = true;
        if !self.store.has(node) {
            self.put(node, Output::Values(indexmap::IndexMap::new()));
        }
        Step::Ended
    }

    /// Ends a node whose turn never comes.
    pub(super) fn pass_by(&mut self, node: NodeId) -> Step {
        self.nodes[node as usize].passed = true;
        self.end_silently(node)
    }

    pub(super) fn end_failed(&mut self, node: NodeId, failure: Failure) -> Step {
        self.fail_node(node, failure);
        Step::Ended
    }

    pub(super) fn fail_node(&mut self, node: NodeId, failure: Failure) {
        let mut result = ItemResult::new("", None);
        result.failed = Some(failure);
        self.nodes[node as usize].hopeless = true;
        self.end_with(node, result, false);
    }

    pub(super) fn end_with(&mut self, node: NodeId, result: ItemResult, looped: bool) -> Step {
        self.nodes[node as usize].results = HashMap::from([(0, result)]);
        self.finish(node, 1, looped);
        Step::Ended
    }

    /// All items have results: registers, notifies, fails or goes on.
    pub(super) fn finish(&mut self, node: NodeId, count: usize, looped: bool) {
        let results = std::mem::take(&mut self.nodes[node as usize].results);
        let mut items: Vec<(usize, ItemResult)> = results.into_iter().filter(|(index, _)| *index < count).collect();
        items.sort_by_key(|(index, _)| *index);
        let mut items: Vec<ItemResult> = items.into_iter().map(|(_, item)| item).collect();
        self.events.extend(measured::told(&mut items, &self.graph.hosts[self.graph.node(node).host]));
        let task = self.graph.node(node).task().cloned();
        let scope = self.scope(node);
        if let Some(task) = &task
            && self.tries_again(node, task, &scope, &items)
        {
            return;
        }
        if let Some(task) =
            task.as_ref().filter(|task| judge::repeats(task) && !self.rules.plan && !self.nodes[node as usize].hopeless)
        {
            judge::after_tries(&scope, task, self.nodes[node as usize].tries, &mut items);
        }
        let changed = items.iter().any(|item| item.changed);
        let unknown = items.iter().find_map(|item| item.unknown.clone());
        let failure = items.iter().find_map(|item| item.failed.clone());
        let hidden = task.as_ref().is_some_and(|task| judge::is_hidden(&scope, task));
        let state = &mut self.nodes[node as usize];
        state.ended = true;
        state.changed = changed;
        state.skipped = items.iter().all(|item| item.skipped.is_some());
        let seen = |item: &ItemResult| item.skipped.is_none() && item.failed.is_none() && item.unknown.is_none();
        state.settled = items.iter().all(seen);
        self.registered(node, task.as_ref(), &items, looped, unknown.is_some());
        let (host, play) = (self.graph.node(node).host, self.graph.node(node).play);
        if let Some(handler) = self.graph.node(node).handler {
            self.hosts[host].notified.remove(&(play, handler));
            self.hosts[host].confirms.remove(&(play, handler));
        }
        if let Some(task) = &task {
            if (changed || unknown.is_some()) && failure.is_none() {
                self.notify(node, task);
            }
            self.handlers_ended(node, task, failure.is_some());
        }
        self.keep(node, &items, looped, hidden);
        let shows = self.rules.verbose || task.as_ref().is_some_and(|task| task.action.kind.name == "debug");
        let value = failure.as_ref().map(|failure| judge::failed_result(failure, &items, looped)).unwrap_or_default();
        let mut ended = judge::ended(items, looped, hidden, shows);
        if let Some(failure) = failure {
            self.failed(node, task.as_ref(), &scope, (failure, value), &mut ended);
        }
        let place = self.place(node);
        self.events.push(What::NodeEnded { node, place, ended: Box::new(ended) });
    }

    pub(super) fn registered(
        &mut self,
        node: NodeId,
        task: Option<&Arc<Task>>,
        items: &[ItemResult],
        looped: bool,
        unknown: bool,
    ) {
        let Some(key) = task.and_then(|task| task.register.as_ref()) else {
            if !self.store.has(node) {
                let title = task.map(|task| task.title()).unwrap_or_default();
                let sets =
                    task.is_some_and(|task| ["set_fact", "include_vars"].contains(&task.action.kind.name.as_str()));
                let output =
                    if unknown && sets { Output::After(title) } else { Output::Values(indexmap::IndexMap::new()) };
                self.put(node, output);
            }
            return;
        };
        let only_checks = |schedule: &Schedule| schedule.only_checks(&schedule.scope(node), task.map(|task| &**task));
        let foretold = self.rules.plan && items.iter().any(|item| item.changed) && only_checks(self);
        let output = match unknown || foretold {
            true => Output::After(task.map(|task| task.title()).unwrap_or_default()),
            false => Output::Values([(key.name.clone(), judge::register(items, looped))].into_iter().collect()),
        };
        // What it set stays.
        self.merge(node, output);
    }

    /// `until` and `retries`: another try is set up if it is not satisfied and tries are left.
    pub(super) fn tries_again(&mut self, node: NodeId, task: &Arc<Task>, scope: &Scope, items: &[ItemResult]) -> bool {
        if !judge::repeats(task) || self.rules.plan || self.nodes[node as usize].hopeless {
            return false;
        }
        let number = |node: &Option<Static>, default: f64| -> f64 {
            let rendered = node.as_ref().and_then(|node| self.store.templates.render(node, &scope.lookup()).ok());
            rendered.and_then(|node| decode::<f64>(&node).ok()).unwrap_or(default)
        };
        let (retries, delay) =
            (number(&task.retries, 3.0).max(0.0) as u32, number(&task.delay, 5.0).clamp(0.0, 86_400.0));
        let satisfied =
            items.iter().all(|item| item.skipped.is_some() || judge::is_done(scope, task, item).is_ok_and(|done| done));
        let tries = self.nodes[node as usize].tries;
        if satisfied || tries >= retries {
            return false;
        }
        let state = &mut self.nodes[node as usize];
        state.tries += 1;
        state.sleeping = true;
        self.sleeping += 1;
        let place = self.place(node);
        self.events.push(What::Retry { node, place, left: retries - tries, delay });
        self.commands.push(Command::Wake(node, Duration::from_secs_f64(delay)));
        true
    }

    /// A failure: ignored, rescued, or the end of its host.
    pub(super) fn failed(
        &mut self,
        node: NodeId,
        task: Option<&Arc<Task>>,
        scope: &Scope,
        (failure, result): (Failure, Value),
        ended: &mut Ended,
    ) {
        let says = |node: Option<&Static>| ready::flag(scope, node).ok().flatten().unwrap_or(false);
        if task.is_some_and(|task| says(task.inherited.ignore_errors.as_ref())) {
            ended.ignored = true;
            return;
        }
        self.seen_by_rescue(node, task, result);
        let host = self.graph.node(node).host;
        let frame = self.graph.node(node).block.clone();
        let fatal = task.is_some_and(|task| self.is_fatal(scope, task));
        self.begin_to_fall(host, node);
        let rescued = self.graph.node(node).is_rescued();
        self.nodes[node as usize].failure = Some(failure.clone());
        self.fall(host, frame, failure);
        ended.rescued = rescued;
        if fatal {
            self.fails_for_all(node);
        }
    }

    /// What fails here fails for every host of the play: none of them begins anything behind it, but what their blocks do then.
    pub(super) fn fails_for_all(&mut self, node: NodeId) {
        // The run did not come to its end: what it may have wanted yet stays.
        self.rules.left = Leaving::Stays;
        let found = self.graph.node(node);
        for name in &self.graph.plays[found.play].hosts {
            let Some(host) = self.graph.host(name).filter(|&host| host != found.host) else { continue };
            let state = &mut self.hosts[host];
            if state.shared.is_none_or(|known| found.pos < self.graph.node(known).pos) {
                state.shared = Some(node);
            }
            if state.busy.is_some() {
                self.commands.push(Command::Stop(host));
            }
        }
    }

    /// The block around a node of another host, as this one has it: what is included late has blocks of its own on each host.
    fn own_block(&self, host: HostId, failed: &Node) -> Option<Arc<Frame>> {
        let own = || self.graph.chains[host].iter().map(|&id| self.graph.node(id));
        if let Some(twin) = own().find(|node| node.pos == failed.pos) {
            return twin.block.clone();
        }
        failed.blocks().find(|frame| own().any(|node| node.is_within(frame.id))).cloned()
    }

    /// Whether a node is behind a failure of another host that is its host's too.
    pub(super) fn is_behind_all(&self, node: NodeId) -> bool {
        let found = self.graph.node(node);
        self.hosts[found.host].shared.is_some_and(|failed| found.pos > self.graph.node(failed).pos)
    }

    /// The host fails as another one did.
    pub(super) fn share(&mut self, host: HostId) {
        let Some(node) = self.hosts[host].shared.take() else { return };
        let failed = self.graph.node(node).clone();
        let message = format!("`any_errors_fatal`: {} failed", self.graph.hosts[failed.host]);
        self.begin_to_fall(host, node);
        self.fall(host, self.own_block(host, &failed), Failure { message, ..blank() });
    }

    /// Notes where a failure that is carried outwards began.
    pub(super) fn begin_to_fall(&mut self, host: HostId, node: NodeId) {
        let forces = self.forces(node, &self.scope(node));
        let state = &mut self.hosts[host];
        (state.fell_in, state.forces) = (self.graph.node(node).play, forces);
    }

    /// When all hosts of a play have failed, the plays behind it do not begin, as in Ansible.
    pub(super) fn end_behind(&mut self, play: usize) {
        let mut hosts = self.graph.plays[play].hosts.iter().filter_map(|name| self.graph.host(name));
        if !hosts.all(|host| self.store.is_gone(host)) {
            return;
        }
        for node in 0..self.graph.nodes.len() as NodeId {
            if self.graph.node(node).play > play && !self.nodes[node as usize].ended {
                self.pass_by(node);
            }
        }
    }

    /// What `rescue` and what comes behind it see of a failure inside of a block.
    fn seen_by_rescue(&mut self, node: NodeId, task: Option<&Arc<Task>>, result: Value) {
        let found = self.graph.node(node);
        let (host, inside) = (found.host, found.block.is_some());
        if inside {
            let name = task.and_then(|task| task.name.as_ref()?.scalar()).unwrap_or_default();
            let action = task.map(|task| task.action.full.clone()).unwrap_or_default();
            let task = Value::from_pairs([("name", name), ("action", action)]);
            let seen = [("ansible_failed_task".to_string(), task), ("ansible_failed_result".to_string(), result)];
            self.hosts[host].rescued = Some(seen);
        }
    }

    /// Carries a failure outwards to the nearest block that deals with it.
    pub(super) fn fall(&mut self, host: HostId, frame: Option<Arc<Frame>>, failure: Failure) {
        let Some(frame) = frame else {
            let play = self.hosts[host].fell_in;
            match self.hosts[host].forces {
                true => self.leave_to_handlers(host, play),
                false => self.lose(host, failure.message),
            }
            self.end_behind(play);
            return;
        };
        let state = &mut self.hosts[host];
        match (frame.part, frame.rescues) {
            // Another host's failure may come when this one is in its rescue already.
            (Part::Body, true) if !state.failed_frames.contains_key(&frame.id) => {
                state.failed_frames.insert(frame.id, Fall::Body);
            }
            (Part::Body | Part::Rescue, _) => {
                state.failed_frames.insert(frame.id, Fall::Rescue);
                state.falling.push((frame, failure));
            }
            (Part::Always, _) => self.fall(host, frame.parent.clone(), failure),
        }
    }

    /// On leaving a block whose failure was not rescued, it goes on outwards. False: the host is gone.
    pub(super) fn leave_blocks(&mut self, host: HostId, into: Option<&Arc<Frame>>) -> bool {
        while let Some((frame, failure)) = self.hosts[host].falling.last().cloned() {
            if outwards(into).any(|own| own.id == frame.id) {
                return true;
            }
            self.hosts[host].falling.pop();
            self.fall(host, frame.parent.clone(), failure);
        }
        self.hosts[host].gone.is_none()
    }

    /// Whether the failure of a task is the end for all hosts.
    pub(super) fn is_fatal(&self, scope: &Scope, task: &Task) -> bool {
        let says = ready::flag(scope, task.inherited.any_errors_fatal.as_ref()).ok().flatten();
        says.or(self.store.project.config.any_errors_fatal).unwrap_or(false)
    }

    /// Whether handlers run although this node fails: `force_handlers`.
    fn forces(&self, node: NodeId, scope: &Scope) -> bool {
        let found = self.graph.node(node);
        let says = ready::flag(scope, self.graph.plays[found.play].force_handlers.as_ref()).ok().flatten();
        let forced = says.or(self.store.project.config.force_handlers).unwrap_or(false);
        forced && found.handler.is_none()
    }

    /// The host takes part in the rest of the play by its handlers alone.
    fn leave_to_handlers(&mut self, host: HostId, play: usize) {
        let place = self.last_place(host);
        for &node in &self.graph.chains[host].clone() {
            let found = self.graph.node(node);
            let stays = found.play == play && found.handler.is_some();
            if !self.nodes[node as usize].ended && !stays {
                self.pass_by(node);
            }
        }
        self.store_mut().leave(host, place, None);
    }

    /// How far a host has come.
    fn last_place(&self, host: HostId) -> Pos {
        let reached = self.graph.chains[host].iter().take(self.hosts[host].cursor + 1);
        let last = reached.rev().find(|&&node| self.nodes[node as usize].ended);
        last.map(|&node| self.graph.node(node).pos.clone()).unwrap_or_default()
    }

    /// The host takes no further part.
    pub(super) fn lose(&mut self, host: HostId, why: String) {
        let place = self.last_place(host);
        self.hosts[host].gone.get_or_insert(why);
        for &node in &self.graph.chains[host].clone() {
            if !self.nodes[node as usize].ended {
                self.pass_by(node);
            }
        }
        self.hosts[host].cursor = self.graph.chains[host].len();
        self.store_mut().leave(host, place, None);
        self.give_up_facts(host);
    }
}
