//! What can be said against every task before any host is touched: undefined variables, arguments, missing files.
//!
//! It is the same rendering and decoding as in the run, with nothing known yet; what waits for a value is no fault.

use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::engine::ready;
use crate::engine::ready::Ready;
use crate::engine::ready::Users;
use crate::engine::scope::Scope;
use crate::engine::scope::Store;
use crate::event::NodeId;
use crate::graph::Work;
use crate::lang::task::Task;
use crate::modules::Kind;

/// All faults, in the order of the playbooks.
///
/// `before`: what is known to be wrong already; all is said at once.
pub fn check(store: &Store, users: &Users, before: Diagnostics) -> Result<(), Diagnostics> {
    // As in a plan: looking makes no keys.
    let mut store = store.clone();
    store.plan = true;
    store.before = true;
    let store = Arc::new(store);
    let mut faults = before;
    for (id, node) in store.graph.nodes.iter().enumerate() {
        let Work::Task { task, kind } = &node.work else { continue };
        for node in [&task.action.args].into_iter().chain(&task.name).chain(task.loops.iter().map(|over| &over.over)) {
            faults.extend(store.templates.check(node));
        }
        let conditions = [&task.changed_when, &task.failed_when, &task.until];
        for node in conditions.into_iter().flatten().flatten().chain(&task.inherited.when) {
            faults.extend(store.templates.check_expression(node));
        }
        if kind.name == "meta" {
            continue;
        }
        if let Err(fault) = unknown_argument(task, kind) {
            faults.push(fault);
            continue;
        }
        let scope = scope(&store, id as NodeId);
        if let Ready::Fault(fault) = ready::prepare(&scope, task, kind, users) {
            faults.push(fault.at(&task.span));
        }
    }
    faults.check(())
}

fn scope(store: &Arc<Store>, id: NodeId) -> Scope {
    let node = store.graph.node(id);
    Scope {
        store: store.clone(),
        host: node.host,
        play: node.play,
        pos: node.pos.clone(),
        task: node.task().cloned(),
        local: Arc::default(),
    }
}

/// Names of arguments are known even where their values are not.
fn unknown_argument(task: &Task, kind: &Kind) -> Result<(), Diagnostic> {
    match (kind.decode)(&task.action.args) {
        Err(fault) if fault.message.starts_with("unknown argument") => Err(fault.at(&task.action.kind.span)),
        _ => Ok(()),
    }
}
