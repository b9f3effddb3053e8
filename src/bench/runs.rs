//! Which runs of a testbed are kept already.

use std::collections::BTreeMap;
use std::path::Path;

use crate::results::RECORD;
use crate::results::SAMPLES;
use crate::results::record::Record;
use crate::results::record::State;

/// By name: the digest of what it was measured with, and whether all of it is there. What cannot be read is not known, and
/// will be measured again.
pub fn runs(directory: &Path) -> BTreeMap<String, (String, bool)> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let runs = entries.filter_map(|entry| {
        let record = record(&entry.path())?;
        let whole = record.state == State::Complete && entry.path().join(SAMPLES).is_file();
        Some((entry.file_name().into_string().ok()?, (record.inputs?, whole)))
    });
    runs.collect()
}

/// The record of a run's directory.
pub(super) fn record(directory: &Path) -> Option<Record> {
    serde_json::from_slice(&std::fs::read(directory.join(RECORD)).ok()?).ok()
}
