//! Variables that are the same on every host and at every time: what templates in `hosts:` and in names of imports can use.
//!
//! Knows a flat list of values; everything else waits for the run, or does not exist where nothing else can.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use minijinja::value::Value;

use crate::lang::files;
use crate::lang::lookup::Fault;
use crate::lang::lookup::Found;
use crate::lang::lookup::Lookup;
use crate::lang::lookup::Pending;
use crate::lang::node::Node;
use crate::lang::task::Vars;
use crate::lang::template::Templates;

/// Names with fixed values, the last the strongest.
#[derive(Debug, Clone, Default)]
pub struct Fixed {
    entries: Vec<(String, Arc<Node>)>,
    values: Vec<(String, Value)>,
    /// There is nothing else but what only the run knows.
    closed: bool,
}

/// Whether a name is given by the inventory or the run.
fn is_later(name: &str) -> bool {
    name.starts_with("ansible_")
        || name.starts_with("inventory_")
        || ["groups", "group_names", "hostvars"].contains(&name)
}

/// A path from the root on, without `.` and `..`. An empty one is the current directory.
pub fn whole(path: &Path) -> PathBuf {
    let path = std::path::absolute(Path::new(".").join(path)).unwrap_or_else(|_| path.to_path_buf());
    files::tidy(&path)
}

impl Fixed {
    /// Adds variables that may themselves be templates.
    pub fn with(&self, vars: &Vars) -> Fixed {
        let mut more = self.clone();
        more.entries.extend(vars.iter().map(|(key, node)| (key.name.clone(), Arc::new(node.clone()))));
        more
    }

    /// Adds a name that nothing overrides, such as `playbook_dir`.
    #[must_use]
    pub fn path(&self, name: &str, path: &Path) -> Fixed {
        self.value(name, Value::from(whole(path).display().to_string()))
    }

    /// Adds a name that nothing overrides.
    #[must_use]
    pub fn value(&self, name: &str, value: Value) -> Fixed {
        let mut more = self.clone();
        more.values.push((name.into(), value));
        more
    }

    /// Other names than these do not exist, but for those of the run.
    #[must_use]
    pub fn closed(self) -> Fixed {
        Fixed { closed: true, ..self }
    }

    /// The node rendered; `None` if it needs something that only the run knows.
    pub fn render(&self, node: &Node, templates: &Templates) -> Result<Option<Node>, Fault> {
        if !node.is_live() {
            return Ok(Some(node.clone()));
        }
        let scope: Arc<dyn Lookup> = Arc::new(self.clone());
        match templates.render(node, &scope) {
            Ok(node) => Ok(Some(node)),
            Err(Fault::Unknown(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

impl Lookup for Fixed {
    fn get(&self, name: &str) -> Found {
        let value =
            self.values.iter().rev().find(|(known, _)| known == name).map(|(_, value)| Found::Value(value.clone()));
        let node =
            || self.entries.iter().rev().find(|(known, _)| known == name).map(|(_, node)| Found::Node(node.clone()));
        let missing = || match self.closed && !is_later(name) {
            true => Found::Missing,
            false => Found::Unknown(Pending(format!("the variable `{name}`"))),
        };
        value.or_else(node).unwrap_or_else(missing)
    }

    fn names(&self) -> Vec<String> {
        let values = self.values.iter().map(|(name, _)| name.clone());
        values.chain(self.entries.iter().map(|(name, _)| name.clone())).collect()
    }
}
