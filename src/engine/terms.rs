//! On what terms a task runs: where, whether it only checks, and how it is taken back.

use crate::change::Undo;
use crate::change::sh;
use crate::diag::Diagnostic;
use crate::engine::lockout::Door;
use crate::engine::looping;
use crate::engine::ready;
use crate::engine::schedule::Schedule;
use crate::engine::scope::Scope;
use crate::event::NodeId;
use crate::graph::HostId;
use crate::lang::fixed::whole;
use crate::lang::lookup::Fault;
use crate::lang::node::Node as Static;
use crate::lang::task::Task;

impl Schedule {
    /// Where the node runs: `delegate_to`, or its own host. In a loop, where the first item that has not ended runs.
    pub(super) fn runs_on(&self, node: NodeId) -> Result<HostId, Fault> {
        let found = self.graph.node(node);
        let scope = self.scope(node);
        let Some(task) = found.task().filter(|task| task.inherited.delegate_to.is_some()) else {
            return Ok(found.host);
        };
        let over = task.loops.as_ref();
        let values = looping::items(&scope, over, &task.search)?;
        let done = &self.nodes[node as usize].results;
        let turns = looping::turns(&scope, over, values).into_iter().enumerate();
        match turns.into_iter().find(|(index, _)| !done.contains_key(index)) {
            Some((_, turn)) => self.place_of(&turn.scope, task),
            None => Ok(found.host),
        }
    }

    /// Where one item of a task runs.
    pub(super) fn place_of(&self, scope: &Scope, task: &Task) -> Result<HostId, Fault> {
        let Some(to) = task.inherited.delegate_to.as_ref() else { return Ok(scope.host) };
        let name = self.store.templates.render(to, &scope.lookup())?;
        let text = name.scalar().unwrap_or_default();
        let text = if matches!(text.as_str(), "127.0.0.1" | "::1") { "localhost" } else { text.as_str() };
        self.graph.host(text).ok_or_else(|| {
            let fault =
                crate::diag::Diagnostic::error(format!("there is no host `{text}` to delegate to")).at(&to.span);
            fault.suggest(text, self.graph.hosts.iter().map(String::as_str)).into()
        })
    }

    /// A task's own way back, with the values of now: its `undo:`, unless its `undo_when:` does not hold.
    pub(super) fn own_undo(&self, scope: &Scope, task: &Task) -> Result<Option<Undo>, Fault> {
        let Some(undo) = &task.undo else { return Ok(None) };
        let templates = &self.store.templates;
        if !templates.condition(&task.undo_when, &scope.lookup())? {
            return Ok(Some(Undo::Nothing));
        }
        let rendered = templates.render(undo, &scope.lookup())?;
        let script = rendered.scalar().or_else(|| rendered.get("cmd").and_then(Static::scalar));
        let fault = || Diagnostic::error("`undo` is text for the shell, or a mapping with `cmd`").at(&undo.span);
        let script = script.ok_or_else(fault)?;
        Ok(Some(Undo::By(match self.begins_in(scope, task) {
            Some(directory) => format!("cd {} || exit\n{script}", sh::quote(&directory)),
            None => script,
        })))
    }

    /// Where a command on this machine begins, which whoever takes it back does not know any more.
    fn begins_in(&self, scope: &Scope, task: &Task) -> Option<String> {
        let host = self.place_of(scope, task).ok()?;
        let here = matches!(self.users.doors.get(host), Some(Door::None));
        let play = self.graph.plays.first().filter(|_| here)?;
        Some(whole(&play.directory).display().to_string())
    }

    /// Whether a task changes nothing and only says what it would change: in a plan, unless it says `check_mode: false`; in an
    /// apply, if it says `check_mode: true`. What cannot be decided changes nothing.
    pub(super) fn only_checks(&self, scope: &Scope, task: Option<&Task>) -> bool {
        let says = task.map(|task| ready::flag(scope, task.inherited.check_mode.as_ref()));
        match says {
            Some(Ok(Some(checks))) => checks,
            Some(Err(_)) => true,
            Some(Ok(None)) | None => self.rules.plan,
        }
    }
}
