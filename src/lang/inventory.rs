//! Hosts, groups and their variables, kept apart by where they were written.
//!
//! Knows nothing of file formats (see `ini`, `inventory_yaml`) nor of connections.

use std::path::PathBuf;

use indexmap::IndexMap;

use crate::diag::Span;
use crate::lang::task::Vars;

/// All inventories of one run, merged.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The name that keys store, lock and journal.
    pub testbed: String,
    /// In declaration order; `all` and `ungrouped` always exist.
    pub groups: IndexMap<String, Group>,
    /// In declaration order. The implicit `localhost` is not here, see [`Inventory::host`].
    pub hosts: IndexMap<String, Host>,
    /// group_vars and host_vars beside the inventories.
    pub beside: Beside,
    /// The directories of the inventory files.
    pub directories: Vec<PathBuf>,
    /// The `localhost` that exists without being written down.
    pub localhost: Host,
}

#[derive(Debug, Clone, Default)]
pub struct Group {
    pub name: String,
    /// Where it was first written; `None` for `all` and `ungrouped` if they are implicit.
    pub span: Option<Span>,
    pub children: Vec<String>,
    pub parents: Vec<String>,
    /// Hosts written directly in it.
    pub hosts: Vec<String>,
    /// Longest way down from `all`.
    pub depth: usize,
    /// `ansible_group_priority`, 1 by default.
    pub priority: i64,
    /// Variables of the inventory files.
    pub vars: Vars,
}

#[derive(Debug, Clone, Default)]
pub struct Host {
    pub name: String,
    pub span: Option<Span>,
    /// All groups it is in, `all` too, in the order in which their variables are laid over each other.
    pub groups: Vec<String>,
    /// Variables of the inventory files.
    pub vars: Vars,
}

/// Variables from `group_vars/` and `host_vars/` of one directory.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    pub groups: IndexMap<String, Vars>,
    pub hosts: IndexMap<String, Vars>,
}

/// A layer of a host's variables; the order of the variants is the order of strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    AllInventory,
    AllBesideInventory,
    AllBesidePlaybook,
    GroupInventory,
    GroupBesideInventory,
    GroupBesidePlaybook,
    HostInventory,
    HostBesideInventory,
    HostBesidePlaybook,
}

/// One layer with where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    pub level: Level,
    /// The group's or host's name.
    pub of: &'a str,
    pub vars: &'a Vars,
}
