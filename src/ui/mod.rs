//! What people see of a run: events become lines, live rows, plans, recaps; or one JSON object a line.
//!
//! Reads events and the [`crate::event::Run`] folded from them, nothing else: a recorded run looks like a live one. All
//! texts are made by pure functions; `screen` is the only place that writes, and nothing leaves it that was not redacted.

pub mod live;
pub mod look;
