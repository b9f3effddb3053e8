//! The scheduler: a pure state machine. Inputs are what hosts answer; out come events and orders.
//!
//! For each host it walks the chain from the first node that has not ended: nodes that need no trip end at once, all questions
//! that can be asked go out together, and what is decided goes out as one stream (`walk`). Knows nothing of connections or time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::digest::Digests;
use crate::engine::facts;
use crate::engine::gates::Gate;
use crate::engine::includes;
use crate::engine::judge;
use crate::engine::loaded;
use crate::engine::promise::Promise;
use crate::engine::ready;
use crate::engine::ready::Action;
use crate::engine::ready::Item;
use crate::engine::ready::Ready;
use crate::engine::ready::State;
use crate::engine::ready::Users;
use crate::engine::saved::Decision;
use crate::engine::scope::Scope;
use crate::engine::state::CONDITION;
use crate::engine::state::HostState;
use crate::engine::state::ItemResult;
use crate::engine::state::NodeState;
use crate::engine::store::Output;
use crate::engine::store::Store;
use crate::event::Failure;
use crate::event::NodeId;
use crate::event::Place;
use crate::event::What;
use crate::graph::Graph;
use crate::graph::HostId;
use crate::graph::Work;
use crate::lang::lookup::Fault;
use crate::lang::lookup::Pending;
use crate::lang::task::Task;
use crate::modules::Kind;
use crate::modules::Nature;
use crate::remote::order::Answer;
use crate::remote::order::Order;

/// What comes in.
pub enum Input {
    Start,
    Answer(HostId, Answer),
    /// A timer set by [`Command::Wake`] ran out.
    Wake(NodeId),
    Interrupt,
}

/// What goes out beside events.
pub enum Command {
    Send(HostId, Order),
    /// End the host's running stream at its next task.
    Stop(HostId),
    Wake(NodeId, Duration),
}

/// How a run differs from the plain one.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Plan: nothing is applied.
    pub plan: bool,
    /// Most parts in one stream; 1 turns speculation off.
    pub window: Option<usize>,
    /// Results go into events.
    pub verbose: bool,
    /// The run's id, for journals.
    pub run: String,
    /// What becomes of what left the playbook.
    pub left: Leaving,
    /// What is decided is noted, with these digests: for a plan that is kept.
    pub keep: Option<Arc<Digests>>,
    /// Nothing is done but what a kept plan says.
    pub only: Option<Arc<Promise>>,
}

/// What becomes of what left the playbook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Leaving {
    /// Nobody looks: not all tasks are part of the run, or nobody asked.
    #[default]
    Stays,
    /// It is named.
    Named,
    /// It is taken back.
    Undone,
}

pub struct Schedule {
    pub store: Arc<Store>,
    pub graph: Arc<Graph>,
    pub users: Users,
    pub rules: Rules,
    pub hosts: Vec<HostState>,
    pub nodes: Vec<NodeState>,
    pub(super) events: Vec<What>,
    pub(super) commands: Vec<Command>,
    /// Nothing new is begun: Ctrl-C.
    pub(super) stopping: bool,
    pub(super) next_part: u64,
    pub(super) sleeping: usize,
    /// With [`Rules::keep`]: what was decided for each node.
    pub(super) kept: HashMap<NodeId, Vec<Decision>>,
}

/// How far the node at a host's cursor got without a trip.
pub(super) enum Step {
    Ended,
    /// Needs a trip: probe or apply.
    Work,
    /// Waits for another node or for a timer.
    Waits(Vec<Pending>),
}

impl Schedule {
    pub fn new(store: Store, users: Users, rules: Rules) -> Schedule {
        let graph = store.graph.clone();
        Schedule {
            hosts: graph.hosts.iter().map(|_| HostState::default()).collect(),
            nodes: graph.nodes.iter().map(|_| NodeState::default()).collect(),
            store: Arc::new(store),
            graph,
            users,
            rules,
            events: Vec::new(),
            commands: Vec::new(),
            stopping: false,
            next_part: 0,
            sleeping: 0,
            kept: HashMap::new(),
        }
    }

    /// The one entrance.
    pub fn on(&mut self, input: Input) -> (Vec<What>, Vec<Command>) {
        match input {
            Input::Start => {}
            Input::Answer(host, answer) => self.answered(host, answer),
            Input::Wake(node) => {
                self.nodes[node as usize].sleeping = false;
                self.sleeping -= 1;
            }
            Input::Interrupt => {
                self.events.push(What::Interrupted);
                self.stop();
            }
        }
        self.advance();
        (std::mem::take(&mut self.events), std::mem::take(&mut self.commands))
    }

    /// Whether every host is through.
    pub fn is_over(&self) -> bool {
        let through = |(host, state): (usize, &HostState)| {
            state.busy.is_none() && (self.stopping || state.cursor >= self.graph.chains[host].len())
        };
        self.hosts.iter().enumerate().all(through)
    }

    /// Whether nothing new is begun any more.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
        for (host, state) in self.hosts.iter().enumerate() {
            if state.busy.is_some() {
                self.commands.push(Command::Stop(host));
            }
        }
    }

    /// Moves every host as far as it goes; again, as long as one host's step may have freed another.
    fn advance(&mut self) {
        loop {
            let before = self.progress();
            for host in 0..self.hosts.len() {
                self.advance_host(host);
            }
            if self.progress() == before {
                break;
            }
        }
        self.break_deadlock();
    }

    /// What one host's step may have changed for another: its cursor, its work, what is wanted of it, what is known.
    fn progress(&self) -> (usize, usize, usize, usize) {
        let busy = self.hosts.iter().map(|host| usize::from(host.busy.is_some()) + host.guests.len()).sum();
        let wanted = self.hosts.iter().map(|host| host.facts_wanted.len()).sum();
        (self.hosts.iter().map(|host| host.cursor).sum(), busy, wanted, self.store.known())
    }

    fn advance_host(&mut self, host: HostId) {
        while self.hosts[host].busy.is_none() && !self.stopping {
            self.settle_facts(host);
            if let Some(guest) = self.hosts[host].guests.front().copied() {
                self.walk_guest(host, guest);
                return;
            }
            let Some(&node) = self.graph.chains[host].get(self.hosts[host].cursor) else {
                self.leave_blocks(host, None);
                if self.owes_facts(host) {
                    self.walk(host);
                }
                return;
            };
            if self.nodes[node as usize].ended {
                self.hosts[host].cursor += 1;
                continue;
            }
            match self.step(node) {
                Step::Ended => {}
                Step::Work => {
                    self.walk(host);
                    return;
                }
                Step::Waits(on) => {
                    // Whatever can be asked meanwhile is asked.
                    self.want_facts(&on);
                    self.walk(host);
                    return;
                }
            }
        }
    }

    /// All hosts wait and nobody works: what they wait for will never come. Their tasks fail with a sentence.
    fn break_deadlock(&mut self) {
        let idle = self.hosts.iter().all(|host| host.busy.is_none()) && self.sleeping == 0 && self.commands.is_empty();
        if !idle || self.stopping {
            return;
        }
        let stuck = (0..self.hosts.len()).find_map(|host| {
            let node = *self.graph.chains[host].get(self.hosts[host].cursor)?;
            Some((host, node))
        });
        if let Some((_, node)) = stuck {
            let message = "it waits for a value that no task will give any more";
            let failure = Failure { message: message.into(), ..blank() };
            self.fail_node(node, failure);
            self.advance();
        }
    }

    pub(super) fn scope(&self, node: NodeId) -> Scope {
        let scope = Scope::at(&self.store, node);
        match &self.hosts[scope.host].rescued {
            Some(seen) => scope.with(seen.clone()),
            None => scope,
        }
    }

    /// Where a node stands; its name with what is known of its templates.
    pub(super) fn place(&self, node: NodeId) -> Place {
        let mut place = self.graph.place(node);
        let found = self.graph.node(node);
        let Some(task) = found.task() else { return place };
        let scope = self.scope(node);
        if let Some(name) = task.name.as_ref().filter(|name| name.is_live())
            && !judge::is_hidden(&scope, task)
            && let Ok(known) = self.store.templates.render(name, &scope.lookup())
            && let (Some(text), Some(written)) = (known.scalar(), name.scalar())
        {
            place.task = place.task.replace(&written, &text);
        }
        place
    }

    /// Ends the node at a cursor if that needs no trip.
    pub(super) fn step(&mut self, node: NodeId) -> Step {
        let host = self.graph.node(node).host;
        if self.is_behind_all(node) {
            self.share(host);
            return Step::Ended;
        }
        let block = self.graph.node(node).block.clone();
        if !self.leave_blocks(host, block.as_ref()) {
            return Step::Ended;
        }
        match self.gate(node) {
            Gate::Open => {}
            Gate::Silent => {
                self.nodes[node as usize].skipped = true;
                return self.pass_by(node);
            }
            Gate::Quiet => return self.pass_facts(node),
            Gate::Wait(other) => return Step::Waits(vec![Pending(format!("node {other}"))]),
        }
        if self.nodes[node as usize].sleeping {
            return Step::Waits(Vec::new());
        }
        if let Some(leader) = self.leader(node) {
            return self.follow(node, leader);
        }
        match self.graph.node(node).work.clone() {
            Work::Include(include) if includes::is_late(&include) => self.open_include(node, &include),
            Work::Include(include) => {
                let scope = self.scope(node);
                match self.store.templates.condition(&include.inherited.when, &scope.lookup()) {
                    Ok(true) => self.end_included(node),
                    Ok(false) => {
                        self.nodes[node as usize].skipped = true;
                        self.end_with(node, skipped(CONDITION), false)
                    }
                    Err(Fault::Unknown(on)) => self.unknown(node, on),
                    Err(Fault::Error(fault)) => self.end_failed(node, judge::of_fault(&fault)),
                }
            }
            Work::Facts { .. } => self.pass_facts(node),
            Work::Task { task, kind } => {
                if kind.name == "meta" {
                    return self.meta(node, &task);
                }
                let scope = self.scope(node);
                let ready = ready::prepare(&scope, &task, kind, &self.users);
                self.step_ready(node, Some(&task), kind, ready)
            }
        }
    }

    /// The host comes past a place of facts: what is wanted of it can be asked from now on, also when nobody wants it yet.
    fn pass_facts(&mut self, node: NodeId) -> Step {
        let host = self.graph.node(node).host;
        self.hosts[host].cursor += 1;
        Step::Ended
    }

    fn step_ready(&mut self, node: NodeId, task: Option<&Arc<Task>>, kind: &'static Kind, ready: Ready) -> Step {
        let (items, looped) = match ready {
            Ready::Skipped(why) => return self.end_with(node, skipped(&why), false),
            Ready::Waits { on, .. } => return self.unknown(node, on),
            Ready::Fault(fault) => return self.end_failed(node, judge::of_fault(&fault)),
            Ready::Go { items, looped } => (items, looped),
        };
        let runs = match self.runs_on(node) {
            Ok(runs) => runs,
            Err(Fault::Unknown(on)) => return self.unknown(node, on),
            Err(Fault::Error(fault)) => return self.end_failed(node, judge::of_fault(&fault)),
        };
        if let Some(failure) = self.forbidden(node, runs, &items, looped) {
            return self.end_failed(node, failure);
        }
        let count = items.len();
        for (index, item) in items.into_iter().enumerate() {
            if self.nodes[node as usize].results.contains_key(&index) {
                continue;
            }
            let runs = match task.map(|task| self.place_of(&item.scope, task)) {
                None => runs,
                Some(Ok(place)) => place,
                // Whether it runs at all comes first.
                Some(Err(_)) if matches!(item.state, State::Skipped(_)) => runs,
                Some(Err(Fault::Unknown(on))) => return self.unknown(node, on),
                Some(Err(Fault::Error(fault))) => return self.end_failed(node, judge::of_fault(&fault)),
            };
            match self.settle(node, task, kind, runs, item) {
                Ok(Some(result)) => {
                    self.nodes[node as usize].results.insert(index, result);
                }
                Ok(None) => return Step::Work,
                Err(Fault::Unknown(on)) => return self.unknown(node, on),
                Err(Fault::Error(fault)) => return self.end_failed(node, judge::of_fault(&fault)),
            }
        }
        self.finish(node, count, looped);
        Step::Ended
    }

    /// An item's result if no trip is needed for it.
    fn settle(
        &mut self,
        node: NodeId,
        task: Option<&Arc<Task>>,
        kind: &'static Kind,
        runs: HostId,
        item: Item,
    ) -> Result<Option<ItemResult>, Fault> {
        let mut result = ItemResult::new(&item.label, item.turn.clone());
        let action = match item.state {
            State::Skipped(why) => {
                result.skipped = Some(why);
                return Ok(Some(result));
            }
            State::Go(action) => action,
        };
        if let Some(task) = task {
            self.want(runs, task, &action, &item.label);
        }
        let seen = match self.seen(runs, &action) {
            Some(Ok(seen)) => seen,
            Some(Err(why)) => {
                result.failed = Some(Failure { message: why, ..blank() });
                return Ok(Some(result));
            }
            None => return Ok(None),
        };
        let change = action.resource.decide(&seen);
        let own = task.and_then(|task| self.own_undo(&item.scope, task).ok().flatten());
        result.basis = self.basis(runs, &action, &seen, change.as_ref().ok(), own.as_ref());
        let change = match change {
            Ok(change) => change,
            Err(_) if self.hosts[runs].provisional => {
                result.unknown = Some("known after apply: what is before it must be changed first".into());
                return Ok(Some(result));
            }
            Err(refusal) => {
                result.failed = Some(Failure { message: refusal.message, help: refusal.help, ..blank() });
                return self.judged(&item.scope, task, result).map(Some);
            }
        };
        if let Some(failure) = self.unconfirmable(node, &action, &change) {
            result.failed = Some(failure);
            return Ok(Some(result));
        }
        if !change.is_empty() {
            if let Some(task) = task {
                self.own_undo(&item.scope, task)?;
            }
            if !self.only_checks(&item.scope, task.map(|task| &**task)) {
                return Ok(None);
            }
            if !self.rules.plan && kind.nature == Nature::Act {
                result.skipped = Some("`check_mode` keeps it from running".into());
                return Ok(Some(result));
            }
            let (change, missing) = self.with_before(runs, &action.user, change);
            if !missing.is_empty() {
                return Ok(None);
            }
            result.steps = change.steps.iter().map(|step| judge::shown(step, task)).collect();
            self.note_confirm(node, &action, &change, &mut result.steps);
            result.changed = kind.nature != Nature::Act;
            let quiet = task.is_some_and(|task| judge::is_quiet(task));
            if !self.rules.plan {
                result.fields = action.resource.report(&seen, &[]).unwrap_or_default();
                return self.judged(&item.scope, task, result).map(Some);
            }
            if kind.nature == Nature::Act {
                result.unknown = Some(if quiet { "it runs, and changes nothing" } else { "it runs" }.into());
            }
            self.hosts[runs].provisional |= !quiet;
            return Ok(Some(result));
        }
        result.fields = action.resource.report(&seen, &[]).unwrap_or_default();
        if kind.name == "set_fact" {
            self.merge(node, Schedule::facts_set(&action));
        }
        if kind.name == "include_vars" {
            let found = loaded::read(&item.scope, &action.args)?;
            self.store_mut().load(node, found.vars);
            result.fields = found.fields;
        }
        if kind.name == "setup" {
            self.gathered(node, &facts::groups_of(&action.probe), &result.fields);
        }
        self.judged(&item.scope, task, result).map(Some)
    }

    pub(super) fn judged(
        &self,
        scope: &Scope,
        task: Option<&Arc<Task>>,
        mut result: ItemResult,
    ) -> Result<ItemResult, Fault> {
        if let Some(task) = task {
            judge::verdict(scope, task, &mut result)?;
        }
        Ok(result)
    }

    /// The answers to an action's questions, if all are there. `Err`: a question could not be asked.
    pub(super) fn seen(&self, host: HostId, action: &Action) -> Option<Result<crate::change::Seen, String>> {
        let mut seen = crate::change::Seen::default();
        for (name, look) in &action.probe.looks {
            match self.hosts[host].answers.get(&(action.user.clone(), look.clone()))? {
                Ok(text) => seen.answers.insert((*name).to_string(), text.clone()),
                Err(why) => return Some(Err(why.clone())),
            };
        }
        Some(Ok(seen))
    }

    /// What `set_fact` leaves behind.
    pub(super) fn facts_set(action: &Action) -> Output {
        let entries = action.args.as_map().unwrap_or_default();
        let values = entries.iter().filter(|(key, _)| key.name != "cacheable");
        Output::Values(values.map(|(key, value)| (key.name.clone(), value.to_value())).collect())
    }

    pub(super) fn store_mut(&mut self) -> &mut Store {
        Arc::make_mut(&mut self.store)
    }

    /// Adds to what a node leaves behind: each item of a loop has its part.
    pub(super) fn merge(&mut self, node: NodeId, output: Output) {
        let merged = match (self.store.output(node), output) {
            (Some(Output::Values(known)), Output::Values(new)) => {
                let mut all = known.clone();
                all.extend(new);
                Output::Values(all)
            }
            (_, output) => output,
        };
        self.put(node, merged);
    }

    pub(super) fn put(&mut self, node: NodeId, output: Output) {
        self.store_mut().put(node, output);
    }

    /// A value is missing. In a plan, one that only apply gives ends the node as unknown.
    pub(super) fn unknown(&mut self, node: NodeId, on: Vec<Pending>) -> Step {
        if let Some(tasks) = ready::after(&on) {
            let mut result = ItemResult::new("", None);
            result.unknown = Some(format!("known after apply: {tasks}"));
            let host = self.graph.node(node).host;
            self.hosts[host].provisional = true;
            return self.end_with(node, result, false);
        }
        Step::Waits(on)
    }

    /// With `run_once`: the node of the first host that is there, unless it is this one.
    pub(super) fn leader(&self, node: NodeId) -> Option<NodeId> {
        let first = self.graph.node(node).leader?;
        // They stand side by side, one for each host.
        (first..node).find(|&other| !self.nodes[other as usize].passed)
    }

    /// With `run_once`: the first host's end counts for all.
    fn follow(&mut self, node: NodeId, leader: NodeId) -> Step {
        let state = &self.nodes[leader as usize];
        if !state.ended {
            return Step::Waits(vec![Pending(format!("node {leader}"))]);
        }
        let failure = state.failure.clone();
        if self.graph.node(node).include().is_some() {
            // What it brings is there for one host alone.
            self.nodes[node as usize].skipped = true;
        }
        if let Some(output) = Arc::clone(&self.store).output(leader) {
            self.put(node, output.clone());
        }
        let found = self.graph.node(node);
        if let (Some(handler), Some(task)) = (found.handler, found.task().cloned()) {
            let (host, play) = (found.host, found.play);
            self.hosts[host].notified.remove(&(play, handler));
            self.handlers_ended(node, &task, failure.is_some());
        }
        let step = self.end_silently(node);
        // What failed once has failed for all.
        if let Some(failure) = failure {
            let found = self.graph.node(node);
            let (host, frame) = (found.host, found.block.clone());
            self.begin_to_fall(host, node);
            self.fall(host, frame, failure);
        }
        step
    }
}

pub(super) fn blank() -> Failure {
    Failure { message: String::new(), help: None, rc: None, stdout: String::new(), stderr: String::new() }
}

pub(super) fn skipped(why: &str) -> ItemResult {
    let mut result = ItemResult::new("", None);
    result.skipped = Some(why.to_string());
    result
}
