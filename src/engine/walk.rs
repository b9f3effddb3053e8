//! Looking ahead along a host's chain: which questions can be asked now, and which tasks can be applied in one stream.
//!
//! Everything put into a stream is decided on what was seen before it; each part carries a guard, so that a task runs only on
//! the state it was decided for. What cannot be decided ends the stream, never the asking.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexSet;

use crate::change::Look;
use crate::change::Seen;
use crate::change::Step;
use crate::change::Undo;
use crate::engine::confirm;
use crate::engine::gates::Gate;
use crate::engine::includes;
use crate::engine::judge;
use crate::engine::ready;
use crate::engine::ready::Action;
use crate::engine::ready::Item;
use crate::engine::ready::Ready;
use crate::engine::ready::State;
use crate::engine::report;
use crate::engine::schedule::Command;
use crate::engine::schedule::Schedule;
use crate::engine::state::Busy;
use crate::engine::state::ItemResult;
use crate::engine::state::Question;
use crate::engine::state::Right;
use crate::engine::state::Sent;
use crate::engine::state::SentItem;
use crate::engine::state::Turned;
use crate::engine::store::Output;
use crate::event::NodeId;
use crate::graph::HostId;
use crate::graph::Work;
use crate::lang::task::Task;
use crate::modules::Kind;
use crate::modules::Nature;
use crate::remote::order::As;
use crate::remote::order::Order;
use crate::remote::order::Part;
use crate::remote::order::Stream;

/// Most parts in one stream, so that scripts stay of a size a shell likes.
const MOST_PARTS: usize = 200;

/// What a walk gathers.
#[derive(Default)]
pub(super) struct Ahead {
    /// Questions without an answer.
    missing: IndexSet<Question>,
    /// Questions of everything that has not ended: asked again after a change.
    all: IndexSet<Question>,
    parts: Vec<Part>,
    sent: HashMap<u64, Sent>,
    /// Found right since the last part with steps; the next part's guard confirms them.
    same: Vec<Right>,
    /// What the next part's guard has to find.
    guard: Vec<(Look, String)>,
    /// Nodes that have not ended, and yet what comes behind them is decided on the values they will most likely have. Other
    /// hosts see nothing of it.
    assumed: Vec<NodeId>,
    user: Option<As>,
    /// No further part may be added.
    closed: bool,
    /// Something that was not put into the stream comes behind or between its parts.
    pub(super) more: bool,
    steps: bool,
    /// One of the steps may change what was seen.
    changes: bool,
    /// Handlers this stream wakes, and those it has run since.
    notified: HashMap<(usize, usize), bool>,
}

impl Schedule {
    /// Asks and applies for a host's own chain.
    pub(super) fn walk(&mut self, host: HostId) {
        let mut ahead = Ahead::default();
        self.open_known_includes(host);
        self.look_at_facts(host, &mut ahead);
        let chain = self.graph.chains[host].clone();
        for &node in chain.iter().skip(self.hosts[host].cursor) {
            if self.is_behind_all(node) {
                break;
            }
            if !self.nodes[node as usize].ended {
                self.look_at(host, node, &mut ahead);
            }
        }
        // A task of this chain may just have asked for them: then they go out with everything else.
        self.look_at_facts(host, &mut ahead);
        self.forget_assumed(&mut ahead);
        self.send(host, ahead);
    }

    /// Asks and applies for one node of another host that is delegated here.
    pub(super) fn walk_guest(&mut self, host: HostId, node: NodeId) {
        let mut ahead = Ahead::default();
        if self.nodes[node as usize].ended {
            self.hosts[host].guests.pop_front();
            return;
        }
        self.look_inside(host, node, &mut ahead);
        self.forget_assumed(&mut ahead);
        if ahead.missing.is_empty() && ahead.parts.is_empty() {
            // It is right as it is, or waits for its own host: that host goes on with the answers that are here now.
            self.hosts[host].guests.pop_front();
        }
        self.send(host, ahead);
    }

    fn look_at(&mut self, host: HostId, node: NodeId, ahead: &mut Ahead) {
        match self.gate_ahead(node, ahead) {
            Gate::Open => {}
            Gate::Silent => return,
            Gate::Quiet => {
                if let Work::Facts { kind } = self.graph.node(node).work {
                    self.look_at_later_facts(host, node, kind, ahead);
                }
                return;
            }
            Gate::Wait(_) => {
                ahead.closed = true;
                ahead.more = true;
            }
        }
        if self.is_behind_a_fall(host, node) {
            ahead.closed = true;
            ahead.more = true;
        }
        if self.leader(node).is_some() || self.nodes[node as usize].sleeping {
            ahead.closed = true;
            return;
        }
        if let Work::Task { task, .. } = &self.graph.node(node).work
            && task.action.kind.name == "meta"
        {
            ahead.closed = true;
            return;
        }
        match self.runs_on(node) {
            Ok(runs) if runs == host => self.look_inside(host, node, ahead),
            Ok(runs) => {
                if !ahead.closed && ahead.parts.is_empty() && self.is_at_cursor(host, node) {
                    let guests = &mut self.hosts[runs].guests;
                    if !guests.contains(&node) && self.guest_has_work(runs, node) {
                        self.hosts[runs].guests.push_back(node);
                    }
                }
                ahead.closed = true;
                ahead.more = true;
            }
            Err(_) => {
                ahead.closed = true;
                ahead.more = true;
            }
        }
    }

    /// Whether a failure that nobody rescued lies between the cursor and the node.
    fn is_behind_a_fall(&self, host: HostId, node: NodeId) -> bool {
        self.hosts[host].falling.last().is_some_and(|(fallen, _)| !self.graph.node(node).is_within(fallen.id))
    }

    fn is_at_cursor(&self, host: HostId, node: NodeId) -> bool {
        let chain = self.graph.chains[host].iter().copied().skip(self.hosts[host].cursor);
        let open = |other: &NodeId| {
            !self.nodes[*other as usize].ended && !matches!(self.graph.node(*other).work, Work::Facts { .. })
        };
        chain.into_iter().find(open) == Some(node)
    }

    /// Whether a delegated node needs anything of the host it is delegated to.
    fn guest_has_work(&mut self, runs: HostId, node: NodeId) -> bool {
        let mut ahead = Ahead::default();
        self.look_inside(runs, node, &mut ahead);
        self.forget_assumed(&mut ahead);
        !ahead.missing.is_empty() || !ahead.parts.is_empty()
    }

    /// As [`Schedule::gate`], with what this stream will have notified.
    fn gate_ahead(&mut self, node: NodeId, ahead: &Ahead) -> Gate {
        let found = self.graph.node(node);
        match found.handler.and_then(|handler| ahead.notified.get(&(found.play, handler))) {
            Some(true) => Gate::Open,
            Some(false) => Gate::Silent,
            None => self.gate(node),
        }
    }

    fn look_inside(&mut self, host: HostId, node: NodeId, ahead: &mut Ahead) {
        let (task, kind) = match self.graph.node(node).work.clone() {
            Work::Task { task, kind } => (task, kind),
            Work::Facts { .. } => return,
            Work::Include(include) => {
                if self.nodes[node as usize].opened.is_some() {
                    return;
                }
                let scope = self.scope(node);
                // Its entries wait for it; whether it holds is decided when its turn comes.
                if !matches!(self.store.templates.condition(&include.inherited.when, &scope.lookup()), Ok(false)) {
                    ahead.more = true;
                    // Nobody knows yet what comes behind it.
                    ahead.closed |= includes::is_late(&include);
                }
                return;
            }
        };
        let scope = self.scope(node);
        match ready::prepare(&scope, &task, kind, &self.users) {
            Ready::Skipped(_) => {}
            Ready::Waits { on, looks } => {
                self.want_facts(&on);
                // What only prints holds nobody up.
                ahead.closed |= kind.name != "debug";
                ahead.more = true;
                for question in looks {
                    self.ask_one(host, question, ahead);
                }
            }
            Ready::Fault(_) => ahead.closed = true,
            Ready::Go { items, looped } => {
                if self.forbidden(node, host, &items, looped).is_some() {
                    ahead.closed = true;
                    ahead.more = true;
                }
                let done: HashSet<usize> = self.nodes[node as usize].results.keys().copied().collect();
                for (index, item) in items.into_iter().enumerate().filter(|(index, _)| !done.contains(index)) {
                    // An item that is delegated elsewhere waits for its own turn.
                    let here = || matches!(self.place_of(&item.scope, &task), Ok(place) if place == host);
                    if matches!(item.state, State::Go(_)) && !here() {
                        ahead.closed = true;
                        ahead.more = true;
                        continue;
                    }
                    self.look_at_item(host, node, (&task, kind), index, item, ahead);
                }
                if judge::needs_verdict(&task) && ahead.sent.values().any(|sent| sent.node == node) {
                    ahead.closed = true;
                    ahead.more = true;
                }
            }
        }
    }

    pub(super) fn ask(&mut self, host: HostId, action: &Action, ahead: &mut Ahead) -> bool {
        let mut complete = true;
        for (_, look) in &action.probe.looks {
            complete &= self.ask_one(host, (action.user.clone(), look.clone()), ahead);
        }
        complete
    }

    /// Notes a question; whether its answer is there.
    fn ask_one(&mut self, host: HostId, question: Question, ahead: &mut Ahead) -> bool {
        let known = self.hosts[host].answers.contains_key(&question);
        if !known {
            ahead.missing.insert(question.clone());
        }
        ahead.all.insert(question);
        known
    }

    fn look_at_item(
        &mut self,
        host: HostId,
        node: NodeId,
        (task, kind): (&Arc<Task>, &'static Kind),
        index: usize,
        item: Item,
        ahead: &mut Ahead,
    ) {
        let State::Go(action) = item.state else { return };
        let complete = self.ask(host, &action, ahead);
        if !complete {
            ahead.closed = true;
            ahead.more = true;
        }
        if ahead.closed {
            return;
        }
        let Some(Ok(seen)) = self.seen(host, &action) else {
            ahead.closed = true;
            return;
        };
        let live = action.probe.looks.iter().any(|(_, look)| matches!(look, Look::Live { .. }));
        let change = match action.resource.decide(&seen) {
            Ok(change) if !(live && ahead.steps) => change,
            // On a state older than a pending step, or one that moves by itself: not known yet.
            _ => {
                ahead.closed = true;
                ahead.more = true;
                return;
            }
        };
        let user = ahead.user.get_or_insert_with(|| action.user.clone());
        if *user != action.user && !(change.is_empty() && action.probe.looks.is_empty()) {
            ahead.closed = true;
            ahead.more = true;
            return;
        }
        if change.is_empty() && !(kind.nature == Nature::Look && ahead.steps) {
            self.pass(node, (task, kind), index, &item.label, item.turn, &action, &seen, ahead);
            return;
        }
        let plan = self.only_checks(&item.scope, Some(task));
        let (change, missing) = self.with_before(host, &action.user, change);
        if !missing.is_empty() {
            for look in missing {
                self.ask_one(host, (action.user.clone(), look), ahead);
            }
            ahead.closed = true;
            ahead.more = true;
            return;
        }
        let full = ahead.parts.len() >= self.rules.window.unwrap_or(MOST_PARTS).min(MOST_PARTS);
        let doubtful = self.nodes[node as usize].stale >= 2 && ahead.steps;
        let starts = change.is_empty() || self.may_start(node, task, kind);
        // What is confirmed stands alone: it is taken back alone, and what follows waits for its verdict.
        let confirm = self.confirmed(node, &action).filter(|_| confirm::matters(task, &change));
        let crowded = confirm.is_some() && !ahead.parts.is_empty();
        let barred = crowded || self.unconfirmable(node, &action, &change).is_some();
        if plan || full || doubtful || !starts || barred {
            ahead.closed = true;
            ahead.more = true;
            return;
        }
        let reports = change.is_empty();
        let Ok(undo) = self.own_undo(&item.scope, task) else {
            // It is said when its turn comes.
            ahead.closed = true;
            ahead.more = true;
            return;
        };
        let sent = SentItem {
            undo,
            index,
            scope: item.scope,
            action: *action,
            seen,
            change,
            label: item.label,
            turn: item.turn,
        };
        self.want(host, task, &sent.action, &sent.label);
        if reports {
            self.assume_report(node, task, &sent, ahead);
        }
        self.add(node, task, sent, ahead);
        if let (Some(confirm), Some(part)) = (confirm, ahead.parts.last_mut()) {
            part.confirm = Some(confirm);
            ahead.closed = true;
            ahead.more = true;
        }
    }

    /// What a report will say if nothing before it matters to it: its register is taken for known, and the next part's guard
    /// makes sure.
    fn assume_report(&mut self, node: NodeId, task: &Task, item: &SentItem, ahead: &mut Ahead) {
        let steady = |(_, look): &(&str, Look)| !matches!(look, Look::Live { .. } | Look::Files { .. });
        let known = item.action.probe.looks.iter().all(steady)
            && !judge::needs_verdict(task)
            && !judge::is_marked(task)
            && task.loops.is_none();
        let (Some(key), true) = (&task.register, known) else { return };
        let Ok(fields) = item.action.resource.report(&item.seen, &[]) else { return };
        let result = ItemResult { fields, ..ItemResult::new("", None) };
        let value = judge::register(&[result], false);
        self.assume(node, Output::Values([(key.name.clone(), value)].into_iter().collect()), ahead);
    }

    fn assume(&mut self, node: NodeId, output: Output, ahead: &mut Ahead) {
        if !self.store.has(node) {
            self.put(node, output);
            ahead.assumed.push(node);
        } else if ahead.assumed.contains(&node) {
            self.merge(node, output);
        }
    }

    fn forget_assumed(&mut self, ahead: &mut Ahead) {
        for node in std::mem::take(&mut ahead.assumed) {
            self.store_mut().forget(node);
        }
    }

    /// An item that is right. Behind a step of this stream its guard has to confirm it.
    #[expect(clippy::too_many_arguments, reason = "an item with all that is known of it")]
    fn pass(
        &mut self,
        node: NodeId,
        (task, kind): (&Arc<Task>, &'static Kind),
        index: usize,
        label: &str,
        turn: Turned,
        action: &Action,
        seen: &Seen,
        ahead: &mut Ahead,
    ) {
        if !ahead.steps {
            return;
        }
        // What it sets and what it registers are two outputs; only one of them can be assumed.
        let two = matches!(kind.name, "set_fact" | "include_vars") && task.register.is_some();
        if judge::needs_verdict(task) || judge::is_marked(task) || two {
            ahead.closed = true;
            ahead.more = true;
            return;
        }
        // A value that is known is seen by what comes behind it.
        let output = (kind.name == "set_fact").then(|| Schedule::facts_set(action));
        if let Some(output) = &output {
            self.assume(node, output.clone(), ahead);
        }
        let mut loaded = None;
        if kind.name == "include_vars" {
            let Ok(found) = super::loaded::read(&self.scope(node), &action.args) else {
                // It is said when its turn comes.
                ahead.closed = true;
                ahead.more = true;
                return;
            };
            self.store_mut().load(node, found.vars.clone());
            loaded = Some(found.vars);
            self.assume(node, Output::Values(indexmap::IndexMap::new()), ahead);
        }
        if let Some(handler) = self.graph.node(node).handler {
            ahead.notified.insert((self.graph.node(node).play, handler), false);
        }
        let mut result = ItemResult::new(label, turn);
        result.fields = action.resource.report(seen, &[]).unwrap_or_default();
        let runs = self.runs_on(node).unwrap_or(self.graph.node(node).host);
        self.want(runs, task, action, label);
        result.basis = self.basis(runs, action, seen, None, None);
        ahead.guard.extend(guard(action, seen));
        ahead.same.push(Right { node, index, result, output, loaded });
    }

    /// One more part of the stream.
    fn add(&mut self, node: NodeId, task: &Arc<Task>, item: SentItem, ahead: &mut Ahead) {
        let id = self.next_part;
        self.next_part += 1;
        let confirms = std::mem::take(&mut ahead.same);
        // What only reports is asked again in its place; it is right whatever it finds.
        let reports = item.change.is_empty();
        if !reports {
            ahead.guard.extend(guard(&item.action, &item.seen));
        }
        let guard = unique(std::mem::take(&mut ahead.guard));
        if reports {
            let asked = item.action.probe.looks.iter();
            ahead.guard =
                asked.filter_map(|(name, look)| Some((look.clone(), item.seen.answers.get(*name)?.clone()))).collect();
        }
        if let Some(handler) = self.graph.node(node).handler {
            ahead.notified.insert((self.graph.node(node).play, handler), false);
        }
        let steps = match reports {
            true => vec![report::step(&item.action)],
            false => item.change.steps.iter().cloned().map(|step| with_own_undo(item.undo.as_ref(), step)).collect(),
        };
        ahead.steps = true;
        ahead.changes |= !reports && !judge::is_quiet(task);
        if !reports && !judge::needs_verdict(task) && !judge::is_quiet(task) {
            let woken = self.notified_by(node, task);
            let play = self.graph.node(node).play;
            ahead.notified.extend(woken.into_iter().map(|handler| ((play, handler), true)));
        }
        ahead.parts.push(Part {
            id,
            guard,
            writer: self.writer(node, task, &item.action, &item.label),
            hidden: judge::is_hidden(&item.scope, task),
            wakes: self.wakes(node, task, &item),
            steps,
            environment: item.action.environment.clone(),
            timeout: item.action.timeout,
            confirm: None,
        });
        ahead.sent.insert(id, Sent { node, item: Some(item), confirms });
    }

    fn send(&mut self, host: HostId, mut ahead: Ahead) {
        if self.hosts[host].busy.is_some() {
            return;
        }
        if !ahead.steps && !ahead.missing.is_empty() {
            let asked: Vec<Question> = ahead.missing.into_iter().collect();
            self.commands.push(Command::Send(host, Order::Probe(asked.clone())));
            self.hosts[host].busy = Some(Busy::Probing { asked });
            return;
        }
        if !ahead.steps {
            return;
        }
        if !ahead.same.is_empty() {
            let id = self.next_part;
            self.next_part += 1;
            let guard = unique(std::mem::take(&mut ahead.guard));
            let confirms = std::mem::take(&mut ahead.same);
            let node = confirms[0].node;
            ahead.parts.push(Part { id, guard, ..Part::default() });
            ahead.sent.insert(id, Sent { node, item: None, confirms });
        }
        let (user, changes) = (ahead.user.unwrap_or_default(), ahead.changes);
        let rest: Vec<Question> = ahead.all.into_iter().collect();
        self.hosts[host].busy = Some(Busy::Applying { parts: ahead.sent, rest: rest.clone(), changes });
        let stream = Stream { user, parts: ahead.parts, rest, ask_at_end: ahead.more && changes, locks: changes };
        self.commands.push(Command::Send(host, Order::Apply(stream)));
    }
}

/// Each pair once: what several tasks look at is looked at once.
fn unique(pairs: Vec<(Look, String)>) -> Vec<(Look, String)> {
    pairs.into_iter().collect::<IndexSet<_>>().into_iter().collect()
}

/// The answers that must still hold. Text files are left out: their digest is asked beside them.
fn guard(action: &Action, seen: &Seen) -> Vec<(Look, String)> {
    let pairs = action.probe.looks.iter().filter_map(|(name, look)| {
        let answer = seen.answers.get(*name)?.clone();
        let counts = match look {
            Look::Text { path } => path.starts_with("/proc/"),
            Look::Stat { .. } | Look::Live { .. } => false,
            _ => true,
        };
        counts.then(|| (look.clone(), answer))
    });
    pairs.collect()
}

/// A task's own way back takes the place of «no way back».
fn with_own_undo(own: Option<&Undo>, mut step: Step) -> Step {
    if let (Undo::Never(_) | Undo::Nothing, Some(own)) = (&step.undo, own) {
        step.undo = own.clone();
    }
    step
}
