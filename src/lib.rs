//! tbctl: a playbook compiler.

pub mod change;
pub mod cli;
pub mod diag;
pub mod engine;
pub mod event;
pub mod graph;
pub mod journal;
pub mod lab;
pub mod lang;
pub mod modules;
pub mod remote;
pub mod secret;
pub mod ui;
