//! Keeps what benchmarks measured: a reader of events that writes the files of `results/TESTBED/RUN`.
//!
//! Knows nothing of how a measurement is made, nor of what a report makes of it.

pub mod keeper;
pub mod merge;
pub mod proof;
pub mod runs;
