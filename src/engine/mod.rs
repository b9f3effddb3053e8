//! The engine: decides what runs when, and drives it.
//!
//! `schedule` is a pure state machine over orders and answers; `ready` renders and decodes one node; `scope` is the one table of
//! variable precedence; `drive` is the only loop that waits.

mod answers;
mod before;
mod confirm;
pub mod destroy;
pub mod digest;
pub mod drift;
pub mod drive;
mod ending;
mod facts;
mod gates;
mod handlers;
mod includes;
pub mod judge;
pub mod keys;
pub mod left;
mod loaded;
pub mod lockout;
mod looping;
mod magic;
pub mod measured;
mod meta;
mod order;
mod outputs;
pub mod plan_key;
pub mod precheck;
pub mod promise;
#[cfg(test)]
mod promise_tests;
mod prune;
pub mod ready;
mod report;
pub mod saved;
pub mod schedule;
pub mod scope;
pub mod state;
pub mod store;
pub mod survey;
mod terms;
#[cfg(test)]
mod tests;
pub mod walk;
