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
    /// What was written beside the name in `roles:`; stronger than registers and facts that were set.
    pub params: Vars,
    /// `vars:` beside the name in `roles:`; a little stronger than [`Role::vars`], seen only by the role's tasks.
    pub given: Vars,
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

impl Role {
    /// Defaults as the role's tasks see them, weakest first: those of dependencies, of the roles that brought it, its own.
    pub fn default_layers(&self) -> Vec<&Vars> {
        let mut layers: Vec<&Vars> = Vec::new();
        self.for_dependencies(&mut |role| layers.push(&role.defaults));
        layers.extend(self.parents.iter().map(|role| &role.defaults));
        layers.push(&self.defaults);
        layers.retain(|vars| !vars.is_empty());
        layers
    }

    /// Role variables as the role's tasks see them, weakest first.
    pub fn var_layers(&self) -> Vec<&Vars> {
        let mut layers: Vec<&Vars> = self.parents.iter().flat_map(|role| [&role.vars, &role.given]).collect();
        self.for_dependencies(&mut |role| layers.push(&role.vars));
        layers.extend([&self.vars, &self.given]);
        layers.retain(|vars| !vars.is_empty());
        layers
    }

    /// Role variables as the rest of the play sees them, weakest first: not what one use of the role was given.
    pub fn exported_layers(&self) -> Vec<&Vars> {
        let mut layers: Vec<&Vars> = self.parents.iter().map(|role| &role.vars).collect();
        self.for_dependencies(&mut |role| layers.push(&role.vars));
        layers.push(&self.vars);
        layers.retain(|vars| !vars.is_empty());
        layers
    }

    /// Role parameters as the role's tasks see them, weakest first.
    pub fn param_layers(&self) -> Vec<&Vars> {
        let params = self.parents.iter().map(|role| &role.params).chain([&self.params]);
        params.filter(|vars| !vars.is_empty()).collect()
    }

    /// Calls `each` for all dependencies, the deepest first.
    fn for_dependencies<'a>(&'a self, each: &mut dyn FnMut(&'a Role)) {
        for role in &self.dependencies {
            role.for_dependencies(each);
            each(role);
        }
    }
}

/// A role of a play's `roles:`, or a dependency of one, in running order.
#[derive(Debug, Clone)]
pub struct RoleUse {
    pub role: Arc<Role>,
    pub entries: Vec<Entry>,
    pub inherited: Inherited,
    /// Uses with the same text are the same: a later one is skipped on a host where a task of an earlier one ran. Later
    /// uses that could never run are left out already. `None` if the role may run again.
    pub once: Option<String>,
    /// The names it can be called by in `needs:` and messages.
    pub name: Key,
}
