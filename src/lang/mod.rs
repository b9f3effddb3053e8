//! The language: text becomes a [`node::Node`] tree in which every value knows its place, then plays, inventories, templates and scopes.
//!
//! Knows nothing of the kinds of task, of hosts as machines, or of graphs.

pub mod decode;
pub mod lookup;
pub mod node;
pub mod template;
