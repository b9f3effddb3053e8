//! Shells of hosts: questions, streams of steps and the way back, against a server in this process.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unreachable_pub, reason = "the parts of a test are no library")]

mod apply;
mod confirm;
mod crash;
mod lock;
mod places;
mod probe;
mod rig;
#[path = "../support/mod.rs"]
mod support;
mod undo;
