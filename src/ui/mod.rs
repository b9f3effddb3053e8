//! What people see of a run: events become lines, live rows, plans, recaps; or one JSON object a line.
//!
//! Reads events and the [`crate::event::Run`] folded from them, nothing else: a recorded run looks like a live one. All
//! texts are made by pure functions; [`screen`] is the only place that writes, and nothing leaves it that was not redacted.

pub mod diff;
pub mod failure;
pub mod lines;
pub mod live;
pub mod look;
pub mod plan;
pub mod recap;
pub mod rows;
pub mod screen;
