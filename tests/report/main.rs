//! `tbctl report`: what it writes, and what it says about results that are damaged.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what is wrong by stopping")]

mod made;

/// Not a test: writes results of the size of the thesis into `target/report-made`, to look at the page.
/// `cargo test --test report -- --ignored looked_at && tbctl report target/report-made`
#[test]
#[ignore = "for looking at the page"]
fn results_to_be_looked_at() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/report-made");
    let _ = std::fs::remove_dir_all(&dir);
    made::all(&dir, 2, 10_000);
}
