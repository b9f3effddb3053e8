//! Roles: a directory of tasks, handlers and variables under a name.
//!
//! Knows where roles lie and in which order they and their dependencies run; not what their tasks do.

use std::path::PathBuf;
use std::sync::Arc;

use crate::diag::Span;
use crate::lang::inherit::Inherited;
use crate::lang::node::Key;
use crate::lang::task::Entry;
use crate::lang::task::Vars;

/// A role as one place uses it: what its tasks see of it.
#[derive(Debug, Clone)]
pub struct Role {
    /// As written, such as `common`.
    pub name: String,
    /// Where the role was asked for.
    pub span: Span,
    pub path: PathBuf,
    pub defaults: Vars,
    pub vars: Vars,
    /// What was written beside the name, or under `vars:` of the include.
    pub params: Vars,
    /// Roles of `meta/main.yml` that ran before this one.
    pub dependencies: Vec<Arc<Role>>,
    /// The roles that brought this one as a dependency, outermost first.
    pub parents: Vec<Arc<Role>>,
    /// Whether the rest of the play sees its defaults and vars: true but for `include_role` without `public`.
    pub public: bool,
    /// Whether it may run again with the same parameters.
    pub duplicates: Duplicates,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// A second use with the same parameters is skipped on hosts where the first one ran.
    #[default]
    Once,
    Allowed,
}

/// A role of a play's `roles:`, or a dependency of one, in running order.
#[derive(Debug, Clone)]
pub struct RoleUse {
    pub role: Arc<Role>,
    pub entries: Vec<Entry>,
    pub inherited: Inherited,
    /// The names it can be called by in `needs:` and messages.
    pub name: Key,
}
