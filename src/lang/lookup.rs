//! Where names come from: the border between templates and whoever owns the variables.
//!
//! Knows nothing of precedence, hosts or files on disk; the engine's scope implements these traits. Everything is asked
//! lazily, and only for what a template touches.

use std::fmt::Debug;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use minijinja::value::Value;

use crate::diag::Diagnostic;
use crate::diag::Source;
use crate::lang::node::Node;

/// The variables one template can see.
pub trait Lookup: Send + Sync + Debug {
    fn get(&self, name: &str) -> Found;

    /// All names, for «did you mean» and for walking a [`Found::Scope`].
    fn names(&self) -> Vec<String>;

    /// The controller's files, environment and clock; `None` refuses them all.
    fn files(&self) -> Option<&dyn Files> {
        None
    }
}

/// What stands behind a name.
#[derive(Debug, Clone)]
pub enum Found {
    /// Ready: never a template.
    Value(Value),
    /// As written; rendered on use, in the scope that was asked.
    Node(Arc<Node>),
    /// A mapping whose entries are names of another scope, each asked only when touched: `hostvars`, `hostvars['x']`, `vars`.
    Scope(Arc<dyn Lookup>),
    Missing,
    Unknown(Pending),
}

/// What a value waits for: an opaque id chosen by the owner of the scope, such as `node 17`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pending(pub String);

/// Why there is no value.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// It depends on these, which are not known yet. Only what was touched counts.
    Unknown(Vec<Pending>),
    Error(Box<Diagnostic>),
}

impl From<Diagnostic> for Fault {
    fn from(diagnostic: Diagnostic) -> Fault {
        Fault::Error(Box::new(diagnostic))
    }
}

/// Which of Ansible's search paths a relative name is looked up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    Files,
    Templates,
    Vars,
}

/// What a path on the controller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    File,
    Directory,
    Other,
}

/// The controller's side of lookups, includes and file tests.
pub trait Files {
    /// The first existing path for a name, under Ansible's search order.
    fn find(&self, search: Search, name: &str) -> Option<PathBuf>;

    /// The text of a file that [`Files::find`] gave. The error is a sentence.
    fn read(&self, path: &Path) -> Result<Arc<Source>, String>;

    /// Files (not directories) that match a shell pattern, sorted.
    fn glob(&self, pattern: &str) -> Vec<PathBuf>;

    /// What a path is, symbolic links followed; `None` when there is nothing.
    fn kind(&self, path: &Path) -> Option<PathKind>;

    fn is_link(&self, path: &Path) -> bool;

    /// An environment variable of the controller, if templates may see it.
    fn env(&self, name: &str) -> Option<String>;

    /// The time `now()` gives; one run should answer with one time.
    fn now(&self) -> SystemTime;
}
