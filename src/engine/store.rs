//! What is known of all hosts: what their nodes left behind, facts, who has gone. Grows as nodes end.
//!
//! Knows nothing of precedence: a [`Scope`] asks.
//!
//! [`Scope`]: crate::engine::scope::Scope

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::Value;

use crate::engine::keys::Keys;
use crate::engine::measured::Measured;
use crate::engine::outputs::Outputs;
use crate::event::NodeId;
use crate::graph::Graph;
use crate::graph::HostId;
use crate::graph::Node as Placed;
use crate::graph::Pos;
use crate::graph::Work;
use crate::graph::build::written;
use crate::lang::files::Files as Reader;
use crate::lang::lookup::Found;
use crate::lang::lookup::Pending;
use crate::lang::project::Project;
use crate::lang::task::Vars;
use crate::lang::template::Templates;
use crate::modules::setup::Group;

/// Prefix of a [`Pending`] that waits for a node's end.
pub const NODE: &str = "node ";
/// Prefix of a [`Pending`] for facts nobody has asked for yet; the place of facts and the group's name follow.
pub const FACTS: &str = "facts ";
/// Prefix of a [`Pending`] for a value that only apply can produce; the task's name follows.
pub const AFTER: &str = "after ";

/// Everything values are made of. A copy costs little: every scope that is still about holds one.
#[derive(Debug, Clone)]
pub struct Store {
    pub project: Arc<Project>,
    pub graph: Arc<Graph>,
    pub templates: Arc<Templates>,
    pub files: Arc<Reader>,
    /// Whether this is a plan: `ansible_check_mode`.
    pub plan: bool,
    pub diff: bool,
    /// How often `-v` was given.
    pub verbosity: u8,
    /// Nothing has run yet, so what has failed is not known.
    pub before: bool,
    /// Who writes which variable of which host, in order of position.
    writers: Arc<HashMap<(HostId, String), Vec<NodeId>>>,
    outputs: Outputs,
    /// Tasks of each host that read files of variables, in order of position, and what was read.
    loaders: Arc<HashMap<HostId, Vec<NodeId>>>,
    loaded: Arc<HashMap<NodeId, Vars>>,
    /// `ansible_…` by the node that gathered them, and which groups of them were.
    facts: Arc<HashMap<NodeId, Facts>>,
    /// Hosts that failed, were lost or have ended their play.
    pub absent: Arc<HashMap<HostId, Vec<Absence>>>,
    /// `env` lookups see these.
    pub environment: Arc<IndexMap<String, String>>,
    /// Taken for `now()`.
    pub now: std::time::SystemTime,
    pub keys: Arc<Keys>,
    pub measured: Arc<Measured>,
}

/// That a host takes no part behind a place.
#[derive(Debug, Clone)]
pub struct Absence {
    /// The last place it came to.
    pub from: Pos,
    /// The last play it is not part of; `None`: not of any more.
    pub until: Option<usize>,
}

/// What one node found out about its host.
#[derive(Debug, Clone, Default)]
struct Facts {
    values: Arc<IndexMap<String, Value>>,
    groups: Vec<Group>,
}

/// What a node left behind.
#[derive(Debug, Clone)]
pub enum Output {
    Values(IndexMap<String, Value>),
    /// Plan: known only after apply. The task's name.
    After(String),
}

impl Store {
    pub fn new(
        project: Arc<Project>,
        graph: Arc<Graph>,
        templates: Arc<Templates>,
        files: Arc<Reader>,
        plan: bool,
    ) -> Store {
        let (writers, loaders) = (Arc::new(writers(&graph)), Arc::new(loaders(&graph)));
        Store {
            project,
            graph,
            templates,
            files,
            plan,
            diff: false,
            verbosity: 0,
            before: false,
            writers,
            outputs: Outputs::default(),
            loaders,
            loaded: Arc::default(),
            facts: Arc::default(),
            absent: Arc::default(),
            environment: Arc::default(),
            now: std::time::SystemTime::now(),
            keys: Arc::default(),
            measured: Arc::default(),
        }
    }

    /// The graph has grown by what an include brought; `first`: the first new node.
    pub fn grow(&mut self, graph: Arc<Graph>, first: usize) {
        if graph.nodes.len() > first {
            self.writers = writers(&graph).into();
            self.loaders = loaders(&graph).into();
        }
        self.graph = graph;
    }

    /// Whether a host takes no part any more at a place of a play.
    pub fn is_absent(&self, host: HostId, play: usize, pos: &Pos) -> bool {
        let covers = |absence: &Absence| absence.from < *pos && absence.until.is_none_or(|until| play <= until);
        self.absent.get(&host).is_some_and(|absences| absences.iter().any(covers))
    }

    /// Whether a host takes part in nothing any more.
    pub fn is_gone(&self, host: HostId) -> bool {
        self.absent.get(&host).is_some_and(|absences| absences.iter().any(|absence| absence.until.is_none()))
    }

    pub fn leave(&mut self, host: HostId, from: Pos, until: Option<usize>) {
        if !self.is_gone(host) {
            Arc::make_mut(&mut self.absent).entry(host).or_default().push(Absence { from, until });
        }
    }

    /// A node has ended; what it left behind is visible from now on.
    pub fn put(&mut self, node: NodeId, output: Output) {
        self.outputs.insert(node, output);
    }

    /// Takes back what was only assumed.
    pub fn forget(&mut self, node: NodeId) {
        self.outputs.remove(node);
        if self.loaded.contains_key(&node) {
            Arc::make_mut(&mut self.loaded).remove(&node);
        }
    }

    /// A node that was passed by has its turn yet.
    pub fn forget_all(&mut self, node: NodeId) {
        self.forget(node);
        Arc::make_mut(&mut self.facts).remove(&node);
    }

    pub fn output(&self, node: NodeId) -> Option<&Output> {
        self.outputs.get(node)
    }

    pub fn has(&self, node: NodeId) -> bool {
        self.outputs.get(node).is_some()
    }

    /// Facts of these groups are known from now on.
    pub fn put_facts(&mut self, node: NodeId, groups: &[Group], values: impl IntoIterator<Item = (String, Value)>) {
        let facts = Arc::make_mut(&mut self.facts).entry(node).or_default();
        Arc::make_mut(&mut facts.values).extend(values);
        facts.groups.extend(groups);
    }

    /// How much is known by now; it only grows.
    pub fn known(&self) -> usize {
        self.outputs.len() + self.facts.values().map(|facts| facts.groups.len()).sum::<usize>()
    }

    pub fn has_facts(&self, node: NodeId, group: Group) -> bool {
        self.facts.get(&node).is_some_and(|facts| facts.groups.contains(&group))
    }

    /// The last value written to a name before a position.
    pub(super) fn variable(&self, host: HostId, name: &str, before: &Pos) -> Option<Found> {
        let named = self.writers.get(&(host, name.to_string())).into_iter().flatten();
        let any = self.writers.get(&(host, ANY.to_string())).into_iter().flatten();
        let mut writers: Vec<NodeId> = named.chain(any).copied().collect();
        writers.retain(|&id| self.graph.node(id).pos < *before);
        writers.sort_by(|one, other| self.graph.node(*other).pos.cmp(&self.graph.node(*one).pos));
        for id in writers {
            match self.outputs.get(id) {
                None => return Some(Found::Unknown(Pending(format!("{NODE}{id}")))),
                Some(Output::After(task)) => return Some(Found::Unknown(Pending(format!("{AFTER}{task}")))),
                Some(Output::Values(values)) => {
                    if let Some(value) = values.get(name) {
                        return Some(Found::Value(value.clone()));
                    }
                }
            }
        }
        None
    }

    /// What a task read from a file of variables.
    pub fn load(&mut self, node: NodeId, vars: Vars) {
        let known = Arc::make_mut(&mut self.loaded).entry(node).or_default();
        known.retain(|(key, _)| !vars.iter().any(|(new, _)| new.name == key.name));
        known.extend(vars);
    }

    /// The names of what tasks of a host set, register or read from files before a position.
    pub(super) fn names(&self, host: HostId, before: &Pos) -> Vec<String> {
        let own = self.writers.keys().filter(|(writer, name)| *writer == host && name != ANY);
        let earlier = self.loaders.get(&host).into_iter().flatten();
        let earlier = earlier.filter(|&&id| self.graph.node(id).pos < *before);
        let read = earlier.filter_map(|id| self.loaded.get(id)).flatten();
        own.map(|(_, name)| name.clone()).chain(read.map(|(key, _)| key.name.clone())).collect()
    }

    /// A variable of a file that was read before a position. What is not read yet may hold any.
    pub(super) fn read(&self, host: HostId, name: &str, before: &Pos) -> Option<Found> {
        let loaders = self.loaders.get(&host)?.iter().rev();
        for &id in loaders.filter(|&&id| self.graph.node(id).pos < *before) {
            if let Some(found) = self.loaded.get(&id).and_then(|vars| in_vars(vars, name)) {
                return Some(found);
            }
            match self.output(id) {
                None => return Some(Found::Unknown(Pending(format!("{NODE}{id}")))),
                Some(Output::After(task)) if !self.loaded.contains_key(&id) => {
                    return Some(Found::Unknown(Pending(format!("{AFTER}{task}"))));
                }
                Some(_) => {}
            }
        }
        None
    }

    /// A fact, as the last that gathered it before a position left it. Not gathered yet but to be had: unknown.
    pub(super) fn fact(&self, host: HostId, name: &str, before: &Pos) -> Option<Found> {
        if !name.starts_with("ansible_") {
            return None;
        }
        let group = Group::of(name);
        for node in self.gatherers(host, before) {
            let known = self.facts.get(&node);
            if let Some(value) = known.and_then(|facts| facts.values.get(name)) {
                return Some(Found::Value(value.clone()));
            }
            let open = match self.graph.node(node).work {
                Work::Facts { .. } => !self.has_facts(node, group),
                _ => false,
            };
            if open {
                return Some(Found::Unknown(Pending(format!("{FACTS}{node} {}", group.name()))));
            }
            if self.graph.node(node).task().is_some() && !self.has(node) {
                return Some(Found::Unknown(Pending(format!("{NODE}{node}"))));
            }
        }
        None
    }

    /// A fact that was gathered: nothing is asked for it.
    pub(super) fn known_fact(&self, host: HostId, name: &str, before: &Pos) -> Option<Found> {
        let mut gatherers = self.gatherers(host, before);
        let value = gatherers.find_map(|node| self.facts.get(&node)?.values.get(name).cloned());
        value.map(Found::Value)
    }

    /// Places of facts and tasks that collect them before a position, the last one first.
    fn gatherers(&self, host: HostId, before: &Pos) -> impl Iterator<Item = NodeId> {
        let gathers = |node: &Placed| match &node.work {
            Work::Facts { .. } => true,
            Work::Task { kind, .. } => kind.name == "setup",
            Work::Include(_) => false,
        };
        let chain = self.graph.chains[host].iter().rev().copied();
        chain.filter(move |&id| {
            let node = self.graph.node(id);
            node.pos < *before && gathers(node)
        })
    }

    /// Names of facts that are known, and an example of each group that is still to be had.
    pub(super) fn fact_names(&self, host: HostId, before: &Pos) -> Vec<String> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for node in self.gatherers(host, before) {
            names.extend(self.facts.get(&node).into_iter().flat_map(|facts| facts.values.keys().cloned()));
            if matches!(self.graph.node(node).work, Work::Facts { .. }) {
                let open = Group::ALL.into_iter().filter(|group| !self.has_facts(node, *group));
                names.extend(open.map(|group| format!("ansible_{}", group.example())));
                break;
            }
        }
        names.into_iter().collect()
    }
}

/// Stands for every name, where what is set is named by a template.
const ANY: &str = "{{";

/// Who writes which variable of which host, in order of position.
fn writers(graph: &Graph) -> HashMap<(HostId, String), Vec<NodeId>> {
    let mut writers: HashMap<(HostId, String), Vec<NodeId>> = HashMap::new();
    for &id in graph.chains.iter().flatten() {
        let node = graph.node(id);
        let names = match &node.work {
            Work::Task { task, .. } => written(task),
            Work::Include(include) => include.register.iter().map(|key| key.name.clone()).collect(),
            Work::Facts { .. } => Vec::new(),
        };
        for name in names {
            let name = if name.contains(ANY) { ANY.to_string() } else { name };
            writers.entry((node.host, name)).or_default().push(id);
        }
    }
    writers
}

/// The tasks that read files of variables.
fn loaders(graph: &Graph) -> HashMap<HostId, Vec<NodeId>> {
    let mut loaders: HashMap<HostId, Vec<NodeId>> = HashMap::new();
    for &id in graph.chains.iter().flatten() {
        if let Work::Task { kind, .. } = &graph.node(id).work
            && kind.name == "include_vars"
        {
            loaders.entry(graph.node(id).host).or_default().push(id);
        }
    }
    loaders
}

/// A variable among those of one file or one keyword.
pub(super) fn in_vars(vars: &Vars, name: &str) -> Option<Found> {
    vars.iter().find(|(key, _)| key.name == name).map(|(_, node)| Found::Node(Arc::new(node.clone())))
}
