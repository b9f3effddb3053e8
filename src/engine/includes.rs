//! Includes that only the run can read: a loop, or a name that holds values of the run. They are opened once all is known that
//! they need, on each host by itself.

use std::sync::Arc;

use minijinja::Value;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::engine::judge;
use crate::engine::looping;
use crate::engine::schedule::Schedule;
use crate::engine::schedule::Step;
use crate::engine::schedule::skipped;
use crate::engine::scope::Scope;
use crate::engine::state::CONDITION;
use crate::engine::state::NodeState;
use crate::engine::store::Output;
use crate::event::Ended;
use crate::event::ItemEnded;
use crate::event::NodeId;
use crate::event::Outcome;
use crate::event::What;
use crate::graph::HostId;
use crate::graph::Work;
use crate::graph::splice::splice;
use crate::lang::include;
use crate::lang::lookup::Fault;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::task::Body;
use crate::lang::task::Include;
use crate::lang::task::Included;
use crate::lang::task::Vars;

/// What became of an attempt.
enum Opened {
    /// Its entries, one body for each item that is not skipped.
    Bodies(Vec<Body>),
    Skipped,
}

/// Whether the entries are read during the run.
pub(super) fn is_late(include: &Include) -> bool {
    include.body.is_none() || include.loops.is_some()
}

impl Schedule {
    /// Opens an include whose turn has come.
    pub(super) fn open_include(&mut self, node: NodeId, include: &Include) -> Step {
        if self.nodes[node as usize].opened.is_some() {
            return self.end_included(node);
        }
        match bodies(&self.scope(node), include) {
            Ok(Opened::Skipped) => {
                self.nodes[node as usize].skipped = true;
                self.put_include(node, include, true);
                self.end_with(node, skipped(CONDITION), false)
            }
            Ok(Opened::Bodies(bodies)) => match self.put_in(node, include, bodies) {
                Ok(()) => self.end_included(node),
                Err(fault) => self.end_failed(node, judge::of_fault(&fault)),
            },
            Err(Fault::Unknown(on)) => self.unknown(node, on),
            Err(Fault::Error(fault)) => self.end_failed(node, judge::of_fault(&fault)),
        }
    }

    /// Opens what is ahead on a host and can be opened already, so that nothing waits for it. Faults wait for their turn.
    pub(super) fn open_known_includes(&mut self, host: HostId) {
        let mut at = self.hosts[host].cursor;
        while let Some(&node) = self.graph.chains[host].get(at) {
            at += 1;
            let Work::Include(include) = self.graph.node(node).work.clone() else { continue };
            let state = &self.nodes[node as usize];
            if state.ended || state.opened.is_some() || !is_late(&include) {
                continue;
            }
            if let Ok(Opened::Bodies(bodies)) = bodies(&self.scope(node), &include) {
                // A fault comes again when its turn comes.
                let _ = self.put_in(node, &include, bodies);
            }
        }
    }

    fn put_in(&mut self, node: NodeId, include: &Include, bodies: Vec<Body>) -> Result<(), Diagnostic> {
        let first = self.graph.nodes.len();
        self.nodes[node as usize].opened = Some(bodies.len());
        let graph = Arc::new(splice(&self.graph, node, bodies).map_err(first_of)?);
        self.nodes.extend((first..graph.nodes.len()).map(|_| NodeState::default()));
        self.graph = graph.clone();
        self.store_mut().grow(graph, first);
        self.put_include(node, include, false);
        if self.graph.nodes.len() > first {
            self.events.push(What::Grown { nodes: self.graph.tasks() });
        }
        Ok(())
    }

    /// An include has come to its entries: Ansible counts it among what went well.
    pub(super) fn end_included(&mut self, node: NodeId) -> Step {
        let item = || ItemEnded { label: String::new(), outcome: Outcome::Same };
        let items = (0..self.nodes[node as usize].opened.unwrap_or(1)).map(|_| item()).collect();
        let (place, ended) = (self.place(node), Box::new(Ended { items, ..Ended::plain(Outcome::Same) }));
        self.events.push(What::NodeEnded { node, place, ended });
        self.end_silently(node)
    }

    /// What `register` on an include sees.
    fn put_include(&mut self, node: NodeId, include: &Include, skipped: bool) {
        if let Some(key) = &include.register {
            let value = [("changed", false), ("failed", false), ("skipped", skipped)];
            let value = Value::from_pairs(value.map(|(name, value)| (name, Value::from(value))));
            self.put(node, Output::Values([(key.name.clone(), value)].into_iter().collect()));
        }
    }
}

/// What an include brings, as far as a scope tells.
fn bodies(scope: &Scope, include: &Include) -> Result<Opened, Fault> {
    let templates = &scope.store.templates;
    let values = match looping::items(scope, include.loops.as_ref(), &include.search) {
        Ok(values) => values,
        Err(fault) => match templates.condition(&include.inherited.when, &scope.lookup()) {
            Ok(false) => return Ok(Opened::Skipped),
            _ => return Err(fault),
        },
    };
    let list = values.clone().unwrap_or_default();
    let mut bodies = Vec::new();
    for (index, turn) in looping::turns(scope, include.loops.as_ref(), values).into_iter().enumerate() {
        if !templates.condition(&include.inherited.when, &turn.scope.lookup())? {
            continue;
        }
        let seen = include.loops.as_ref().map(|over| looping::seen(over, index, &list)).unwrap_or_default();
        bodies.push(body(include, &turn.scope, seen)?);
    }
    Ok(if bodies.is_empty() { Opened::Skipped } else { Opened::Bodies(bodies) })
}

/// Reads the entries for one item; they see its variables as they see those given to the include.
fn body(include: &Include, scope: &Scope, seen: Vec<(String, Value)>) -> Result<Body, Fault> {
    let mut include = include.clone();
    let mut vars = Vars::new();
    for (name, value) in seen {
        let node = Node::from_value(&include.span, &value)?;
        vars.push((Key { span: include.span.clone(), name }, node));
    }
    let mut context = (*include.context).clone();
    context.inherited.params.insert(0, Arc::new(vars));
    include.context = Arc::new(context);
    let what = rendered(&include.what, scope)?;
    include::load(&scope.store.files, &scope.store.templates, &include, &what)
        .map_err(|faults| Fault::from(first_of(faults)))
}

/// What can be said against an include before the run: its name is known, and yet it cannot be read.
pub(super) fn fault(scope: &Scope, include: &Include) -> Option<Box<Diagnostic>> {
    match bodies(scope, include) {
        Err(Fault::Error(fault)) => Some(fault),
        Ok(_) | Err(Fault::Unknown(_)) => None,
    }
}

/// The include's names, all templates rendered.
fn rendered(what: &Included, scope: &Scope) -> Result<Included, Fault> {
    let render = |node: &Node| scope.store.templates.render(node, &scope.lookup());
    let maybe = |node: &Option<Node>| node.as_ref().map(render).transpose();
    Ok(match what {
        Included::Tasks { file } => Included::Tasks { file: render(file)? },
        Included::Role(call) => {
            let mut own = (**call).clone();
            own.name = render(&call.name)?;
            own.tasks_from = maybe(&call.tasks_from)?;
            own.handlers_from = maybe(&call.handlers_from)?;
            own.vars_from = maybe(&call.vars_from)?;
            own.defaults_from = maybe(&call.defaults_from)?;
            Included::Role(Box::new(own))
        }
    })
}

/// A task fails with one sentence; the others come when the first is put right.
fn first_of(faults: Diagnostics) -> Diagnostic {
    let mut list = faults.list.into_iter();
    list.next().unwrap_or_else(|| Diagnostic::error("what is included cannot be read"))
}
