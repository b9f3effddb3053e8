//! Plays: which hosts, which variables, which tasks in which order.
//!
//! Knows the shape of a playbook; tasks are read by `entries`, roles by `role`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::diag::Span;
use crate::lang::inherit::Inherited;
use crate::lang::inventory::Beside;
use crate::lang::node::Node;
use crate::lang::role::Role;
use crate::lang::role::RoleUse;
use crate::lang::search::Search;
use crate::lang::task::Entry;
use crate::lang::task::Vars;

/// One play. Sections run in this order, with a handler flush after each: `pre_tasks`; `roles` and `tasks`; `post_tasks`.
#[derive(Debug, Clone)]
pub struct Play {
    pub span: Span,
    pub name: Option<Node>,
    /// The value of `hosts:`; parts of the pattern, each with its place.
    pub pattern: Vec<Node>,
    /// The hosts it runs on after `--limit`, in running order.
    pub hosts: Vec<String>,
    /// The same, in the inventory's order.
    pub all_hosts: Vec<String>,
    /// `None` means the default, which is to gather.
    pub gather_facts: Option<Node>,
    pub gather_subset: Option<Node>,
    pub strategy: Strategy,
    pub order: Order,
    pub force_handlers: Option<Node>,
    pub vars: Vars,
    pub vars_files: Vec<VarsFile>,
    pub pre_tasks: Vec<Entry>,
    pub roles: Vec<RoleUse>,
    pub tasks: Vec<Entry>,
    pub post_tasks: Vec<Entry>,
    /// All roles whose defaults and vars the whole play sees, in order: those of `roles:` and those imported.
    pub public_roles: Vec<Arc<Role>>,
    /// In definition order: those of the roles, the play's own, those of roles that tasks bring.
    pub handlers: Vec<Entry>,
    /// The play's own keywords, already part of what its entries carry.
    pub inherited: Inherited,
    /// The directory of the playbook it is written in.
    pub directory: PathBuf,
    /// group_vars and host_vars beside the playbook.
    pub beside: Arc<Beside>,
    pub search: Arc<Search>,
}

/// One entry of `vars_files`.
#[derive(Debug, Clone)]
pub enum VarsFile {
    /// Read already.
    Loaded { path: PathBuf, vars: Vars },
    /// Named by a template: the first of these that exists counts.
    Later(Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Hosts wait for each other only where it can be noticed.
    #[default]
    Default,
    /// Full lock-step.
    Linear,
    /// No waiting but for handlers and the end of the play.
    Free,
}

/// The keyword `order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    Inventory,
    ReverseInventory,
    Sorted,
    ReverseSorted,
}
