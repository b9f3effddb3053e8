//! Finds the runs below a directory, and reads as much of each as can be read.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Severity;
use crate::diag::Source;
use crate::diag::Span;
use crate::results;
use crate::results::record::MOST_ERRORS;
use crate::results::record::Record;
use crate::results::record::State;
use crate::results::sample;
use crate::results::sample::Sample;

/// One run as it was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Run {
    /// As the record says, or the name of the directory.
    pub(super) testbed: String,
    pub(super) name: String,
    /// What could be read of it; none if there is none.
    pub(super) record: Option<Record>,
    pub(super) samples: Vec<Sample>,
    /// Why its numbers prove nothing.
    pub(super) invalid: Vec<String>,
    /// What else is to be known about it.
    pub(super) notes: Vec<String>,
}

impl Run {
    /// In milliseconds, of the requests that were answered, in their order.
    pub(super) fn times(&self) -> Vec<f64> {
        self.samples.iter().filter(|sample| !sample.failed()).map(|sample| sample.total_ms).collect()
    }

    pub(super) fn errors(&self) -> usize {
        self.samples.iter().filter(|sample| sample.failed()).count()
    }
}

/// All runs below `dir`, in the order of their names, and what is wrong with them. `out` is no run.
pub(super) fn read(dir: &Path, out: &Path) -> Result<(Vec<Run>, Diagnostics), Diagnostics> {
    let entries = directories(dir, out).map_err(|error| unreadable(dir, &error))?;
    let mut faults = Diagnostics::default();
    let mut found = Vec::new();
    match is_run(dir) {
        true => found.push(dir.to_path_buf()),
        false => {
            for entry in entries {
                below(&entry, out, &mut found, &mut faults);
            }
        }
    }
    if found.is_empty() && faults.list.is_empty() {
        let none = Diagnostic::error(format!("there are no results in {}", dir.display()));
        return Err(none
            .help("`tbctl apply` writes results/TESTBED/RUN/samples.csv; name the directory `results`")
            .into());
    }
    let runs = found.iter().map(|path| run(path, &mut faults)).collect();
    Ok((runs, faults))
}

/// The runs of one testbed, or the one run that this is.
fn below(path: &Path, out: &Path, found: &mut Vec<PathBuf>, faults: &mut Diagnostics) {
    if is_run(path) {
        found.push(path.to_path_buf());
        return;
    }
    let inner = match directories(path, out) {
        Ok(inner) => inner,
        Err(error) => return faults.push(unreadable(path, &error)),
    };
    let runs: Vec<PathBuf> = inner.iter().filter(|inner| is_run(inner)).cloned().collect();
    let empty: Vec<&PathBuf> = inner.iter().filter(|inner| !is_run(inner)).collect();
    if runs.is_empty() && empty.is_empty() {
        faults.push(warning(format!("{} holds no results", path.display())));
    }
    for empty in empty {
        faults.push(warning(format!("{} holds no results: no {} is there", empty.display(), results::SAMPLES)));
    }
    found.extend(runs);
}

fn is_run(path: &Path) -> bool {
    path.join(results::SAMPLES).exists() || path.join(results::RECORD).exists()
}

/// The directories in one, but for hidden ones and the report's own.
fn directories(path: &Path, out: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let own = path == out || path.file_name().is_some_and(|name| name == "report") && !is_run(&path);
        if path.is_dir() && !hidden && !own {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn warning(text: String) -> Diagnostic {
    Diagnostic::warning(text)
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let name = path.display();
    let (text, help) = match error.kind() {
        io::ErrorKind::NotFound => (format!("there is no {name}"), "name the directory that holds the results"),
        io::ErrorKind::NotADirectory => {
            (format!("{name} is not a directory"), "name the directory that holds the results")
        }
        io::ErrorKind::PermissionDenied => (format!("{name} may not be read"), "give yourself the right to read it"),
        _ => return Diagnostic::error(format!("cannot read {name}: {error}")),
    };
    Diagnostic::error(text).help(help)
}

/// Never fails: what cannot be read is noted, in the run and among the faults.
fn run(path: &Path, faults: &mut Diagnostics) -> Run {
    let name = |path: &Path| path.file_name().map_or_else(|| ".".into(), |name| name.to_string_lossy().into_owned());
    let full = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mut run = Run { testbed: full.parent().map(name).unwrap_or_default(), name: name(&full), ..Run::default() };
    match record(&path.join(results::RECORD)) {
        Ok(record) => {
            for (own, said) in [(&mut run.testbed, &record.testbed), (&mut run.name, &record.run)] {
                if !said.is_empty() {
                    own.clone_from(said);
                }
            }
            run.record = Some(record);
        }
        Err(fault) => {
            run.notes.push("has no readable record of how it was measured".into());
            faults.push(fault);
        }
    }
    let file = path.join(results::SAMPLES);
    match fs::read(&file) {
        Ok(bytes) => {
            let read = sample::read(&file.display().to_string(), &bytes);
            run.samples = read.rows;
            if let Some(fault) = read.fault {
                run.notes.push(damage(&fault, run.samples.len()));
                faults.push(Diagnostic { severity: Severity::Warning, ..fault });
            } else if run.samples.is_empty() {
                faults.push(warning(format!("{} has no rows: nothing was measured", file.display())));
            }
        }
        Err(error) => faults.push(Diagnostic { severity: Severity::Warning, ..unreadable(&file, &error) }),
    }
    judge(&mut run);
    run
}

fn damage(fault: &Diagnostic, rows: usize) -> String {
    let place = fault.span.as_ref().map(|span| {
        let (line, column) = span.line_column();
        format!(" at line {line}, column {column}")
    });
    format!("{} is damaged{}: {rows} rows before that are used", results::SAMPLES, place.unwrap_or_default())
}

fn record(path: &Path) -> Result<Record, Diagnostic> {
    let name = path.display().to_string();
    let text =
        fs::read(path).map_err(|error| Diagnostic { severity: Severity::Warning, ..unreadable(path, &error) })?;
    let text = String::from_utf8_lossy(&text);
    let text = text.trim_start_matches('\u{feff}');
    serde_json::from_str(text).map_err(|error| {
        let start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = start + error.column().saturating_sub(1);
        let source = Source::new(&name, text);
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        warning(format!("this is no record of a run: {what}"))
            .at(&Span::new(&source, at, at + 1))
            .help("the run is reported without it")
    })
}

/// What makes a run invalid, and what only has to be said.
fn judge(run: &mut Run) {
    let (all, errors) = (run.samples.len(), run.errors());
    #[expect(clippy::cast_precision_loss, reason = "no run has 2^52 requests")]
    let share = errors as f64 / all.max(1) as f64;
    if share > MOST_ERRORS {
        run.invalid.push(format!("{errors} of {all} requests failed, which is more than 0.1 %"));
    }
    let Some(record) = &run.record else { return };
    if let Some(path) = record.path.as_ref().filter(|path| !path.valid) {
        let why = path.why.as_deref().unwrap_or("the bytes over the tunnel do not account for the requests");
        run.invalid.push(format!("the path is not proven: {why}"));
    }
    if let State::Partial(why) = &record.state {
        run.notes.push(format!("it ended early: {why}"));
    }
    if let Some(settings) = &record.settings
        && record.state == State::Complete
        && settings.requests != all as u64
    {
        run.notes.push(format!("{all} of {} requests are in the file", settings.requests));
    }
}
