//! The language: text becomes a [`node::Node`] tree in which every value knows its place, then plays, inventories, templates and scopes.
//!
//! Knows nothing of the kinds of task, of hosts as machines, or of graphs.

mod action;
pub mod beside;
pub mod config;
pub mod connection;
pub mod decode;
mod entries;
pub(crate) mod extra;
pub mod files;
pub(crate) mod filters;
pub mod fixed;
pub mod gaps;
pub mod hostname;
pub mod include;
pub mod inherit;
pub mod ini;
pub mod inventory;
pub mod inventory_text;
pub mod inventory_yaml;
pub mod keyvalue;
pub mod keyword;
pub mod links;
pub mod literal;
pub mod lookup;
pub mod loops;
pub mod node;
pub mod pattern;
pub mod playbook;
mod playbook_read;
pub mod project;
mod reader;
pub mod role;
mod role_read;
pub mod scalar;
pub mod search;
mod sequence;
pub mod sources;
pub mod task;
pub mod template;
pub mod within;
mod word;
pub mod yaml;
mod yaml_fault;
