//! What variables a task sees: precedence as one table, and values as they become known.
//!
//! A value written by a node is visible to nodes at later positions, on its own host and through `hostvars`; before the writer
//! has ended it is unknown, never undefined. Knows nothing of connections.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::Value;

use crate::diag::Source;
use crate::engine::includes;
use crate::engine::magic;
use crate::engine::store::Store;
use crate::engine::store::in_vars;
use crate::event::NodeId;
use crate::graph::HostId;
use crate::graph::Node as Placed;
use crate::graph::Pos;
use crate::graph::build::written;
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
use crate::lang::role::Role;
use crate::lang::search::Search;
use crate::lang::task::Entry;
use crate::lang::task::Include;
use crate::lang::task::Task;
use crate::lang::task::Vars;

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
        names.extend(self.store.names(self.host, &self.pos));
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
