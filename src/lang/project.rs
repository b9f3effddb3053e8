//! The whole of what the user wrote, read and checked: the inventory, the plays, the extra variables.
//!
//! The only entrance for the floors above.

use std::path::PathBuf;

use crate::diag::Diagnostics;
use crate::lang::config::Config;
use crate::lang::inventory::Inventory;
use crate::lang::playbook::Play;
use crate::lang::task::Vars;

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// As given to `-i`: files, directories, or host lists `a,b,`.
    pub inventories: Vec<String>,
    pub playbooks: Vec<PathBuf>,
    /// As given to `-e`: `k=v …`, YAML or JSON mappings, `@file`.
    pub extra_vars: Vec<String>,
    pub limit: Option<String>,
    /// Further directories of roles, before those of the configuration.
    pub roles_path: Vec<PathBuf>,
    /// The kinds of task that exist, by short name.
    pub kinds: &'a [&'a str],
    pub config: Config,
}

#[derive(Debug, Clone, Default)]
pub struct Project {
    pub inventory: Inventory,
    pub plays: Vec<Play>,
    pub extra_vars: Vars,
    pub config: Config,
    /// What is worth a word but no fault.
    pub warnings: Diagnostics,
}
