//! What can be said against every task before any host is touched: undefined variables, arguments, missing files.
//!
//! It is the same rendering and decoding as in the run, with nothing known yet; what waits for a value is no fault.

use std::sync::Arc;

use crate::change::Seen;
use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Lacking;
use crate::diag::Span;
use crate::engine::confirm;
use crate::engine::includes;
use crate::engine::judge;
use crate::engine::loaded;
use crate::engine::lockout;
use crate::engine::lockout::Door;
use crate::engine::lockout::Watch;
use crate::engine::ready;
use crate::engine::ready::Item;
use crate::engine::ready::Ready;
use crate::engine::ready::State;
use crate::engine::ready::Users;
use crate::engine::scope::Scope;
use crate::engine::store::Output;
use crate::engine::store::Store;
use crate::event::NodeId;
use crate::graph::Work;
use crate::lang::lookup::Fault;
use crate::lang::node::Node;
use crate::lang::task::Task;
use crate::modules::Kind;
use crate::modules::Nature;

/// All faults, in the order of the playbooks.
///
/// `before`: what is known to be wrong already; all is said at once.
pub fn check(store: &Store, users: &Users, before: Diagnostics) -> Result<(), Diagnostics> {
    faults(store, users, before).check(())
}

/// The same, and warnings with them.
pub fn faults(store: &Store, users: &Users, before: Diagnostics) -> Diagnostics {
    // As in a plan: looking makes no keys.
    let mut store = store.clone();
    store.plan = true;
    store.before = true;
    let mut store = Arc::new(store);
    let mut faults = before;
    let mut watch = Watch::default();
    for id in 0..store.graph.nodes.len() {
        let mut found = of_node(&store, id as NodeId, users, &mut watch);
        found.extend(load(&mut store, id as NodeId, users));
        store.project.gaps.sift(&mut found, Some(store.graph.nodes[id].play));
        faults.extend(found);
    }
    faults.in_reading_order();
    faults
}

fn of_node(store: &Arc<Store>, id: NodeId, users: &Users, watch: &mut Watch) -> Diagnostics {
    let mut faults = Diagnostics::default();
    let node = store.graph.node(id);
    let (task, kind) = match &node.work {
        Work::Task { task, kind } => (task, kind),
        Work::Include(include) if includes::is_late(include) && is_reached(store, id) => {
            if let Some(fault) = includes::fault(&Scope::at(store, id), include) {
                faults.push(*fault);
            }
            return faults;
        }
        Work::Include(include) => {
            let condition = store.templates.condition(&include.inherited.when, &Scope::at(store, id).lookup());
            if let (Err(Fault::Error(fault)), true) = (condition, is_reached(store, id)) {
                faults.push(fault.at(&include.span));
            }
            return faults;
        }
        Work::Facts { .. } => return faults,
    };
    for node in [&task.action.args].into_iter().chain(&task.name).chain(task.loops.iter().map(|over| &over.over)) {
        faults.extend(store.templates.check(node));
    }
    let conditions = [&task.changed_when, &task.failed_when, &task.until];
    for node in conditions.into_iter().flatten().flatten().chain(&task.inherited.when) {
        faults.extend(store.templates.check_expression(node));
    }
    if kind.name == "meta" {
        return faults;
    }
    faults.extend(arguments(task, kind));
    if let Some(fault) = no_host(store, task) {
        faults.push(fault);
    }
    if node.handler.is_some() && !is_at_last_flush(store, id) {
        // What it reads may come before anybody wakes it.
        return faults;
    }
    let scope = Scope::at(store, id);
    match ready::prepare(&scope, task, kind, users) {
        Ready::Fault(fault) if is_reached(store, id) => faults.push(fault.at(&task.span)),
        Ready::Go { items, .. } => {
            let door = users.doors.get(node.host).copied().unwrap_or_else(|| door(&scope, task));
            let found = items.iter().filter_map(|item| known(task, kind, item, door, watch));
            found.for_each(|fault| faults.push(fault.at(&task.action.kind.span)));
        }
        Ready::Fault(_) | Ready::Skipped(_) | Ready::Waits { .. } => {}
    }
    faults
}

/// What is wrong with a file that nobody is to see.
fn hidden(task: &Task) -> Diagnostic {
    let fault = Diagnostic::error("its file of variables cannot be read; why is hidden by no_log").at(&task.span);
    fault.help("set `no_log: false` to see why")
}

/// Whether a task before may write files on this machine.
fn may_be_made(store: &Arc<Store>, id: NodeId, task: &Task, users: &Users) -> bool {
    let node = store.graph.node(id);
    let scope = Scope::at(store, id);
    let door = users.doors.get(node.host).copied().unwrap_or_else(|| door(&scope, task));
    let earlier = store.graph.chains[node.host].iter().map(|&other| store.graph.node(other));
    let mut earlier = earlier.take_while(|other| other.pos < node.pos);
    earlier.any(|other| match &other.work {
        Work::Task { task, kind } => {
            let writes = matches!(kind.nature, Nature::State | Nature::Act);
            writes && (matches!(door, Door::None) || task.inherited.delegate_to.is_some())
        }
        Work::Facts { .. } | Work::Include(_) => false,
    })
}

/// What is read from files of variables that are known by name is known to what comes behind.
fn load(store: &mut Arc<Store>, id: NodeId, users: &Users) -> Diagnostics {
    let mut faults = Diagnostics::default();
    let Work::Task { task, kind } = store.graph.node(id).work.clone() else { return faults };
    if kind.name != "include_vars" || may_be_made(store, id, &task, users) {
        return faults;
    }
    let ready = ready::prepare(&Scope::at(store, id), &task, kind, users);
    let skipped = ready::is_skipped(&ready);
    let Ready::Go { items, .. } = ready else {
        if skipped {
            Arc::make_mut(store).put(id, Output::Values(indexmap::IndexMap::new()));
        }
        return faults;
    };
    let mut all = Vec::new();
    for item in &items {
        let State::Go(action) = &item.state else { continue };
        match loaded::read(&item.scope, &action.args) {
            Ok(found) => all.push(found.vars),
            Err(fault) => {
                let rescued = store.graph.node(id).is_rescued() || task.inherited.ignore_errors.is_some();
                if is_reached(store, id) && !rescued {
                    faults.push(if judge::is_hidden(&item.scope, &task) { hidden(&task) } else { fault });
                }
                return faults;
            }
        }
    }
    drop(items);
    let known = Arc::make_mut(store);
    all.into_iter().for_each(|vars| known.load(id, vars));
    // What it registers is known only when it has run.
    known.put(id, Output::After(task.title()));
    faults
}

/// What is seen of a task whose arguments are known: it locks tbctl out, or its host could not take it back.
fn known(task: &Task, kind: &Kind, item: &Item, door: Door, watch: &mut Watch) -> Option<Diagnostic> {
    let State::Go(action) = &item.state else { return None };
    let cut = watch.fault(item.scope.host, door, kind.name, &action.args);
    if action.confirm.as_ref().is_none_or(|confirm| confirm.within.is_zero()) {
        return cut;
    }
    // What runs each time does not depend on what is seen.
    let change = (kind.nature == Nature::Act).then(|| action.resource.decide(&Seen::default()).ok());
    change.flatten().and_then(|change| confirm::fault(task, &change))
}

/// Where tbctl comes in, as the inventory and the task say, when nobody knows better.
fn door(scope: &Scope, task: &Task) -> Door {
    let said = |name: &str, keyword: &Option<Node>| {
        let said = ready::var(scope, name).ok().flatten();
        said.or_else(|| keyword.clone()).and_then(|node| node.scalar()).unwrap_or_default()
    };
    if said("ansible_connection", &task.inherited.connection).ends_with("local") {
        return Door::None;
    }
    let port = said("ansible_port", &task.inherited.port).parse().unwrap_or(lockout::SSH);
    Door::Ssh { port, address: said("ansible_host", &None).parse().ok() }
}

fn is_at_last_flush(store: &Arc<Store>, id: NodeId) -> bool {
    let node = store.graph.node(id);
    let of_play = store.graph.flushes.iter().filter(|(play, _)| *play == node.play);
    of_play.map(|(_, place)| place).max().is_none_or(|last| node.pos.starts_with(last))
}

/// Whether the includes around a node bring it for certain.
fn is_reached(store: &Arc<Store>, id: NodeId) -> bool {
    let Some(gate) = store.graph.node(id).gate else { return true };
    let Work::Include(include) = &store.graph.node(gate).work else { return true };
    let lookup = Scope::at(store, gate).lookup();
    matches!(store.templates.condition(&include.inherited.when, &lookup), Ok(true)) && is_reached(store, gate)
}

/// `delegate_to` a host that is not there, written without a template.
fn no_host(store: &Store, task: &Task) -> Option<Diagnostic> {
    let node = task.inherited.delegate_to.as_ref().filter(|node| !node.is_live())?;
    let name = node.scalar()?;
    let here = matches!(name.as_str(), "127.0.0.1" | "::1") || store.graph.host(&name).is_some();
    let fault = Diagnostic::error(format!("there is no host `{name}` to delegate to")).at(&node.span);
    let fault = fault.lacks(Lacking::Name(name.clone()));
    (!here).then(|| fault.suggest(&name, store.graph.hosts.iter().map(String::as_str)))
}

/// Each argument on its own, so that one that is wrong does not hide another. What comes of a template is not known yet, but
/// its name is.
fn arguments(task: &Task, kind: &Kind) -> Diagnostics {
    let mut faults = Diagnostics::default();
    let args = &task.action.args;
    if (kind.decode)(args).is_ok() {
        return faults;
    }
    for (key, node) in args.as_map().unwrap_or_default() {
        let alone = Node::map(&args.span, vec![(key.clone(), node.clone())]);
        let Err(fault) = (kind.decode)(&alone) else { continue };
        let within = |span: &Span| {
            span.source == key.span.source
                && [&key.span, &node.span].iter().any(|own| own.start <= span.start && span.end <= own.end)
        };
        let refused = fault.message.starts_with("the argument `") && fault.message.ends_with("is unsupported");
        let unknown = fault.message.starts_with("unknown argument") || refused;
        if unknown || (kind.nature != Nature::Here && !node.is_live() && fault.span.as_ref().is_some_and(within)) {
            faults.push(fault.at(&key.span));
        }
    }
    faults
}
