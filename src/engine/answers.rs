//! What the answers of a host mean for its nodes.

use std::sync::Arc;

use minijinja::Value;

use crate::change::Ran;
use crate::change::Refusal;
use crate::engine::gates::Gate;
use crate::engine::judge;
use crate::engine::ready;
use crate::engine::ready::Ready;
use crate::engine::ready::State;
use crate::engine::report;
use crate::engine::schedule::Schedule;
use crate::engine::schedule::blank;
use crate::engine::state::Busy;
use crate::engine::state::ItemResult;
use crate::engine::state::Right;
use crate::engine::state::Sent;
use crate::engine::state::SentItem;
use crate::event::Ended;
use crate::event::Failure;
use crate::event::NodeId;
use crate::event::Outcome;
use crate::event::What;
use crate::graph::HostId;
use crate::graph::Work;
use crate::lang::lookup::Fault;
use crate::lang::task::Task;
use crate::modules::Nature;
use crate::remote::order::Answer;

/// So often a task is decided anew because its host was not as it had been seen.
const MOST_STALE: u32 = 20;

impl Schedule {
    pub(super) fn answered(&mut self, host: HostId, answer: Answer) {
        let name = self.graph.hosts[host].clone();
        match answer {
            Answer::Up { peer, seconds } => {
                self.hosts[host].connected = true;
                self.events.push(What::HostUp { host: name, peer, seconds });
            }
            Answer::Away { why, limit } => {
                let limit = limit.as_secs();
                let text = format!("{why}; what runs there goes on, and for {limit} s it is tried to reach it again");
                self.events.push(What::Warned { host: Some(name), text });
            }
            Answer::Owed { user, handlers } => self.owed(host, &user, &handlers),
            Answer::Journal { user, journal: Ok(journal) } => {
                self.hosts[host].journals.insert(user, journal);
            }
            Answer::Journal { journal, .. } => {
                if let Err(damage) = journal {
                    let why = format!("its journal cannot be trusted: {}", damage.0);
                    let help = "look at /var/lib/tbctl on the host; nothing was changed".to_string();
                    self.events.push(What::HostLost { host: name, why: why.clone(), help: Some(help) });
                    self.lose(host, why);
                }
            }
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
                    if self.nodes[node as usize].stale > MOST_STALE {
                        let message = "what it looks at is never twice the same, so it cannot be decided".to_string();
                        self.fail_node(node, Failure { message, ..blank() });
                    }
                }
            }
            Answer::Applied { rest } => self.applied(host, rest),
            Answer::Undone { .. } | Answer::Unlocked { .. } => {}
            Answer::Finished => self.hosts[host].busy = None,
            Answer::Lost { part, why } => self.lost(host, part, &why.message, why.help),
        }
    }

    pub(super) fn sent(&self, host: HostId, part: u64) -> Option<&Sent> {
        match &self.hosts[host].busy {
            Some(Busy::Applying { parts, .. }) => parts.get(&part),
            _ => None,
        }
    }

    pub(super) fn began(&mut self, host: HostId, part: u64) {
        let Some(node) = self.sent(host, part).map(|sent| sent.node) else { return };
        if !std::mem::replace(&mut self.nodes[node as usize].started, true) {
            let mut place = self.place(node);
            if self.graph.node(node).host != host {
                place.delegated = Some(self.graph.hosts[host].clone());
            }
            self.events.push(What::NodeStarted { node, place });
        }
    }

    /// A part has ended. `failed`: with another rc; the inner text when it was not the step's own doing.
    pub(super) fn did(&mut self, host: HostId, part: u64, ran: Vec<Ran>, failed: Option<Option<String>>) {
        let Some(Busy::Applying { parts, .. }) = &mut self.hosts[host].busy else { return };
        let Some(sent) = parts.remove(&part) else { return };
        let mut at = self.hosts[host].cursor;
        for Right { node, index, result, output, loaded } in sent.confirms {
            self.pass_over_skipped(host, node, &mut at);
            if let Some(vars) = loaded {
                self.store_mut().load(node, vars);
            }
            if let Some(output) = output {
                self.merge(node, output);
            }
            self.item_done(node, index, result);
        }
        self.pass_over_skipped(host, sent.node, &mut at);
        let Some(item) = sent.item else { return };
        let task = self.graph.node(sent.node).task().cloned();
        let mut result = match item.change.is_empty() && failed.is_none() {
            true => reported(&item, &ran),
            false => changed(&item, task.as_ref(), &ran, failed.clone()),
        };
        let acts = |work: &Work| matches!(work, Work::Task { kind, .. } if kind.nature == Nature::Act);
        // What fails on its way to a state has changed nothing that Ansible would speak of; a command may have.
        result.changed &= failed.is_none() || acts(&self.graph.node(sent.node).work);
        result.basis = self.basis(host, &item.action, &item.seen, Some(&item.change), item.undo.as_ref());
        // What its host took back has failed, whatever the task says about failing.
        let final_word = matches!(failed, Some(Some(_))) && self.confirmed(sent.node, &item.action).is_some();
        let verdict = match final_word {
            true => Ok(result.clone()),
            false => self.judged(&item.scope, task.as_ref(), result.clone()),
        };
        let judged = match verdict {
            Ok(judged) => judged,
            Err(Fault::Error(fault)) => ItemResult { failed: Some(judge::of_fault(&fault)), ..result },
            Err(Fault::Unknown(_)) => {
                let message = "its verdict needs a value that is not known".to_string();
                ItemResult { failed: Some(Failure { message, ..blank() }), ..result }
            }
        };
        self.item_done(sent.node, item.index, judged);
    }

    /// What is skipped before a node is skipped whatever becomes of that node, and what is only said there is said. `at`: how far
    /// the host's chain was gone through already.
    fn pass_over_skipped(&mut self, host: HostId, until: NodeId, at: &mut usize) {
        if self.graph.node(until).host != host {
            return;
        }
        while let Some(&node) = self.graph.chains[host].get(*at).filter(|&&node| node != until) {
            if self.is_behind_all(node) {
                return;
            }
            let passed = self.nodes[node as usize].ended || matches!(self.gate(node), Gate::Silent | Gate::Quiet);
            if !passed {
                // What comes behind one whose turn has not come is said in its own turn.
                let Work::Task { task, kind } = self.graph.node(node).work.clone() else { return };
                let ready = ready::prepare(&self.scope(node), &task, kind, &self.users);
                let says = kind.name == "debug" && matches!(ready, Ready::Go { .. });
                if !matches!(self.gate(node), Gate::Open) || !(says || ready::is_skipped(&ready)) {
                    return;
                }
                self.step(node);
            }
            *at += 1;
        }
    }

    /// Keeps an item's result, and ends the node when it was the last.
    pub(super) fn item_done(&mut self, node: NodeId, index: usize, result: ItemResult) {
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
                    let mut skipped = ItemResult::new(&item.label, item.turn.clone());
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
    pub(super) fn applied(&mut self, host: HostId, rest: Option<Vec<Result<String, String>>>) {
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

    pub(super) fn lost(&mut self, host: HostId, part: Option<u64>, message: &str, help: Option<String>) {
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
        let open = self.graph.chains[host].iter().find(|&&node| !self.nodes[node as usize].ended);
        let play = open.map(|&node| self.graph.node(node).play);
        if !self.graph.chains[host].is_empty() {
            self.unreachable(host);
        }
        self.events.push(What::HostLost { host: name, why: message.to_string(), help });
        self.lose(host, message.to_string());
        if let Some(play) = play {
            self.end_behind(play);
        }
    }

    /// The node at the cursor is what was not reached.
    pub(super) fn unreachable(&mut self, host: HostId) {
        let open = |node: &NodeId| !self.nodes[*node as usize].ended && self.graph.node(*node).task().is_some();
        let Some(node) = self.graph.chains[host].iter().copied().find(open) else { return };
        let place = self.place(node);
        let outcome = Outcome::Unreached("the host could not be reached".into());
        let ended = Ended::plain(outcome);
        self.events.push(What::NodeEnded { node, place, ended: Box::new(ended) });
        let task = self.graph.node(node).task().cloned();
        let fatal = task.is_some_and(|task| self.is_fatal(&self.scope(node), &task));
        if fatal {
            self.fails_for_all(node);
        }
    }
}

/// The result of an item that only reports.
fn reported(item: &SentItem, ran: &[Ran]) -> ItemResult {
    let mut result = ItemResult::new(&item.label, item.turn.clone());
    let fields = report::read(&item.action, ran).map_err(Refusal::new).and_then(|seen| {
        item.action.resource.decide(&seen)?;
        item.action.resource.report(&seen, &[])
    });
    match fields {
        Ok(fields) => result.fields = fields,
        Err(Refusal { message, help }) => result.failed = Some(Failure { message, help, ..blank() }),
    }
    result
}

/// The result of an item whose steps ran. `failed`: see [`Schedule::did`].
fn changed(item: &SentItem, task: Option<&Arc<Task>>, ran: &[Ran], failed: Option<Option<String>>) -> ItemResult {
    let mut result = ItemResult::new(&item.label, item.turn.clone());
    result.changed = true;
    result.steps = item.change.steps.iter().map(|step| judge::shown(step, task)).collect();
    result.seconds = ran.iter().map(|ran| ran.end - ran.start).sum();
    result.fields = item.action.resource.report(&item.seen, ran).unwrap_or_default();
    // A kind that only waits says so itself.
    if let Some(changed) = result.fields.shift_remove("changed") {
        result.changed = changed.is_true();
    }
    if let Some(why) = failed {
        if let Some(why) = &why {
            result.fields.insert("msg".into(), Value::from(why.as_str()));
        }
        result.failed = Some(judge::failure(&item.change, ran, why));
    }
    result
}
