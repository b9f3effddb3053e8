//! The language: text becomes a [`node::Node`] tree in which every value knows its place, then plays, inventories, templates and scopes.
//!
//! Knows nothing of the kinds of task, of hosts as machines, or of graphs.

pub mod beside;
pub mod config;
pub mod connection;
pub mod decode;
pub mod files;
pub mod hostname;
pub mod inherit;
pub mod ini;
pub mod inventory;
pub mod inventory_yaml;
pub mod keyvalue;
pub mod literal;
pub mod lookup;
pub mod loops;
pub mod node;
pub mod pattern;
pub mod playbook;
pub mod project;
pub mod role;
pub mod scalar;
pub mod search;
pub mod sources;
pub mod task;
pub mod template;
pub mod yaml;
mod yaml_fault;
