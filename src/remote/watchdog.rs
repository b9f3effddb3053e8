//! The text of a host's watchdog: it waits, and takes back what one part did, by the same words as `destroy`.
//!
//! Only text is made here; when it is sent, and who calls it off, is `confirm`'s. Its functions are in `watchdog.sh`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::change::fuse;
use crate::change::sh;
use crate::journal::Back;
use crate::journal::Entry;
use crate::journal::near::Near;

use super::stream;
use super::undo;

/// For the shell that starts a watchdog, and for the one that calls it off.
pub(super) const FUNCTIONS: &str = include_str!("watchdog.sh");

/// Shell text that starts a watchdog over these entries, in order of first touch.
pub(super) fn arm(within: Duration, entries: &[Entry]) -> String {
    let seconds = within.as_secs().max(1);
    format!("_tb_arm {seconds} {}\n", sh::quote(&text(entries)))
}

/// A script that needs nothing but itself, the run directory and the journal.
fn text(entries: &[Entry]) -> String {
    let units: BTreeSet<&str> = entries.iter().filter_map(unit).collect();
    let units = sh::quote(&units.into_iter().collect::<Vec<_>>().join(" "));
    let newest: Vec<Entry> = entries.iter().rev().cloned().collect();
    // Nobody else is asked within so short a time: what is found there is taken back whatever it is.
    let back = undo::way_back(&newest, true, &Near::default());
    let (prelude, functions) = (fuse::PRELUDE, stream::FUNCTIONS);
    format!("{prelude}\n{functions}\n{FUNCTIONS}\n_tb_back() {{\n{back}}}\n_tb_units={units}\n_tb_watch \"$@\"\n")
}

/// A unit that has to run again afterwards, if it ran.
fn unit(entry: &Entry) -> Option<&str> {
    match &entry.undo {
        Back::Again { unit, .. } => Some(unit),
        Back::Restore { .. } | Back::By { .. } | Back::Never { .. } => None,
    }
}
