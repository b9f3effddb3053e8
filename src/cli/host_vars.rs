//! What the inventory and `-e` say of one host, for templates in connection variables.
//!
//! Knows what is written down only: no facts, no registers.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use minijinja::Value;

use crate::diag::Diagnostic;
use crate::diag::Source;
use crate::lang::inventory::Beside;
use crate::lang::lookup::Files;
use crate::lang::lookup::Found;
use crate::lang::lookup::Lookup;
use crate::lang::lookup::PathKind;
use crate::lang::lookup::Search;
use crate::lang::node::Node;
use crate::lang::project::Project;

/// The variables of one host.
#[derive(Debug, Clone)]
pub(super) struct HostVars {
    pub(super) project: Arc<Project>,
    /// What lies beside the first playbook.
    pub(super) beside: Arc<Beside>,
    pub(super) host: String,
}

impl HostVars {
    /// As written; extra variables are the strongest, then those of the plays. Plays that do not agree are a fault, since a
    /// host is reached once.
    pub(super) fn of_plays(&self, name: &str) -> Result<Option<Arc<Node>>, Diagnostic> {
        if self.project.extra_vars.iter().any(|(key, _)| key.name == name) {
            return Ok(self.node(name));
        }
        let plays = self.project.plays.iter().filter(|play| play.hosts.contains(&self.host));
        let said = plays.map(|play| play.vars.iter().find(|(key, _)| key.name == name).map(|(_, node)| node));
        let said: Vec<Option<&Node>> = said.collect();
        let Some(first) = said.iter().find_map(|node| *node) else { return Ok(self.node(name)) };
        match said.iter().all(|node| node.is_some_and(|node| node.to_value() == first.to_value())) {
            true => Ok(Some(Arc::new(first.clone()))),
            false => {
                let text = format!("plays that differ in `{name}` are unsupported: `{}` is reached once", self.host);
                Err(Diagnostic::error(text).at(&first.span).help("write it into the inventory"))
            }
        }
    }

    /// As the inventory has it; extra variables are the strongest.
    pub(super) fn node(&self, name: &str) -> Option<Arc<Node>> {
        let extra = self.project.extra_vars.iter().find(|(key, _)| key.name == name);
        let layers = self.project.inventory.layers(&self.host, &self.beside);
        let mut layers = layers.iter().rev();
        let found = extra.or_else(|| layers.find_map(|layer| layer.vars.iter().find(|(key, _)| key.name == name)));
        found.map(|(_, node)| Arc::new(node.clone()))
    }
}

impl Lookup for HostVars {
    fn get(&self, name: &str) -> Found {
        let inventory = &self.project.inventory;
        let list = |items: Vec<&str>| items.into_iter().map(Value::from).collect::<Value>();
        match name {
            "inventory_hostname" => Found::Value(Value::from(self.host.as_str())),
            "inventory_hostname_short" => Found::Value(Value::from(self.host.split('.').next().unwrap_or_default())),
            "group_names" => Found::Value(list(inventory.group_names(&self.host))),
            "groups" => {
                let groups = inventory.groups.keys().map(|group| (group.clone(), list(inventory.hosts_of(group))));
                Found::Value(Value::from_pairs(groups))
            }
            "testbed" => Found::Value(Value::from(inventory.testbed.as_str())),
            "inventory_dir" => match inventory.directories.first() {
                Some(path) => {
                    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                    Found::Value(Value::from(path.display().to_string()))
                }
                None => Found::Missing,
            },
            "hostvars" => Found::Scope(Arc::new(All(self.clone()))),
            _ => self.node(name).map_or(Found::Missing, Found::Node),
        }
    }

    fn names(&self) -> Vec<String> {
        let layers = self.project.inventory.layers(&self.host, &self.beside);
        let keys = layers.iter().flat_map(|layer| layer.vars).chain(&self.project.extra_vars);
        keys.map(|(key, _)| key.name.clone()).collect()
    }

    fn files(&self) -> Option<&dyn Files> {
        Some(self)
    }
}

/// `hostvars`.
#[derive(Debug)]
struct All(HostVars);

impl Lookup for All {
    fn get(&self, name: &str) -> Found {
        match self.0.project.inventory.host(name) {
            Some(_) => Found::Scope(Arc::new(HostVars { host: name.to_string(), ..self.0.clone() })),
            None => Found::Missing,
        }
    }

    fn names(&self) -> Vec<String> {
        self.0.project.inventory.hosts.keys().cloned().collect()
    }
}

/// `lookup('env', …)` is for passwords; files are found by absolute names only.
impl Files for HostVars {
    fn find(&self, _: Search, name: &str) -> Option<PathBuf> {
        Some(PathBuf::from(name)).filter(|path| path.is_absolute() && path.is_file())
    }

    fn read(&self, path: &Path) -> Result<Arc<Source>, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        Ok(Source::new(path.display().to_string(), text))
    }

    fn glob(&self, _: &str) -> Vec<PathBuf> {
        Vec::new()
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
        std::env::var(name).ok()
    }

    fn now(&self) -> std::time::SystemTime {
        std::time::SystemTime::now()
    }
}
