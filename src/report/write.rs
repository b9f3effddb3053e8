//! The files of a report. Each is there whole or not at all.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::diag::Diagnostic;
use crate::report::page::Page;
use crate::report::png::Painter;

/// Writes all files, and gives the path of the page.
pub(super) fn write(page: &Page, out: &Path) -> Result<PathBuf, Diagnostic> {
    for folder in ["figures", "tables"] {
        make(&out.join(folder))?;
    }
    let painter = Painter::new();
    for figure in page.figures.all() {
        let path = |ending: &str| out.join("figures").join(format!("{}.{ending}", figure.name));
        let png = painter.paint(&figure.wide);
        let png = png.map_err(|error| Diagnostic::error(format!("cannot draw {}: {error:#}", figure.name)))?;
        put(&path("svg"), figure.wide.as_bytes())?;
        put(&path("png"), &png)?;
    }
    for table in &page.tables {
        put(&out.join("tables").join(format!("{}.csv", table.name)), &table.csv())?;
    }
    put(&out.join("report.md"), page.markdown.as_bytes())?;
    let index = out.join("index.html");
    put(&index, page.html.as_bytes())?;
    Ok(index)
}

fn make(path: &Path) -> Result<(), Diagnostic> {
    fs::create_dir_all(path).map_err(|error| unwritable(path, &error))
}

/// Beside its place first: whoever looks meanwhile sees the old file.
fn put(path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let beside = path.with_file_name(name);
    fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path)).map_err(|error| {
        // It may not be there at all.
        let _ = fs::remove_file(&beside);
        unwritable(path, &error)
    })
}

fn unwritable(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(format!("cannot write {}: {error}", path.display())).help("name another place with -o")
}
