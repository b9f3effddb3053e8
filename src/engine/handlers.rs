//! Handlers: who wakes them, and what is owed from a run that did not get to them.
//!
//! A handler that was notified is noted on the host before the change that needs it is made; only its own end, or the word
//! that nothing changed after all, takes the note away.

use std::sync::Arc;

use crate::engine::judge;
use crate::engine::looping;
use crate::engine::schedule::Command;
use crate::engine::schedule::Schedule;
use crate::engine::scope::Scope;
use crate::engine::state::SentItem;
use crate::event::NodeId;
use crate::event::What;
use crate::graph::Graph;
use crate::graph::HostId;
use crate::graph::build::answering;
use crate::lang::task::Task;
use crate::remote::order::As;
use crate::remote::order::Order;

impl Schedule {
    pub(super) fn notify(&mut self, node: NodeId, task: &Arc<Task>) {
        let (host, play) = (self.graph.node(node).host, self.graph.node(node).play);
        for handler in self.notified_by(node, task) {
            self.hosts[host].notified.insert((play, handler));
            self.confirm_handler(node, handler, task);
        }
    }

    /// The handlers a task's change wakes. A change of one item of a loop wakes those of all.
    pub(super) fn notified_by(&self, node: NodeId, task: &Task) -> Vec<usize> {
        if task.inherited.notify.is_empty() {
            return Vec::new();
        }
        let (scope, play) = (self.scope(node), self.graph.node(node).play);
        let values = looping::items(&scope, task.loops.as_ref(), &task.search).unwrap_or_default();
        let turns = looping::turns(&scope, task.loops.as_ref(), values).into_iter();
        let mut found: Vec<usize> = turns.flat_map(|turn| self.named(task, &turn.scope, play)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn named(&self, task: &Task, scope: &Scope, play: usize) -> Vec<usize> {
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

    /// What the host notes before a part of a stream begins: the handlers that will have to run.
    pub(super) fn wakes(&mut self, node: NodeId, task: &Task, item: &SentItem) -> Vec<String> {
        if judge::is_quiet(task) || item.change.is_empty() {
            return Vec::new();
        }
        let (host, play) = (self.graph.node(node).host, self.graph.node(node).play);
        let woken = self.notified_by(node, task);
        let titles: Vec<String> = woken.iter().map(|index| Graph::title(&self.graph.handlers[play][*index])).collect();
        for title in &titles {
            self.hosts[host].woken.entry(title.clone()).or_default().insert(item.action.user.clone());
        }
        titles
    }

    /// An earlier run did not get to these handlers: they run at their next turn.
    pub(super) fn owed(&mut self, host: HostId, user: &As, handlers: &[String]) {
        for title in handlers {
            let of_it = |node: &NodeId| {
                let found = self.graph.node(*node);
                let named = found.task().is_some_and(|task| Graph::title(task) == *title);
                found.handler.is_some() && named && !self.nodes[*node as usize].ended
            };
            let found = self.graph.chains[host].iter().copied().find(of_it);
            self.hosts[host].woken.entry(title.clone()).or_default().insert(user.clone());
            match found.map(|node| self.graph.node(node)) {
                Some(node) => {
                    let key = (node.play, node.handler.unwrap_or_default());
                    self.hosts[host].notified.insert(key);
                }
                None => {
                    let text =
                        format!("an earlier run owed the handler `{title}`, which is not in this playbook any more");
                    self.events.push(What::Warned { host: Some(self.graph.hosts[host].clone()), text });
                    self.at_rest(host, title);
                }
            }
        }
    }

    /// A task has ended: handlers it would have woken and did not are taken off the host's notes; a handler that ran as well.
    pub(super) fn handlers_ended(&mut self, node: NodeId, task: &Task, failed: bool) {
        let found = self.graph.node(node);
        let (host, play) = (found.host, found.play);
        if found.handler.is_some() && !failed {
            return self.at_rest(host, &Graph::title(task));
        }
        for index in self.notified_by(node, task) {
            if !self.hosts[host].notified.contains(&(play, index)) {
                let title = Graph::title(&self.graph.handlers[play][index]);
                self.at_rest(host, &title);
            }
        }
    }

    fn at_rest(&mut self, host: HostId, title: &str) {
        let users = self.hosts[host].woken.remove(title).unwrap_or_default();
        if !self.rules.plan {
            for user in users {
                let order = Order::Rest { user, handler: title.to_string() };
                self.commands.push(Command::Send(host, order));
            }
        }
    }
}
