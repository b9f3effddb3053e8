//! `tbctl report`: from directories of results to statistics, figures and a page.
//!
//! ```text
//! directory ─read→ Run… ─group→ Scenario… ─stats, compare→ numbers ─tables, figure→ Table, Figure ─page, write→ files
//! ```
//!
//! Pure but for its two ends: `read` reads files and `write` writes them. It knows nothing of how results are made, and what
//! it is not told it does not guess.

mod bootstrap;
mod compare;
mod environment;
mod figure;
mod group;
mod page;
mod png;
mod read;
mod stats;
mod table;
mod tables;
mod thesis;
mod verdict;
mod words;
mod write;

use std::path::Path;
use std::path::PathBuf;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;

/// What was made, and what was wrong with what it was made of.
#[derive(Debug)]
pub struct Made {
    /// The most important table, in at most 80 columns.
    pub text: String,
    /// The page.
    pub index: PathBuf,
    /// One for each file that is damaged or missing; all other runs are reported.
    pub faults: Diagnostics,
}

/// Reads `dir`, and writes the report into `out` (`report` in `dir`, if nothing is said).
///
/// # Errors
/// There is nothing to report, or the report cannot be written.
pub fn make(dir: &Path, out: Option<&Path>) -> Result<Made, Diagnostics> {
    let out = out.map_or_else(|| dir.join("report"), Path::to_path_buf);
    let (runs, mut faults) = read::read(dir, &out)?;
    let set = group::group(runs);
    if set.scenarios.is_empty() {
        let none = Diagnostic::error(format!("no request in {} was answered", dir.display()));
        faults.push(none.help("a results directory holds TESTBED/RUN/samples.csv with a row for each request"));
        return Err(faults);
    }
    let page = page::Page::new(&set).map_err(Diagnostics::from)?;
    let index = write::write(&page, &out).map_err(Diagnostics::from)?;
    Ok(Made { text: page.text, index, faults })
}
