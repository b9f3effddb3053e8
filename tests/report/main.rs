//! `tbctl report`: what it writes, and what it says about results that are damaged.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what is wrong by stopping")]

mod bad;
mod files;
mod made;
mod numbers;

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The binary, run in a directory.
fn report(dir: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tbctl")).arg("report").args(words).current_dir(dir).output().unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// Not a test: writes results of the size of the thesis into `target/report-made`, to look at the page.
/// `cargo test --test report -- --ignored looked_at && tbctl report target/report-made`
#[test]
#[ignore = "for looking at the page"]
fn results_to_be_looked_at() {
    let dir = root().join("target/report-made");
    let _ = fs::remove_dir_all(&dir);
    made::all(&dir, 2, 10_000);
}

/// Not a test: writes the small measurement whose report is kept as a snapshot.
#[test]
#[ignore = "changes the fixture"]
fn small_results() {
    let dir = root().join("tests/report/small");
    let _ = fs::remove_dir_all(&dir);
    for (at, made) in made::SCENARIOS.iter().enumerate() {
        let mut dice = made::Dice(40 + at as u64);
        made::write(&dir, &made::record(made, "r", 40), &made::samples(made, 40, &mut dice));
    }
    let mut again = made::record(&made::SCENARIOS[1], "r2", 40);
    again.started = "2026-03-02T10:00:00Z".into();
    made::write(&dir, &again, &made::samples(&made::SCENARIOS[1], 40, &mut made::Dice(50)));
}

/// Not a test: results with everything that is unusual, to look at.
#[test]
#[ignore = "for looking at the page"]
fn odd_results_to_be_looked_at() {
    let dir = root().join("target/report-odd");
    let _ = fs::remove_dir_all(&dir);
    made::odd(&dir);
}
