//! tbctl: a playbook compiler.

pub mod diag;
pub mod secret;
