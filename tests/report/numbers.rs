//! The numbers, against an independent computation with numpy.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use tbctl::results::record::Record;
use tbctl::results::sample::Sample;

use crate::made;
use crate::made::Dice;
use crate::report;
use crate::root;
use crate::text;

/// A Python with numpy, made once in the target directory.
fn python() -> PathBuf {
    let home = root().join("target/report-python");
    let python = home.join("bin/python");
    let has =
        |python: &Path| Command::new(python).args(["-c", "import numpy"]).output().is_ok_and(|it| it.status.success());
    if !has(&python) {
        for (program, words) in [
            (Path::new("python3"), vec!["-m", "venv", home.to_str().unwrap()]),
            (&python, vec!["-m", "pip", "install", "--quiet", "numpy"]),
        ] {
            let done = Command::new(program).args(&words).output().unwrap();
            assert!(done.status.success(), "{program:?} {words:?}: {}", text(&done.stderr));
        }
    }
    python
}

/// A run of times that are all answered, but for those that are negative here.
fn write(dir: &Path, scenario: &str, run: &str, times: &[f64]) {
    let row = |(at, time): (usize, &f64)| Sample {
        number: at as u64 + 1,
        total_ms: time.abs(),
        status: if *time < 0.0 { 0 } else { 200 },
        error: if *time < 0.0 { "no answer".into() } else { String::new() },
        ..Sample::default()
    };
    let samples: Vec<Sample> = times.iter().enumerate().map(row).collect();
    let record = Record { testbed: scenario.into(), run: run.into(), scenario: scenario.into(), ..Record::default() };
    made::write(dir, &record, &samples);
}

/// Shapes that break what is computed carelessly.
fn hostile(dir: &Path) {
    let mut dice = Dice(7);
    write(dir, "one", "a", &[2.042]);
    write(dir, "two", "a", &[1.5, 2.25]);
    write(dir, "few", "a", &[3.0, 1.0, 2.0, 5.0, 4.0]);
    write(dir, "equal", "a", &[2.1; 100]);
    write(dir, "zero", "a", &[0.0; 40]);
    write(dir, "thirty", "a", &(0..30).map(|_| dice.fraction()).collect::<Vec<_>>());
    let heavy: Vec<f64> = (0..5000).map(|_| (1.0 / dice.fraction().max(1e-6)).powf(1.2)).collect();
    write(dir, "heavy", "a", &heavy);
    write(dir, "long", "a", &(0..40).map(|at| 6e8 - f64::from(at) * 1e6).collect::<Vec<_>>());
    let failing: Vec<f64> = (0..500).map(|at| if at % 50 == 0 { -5000.0 } else { 2.0 + dice.fraction() }).collect();
    write(dir, "failing", "a", &failing);
    for (run, n) in [("a", 700), ("b", 1), ("c", 350)] {
        write(dir, "uneven", run, &(0..n).map(|_| 2.0 + dice.bell().abs()).collect::<Vec<_>>());
    }
}

#[test]
fn every_printed_digit_is_numpys() {
    let dir = tempfile::tempdir().unwrap();
    let results = dir.path().join("results");
    made::all(&results, 2, 1200);
    made::write(
        &results,
        &Record { testbed: "many".into(), run: "a".into(), scenario: "many".into(), ..Record::default() },
        &made::samples(&made::SCENARIOS[2], 10_000, &mut Dice(3)),
    );
    hostile(&results);
    let made = report(dir.path(), &["results", "-o", "out"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let script = root().join("tests/report/check.py");
    let checked = Command::new(python()).arg(script).args(["results", "out"]).current_dir(dir.path()).output().unwrap();
    let said = text(&checked.stdout);
    assert!(checked.status.success(), "{said}{}", text(&checked.stderr));
    // 15 scenarios with 11 cells each, and what is compared.
    let cells: usize = said.split(' ').next().unwrap().parse().unwrap();
    assert!(cells > 200, "{said}");
}

#[test]
fn a_wrong_digit_is_found() {
    let dir = tempfile::tempdir().unwrap();
    made::all(&dir.path().join("results"), 2, 50);
    assert!(report(dir.path(), &["results", "-o", "out"]).status.success());
    let path = dir.path().join("out/tables/statistics.csv");
    let table = fs::read_to_string(&path).unwrap();
    let cell = table.lines().nth(1).unwrap().split(',').nth(3).unwrap().to_string();
    let other = format!("{:.4}", cell.parse::<f64>().unwrap() + 0.0001);
    fs::write(&path, table.replace(&cell, &other)).unwrap();
    let script = root().join("tests/report/check.py");
    let checked = Command::new(python()).arg(script).args(["results", "out"]).current_dir(dir.path()).output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        text(&checked.stdout).starts_with(&format!("Scenario 1, average ms: printed '{other}', computed '{cell}'"))
    );
}
