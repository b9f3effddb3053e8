//! What variables a task sees: precedence as one table, and values as they become known.
//!
//! A value written by a node is visible to nodes at later positions, on its own host and through `hostvars`; before the writer
//! has ended it is unknown, never undefined. Knows nothing of connections.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::Value;

use crate::diag::Source;
use crate::engine::includes;
use crate::engine::keys::Keys;
use crate::engine::magic;
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
use crate::lang::fixed::whole;
use crate::lang::inherit::Inherited;
use crate::lang::lookup::Files;
use crate::lang::lookup::Found;
use crate::lang::lookup::Lookup;
use crate::lang::lookup::PathKind;
use crate::lang::lookup::Pending;
use crate::lang::lookup::Search as Sort;
use crate::lang::playbook::Play;
use crate::lang::playbook::VarsFile;
use crate::lang::project::Project;
use crate::lang::role::Role;
use crate::lang::search::Search;
use crate::lang::task::Entry;
use crate::lang::task::Include;
use crate::lang::task::Task;
use crate::lang::task::Vars;
use crate::lang::template::Templates;
use crate::modules::setup::Group;

/// Prefix of a [`Pending`] that waits for a node's end.
pub const NODE: &str = "node ";
/// Prefix of a [`Pending`] for facts nobody has asked for yet; the place of facts and the group's name follow.
pub const FACTS: &str = "facts ";
/// Prefix of a [`Pending`] for a value that only apply can produce; the task's name follows.
pub const AFTER: &str = "after ";

/// Everything values are made of. Grows as nodes end; nothing in it is ever replaced.
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
    fn variable(&self, host: HostId, name: &str, before: &Pos) -> Option<Found> {
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

    /// A variable of a file that was read before a position. What is not read yet may hold any.
    fn read(&self, host: HostId, name: &str, before: &Pos) -> Option<Found> {
        let loaders = self.loaders.get(&host)?.iter().rev();
        for &id in loaders.filter(|&&id| self.graph.node(id).pos < *before) {
            if let Some(found) = self.loaded.get(&id).and_then(|vars| in_vars(vars, name)) {
                return Some(found);
            }
            if !self.has(id) {
                return Some(Found::Unknown(Pending(format!("{NODE}{id}"))));
            }
        }
        None
    }

    /// A fact, as the last that gathered it before a position left it. Not gathered yet but to be had: unknown.
    fn fact(&self, host: HostId, name: &str, before: &Pos) -> Option<Found> {
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
    fn known_fact(&self, host: HostId, name: &str, before: &Pos) -> Option<Found> {
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
    fn fact_names(&self, host: HostId, before: &Pos) -> Vec<String> {
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

/// The variables of one task on one host.
#[derive(Debug, Clone)]
pub struct Scope {
    pub store: Arc<Store>,
    pub host: HostId,
    pub play: usize,
    /// Values of nodes before this position are seen.
    pub pos: Pos,
    /// Not so in `hostvars`: what plays, roles and tasks say is not seen there, as in Ansible.
    pub own: bool,
    pub task: Option<Arc<Task>>,
    /// The include whose turn it is: like a task, it sees what is around it.
    pub include: Option<Arc<Include>>,
    /// The loop's variables, and the result under judgement for `changed_when`, `failed_when` and `until`.
    pub local: Arc<IndexMap<String, Value>>,
}

/// Variables that steer connections: never facts.
const CONNECTION: [&str; 8] = [
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_password",
    "ansible_connection",
    "ansible_become",
    "ansible_become_user",
    "ansible_become_password",
];

impl Scope {
    /// What is seen at a node.
    pub fn at(store: &Arc<Store>, node: NodeId) -> Scope {
        let found = store.graph.node(node);
        Scope {
            store: Arc::clone(store),
            host: found.host,
            play: found.play,
            pos: found.pos.clone(),
            own: true,
            task: found.task().cloned(),
            include: found.include().cloned(),
            local: Arc::default(),
        }
    }

    /// This scope with names of its own in front: loop variables.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = (String, Value)>) -> Scope {
        let mut local = (*self.local).clone();
        local.extend(more);
        Scope { local: Arc::new(local), ..self.clone() }
    }

    pub fn lookup(&self) -> Arc<dyn Lookup> {
        Arc::new(self.clone())
    }

    pub(super) fn name(&self) -> &str {
        &self.store.graph.hosts[self.host]
    }

    /// The table of precedence, strongest first (engines' order: extra vars, parameters, registers and set facts, task, role,
    /// play, facts, inventory, role defaults).
    pub(super) fn find(&self, name: &str) -> Option<Found> {
        self.magic(name)
            .or_else(|| self.local.get(name).map(|value| Found::Value(value.clone())))
            .or_else(|| in_vars(&self.store.project.extra_vars, name))
            .or_else(|| self.parameters(name))
            .or_else(|| self.store.variable(self.host, name, &self.pos))
            .or_else(|| self.store.read(self.host, name, &self.pos))
            .or_else(|| self.task_vars(name))
            .or_else(|| self.play_vars(name))
            .or_else(|| self.known_fact(name))
            .or_else(|| self.inventory(name))
            .or_else(|| self.wanted_fact(name))
            .or_else(|| self.defaults(name))
            .or_else(|| self.failed(name))
            .or_else(|| self.fallback(name))
            .or_else(|| self.may_come(name))
    }

    /// Before the run nobody knows what a late include has set by then.
    fn may_come(&self, name: &str) -> Option<Found> {
        if !self.store.before {
            return None;
        }
        let graph = &self.store.graph;
        let earlier = graph.chains[self.host].iter().map(|&id| graph.node(id)).take_while(|node| node.pos < self.pos);
        let mut late = earlier.filter_map(Placed::include).filter(|include| includes::is_late(include));
        let brings = |include: &Arc<Include>| include.body.as_ref().is_none_or(|body| sets(&body.entries, name));
        late.any(brings).then(|| Found::Unknown(Pending("an include".into())))
    }

    /// Before the run nobody knows what a `rescue` will see.
    fn failed(&self, name: &str) -> Option<Found> {
        let of_failure = matches!(name, "ansible_failed_task" | "ansible_failed_result");
        (of_failure && self.store.before).then(|| Found::Unknown(Pending("a failure".into())))
    }

    /// What a task, or an include, has from around it.
    pub(super) fn inherited(&self) -> Option<&Inherited> {
        let task = self.task.as_ref().map(|task| &task.inherited);
        task.or_else(|| self.include.as_ref().map(|include| &include.inherited))
    }

    pub(super) fn role(&self) -> Option<&Arc<Role>> {
        let of_task = self.task.as_ref().and_then(|task| task.role.as_ref());
        of_task.or_else(|| self.include.as_ref()?.role.as_ref())
    }

    fn parameters(&self, name: &str) -> Option<Found> {
        let included = self.inherited()?.params.iter().rev().find_map(|vars| in_vars(vars, name));
        included.or_else(|| last(&self.role()?.param_layers(), name))
    }

    fn task_vars(&self, name: &str) -> Option<Found> {
        let own = self.inherited()?.vars.iter().rev().find_map(|vars| in_vars(vars, name));
        own.or_else(|| last(&self.role()?.var_layers(), name))
    }

    /// The play, as far as what it says is seen.
    fn own_play(&self) -> Option<&Arc<Play>> {
        self.store.graph.plays.get(self.play).filter(|_| self.own)
    }

    fn play_vars(&self, name: &str) -> Option<Found> {
        let play = self.own_play()?;
        let roles = play.public_roles.iter().rev().find_map(|role| last(&role.exported_layers(), name));
        roles
            .or_else(|| {
                play.vars_files.iter().rev().find_map(|file| match file {
                    VarsFile::Loaded { vars, .. } => in_vars(vars, name),
                    VarsFile::Later(_) => None,
                })
            })
            .or_else(|| in_vars(&play.vars, name))
    }

    /// Facts beat the inventory once they are there. Names that steer connections are never facts.
    fn known_fact(&self, name: &str) -> Option<Found> {
        if name == "ansible_facts" {
            return Some(Found::Scope(Arc::new(OwnFacts(self.clone()))));
        }
        if CONNECTION.contains(&name) { None } else { self.store.known_fact(self.host, name, &self.pos) }
    }

    fn wanted_fact(&self, name: &str) -> Option<Found> {
        let never = CONNECTION.contains(&name) || magic::NO_FACTS.contains(&name);
        if never { None } else { self.store.fact(self.host, name, &self.pos) }
    }

    fn inventory(&self, name: &str) -> Option<Found> {
        let play = self.store.graph.plays.get(self.play)?;
        let layers = self.store.project.inventory.layers(self.name(), &play.beside);
        layers.iter().rev().find_map(|layer| in_vars(layer.vars, name))
    }

    fn defaults(&self, name: &str) -> Option<Found> {
        let own = self.role().and_then(|role| last(&role.default_layers(), name));
        own.or_else(|| {
            let public = &self.own_play()?.public_roles;
            public.iter().rev().find_map(|role| last(&role.default_layers(), name))
        })
    }
}

/// Whether one of these entries may set a variable.
fn sets(entries: &[Entry], name: &str) -> bool {
    entries.iter().any(|entry| match entry {
        Entry::Task(task) => written(task).iter().any(|known| known == name),
        Entry::Block(block) => [&block.body, &block.rescue, &block.always].into_iter().any(|part| sets(part, name)),
        Entry::Include(include) => include.body.as_ref().is_none_or(|body| sets(&body.entries, name)),
    })
}

fn in_vars(vars: &Vars, name: &str) -> Option<Found> {
    vars.iter().find(|(key, _)| key.name == name).map(|(_, node)| Found::Node(Arc::new(node.clone())))
}

/// The strongest layer comes last.
fn last(layers: &[&Vars], name: &str) -> Option<Found> {
    layers.iter().rev().find_map(|vars| in_vars(vars, name))
}

impl Lookup for Scope {
    fn get(&self, name: &str) -> Found {
        self.find(name).unwrap_or(Found::Missing)
    }

    fn names(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = self.local.keys().cloned().collect();
        let mut add = |vars: &Vars| names.extend(vars.iter().map(|(key, _)| key.name.clone()));
        add(&self.store.project.extra_vars);
        if let Some(inherited) = self.inherited() {
            inherited.vars.iter().chain(&inherited.params).for_each(|vars| add(vars));
        }
        if let Some(role) = self.role() {
            let layers = [role.default_layers(), role.var_layers(), role.param_layers()];
            layers.iter().flatten().for_each(|vars| add(vars));
        }
        if let Some(play) = self.own_play() {
            add(&play.vars);
            for role in &play.public_roles {
                role.default_layers().iter().chain(&role.exported_layers()).for_each(|vars| add(vars));
            }
        }
        if let Some(play) = self.store.graph.plays.get(self.play) {
            self.store.project.inventory.layers(self.name(), &play.beside).iter().for_each(|layer| add(layer.vars));
        }
        let own = self.store.writers.keys().filter(|(host, _)| *host == self.host).map(|(_, name)| name.clone());
        names.extend(own);
        let earlier = self.store.loaders.get(&self.host).into_iter().flatten();
        let earlier = earlier.filter(|&&id| self.store.graph.node(id).pos < self.pos);
        let read = earlier.filter_map(|id| self.store.loaded.get(id)).flatten();
        names.extend(read.map(|(key, _)| key.name.clone()));
        names.extend(self.store.fact_names(self.host, &self.pos));
        names.extend(["inventory_hostname", "groups", "hostvars", "group_names"].map(String::from));
        names.into_iter().collect()
    }

    fn files(&self) -> Option<&dyn Files> {
        Some(self)
    }
}

/// `ansible_facts`: a host's facts, each group gathered only when one of them is touched.
#[derive(Debug)]
struct OwnFacts(Scope);

impl Lookup for OwnFacts {
    fn get(&self, name: &str) -> Found {
        let Scope { store, host, pos, .. } = &self.0;
        store.fact(*host, &format!("ansible_{name}"), pos).unwrap_or(Found::Missing)
    }

    fn names(&self) -> Vec<String> {
        let Scope { store, host, pos, .. } = &self.0;
        let names = store.fact_names(*host, pos).into_iter();
        names.map(|name| name.strip_prefix("ansible_").unwrap_or(&name).to_string()).collect()
    }
}

/// `hostvars`: every host's variables, as seen from here.
#[derive(Debug)]
pub(super) struct HostVars(pub(super) Scope);

impl Lookup for HostVars {
    fn get(&self, name: &str) -> Found {
        let Scope { store, play, pos, .. } = &self.0;
        match store.graph.host(name) {
            Some(host) => Found::Scope(Arc::new(Scope {
                store: store.clone(),
                host,
                play: *play,
                pos: pos.clone(),
                own: false,
                task: None,
                include: None,
                local: Arc::default(),
            })),
            None if store.project.inventory.host(name).is_some() => {
                Found::Scope(Arc::new(Outside { store: store.clone(), play: *play, name: name.to_string() }))
            }
            None => Found::Missing,
        }
    }

    fn names(&self) -> Vec<String> {
        self.0.store.project.inventory.hosts.keys().cloned().collect()
    }
}

/// A host of the inventory that no play runs on: only what is written down is known.
#[derive(Debug)]
struct Outside {
    store: Arc<Store>,
    play: usize,
    name: String,
}

impl Lookup for Outside {
    fn get(&self, name: &str) -> Found {
        if name == "inventory_hostname" {
            return Found::Value(Value::from(self.name.as_str()));
        }
        let Some(play) = self.store.graph.plays.get(self.play) else { return Found::Missing };
        let layers = self.store.project.inventory.layers(&self.name, &play.beside);
        layers.iter().rev().find_map(|layer| in_vars(layer.vars, name)).unwrap_or(Found::Missing)
    }

    fn names(&self) -> Vec<String> {
        let Some(play) = self.store.graph.plays.get(self.play) else { return Vec::new() };
        let layers = self.store.project.inventory.layers(&self.name, &play.beside);
        layers.iter().flat_map(|layer| layer.vars.iter().map(|(key, _)| key.name.clone())).collect()
    }
}

impl Scope {
    pub(super) fn search(&self) -> Search {
        match (&self.task, self.store.graph.plays.get(self.play)) {
            (Some(task), _) => (*task.search).clone(),
            (None, Some(play)) => (*play.search).clone(),
            (None, None) => Search::default(),
        }
    }
}

impl Files for Scope {
    fn find(&self, sort: Sort, name: &str) -> Option<PathBuf> {
        let directory = match sort {
            Sort::Files => "files",
            Sort::Templates => "templates",
            Sort::Vars => "vars",
        };
        self.search().candidates(directory, name).into_iter().find(|path| path.exists())
    }

    fn read(&self, path: &Path) -> Result<Arc<Source>, String> {
        self.store.files.read(path).map_err(|fault| fault.message)
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        let candidates = self.search().candidates("files", pattern);
        let matching = |path: &PathBuf| matching(&path.display().to_string());
        let found = candidates.iter().map(matching).find(|found| !found.is_empty());
        found.into_iter().flatten().map(|path| whole(&path)).collect()
    }

    fn kind(&self, path: &Path) -> Option<PathKind> {
        let meta = path.metadata().ok()?;
        Some(match (meta.is_file(), meta.is_dir()) {
            (true, _) => PathKind::File,
            (_, true) => PathKind::Directory,
            _ => PathKind::Other,
        })
    }

    fn is_link(&self, path: &Path) -> bool {
        path.is_symlink()
    }

    fn env(&self, name: &str) -> Option<String> {
        self.store.environment.get(name).cloned()
    }

    fn now(&self) -> std::time::SystemTime {
        self.store.now
    }
}

/// Files that match a shell pattern, sorted.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let (directory, name) = match pattern.rsplit_once('/') {
        Some((directory, name)) => (PathBuf::from(directory), name),
        None => (PathBuf::from("."), pattern),
    };
    let regex = regex::escape(name).replace(r"\*", "[^/]*").replace(r"\?", "[^/]");
    let Ok(regex) = regex::Regex::new(&format!("^{regex}$")) else { return Vec::new() };
    let names = crate::lang::files::names(&directory);
    let mut paths: Vec<PathBuf> =
        names.iter().filter(|name| regex.is_match(name)).map(|name| directory.join(name)).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths
}
