//! tbctl: a playbook compiler.

pub mod diag;
pub mod lab;
pub mod lang;
pub mod remote;
pub mod secret;
