//! What a measurement leaves behind: the files of one run, as whoever measures writes them and the report reads them.
//!
//! ```text
//! results/TESTBED/RUN/samples.csv        one row = one request         (sample)
//!                    environment.json    how and where it was measured (record)
//!                    results.json        the same for other tools      (tasks)
//! ```
//!
//! Knows the form of the files only: not how a measurement is made, and nothing of statistics.

pub mod record;
pub mod sample;
pub mod taken;
pub mod tasks;

/// The raw samples.
pub const SAMPLES: &str = "samples.csv";
/// The record of the run.
pub const RECORD: &str = "environment.json";
/// The commands that were run and what they printed.
pub const TASKS: &str = "results.json";
