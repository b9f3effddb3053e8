//! The language: text becomes a [`node::Node`] tree in which every value knows its place, then plays, inventories, templates and scopes.
//!
//! Knows nothing of the kinds of task, of hosts as machines, or of graphs.

pub mod config;
pub mod decode;
pub mod inherit;
pub mod inventory;
pub mod lookup;
pub mod loops;
pub mod node;
pub mod playbook;
pub mod project;
pub mod role;
pub mod search;
pub mod task;
pub mod template;
