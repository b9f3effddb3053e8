//! Which runs are repetitions of each other, and which are left out, and why.
//!
//! Repetitions are runs of one testbed with the same scenario, connections, pace and inputs. Their samples are pooled; never
//! their percentiles. A run that proves nothing is pooled only with its like, and then all of it is marked.

use std::collections::BTreeSet;

use crate::report::bootstrap;
use crate::report::read::Run;
use crate::report::stats;
use crate::report::stats::Interval;
use crate::report::stats::Summary;
use crate::results::record::Connection;
use crate::results::record::Pace;
use crate::results::record::Record;
use crate::results::record::Settings;

/// The order in which the scenarios of the thesis are shown; all others follow by name.
const ORDER: [&str; 4] = ["1", "2", "3", "control"];

/// Everything that is reported.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Set {
    pub(super) scenarios: Vec<Scenario>,
    pub(super) rest: Vec<Rest>,
}

/// A run that is in no number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rest {
    pub(super) run: Run,
    pub(super) why: String,
}

/// All repetitions of one measurement, with at least one request that was answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scenario {
    pub(super) key: String,
    /// Short and unique.
    pub(super) label: String,
    /// The same for names of files.
    pub(super) slug: String,
    pub(super) title: String,
    /// The oldest first.
    pub(super) runs: Vec<Run>,
    /// Of all runs, one after the other.
    pub(super) times: Vec<f64>,
    pub(super) summary: Summary,
    /// All requests, answered or not.
    pub(super) count: usize,
    pub(super) errors: usize,
    /// Means drawn by the bootstrap.
    pub(super) draws: Vec<f64>,
    pub(super) interval: Option<Interval>,
    /// Of the times since the requests were due; only of an open loop.
    pub(super) response: Option<Summary>,
    /// Why nothing of it proves anything; empty if it does.
    pub(super) invalid: Vec<String>,
}

impl Scenario {
    /// The record of its newest run that has one.
    pub(super) fn record(&self) -> Option<&Record> {
        self.runs.iter().rev().find_map(|run| run.record.as_ref())
    }

    pub(super) fn settings(&self) -> Option<&Settings> {
        self.record().and_then(|record| record.settings.as_ref())
    }

    /// The means of its runs, for those that have one.
    pub(super) fn means(&self) -> Vec<f64> {
        let times = self.runs.iter().map(Run::times).filter(|times| !times.is_empty());
        times.map(|times| stats::mean(&times)).collect()
    }

    /// The label, with a mark if it is not valid: nothing that proves nothing stands anywhere without it.
    pub(super) fn marked(&self) -> String {
        match self.invalid.is_empty() {
            true => self.label.clone(),
            false => format!("{} (invalid)", self.label),
        }
    }
}

/// What repetitions have in common, but for their inputs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Like {
    rank: (usize, String),
    testbed: String,
    keepalive: bool,
    rate: String,
}

impl Like {
    fn of(run: &Run) -> Like {
        let key = key(run);
        let settings = run.record.as_ref().and_then(|record| record.settings.as_ref());
        let at = ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
        Like {
            rank: (at, key),
            testbed: run.testbed.clone(),
            keepalive: settings.is_some_and(|settings| settings.connection == Connection::Keepalive),
            rate: match settings.map(|settings| settings.pace) {
                Some(Pace::Open { rate_per_second }) => format!("{rate_per_second}"),
                _ => String::new(),
            },
        }
    }
}

/// What a run is compared as. Without a record nobody knows; then it stands for itself.
fn key(run: &Run) -> String {
    match &run.record {
        Some(record) if !record.scenario.is_empty() => record.scenario.clone(),
        Some(_) => run.testbed.clone(),
        None => format!("{} (no record)", run.testbed),
    }
}

/// Runs become scenarios.
pub(super) fn group(mut runs: Vec<Run>) -> Set {
    let started = |run: &Run| run.record.as_ref().map(|record| record.started.clone()).unwrap_or_default();
    runs.sort_by_key(|run| (started(run), run.name.clone()));
    let likes: BTreeSet<Like> = runs.iter().map(Like::of).collect();
    let mut set = Set { scenarios: Vec::new(), rest: Vec::new() };
    for like in likes {
        let (same, other) = runs.into_iter().partition(|run| Like::of(run) == like);
        runs = other;
        let used = choose(same, &mut set.rest);
        set.scenarios.extend(scenario(&like, used));
    }
    name(&mut set.scenarios);
    set
}

/// The runs of the newest inputs; of them those that are valid, if there is one.
fn choose(runs: Vec<Run>, rest: &mut Vec<Rest>) -> Vec<Run> {
    let inputs = |run: &Run| run.record.as_ref().and_then(|record| record.inputs.clone());
    let out = |run: Run, why: &str, rest: &mut Vec<Rest>| rest.push(Rest { run, why: why.into() });
    let (measured, nothing): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(|run| !run.times().is_empty());
    for run in nothing {
        let why = match run.samples.is_empty() {
            true => "nothing was measured",
            false => "no request was answered",
        };
        out(run, why, rest);
    }
    let newest = measured.last().and_then(inputs);
    let (same, older): (Vec<Run>, Vec<Run>) = measured.into_iter().partition(|run| inputs(run) == newest);
    for run in older {
        out(run, "measured with other inputs than the newest run", rest);
    }
    let (valid, invalid): (Vec<Run>, Vec<Run>) = same.into_iter().partition(|run| run.invalid.is_empty());
    if valid.is_empty() {
        return invalid;
    }
    for run in invalid {
        let why = format!("not valid: {}", run.invalid.join("; "));
        out(run, &why, rest);
    }
    valid
}

fn scenario(like: &Like, runs: Vec<Run>) -> Option<Scenario> {
    let series: Vec<(String, Vec<f64>)> =
        runs.iter().map(|run| (format!("{}/{}", run.testbed, run.name), run.times())).collect();
    let times: Vec<f64> = series.iter().flat_map(|(_, times)| times.clone()).collect();
    let summary = stats::summary(&times)?;
    let draws = bootstrap::means(&series);
    let late = runs.iter().flat_map(|run| &run.samples).filter(|sample| !sample.failed());
    let late: Vec<f64> = late.map(|sample| sample.response_ms().max(0.0)).collect();
    let titles = runs.iter().rev().filter_map(|run| run.record.as_ref()).map(|record| record.title.clone());
    let title = titles.into_iter().find(|title| !title.is_empty());
    let mut invalid: Vec<String> = runs.iter().flat_map(|run| run.invalid.clone()).collect();
    invalid.dedup();
    Some(Scenario {
        key: like.rank.1.clone(),
        label: label(like),
        slug: String::new(),
        title: title.unwrap_or_default(),
        count: runs.iter().map(|run| run.samples.len()).sum(),
        errors: runs.iter().map(Run::errors).sum(),
        response: (!like.rate.is_empty()).then(|| stats::summary(&late)).flatten(),
        interval: bootstrap::interval(&draws),
        invalid,
        runs,
        times,
        summary,
        draws,
    })
}

fn label(like: &Like) -> String {
    let key = &like.rank.1;
    let mut label = match key.as_str() {
        "control" => "Control".to_string(),
        key if key.bytes().all(|byte| byte.is_ascii_digit()) => format!("Scenario {key}"),
        key => key.to_string(),
    };
    if like.keepalive {
        label += ", keep-alive";
    }
    if !like.rate.is_empty() {
        label += &format!(", open {}/s", like.rate);
    }
    label
}

/// Makes labels unique: by the testbed where two are the same. Names of files follow.
fn name(scenarios: &mut [Scenario]) {
    let labels: Vec<String> = scenarios.iter().map(|one| one.label.clone()).collect();
    let mut slugs = BTreeSet::new();
    for scenario in scenarios {
        if labels.iter().filter(|label| **label == scenario.label).count() > 1 {
            let testbed = scenario.runs.first().map(|run| run.testbed.clone()).unwrap_or_default();
            scenario.label += &format!(" ({testbed})");
        }
        if scenario.title.is_empty() {
            scenario.title.clone_from(&scenario.label);
        }
        let slug = slug(&scenario.label);
        let free = (1..).map(|at| if at == 1 { slug.clone() } else { format!("{slug}-{at}") });
        scenario.slug = free.into_iter().find(|slug| !slugs.contains(slug)).unwrap_or_default();
        slugs.insert(scenario.slug.clone());
    }
}

/// Letters, digits and single dashes.
pub(super) fn slug(text: &str) -> String {
    let words = text.split(|one: char| !one.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    if slug.is_empty() { "scenario".into() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::Sample;

    fn run(testbed: &str, name: &str, change: impl FnOnce(&mut Run, &mut Record)) -> Run {
        let sample = Sample { number: 1, total_ms: 2.0, status: 200, ..Sample::default() };
        let mut run = Run { testbed: testbed.into(), name: name.into(), samples: vec![sample], ..Run::default() };
        let mut record = Record { scenario: testbed.into(), started: name.into(), ..Record::default() };
        change(&mut run, &mut record);
        run.record = Some(record);
        run
    }

    /// Labels with the names of their runs, and the rest with why.
    #[track_caller]
    fn check(runs: Vec<Run>, used: &[(&str, &[&str])], rest: &[(&str, &str)]) {
        let set = group(runs);
        let found: Vec<(&str, Vec<&str>)> = set
            .scenarios
            .iter()
            .map(|one| (one.label.as_str(), one.runs.iter().map(|run| run.name.as_str()).collect()))
            .collect();
        assert_eq!(found, used.iter().map(|(label, runs)| (*label, runs.to_vec())).collect::<Vec<_>>());
        let found: Vec<(&str, &str)> = set.rest.iter().map(|one| (one.run.name.as_str(), one.why.as_str())).collect();
        assert_eq!(found, rest);
    }

    #[test]
    fn repetitions_are_pooled_and_in_order() {
        let plain = |testbed, name| run(testbed, name, |_, _| ());
        check(
            vec![plain("control", "a"), plain("x y", "a"), plain("2", "b"), plain("2", "a"), plain("1", "a")],
            &[("Scenario 1", &["a"]), ("Scenario 2", &["a", "b"]), ("Control", &["a"]), ("x y", &["a"])],
            &[],
        );
    }

    #[test]
    fn what_is_not_alike_is_not_pooled() {
        let settings =
            |connection, pace| Some(Settings { url: String::new(), requests: 1, warm_up: 0, connection, pace });
        let open = Pace::Open { rate_per_second: 50.0 };
        check(
            vec![
                run("1", "a", |_, record| record.settings = settings(Connection::New, Pace::Closed)),
                run("1", "b", |_, record| record.settings = settings(Connection::Keepalive, Pace::Closed)),
                run("1", "c", |_, record| record.settings = settings(Connection::New, open)),
                run("other", "d", |_, record| record.scenario = "1".into()),
            ],
            &[
                ("Scenario 1 (1)", &["a"]),
                ("Scenario 1, open 50/s", &["c"]),
                ("Scenario 1, keep-alive", &["b"]),
                ("Scenario 1 (other)", &["d"]),
            ],
            &[],
        );
    }

    #[test]
    fn what_proves_nothing_is_never_averaged_with_what_does() {
        let bad = |testbed, name| run(testbed, name, |run, _| run.invalid.push("no proof".into()));
        let failed = run("1", "c", |run, _| run.samples[0].status = 0);
        let empty = run("1", "d", |run, _| run.samples.clear());
        let older = run("1", "0", |_, record| record.inputs = Some("other".into()));
        check(
            vec![run("1", "a", |_, _| ()), bad("1", "b"), failed, empty, older, bad("2", "e")],
            &[("Scenario 1", &["a"]), ("Scenario 2", &["e"])],
            &[
                ("c", "no request was answered"),
                ("d", "nothing was measured"),
                ("0", "measured with other inputs than the newest run"),
                ("b", "not valid: no proof"),
            ],
        );
        assert_eq!(group(vec![bad("2", "e")]).scenarios[0].marked(), "Scenario 2 (invalid)");
    }

    #[test]
    fn names_of_files_are_tame() {
        for (label, expected) in
            [("Scenario 1", "scenario-1"), ("../x y", "x-y"), ("ä", "scenario"), ("1, open 50/s", "1-open-50-s")]
        {
            assert_eq!(slug(label), expected);
        }
    }
}
