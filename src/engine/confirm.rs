//! What is confirmed by a new connection: which tasks, with what, and that all of it has a way back.
//!
//! Does not know how a host watches over itself; that is the host's actor's.

use crate::change::Apply;
use crate::change::Change;
use crate::change::Step;
use crate::change::Undo;
use crate::diag::Diagnostic;
use crate::engine::judge;
use crate::engine::ready::Action;
use crate::engine::ready::confirm;
use crate::engine::schedule::Schedule;
use crate::engine::schedule::blank;
use crate::event::Failure;
use crate::event::NodeId;
use crate::event::Shown;
use crate::lang::task::Task;
use crate::remote::order::Confirm;

/// What to do about a step that its host could not take back.
const HELP: &str = "give the task an `undo:`, or write `confirm: 0` on it";

impl Schedule {
    /// What has to be confirmed after a node's step: its own, or for a handler that says nothing that of the tasks which woke it.
    pub(super) fn confirmed(&self, node: NodeId, action: &Action) -> Option<Confirm> {
        let found = self.graph.node(node);
        let woken = || self.hosts[found.host].confirms.get(&(found.play, found.handler?)).cloned();
        action.confirm.clone().or_else(woken).filter(|confirm| !confirm.within.is_zero())
    }

    /// A handler runs on behalf of those who woke it, and is taken back with all of them.
    pub(super) fn confirm_handler(&mut self, node: NodeId, handler: usize, task: &Task) {
        let Ok(Some(own)) = confirm(&self.scope(node), task) else { return };
        if own.within.is_zero() {
            return;
        }
        let (host, play) = (self.graph.node(node).host, self.graph.node(node).play);
        let all = self.hosts[host].confirms.entry((play, handler)).or_insert_with(|| own.clone());
        all.within = all.within.min(own.within);
        all.with.extend(own.with.into_iter().filter(|name| !all.with.contains(name)).collect::<Vec<_>>());
    }

    /// Says in a plan what is confirmed.
    pub(super) fn note_confirm(&self, node: NodeId, action: &Action, change: &Change, steps: &mut [Shown]) {
        let matters = self.graph.node(node).task().is_some_and(|task| matters(task, change));
        if let (Some(confirm), Some(last)) = (self.confirmed(node, action).filter(|_| matters), steps.last_mut()) {
            last.note = Some(format!("confirmed within {} s, or taken back by the host", confirm.within.as_secs()));
        }
    }

    /// Why a task may not run: its host could not take it back.
    pub(super) fn unconfirmable(&self, node: NodeId, action: &Action, change: &Change) -> Option<Failure> {
        self.confirmed(node, action)?;
        let task = self.graph.node(node).task()?;
        let why = never(task, change)?;
        let message = format!("it stands under `confirm`, but its host could not take it back: {why}");
        Some(Failure { message, help: Some(HELP.into()), ..blank() })
    }
}

/// Whether there is anything to confirm: what only waits, or has systemd read its files, locks nobody out. The user's own text
/// may do anything, also where the task says that it changes nothing.
pub(super) fn matters(task: &Task, change: &Change) -> bool {
    let may = |step: &Step| match &step.apply {
        Apply::Run(script) if script.user => true,
        Apply::Run(_) | Apply::Put(_) => step.undo != Undo::Nothing || task.undo.is_some(),
    };
    change.steps.iter().any(may)
}

/// Why one of the steps has no way back, if so. What changes nothing needs none, and the task may have one of its own.
fn never(task: &Task, change: &Change) -> Option<String> {
    if judge::is_quiet(task) || task.undo.is_some() {
        return None;
    }
    change.steps.iter().find_map(|step| match &step.undo {
        Undo::Never(why) => Some(why.clone()),
        Undo::Restore | Undo::By(_) | Undo::Again { .. } | Undo::Nothing => None,
    })
}

/// What is wrong with a task that runs each time, as far as it shows before the run.
pub(super) fn fault(task: &Task, change: &Change) -> Option<Diagnostic> {
    never(task, change)?;
    let kind = &task.action.kind;
    let message = format!("`{}` has no way back: its host could not undo what is not confirmed", kind.name);
    let fault = Diagnostic::error(message).at(&kind.span).help(HELP);
    Some(match &task.inherited.confirm {
        Some(node) => fault.note(&node.span, "`confirm` is written here"),
        None => fault,
    })
}
