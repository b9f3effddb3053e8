//! Results that are damaged, foreign or not there: a sentence each, and all other runs are reported.

use std::fs;
use std::path::Path;

use crate::made;
use crate::report;
use crate::text;

/// A directory with one good run, changed.
fn changed(change: impl FnOnce(&Path)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let made = &made::SCENARIOS[0];
    made::write(dir.path(), &made::record(made, "good", 60), &made::samples(made, 60, &mut made::Dice(1)));
    let made = &made::SCENARIOS[1];
    made::write(dir.path(), &made::record(made, "bad", 60), &made::samples(made, 60, &mut made::Dice(2)));
    change(&dir.path().join("scenario-2/bad"));
    dir
}

/// The samples as text, with row 10 changed.
fn row(run: &Path, change: impl Fn(&str) -> String) {
    let path = run.join("samples.csv");
    let text = fs::read_to_string(&path).unwrap();
    let rows: Vec<String> =
        text.lines().enumerate().map(|(at, row)| if at == 10 { change(row) } else { row.into() }).collect();
    fs::write(&path, rows.join("\n") + "\n").unwrap();
}

fn replace(run: &Path, column: usize, value: &str) {
    row(run, |row| {
        let mut fields: Vec<&str> = row.split(',').collect();
        fields[column] = value;
        fields.join(",")
    });
}

/// What is said on stderr, and what stands in the table of runs.
#[track_caller]
fn check(change: impl FnOnce(&Path), said: &str, state: &str) {
    let dir = changed(change);
    let made = report(dir.path(), &["."]);
    let (out, err) = (text(&made.stdout), text(&made.stderr));
    assert_eq!(made.status.code(), Some(0), "{out}{err}");
    match said {
        "" => assert_eq!(err, ""),
        said => assert!(err.contains(said), "no `{said}` in\n{err}"),
    }
    assert!(out.contains("Scenario 1") && out.contains("index.html"), "{out}");
    let runs = fs::read_to_string(dir.path().join("report/tables/runs.csv")).unwrap();
    assert!(runs.contains(state), "no `{state}` in\n{runs}");
    assert!(runs.contains("scenario-1/good") && runs.contains(",valid\n"), "{runs}");
}

#[test]
fn damaged_samples_are_used_up_to_the_damage() {
    let damaged = "samples.csv is damaged at line 11, column";
    let used = "9 rows before that are used";
    for (column, value, said) in [
        (5, "abc", "`total_ms` is `abc`, which is not a number"),
        (5, "NaN", "`total_ms` is not a number"),
        (5, "-3", "`total_ms` is `-3`, and a time is never negative"),
        (5, "1e99", "`total_ms` is `1e99`, and nothing takes more than a week"),
        (6, "2xx", "`status` is `2xx`, which is not a whole number"),
        (0, "", "`number` is ``, which is not a whole number"),
    ] {
        check(|run| replace(run, column, value), said, damaged);
        check(|run| replace(run, column, value), "scenario-2/bad/samples.csv:11:", used);
    }
    check(|run| row(run, |row| row[..12].to_string()), "the row ends before `", used);
}

#[test]
fn samples_that_are_not_there() {
    let header = tbctl::results::sample::HEADER.join(",");
    for (content, said) in [
        ("", "samples.csv is empty: not even a header is there"),
        ("a,b,c\n1,2,3\n", "there is no column `number`"),
        (header.as_str(), "samples.csv has no rows: nothing was measured"),
    ] {
        check(|run| fs::write(run.join("samples.csv"), content).unwrap(), said, "NOT USED: nothing was measured");
    }
    check(|run| fs::remove_file(run.join("samples.csv")).unwrap(), "there is no ", "NOT USED: nothing was measured");
    let folder = |run: &Path| {
        fs::remove_file(run.join("samples.csv")).unwrap();
        fs::create_dir(run.join("samples.csv")).unwrap();
    };
    check(folder, "cannot read ./scenario-2/bad/samples.csv: ", "NOT USED: nothing was measured");
}

#[test]
fn files_of_other_systems_are_no_fault() {
    let foreign = |run: &Path| {
        for name in ["samples.csv", "environment.json"] {
            let text = fs::read_to_string(run.join(name)).unwrap();
            fs::write(run.join(name), format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
        }
    };
    check(foreign, "", "Scenario 2,scenario-2/bad,2026-03-01T10:03:00Z,60,0");
}

#[test]
fn records_that_are_missing_or_damaged() {
    let noted = "valid; has no readable record of how it was measured";
    let record = |text: &'static str| move |run: &Path| fs::write(run.join("environment.json"), text).unwrap();
    check(
        |run| fs::remove_file(run.join("environment.json")).unwrap(),
        "there is no ./scenario-2/bad/environment.json",
        noted,
    );
    check(record("{\"testbed\": \"x\",\n \"run\": 5}"), "environment.json:2:", noted);
    check(record("{\"testbed\": \"x\""), "this is no record of a run: EOF while parsing", noted);
    check(record(""), "this is no record of a run", noted);
}

#[test]
fn runs_that_prove_nothing_are_marked() {
    let unproven = |run: &Path| {
        let mut record = made::record(&made::SCENARIOS[1], "bad", 60);
        let path = record.path.as_mut().unwrap();
        (path.valid, path.why) = (false, Some("120 bytes went over wg0".into()));
        fs::write(run.join("environment.json"), serde_json::to_string(&record).unwrap()).unwrap();
    };
    check(unproven, "", "INVALID: the path is not proven: 120 bytes went over wg0");
    check(|run| replace(run, 6, "0"), "", "\"INVALID: 1 of 60 requests failed, which is more than 0.1 %\"");
    let partial = |run: &Path| {
        let mut record = made::record(&made::SCENARIOS[1], "bad", 100);
        record.state = tbctl::results::record::State::Partial("the connection was lost".into());
        fs::write(run.join("environment.json"), serde_json::to_string(&record).unwrap()).unwrap();
    };
    check(partial, "", "valid; it ended early: the connection was lost");
    // A mark on every number, and a warning before all of them.
    let dir = changed(unproven);
    report(dir.path(), &["."]);
    let page = fs::read_to_string(dir.path().join("report/report.md")).unwrap();
    assert!(page.contains("**Scenario 2 is not valid: the path is not proven: 120 bytes went over wg0."), "{page}");
    assert!(!page.contains("| Scenario 2 | 60"), "{page}");
}

#[test]
fn without_anything_to_report_there_is_no_report() {
    let empty = tempfile::tempdir().unwrap();
    fs::create_dir_all(empty.path().join("hollow/run")).unwrap();
    fs::create_dir_all(empty.path().join("nothing")).unwrap();
    fs::write(empty.path().join("file"), "").unwrap();
    let failed = changed(|run| fs::remove_dir_all(run.parent().unwrap()).unwrap());
    let samples = failed.path().join("scenario-1/good/samples.csv");
    fs::write(&samples, fs::read_to_string(&samples).unwrap().replace(",200,", ",0,")).unwrap();
    for (dir, word, said) in [
        (empty.path(), "nothing", "there are no results in nothing"),
        (empty.path(), "gone", "there is no gone"),
        (empty.path(), "file", "file is not a directory"),
        (empty.path(), "hollow", "hollow/run holds no results"),
        (failed.path(), ".", "no request in . was answered"),
    ] {
        let made = report(dir, &[word, "-o", "out"]);
        let err = text(&made.stderr);
        assert_eq!(made.status.code(), Some(1), "{word}: {err}");
        assert!(err.contains(said) && made.stdout.is_empty(), "{word}: no `{said}` in\n{err}");
        assert!(!dir.join("out").exists(), "{word}");
    }
    // Where nothing can be written.
    let dir = changed(|_| ());
    fs::write(dir.path().join("out"), "").unwrap();
    let made = report(dir.path(), &[".", "-o", "out"]);
    assert_eq!(made.status.code(), Some(1));
    assert!(text(&made.stderr).contains("cannot write out/figures"), "{}", text(&made.stderr));
}

#[test]
fn one_run_and_one_testbed_can_be_reported_alone() {
    let dir = changed(|_| ());
    for word in ["scenario-1", "scenario-1/good"] {
        let made = report(dir.path(), &[word]);
        let out = text(&made.stdout);
        assert!(made.status.success() && made.stderr.is_empty(), "{}", text(&made.stderr));
        assert!(out.contains("Scenario 1") && !out.contains("Scenario 2"), "{out}");
        assert!(dir.path().join(word).join("report/index.html").exists(), "{word}");
    }
}
