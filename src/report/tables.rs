//! The tables of numbers.

use indexmap::IndexMap;

use crate::report::compare::Difference;
use crate::report::group::Scenario;
use crate::report::group::Set;
use crate::report::read::Run;
use crate::report::stats;
use crate::report::table::Table;
use crate::report::thesis;
use crate::report::words::average;
use crate::report::words::interval;
use crate::report::words::ms;
use crate::report::words::optional;
use crate::report::words::percent;
use crate::report::words::signed;

/// For the terminal: what fits into 80 columns.
pub(super) fn short(scenarios: &[Scenario]) -> Table {
    let head = ["ms", ">count", ">errors", ">average", ">median", ">p95", ">p99", ">max"];
    let mut table = Table::new("short", "", &head);
    for one in scenarios {
        let summary = &one.summary;
        let label = console::truncate_str(&one.marked(), 22, "…").into_owned();
        let mut row = vec![label, one.count.to_string(), one.errors.to_string(), average(summary.mean)];
        row.extend([summary.median, summary.p95, summary.p99, summary.max].map(ms));
        table.row(row);
    }
    table
}

/// Everything about each scenario.
pub(super) fn statistics(scenarios: &[Scenario]) -> Table {
    let head = [
        "scenario",
        ">requests",
        ">errors",
        ">average ms",
        ">95 % interval of the average, ms",
        ">min ms",
        ">median ms",
        ">p95 ms",
        ">p99 ms",
        ">p99.9 ms",
        ">max ms",
        ">std ms",
    ];
    let mut table = Table::new("statistics", "Time of a request", &head);
    for one in scenarios {
        let summary = &one.summary;
        table.row([
            one.marked(),
            one.count.to_string(),
            one.errors.to_string(),
            average(summary.mean),
            interval(one.interval),
            ms(summary.min),
            ms(summary.median),
            ms(summary.p95),
            ms(summary.p99),
            optional(summary.p999, ms),
            ms(summary.max),
            optional(summary.std, ms),
        ]);
    }
    table.note("Times are those of requests that were answered as they should be; all others are counted as errors.");
    table
}

/// The same numbers as in the thesis, below each other.
pub(super) fn beside(scenarios: &[Scenario]) -> Table {
    let head = ["scenario", "from", ">count", ">average ms", ">min ms", ">max ms", ">std ms"];
    let mut table = Table::new("thesis", "Beside tables 6.1 to 6.3 of the thesis", &head);
    for published in thesis::TABLES {
        let [count, name] = [published.count.to_string(), format!("Scenario {}", published.key)];
        let numbers = [published.mean, published.min, published.max, published.std].map(str::to_string);
        table.row([name, format!("thesis, table {}", published.table), count].into_iter().chain(numbers));
        for one in scenarios.iter().filter(|one| one.key == published.key) {
            table.row(measured(one));
        }
    }
    for one in scenarios.iter().filter(|one| thesis::of(&one.key).is_none()) {
        table.row(measured(one));
    }
    table.note("The thesis does not say which standard deviation it prints; with 10000 requests both are the same.");
    table
}

fn measured(one: &Scenario) -> [String; 7] {
    let summary = &one.summary;
    [
        one.marked(),
        "measured here".into(),
        one.count.to_string(),
        average(summary.mean),
        ms(summary.min),
        ms(summary.max),
        optional(summary.std, ms),
    ]
}

pub(super) fn differences(differences: &[Difference]) -> Table {
    let head = [
        "difference",
        ">ms",
        ">95 % interval, ms",
        ">share",
        ">Cohen's d",
        "effect",
        ">in the thesis, ms",
        "told apart?",
    ];
    let mut table = Table::new("differences", "Differences of averages", &head);
    for one in differences {
        let clear = match one.is_clear() {
            Some(true) => "yes",
            Some(false) => "no: the interval contains 0",
            None => "too few requests",
        };
        table.row([
            one.name(),
            signed(one.value),
            interval(one.interval),
            percent(one.value / one.to.summary.mean),
            optional(one.effect, |d| format!("{d:.2}")),
            one.size().into(),
            optional(one.published, signed),
            clear.into(),
        ]);
    }
    if differences.iter().any(|one| one.of.key == "3" && one.to.key == "2") {
        table.note(
            "Differences in the thesis are those of its tables; its text prints 12.56 ms for scenario 3 − scenario 2, where \
             the tables give 12.463 ms.",
        );
    }
    table
}

/// Every run that was found, also those that are in no number.
pub(super) fn runs(set: &Set) -> Table {
    let head = ["scenario", "run", "started", ">requests", ">errors", ">average ms", ">median ms", ">p99 ms", "state"];
    let mut table = Table::new("runs", "Runs", &head);
    for one in &set.scenarios {
        for run in &one.runs {
            let state = match (run.invalid.as_slice(), run.notes.as_slice()) {
                ([], []) => "valid".to_string(),
                ([], notes) => format!("valid; {}", notes.join("; ")),
                (invalid, notes) => format!("INVALID: {}", [invalid, notes].concat().join("; ")),
            };
            table.row(run_row(&one.label, run, state));
        }
    }
    for rest in &set.rest {
        let notes: Vec<String> = std::iter::once(rest.why.clone()).chain(rest.run.notes.clone()).collect();
        table.row(run_row(&rest.run.testbed, &rest.run, format!("NOT USED: {}", notes.join("; "))));
    }
    table
}

fn run_row(label: &str, run: &Run, state: String) -> Vec<String> {
    let started = run.record.as_ref().map(|record| record.started.clone()).filter(|text| !text.is_empty());
    let summary = stats::summary(&run.times());
    let of = |print: fn(&stats::Summary) -> String| summary.as_ref().map_or_else(|| "–".into(), print);
    vec![
        label.to_string(),
        format!("{}/{}", run.testbed, run.name),
        started.unwrap_or_else(|| "–".into()),
        run.samples.len().to_string(),
        run.errors().to_string(),
        of(|summary| average(summary.mean)),
        of(|summary| ms(summary.median)),
        of(|summary| ms(summary.p99)),
        state,
    ]
}

/// How far apart repetitions are; none if nothing was repeated.
pub(super) fn spread(scenarios: &[Scenario]) -> Option<Table> {
    let head = [
        "scenario",
        ">runs",
        ">pooled average ms",
        ">least average ms",
        ">greatest average ms",
        ">std of averages ms",
        ">95 % interval by Student's t, ms",
    ];
    let mut table = Table::new("repetitions", "Repetitions: the averages of the runs", &head);
    for one in scenarios {
        let means = one.means();
        let Some(all) = stats::summary(&means).filter(|all| all.n > 1) else { continue };
        table.row([
            one.marked(),
            all.n.to_string(),
            average(one.summary.mean),
            average(all.min),
            average(all.max),
            optional(all.std, average),
            interval(stats::of_means(&means)),
        ]);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Of a service that answers an open loop: both ways to count.
pub(super) fn response(scenarios: &[Scenario]) -> Option<Table> {
    let head = ["scenario", "time", ">average ms", ">median ms", ">p95 ms", ">p99 ms", ">max ms"];
    let mut table = Table::new("response", "Service time and response time", &head);
    for one in scenarios {
        let Some(response) = &one.response else { continue };
        for (name, of) in
            [("service: since the request started", &one.summary), ("response: since it was due", response)]
        {
            let numbers = [ms(of.median), ms(of.p95), ms(of.p99), ms(of.max)];
            table.row([one.marked(), name.into(), average(of.mean)].into_iter().chain(numbers));
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// What one responder answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Responder {
    pub(super) name: String,
    pub(super) times: Vec<f64>,
}

/// Who answered, in the order of their names.
pub(super) fn responders(one: &Scenario) -> Vec<Responder> {
    let mut found: IndexMap<String, Vec<f64>> = IndexMap::new();
    for sample in one.runs.iter().flat_map(|run| &run.samples).filter(|sample| !sample.failed()) {
        let name = if sample.responder.is_empty() { "not said" } else { &sample.responder };
        found.entry(name.to_string()).or_default().push(sample.total_ms);
    }
    found.sort_keys();
    found.into_iter().map(|(name, times)| Responder { name, times }).collect()
}

pub(super) fn responder_table(scenarios: &[Scenario]) -> Table {
    let head = ["scenario", "who answered", ">requests", ">share", ">average ms", ">median ms", ">p99 ms", ">std ms"];
    let mut table = Table::new("responders", "Who answered", &head);
    for one in scenarios {
        for responder in responders(one) {
            let Some(summary) = stats::summary(&responder.times) else { continue };
            table.row([
                one.marked(),
                responder.name,
                summary.n.to_string(),
                share(summary.n, one.times.len()),
                average(summary.mean),
                ms(summary.median),
                ms(summary.p99),
                optional(summary.std, ms),
            ]);
        }
    }
    table
}

#[expect(clippy::cast_precision_loss, reason = "counts")]
fn share(part: usize, all: usize) -> String {
    percent(part as f64 / all.max(1) as f64)
}
