//! The scheduler: a pure state machine. Inputs are what hosts answer; out come events and orders.
//!
//! For each host it walks the chain from the first node that has not ended: nodes that need no trip end at once, all questions
//! that can be asked go out together, and what is decided goes out as one stream (`walk`). Knows nothing of connections or time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use minijinja::Value;

use crate::change::Ran;
use crate::engine::judge;
use crate::engine::ready;
use crate::engine::ready::Action;
use crate::engine::ready::Item;
use crate::engine::ready::Ready;
use crate::engine::ready::State;
use crate::engine::ready::Users;
use crate::engine::scope::FACTS;
use crate::engine::scope::Output;
use crate::engine::scope::Scope;
use crate::engine::scope::Store;
use crate::engine::state::Busy;
use crate::engine::state::Fall;
use crate::engine::state::HostState;
use crate::engine::state::ItemResult;
use crate::engine::state::NodeState;
use crate::engine::state::Sent;
use crate::event::Ended;
use crate::event::Failure;
use crate::event::NodeId;
use crate::event::Outcome;
use crate::event::What;
use crate::graph::Frame;
use crate::graph::Graph;
use crate::graph::HostId;
use crate::graph::Part;
use crate::graph::Work;
use crate::graph::build::answering;
use crate::graph::build::word;
use crate::lang::decode::decode;
use crate::lang::lookup::Fault;
use crate::lang::lookup::Pending;
use crate::lang::node::Node as Static;
use crate::lang::task::Task;
use crate::modules::Fields;
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
}

pub struct Schedule {
    pub store: Arc<Store>,
    pub graph: Arc<Graph>,
    pub users: Users,
    pub rules: Rules,
    pub hosts: Vec<HostState>,
    pub nodes: Vec<NodeState>,
    pub(crate) events: Vec<What>,
    pub(crate) commands: Vec<Command>,
    /// Nothing new is begun: a fatal error or Ctrl-C.
    pub(crate) stopping: bool,
    pub(crate) next_part: u64,
    sleeping: usize,
}

/// How far the node at a host's cursor got without a trip.
pub(crate) enum Step {
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

    fn stop(&mut self) {
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

    fn progress(&self) -> (usize, usize) {
        let busy = self.hosts.iter().map(|host| usize::from(host.busy.is_some()) + host.guests.len()).sum();
        (self.hosts.iter().map(|host| host.cursor).sum(), busy)
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
                if self.hosts[host].facts_wanted && self.open_facts(host).is_some() {
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

    /// Ends the facts node once its answers are there.
    fn settle_facts(&mut self, host: HostId) {
        let Some(node) = self.open_facts(host).filter(|_| self.hosts[host].facts_wanted) else { return };
        if let Work::Facts { kind } = self.graph.node(node).work {
            let ready = ready::facts(&self.scope(node), kind);
            self.step_ready(node, None, kind, ready);
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

    /// Facts somebody reads are asked for with the next questions.
    pub(crate) fn want_facts(&mut self, on: &[Pending]) {
        for host in on.iter().filter_map(|pending| pending.0.strip_prefix(FACTS)?.parse::<HostId>().ok()) {
            self.hosts[host].facts_wanted = true;
        }
    }

    pub(crate) fn scope(&self, node: NodeId) -> Scope {
        let found = self.graph.node(node);
        let scope = Scope {
            store: self.store.clone(),
            host: found.host,
            play: found.play,
            pos: found.pos.clone(),
            task: found.task().cloned(),
            local: Arc::default(),
        };
        let rescued = found.block.as_ref().and_then(|frame| self.hosts[found.host].rescued.get(&frame.id));
        match rescued {
            Some(seen) => scope.with(seen.clone()),
            None => scope,
        }
    }

    /// What keeps a node from being looked at at all: its include, its block, its handler's silence, its leader.
    pub(crate) fn gate(&mut self, node: NodeId) -> Gate {
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
        let mut frame = found.block.as_ref();
        while let Some(own) = frame {
            let fall = self.hosts[host].failed_frames.get(&own.id);
            let open = match own.part {
                Part::Body => fall.is_none(),
                Part::Rescue => fall == Some(&Fall::Body),
                Part::Always => true,
            };
            if !open {
                return Gate::Silent;
            }
            frame = own.parent.as_ref();
        }
        if let Some(handler) = found.handler
            && !self.hosts[host].notified.contains(&(found.play, handler))
        {
            return Gate::Silent;
        }
        if let Work::Facts { .. } = found.work
            && !self.hosts[host].facts_wanted
        {
            return Gate::Quiet;
        }
        Gate::Open
    }

    /// Ends the node at a cursor if that needs no trip.
    fn step(&mut self, node: NodeId) -> Step {
        let host = self.graph.node(node).host;
        let block = self.graph.node(node).block.clone();
        if !self.leave_blocks(host, block.as_ref()) {
            return Step::Ended;
        }
        match self.gate(node) {
            Gate::Open => {}
            Gate::Silent => {
                self.nodes[node as usize].skipped = true;
                return self.end_silently(node);
            }
            Gate::Quiet => return self.quiet_facts(node),
            Gate::Wait(other) => return Step::Waits(vec![Pending(format!("node {other}"))]),
        }
        if self.nodes[node as usize].sleeping {
            return Step::Waits(Vec::new());
        }
        if let Some(leader) = self.graph.node(node).leader {
            return self.follow(node, leader);
        }
        match self.graph.node(node).work.clone() {
            Work::Include(include) => {
                let scope = self.scope(node);
                match self.store.templates.condition(&include.inherited.when, &scope.lookup()) {
                    Ok(true) => self.end_silently(node),
                    Ok(false) => {
                        self.nodes[node as usize].skipped = true;
                        self.end_with(node, skipped("its condition is false"), false)
                    }
                    Err(Fault::Unknown(on)) => self.unknown(node, on),
                    Err(Fault::Error(fault)) => self.end_failed(node, judge::of_fault(&fault)),
                }
            }
            Work::Facts { kind } => {
                let scope = self.scope(node);
                let ready = ready::facts(&scope, kind);
                self.step_ready(node, None, kind, ready)
            }
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

    /// Facts nobody reads are not gathered; but their node stays open as long as the play may still ask.
    fn quiet_facts(&mut self, node: NodeId) -> Step {
        // Passed over now; `walk` and `step` come back to it when `facts_wanted` is set.
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
        let count = items.len();
        for (index, item) in items.into_iter().enumerate() {
            if self.nodes[node as usize].results.contains_key(&index) {
                continue;
            }
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
        let mut result = ItemResult::new(&item.label, item.value.clone());
        let action = match item.state {
            State::Skipped(why) => {
                result.skipped = Some(why);
                return Ok(Some(result));
            }
            State::Go(action) => action,
        };
        let seen = match self.seen(runs, &action) {
            Some(Ok(seen)) => seen,
            Some(Err(why)) => {
                result.failed = Some(Failure { message: why, ..blank() });
                return Ok(Some(result));
            }
            None => return Ok(None),
        };
        let change = match action.resource.decide(&seen) {
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
        if !change.is_empty() {
            if !self.rules.plan || task.is_some_and(|task| self.runs_in_plan(&item.scope, task)) {
                return Ok(None);
            }
            result.steps = change.steps.iter().map(|step| judge::shown(step, task)).collect();
            result.changed = kind.nature != Nature::Act;
            let quiet = task.is_some_and(|task| judge::is_quiet(task));
            if kind.nature == Nature::Act {
                result.unknown = Some(if quiet { "it runs, and changes nothing" } else { "it runs" }.into());
            }
            self.hosts[runs].provisional |= !quiet;
            return Ok(Some(result));
        }
        result.fields = action.resource.report(&seen, &[]).unwrap_or_default();
        if kind.name == "set_fact" {
            self.set_facts(node, &action);
        }
        if kind.name == "setup" {
            self.gathered(node, &result.fields);
        }
        self.judged(&item.scope, task, result).map(Some)
    }

    pub(crate) fn judged(
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

    /// In a plan only tasks that say `check_mode: false` run.
    pub(crate) fn runs_in_plan(&self, scope: &Scope, task: &Task) -> bool {
        ready::flag(scope, task.inherited.check_mode.as_ref()).is_ok_and(|value| value == Some(false))
    }

    /// The answers to an action's questions, if all are there. `Err`: a question could not be asked.
    pub(crate) fn seen(&self, host: HostId, action: &Action) -> Option<Result<crate::change::Seen, String>> {
        let mut seen = crate::change::Seen::default();
        for (name, look) in &action.probe.looks {
            match self.hosts[host].answers.get(&(action.user.clone(), look.clone()))? {
                Ok(text) => seen.answers.insert((*name).to_string(), text.clone()),
                Err(why) => return Some(Err(why.clone())),
            };
        }
        Some(Ok(seen))
    }

    pub(crate) fn set_facts(&mut self, node: NodeId, action: &Action) {
        let entries = action.args.as_map().unwrap_or_default();
        let values = entries.iter().filter(|(key, _)| key.name != "cacheable");
        let values = values.map(|(key, value)| (key.name.clone(), value.to_value())).collect();
        self.put(node, Output::Values(values));
    }

    fn gathered(&mut self, node: NodeId, fields: &Fields) {
        let host = self.graph.node(node).host;
        let Some(facts) = fields.get("ansible_facts") else { return };
        let pairs = facts.try_iter().into_iter().flatten().map(|key| {
            let value = facts.get_item(&key).unwrap_or_default();
            (key.to_string(), value)
        });
        let facts = pairs.collect();
        Arc::make_mut(&mut self.store).put_facts(host, facts);
    }

    fn put(&mut self, node: NodeId, output: Output) {
        Arc::make_mut(&mut self.store).put(node, output);
    }

    /// Where the node runs: `delegate_to`, or its own host.
    pub(crate) fn runs_on(&self, node: NodeId) -> Result<HostId, Fault> {
        let found = self.graph.node(node);
        let Some(to) = found.task().and_then(|task| task.inherited.delegate_to.as_ref()) else { return Ok(found.host) };
        let scope = self.scope(node);
        let name = self.store.templates.render(to, &scope.lookup())?;
        let text = name.scalar().unwrap_or_default();
        let text = if matches!(text.as_str(), "127.0.0.1" | "::1") { "localhost" } else { text.as_str() };
        self.graph.host(text).ok_or_else(|| {
            let fault =
                crate::diag::Diagnostic::error(format!("there is no host `{text}` to delegate to")).at(&to.span);
            fault.suggest(text, self.graph.hosts.iter().map(String::as_str)).into()
        })
    }

    /// A value is missing. In a plan, one that only apply gives ends the node as unknown.
    fn unknown(&mut self, node: NodeId, on: Vec<Pending>) -> Step {
        if let Some(tasks) = ready::after(&on) {
            let mut result = ItemResult::new("", None);
            result.unknown = Some(format!("known after apply: {tasks}"));
            let host = self.graph.node(node).host;
            self.hosts[host].provisional = true;
            return self.end_with(node, result, false);
        }
        Step::Waits(on)
    }

    fn meta(&mut self, node: NodeId, task: &Arc<Task>) -> Step {
        let scope = self.scope(node);
        match self.store.templates.condition(&task.inherited.when, &scope.lookup()) {
            Ok(true) => {}
            Ok(false) => return self.end_with(node, skipped("its condition is false"), false),
            Err(Fault::Unknown(on)) => return self.unknown(node, on),
            Err(Fault::Error(fault)) => return self.end_failed(node, judge::of_fault(&fault)),
        }
        let (host, play) = (self.graph.node(node).host, self.graph.node(node).play);
        let hosts = match word(task) {
            Some("end_host") => vec![host],
            Some("end_play") => (0..self.hosts.len()).collect(),
            _ => Vec::new(),
        };
        for host in hosts {
            for &other in &self.graph.chains[host] {
                if self.graph.node(other).play == play {
                    self.nodes[other as usize].ended = true;
                }
            }
        }
        self.end_silently(node)
    }

    /// With `run_once`: the first host's end counts for all.
    fn follow(&mut self, node: NodeId, leader: NodeId) -> Step {
        let state = &self.nodes[leader as usize];
        if !state.ended {
            return Step::Waits(vec![Pending(format!("node {leader}"))]);
        }
        if let Some(output) = Arc::clone(&self.store).output(leader) {
            self.put(node, output.clone());
        }
        self.end_silently(node)
    }

    pub(crate) fn end_silently(&mut self, node: NodeId) -> Step {
        self.nodes[node as usize].ended = true;
        if !self.store.has(node) {
            self.put(node, Output::Values(indexmap::IndexMap::new()));
        }
        Step::Ended
    }

    fn end_failed(&mut self, node: NodeId, failure: Failure) -> Step {
        self.fail_node(node, failure);
        Step::Ended
    }

    pub(crate) fn fail_node(&mut self, node: NodeId, failure: Failure) {
        let mut result = ItemResult::new("", None);
        result.failed = Some(failure);
        self.end_with(node, result, false);
    }

    fn end_with(&mut self, node: NodeId, result: ItemResult, looped: bool) -> Step {
        self.nodes[node as usize].results = HashMap::from([(0, result)]);
        self.finish(node, 1, looped);
        Step::Ended
    }

    /// All items have results: registers, notifies, fails or goes on.
    pub(crate) fn finish(&mut self, node: NodeId, count: usize, looped: bool) {
        let results = std::mem::take(&mut self.nodes[node as usize].results);
        let mut items: Vec<(usize, ItemResult)> = results.into_iter().filter(|(index, _)| *index < count).collect();
        items.sort_by_key(|(index, _)| *index);
        let items: Vec<ItemResult> = items.into_iter().map(|(_, item)| item).collect();
        let task = self.graph.node(node).task().cloned();
        let scope = self.scope(node);
        if let Some(task) = &task
            && self.tries_again(node, task, &scope, &items)
        {
            return;
        }
        let changed = items.iter().any(|item| item.changed);
        let unknown = items.iter().find_map(|item| item.unknown.clone());
        let failure = items.iter().find_map(|item| item.failed.clone());
        let hidden = task.as_ref().is_some_and(|task| judge::is_hidden(&scope, task));
        let state = &mut self.nodes[node as usize];
        state.ended = true;
        state.changed = changed;
        state.skipped = items.iter().all(|item| item.skipped.is_some());
        self.registered(node, task.as_ref(), &items, looped, unknown.is_some());
        let (host, play) = (self.graph.node(node).host, self.graph.node(node).play);
        if let Some(handler) = self.graph.node(node).handler {
            self.hosts[host].notified.remove(&(play, handler));
        }
        if let Some(task) = task.as_ref().filter(|_| (changed || unknown.is_some()) && failure.is_none()) {
            self.notify(node, task, &scope);
        }
        let shows = self.rules.verbose || task.as_ref().is_some_and(|task| task.action.kind.name == "debug");
        let mut ended = judge::ended(items, looped, hidden, shows);
        if let Some(failure) = failure {
            self.failed(node, task.as_ref(), &scope, failure, &mut ended);
        }
        let place = self.graph.place(node);
        self.events.push(What::NodeEnded { node, place, ended: Box::new(ended) });
    }

    fn registered(
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
                let sets = task.is_some_and(|task| task.action.kind.name == "set_fact");
                let output =
                    if unknown && sets { Output::After(title) } else { Output::Values(indexmap::IndexMap::new()) };
                self.put(node, output);
            }
            return;
        };
        let output = match unknown || (self.rules.plan && items.iter().any(|item| item.changed)) {
            true => Output::After(task.map(|task| task.title()).unwrap_or_default()),
            false => Output::Values([(key.name.clone(), judge::register(items, looped))].into_iter().collect()),
        };
        self.put(node, output);
    }

    /// `until`: another try is set up if it is not satisfied and tries are left.
    fn tries_again(&mut self, node: NodeId, task: &Arc<Task>, scope: &Scope, items: &[ItemResult]) -> bool {
        if task.until.is_none() || self.rules.plan {
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
        let place = self.graph.place(node);
        self.events.push(What::Retry { node, place, left: retries - tries, delay });
        self.commands.push(Command::Wake(node, Duration::from_secs_f64(delay)));
        true
    }

    fn notify(&mut self, node: NodeId, task: &Arc<Task>, scope: &Scope) {
        let (host, play) = (self.graph.node(node).host, self.graph.node(node).play);
        for handler in self.notified_by(task, scope, play) {
            self.hosts[host].notified.insert((play, handler));
        }
    }

    /// The handlers a task's change wakes.
    pub(crate) fn notified_by(&self, task: &Task, scope: &Scope, play: usize) -> Vec<usize> {
        let mut found = Vec::new();
        for name in &task.inherited.notify {
            let Ok(name) = self.store.templates.render(name, &scope.lookup()) else { continue };
            for one in name.as_list().unwrap_or(std::slice::from_ref(&name)) {
                let text = one.scalar().unwrap_or_default();
                found.extend(answering(&self.graph.handlers[play], &text));
            }
        }
        found
    }

    /// A failure: ignored, rescued, or the end of its host.
    fn failed(&mut self, node: NodeId, task: Option<&Arc<Task>>, scope: &Scope, failure: Failure, ended: &mut Ended) {
        let says = |node: Option<&Static>| ready::flag(scope, node).ok().flatten().unwrap_or(false);
        if task.is_some_and(|task| says(task.inherited.ignore_errors.as_ref())) {
            ended.ignored = true;
            return;
        }
        let host = self.graph.node(node).host;
        let frame = self.graph.node(node).block.clone();
        if let Some(frame) = &frame {
            let name = task.map(|task| task.title()).unwrap_or_default();
            let seen = [
                ("ansible_failed_task".to_string(), Value::from_pairs([("name", Value::from(name))])),
                ("ansible_failed_result".to_string(), judge::failed_result(&failure)),
            ];
            self.hosts[host].rescued.insert(frame.id, seen);
        }
        let fatal = task.is_some_and(|task| says(task.inherited.any_errors_fatal.as_ref()));
        ended.rescued = self.fall(host, frame, failure);
        ended.ignored = ended.rescued;
        if fatal && !ended.ignored {
            self.stop();
        }
    }

    /// Carries a failure outwards to the nearest block that deals with it. True: it is rescued.
    fn fall(&mut self, host: HostId, frame: Option<Arc<Frame>>, failure: Failure) -> bool {
        let Some(frame) = frame else {
            self.lose(host, failure.message);
            return false;
        };
        let state = &mut self.hosts[host];
        match (frame.part, frame.rescues) {
            (Part::Body, true) => {
                state.failed_frames.insert(frame.id, Fall::Body);
                true
            }
            (Part::Body | Part::Rescue, _) => {
                state.failed_frames.insert(frame.id, Fall::Rescue);
                state.falling.push((frame, failure));
                false
            }
            (Part::Always, _) => self.fall(host, frame.parent.clone(), failure),
        }
    }

    /// On leaving a block whose failure was not rescued, it goes on outwards. False: the host is gone.
    fn leave_blocks(&mut self, host: HostId, into: Option<&Arc<Frame>>) -> bool {
        while let Some((frame, failure)) = self.hosts[host].falling.last().cloned() {
            let mut around = into;
            while let Some(own) = around {
                if own.id == frame.id {
                    return true;
                }
                around = own.parent.as_ref();
            }
            self.hosts[host].falling.pop();
            self.fall(host, frame.parent.clone(), failure);
        }
        self.hosts[host].gone.is_none()
    }

    /// The host takes no further part.
    pub(crate) fn lose(&mut self, host: HostId, why: String) {
        self.hosts[host].gone.get_or_insert(why);
        for &node in &self.graph.chains[host].clone() {
            if !self.nodes[node as usize].ended {
                self.end_silently(node);
            }
        }
        self.hosts[host].cursor = self.graph.chains[host].len();
        let store = Arc::make_mut(&mut self.store);
        if !store.gone.contains(&host) {
            store.gone.push(host);
        }
        // Whoever waits for its facts finds none.
        if !store.has_facts(host) {
            store.put_facts(host, indexmap::IndexMap::new());
        }
    }

    fn answered(&mut self, host: HostId, answer: Answer) {
        let name = self.graph.hosts[host].clone();
        match answer {
            Answer::Up { peer, seconds } => {
                self.hosts[host].connected = true;
                self.events.push(What::HostUp { host: name, peer, seconds });
            }
            Answer::Journal { user, journal } => match journal {
                Ok(journal) => {
                    self.hosts[host].journals.insert(user, journal);
                }
                Err(damage) => {
                    let why = format!("its journal cannot be trusted: {}", damage.0);
                    let help = "look at /var/lib/tbctl on the host; nothing was changed".to_string();
                    self.events.push(What::HostLost { host: name, why: why.clone(), help: Some(help) });
                    self.lose(host, why);
                }
            },
            Answer::Probed(texts) => {
                if let Some(Busy::Probing { asked }) = self.hosts[host].busy.take() {
                    self.hosts[host].answers.extend(asked.into_iter().zip(texts));
                }
            }
            Answer::Began { part } => self.began(host, part),
            Answer::Said { part, line } => {
                if let Some(sent) = self.sent(host, part) {
                    let node = sent.node;
                    self.events.push(What::Line { node, host: name, line });
                }
            }
            Answer::Did { part, ran } => self.did(host, part, ran, None),
            Answer::Failed { part, ran, why } => {
                let why = why.map(Some).unwrap_or_default();
                self.did(host, part, ran, Some(why));
            }
            Answer::Stale { part } => {
                if let Some(sent) = self.sent(host, part) {
                    let node = sent.node;
                    self.nodes[node as usize].stale += 1;
                }
            }
            Answer::Applied { rest } => self.applied(host, rest),
            Answer::Undone { .. } => {}
            Answer::Finished => self.hosts[host].busy = None,
            Answer::Lost { part, why } => self.lost(host, part, &why.message, why.help),
        }
    }

    fn sent(&self, host: HostId, part: u64) -> Option<&Sent> {
        match &self.hosts[host].busy {
            Some(Busy::Applying { parts, .. }) => parts.get(&part),
            _ => None,
        }
    }

    fn began(&mut self, host: HostId, part: u64) {
        let Some(node) = self.sent(host, part).map(|sent| sent.node) else { return };
        if !std::mem::replace(&mut self.nodes[node as usize].started, true) {
            let mut place = self.graph.place(node);
            if self.graph.node(node).host != host {
                place.delegated = Some(self.graph.hosts[host].clone());
            }
            self.events.push(What::NodeStarted { node, place });
        }
    }

    /// A part has ended. `failed`: with another rc; the inner text when it was not the step's own doing.
    fn did(&mut self, host: HostId, part: u64, ran: Vec<Ran>, failed: Option<Option<String>>) {
        let Some(Busy::Applying { parts, .. }) = &mut self.hosts[host].busy else { return };
        let Some(sent) = parts.remove(&part) else { return };
        for (node, index, result) in sent.confirms {
            self.item_done(node, index, result);
        }
        let Some(item) = sent.item else { return };
        let task = self.graph.node(sent.node).task().cloned();
        let mut result = ItemResult::new(&item.label, item.value.clone());
        result.changed = true;
        result.steps = item.change.steps.iter().map(|step| judge::shown(step, task.as_ref())).collect();
        result.seconds = ran.iter().map(|ran| ran.end - ran.start).sum();
        result.fields = item.action.resource.report(&item.seen, &ran).unwrap_or_default();
        // A kind that only waits says so itself.
        if let Some(changed) = result.fields.shift_remove("changed") {
            result.changed = changed.is_true();
        }
        if let Some(why) = failed {
            result.failed = Some(judge::failure(&item.change, &ran, why));
        }
        let judged = match self.judged(&item.scope, task.as_ref(), result.clone()) {
            Ok(judged) => judged,
            Err(Fault::Error(fault)) => ItemResult { failed: Some(judge::of_fault(&fault)), ..result },
            Err(Fault::Unknown(_)) => {
                let message = "its verdict needs a value that is not known".to_string();
                ItemResult { failed: Some(Failure { message, ..blank() }), ..result }
            }
        };
        self.item_done(sent.node, item.index, judged);
    }

    /// Keeps an item's result, and ends the node when it was the last.
    fn item_done(&mut self, node: NodeId, index: usize, result: ItemResult) {
        let state = &mut self.nodes[node as usize];
        if state.ended {
            return;
        }
        state.results.insert(index, result);
        let Work::Task { task, kind } = self.graph.node(node).work.clone() else {
            return self.finish(node, 1, false);
        };
        if task.loops.is_none() {
            return self.finish(node, 1, false);
        }
        let scope = self.scope(node);
        if let Ready::Go { items, looped } = ready::prepare(&scope, &task, kind, &self.users) {
            let results = &mut self.nodes[node as usize].results;
            for (at, item) in items.iter().enumerate() {
                if let State::Skipped(why) = &item.state
                    && !results.contains_key(&at)
                {
                    let mut skipped = ItemResult::new(&item.label, item.value.clone());
                    skipped.skipped = Some(why.clone());
                    results.insert(at, skipped);
                }
            }
            if results.len() >= items.len() {
                self.finish(node, items.len(), looped);
            }
        }
    }

    /// A stream is over: what was seen before it holds no more.
    fn applied(&mut self, host: HostId, rest: Option<Vec<Result<String, String>>>) {
        let Some(Busy::Applying { parts, rest: asked, changes }) = self.hosts[host].busy.take() else { return };
        // What is left of the parts never ran: it failed before, or the guard of one did.
        if changes || !parts.is_empty() || rest.is_some() {
            self.hosts[host].answers.clear();
        }
        if let Some(rest) = rest {
            self.hosts[host].answers.extend(asked.into_iter().zip(rest));
        }
        let guest = self.hosts[host].guests.front().copied();
        if guest.is_some_and(|node| self.nodes[node as usize].ended) {
            self.hosts[host].guests.pop_front();
        }
    }

    fn lost(&mut self, host: HostId, part: Option<u64>, message: &str, help: Option<String>) {
        let running = part.and_then(|part| self.sent(host, part)).map(|sent| sent.node);
        self.hosts[host].busy = None;
        let name = self.graph.hosts[host].clone();
        if let Some(node) = running {
            let message = format!("the connection was lost while it ran: it may or may not have run ({message})");
            self.fail_node(node, Failure { message, help: help.clone(), ..blank() });
        }
        while let Some(guest) = self.hosts[host].guests.pop_front() {
            self.fail_node(guest, Failure { message: message.to_string(), help: help.clone(), ..blank() });
        }
        if !self.graph.chains[host].is_empty() {
            self.unreachable(host);
        }
        self.events.push(What::HostLost { host: name, why: message.to_string(), help });
        self.lose(host, message.to_string());
    }

    /// The node at the cursor is what was not reached.
    fn unreachable(&mut self, host: HostId) {
        let open = |node: &NodeId| !self.nodes[*node as usize].ended && self.graph.node(*node).task().is_some();
        let Some(node) = self.graph.chains[host].iter().copied().find(open) else { return };
        let place = self.graph.place(node);
        let outcome = Outcome::Unreached("the host could not be reached".into());
        let ended = Ended {
            outcome,
            steps: Vec::new(),
            items: Vec::new(),
            ignored: false,
            rescued: false,
            result: None,
            seconds: 0.0,
        };
        self.events.push(What::NodeEnded { node, place, ended: Box::new(ended) });
        let fatal = self.graph.node(node).task().is_some_and(|task| {
            let scope = self.scope(node);
            ready::flag(&scope, task.inherited.any_errors_fatal.as_ref()).ok().flatten().unwrap_or(false)
        });
        if fatal {
            self.stop();
        }
    }
}

/// Whether a node is looked at.
pub(crate) enum Gate {
    Open,
    /// Not part of this run; nobody hears of it.
    Silent,
    /// Facts nobody wants yet.
    Quiet,
    Wait(NodeId),
}

pub(crate) fn blank() -> Failure {
    Failure { message: String::new(), help: None, rc: None, stdout: String::new(), stderr: String::new() }
}

fn skipped(why: &str) -> ItemResult {
    let mut result = ItemResult::new("", None);
    result.skipped = Some(why.to_string());
    result
}
