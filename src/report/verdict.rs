//! What the numbers say, in words: the headlines, the verdicts, and what is to be known about how it was measured.

use crate::report::bootstrap;
use crate::report::compare::Difference;
use crate::report::environment;
use crate::report::group::Scenario;
use crate::report::group::Set;
use crate::report::stats;
use crate::report::table::Table;
use crate::report::words::average;
use crate::report::words::count;
use crate::report::words::ms;
use crate::report::words::percent;
use crate::results::record::Connection;
use crate::results::record::Pace;

/// Medians of the halves further apart than this share, and the system was not steady.
const STEADY: f64 = 0.05;

/// How sure something is. The words say it all; the marks are for the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Yes,
    No,
    Open,
}

impl Word {
    fn of(holds: bool) -> Word {
        if holds { Word::Yes } else { Word::No }
    }

    fn text(self) -> String {
        match self {
            Word::Yes => "✓ yes",
            Word::No => "✗ no",
            Word::Open => "? open",
        }
        .into()
    }
}

/// Claims, whether they hold, and by what.
pub(super) fn table(set: &Set, differences: &[Difference]) -> Table {
    let mut table = Table::new("verdicts", "What holds, and by what", &["claim", "holds?", "by what"]);
    let mut say = |claim: &str, word: Word, why: String| table.row([claim.into(), word.text(), why]);
    if let Some((word, why)) = order(&set.scenarios) {
        say("Averages are ordered: scenario 1 < 2 < 3", word, why);
    }
    if let Some((word, why)) = tunnel(differences) {
        say("The tunnel costs time", word, why);
    }
    for (claim, rule) in [
        ("All runs are valid", valid as fn(&Set) -> (Word, String)),
        ("The path is proven where there is a tunnel", proven),
        ("The system was steady", steady),
        ("The result does not depend on the numbers it is compared with", independent),
    ] {
        let (word, why) = rule(set);
        say(claim, word, why);
    }
    table
}

fn order(scenarios: &[Scenario]) -> Option<(Word, String)> {
    let of = |key: &&str| scenarios.iter().find(|one| one.key == *key);
    let three: Vec<&Scenario> = ["1", "2", "3"].iter().filter_map(of).collect();
    let means: Vec<(&str, f64)> = three.iter().map(|one| (one.key.as_str(), one.summary.mean)).collect();
    let why = means.iter().map(|(key, mean)| format!("{key}: {} ms", average(*mean))).collect::<Vec<_>>().join(", ");
    match means.len() {
        0 => None,
        1 | 2 => Some((Word::Open, format!("not all three were measured ({why})"))),
        _ if three.iter().any(|one| !one.invalid.is_empty()) => {
            Some((Word::Open, format!("not all are valid ({why})")))
        }
        _ => Some((Word::of(means.is_sorted_by(|one, next| one.1 < next.1)), why)),
    }
}

fn tunnel(differences: &[Difference]) -> Option<(Word, String)> {
    if let Some(own) = differences.iter().find(|one| one.of.key == "2" && one.to.key == "control") {
        let valid = own.of.invalid.is_empty() && own.to.invalid.is_empty();
        let word = match own.is_clear() {
            Some(true) if valid => Word::of(own.value > 0.0),
            _ => Word::Open,
        };
        return Some((word, own.sentence()));
    }
    let both = differences.iter().find(|one| one.of.key == "2" && one.to.key == "1")?;
    let why =
        "there is no control: scenario 2 − scenario 1 changes the networks as well, so WireGuard's own cost is unknown";
    Some((Word::Open, format!("{why} (together {} ms)", average(both.value))))
}

fn valid(set: &Set) -> (Word, String) {
    let bad: Vec<String> = set
        .scenarios
        .iter()
        .filter(|one| !one.invalid.is_empty())
        .map(|one| format!("{}: {}", one.label, one.invalid.join("; ")))
        .chain(set.rest.iter().map(|rest| format!("{}/{} is not used: {}", rest.run.testbed, rest.run.name, rest.why)))
        .collect();
    let runs: usize = set.scenarios.iter().map(|one| one.runs.len()).sum();
    match bad.as_slice() {
        [] => (Word::Yes, format!("{}, none of them with more than 0.1 % errors", count(runs, "run"))),
        bad => (Word::No, bad.join(". ")),
    }
}

fn proven(set: &Set) -> (Word, String) {
    let proofs = set.scenarios.iter().flat_map(|one| one.runs.iter().map(move |run| (one, run)));
    let proofs = proofs.filter_map(|(one, run)| Some((one, run.record.as_ref()?.path.as_ref()?)));
    let tunnels: Vec<_> = proofs.filter(|(_, proof)| !proof.interface.is_empty() || !proof.valid).collect();
    let bad: Vec<&str> = tunnels.iter().filter(|(_, proof)| !proof.valid).map(|(one, _)| one.label.as_str()).collect();
    let text = |labels: Vec<&str>| {
        let mut labels = labels;
        labels.dedup();
        labels.join(", ")
    };
    match (tunnels.is_empty(), bad.is_empty()) {
        (true, _) => (Word::Open, "no record has counters of a tunnel".into()),
        (_, false) => (Word::No, format!("the bytes do not account for the requests in {}", text(bad))),
        _ => {
            let labels = tunnels.iter().map(|(one, _)| one.label.as_str()).collect();
            (Word::Yes, format!("the bytes over it account for the requests in {}", text(labels)))
        }
    }
}

/// Each run for itself: repetitions may differ, a run should not drift.
fn steady(set: &Set) -> (Word, String) {
    let mut worst: Option<(f64, String)> = None;
    for one in &set.scenarios {
        for run in &one.runs {
            let times = run.times();
            let Some((first, second)) = stats::halves(&times).filter(|_| times.len() >= bootstrap::LEAST) else {
                continue;
            };
            let apart = if first > 0.0 { (second - first).abs() / first } else { 0.0 };
            if worst.as_ref().is_none_or(|(most, _)| apart > *most) {
                let text = format!(
                    "{}: median {} ms in the first half, {} ms in the second",
                    one.label,
                    ms(first),
                    ms(second)
                );
                worst = Some((apart, format!("furthest apart in {text} ({})", percent(apart))));
            }
        }
    }
    match worst {
        None => (Word::Open, "too few requests".into()),
        Some((apart, why)) => (Word::of(apart <= STEADY), why),
    }
}

fn independent(set: &Set) -> (Word, String) {
    match environment::circular(&set.scenarios) {
        true => (Word::No, environment::CIRCULAR.into()),
        false => (Word::Yes, "no delay names the thesis as its source".into()),
    }
}

/// How it was measured, a sentence each.
pub(super) fn method(set: &Set) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    let mut say = |text: String| {
        if !said.contains(&text) {
            said.push(text);
        }
    };
    for one in &set.scenarios {
        let Some(record) = one.record() else {
            say(format!("{}: there is no readable record of how it was measured.", one.label));
            continue;
        };
        if let Some(tool) = &record.tool {
            let resolution = match tool.timer_resolution.as_str() {
                "" => "an unknown resolution".to_string(),
                text => format!("a resolution of {text}"),
            };
            say(format!("Measured with {} {}, whose timer has {resolution}.", tool.name, tool.version));
        }
        if let Some(settings) = &record.settings {
            say(connection(settings.connection).into());
            say(pace(settings.pace));
            if settings.warm_up > 0 {
                let warm = settings.warm_up;
                say(format!("{warm} requests before the first sample are a warm-up: made, counted, and not measured."));
            }
        }
        for note in &record.notes {
            say(format!("{}: {note}", one.label));
        }
    }
    said
}

fn connection(connection: Connection) -> &'static str {
    match connection {
        Connection::New => {
            "Each request opens a connection of its own, as in the thesis: a round trip more than over one that stands."
        }
        Connection::Keepalive => {
            "All requests go over one connection that stands: a round trip less than in the thesis."
        }
    }
}

fn pace(pace: Pace) -> String {
    match pace {
        Pace::Closed => "The loop is closed: a request starts when the last one has ended. While the system stalls no \
                         other request is made, so a stall is one slow sample where users would have seen many \
                         (coordinated omission). The times are service times."
            .into(),
        Pace::Open { rate_per_second } => format!(
            "The loop is open: {rate_per_second} requests are due each second, whatever became of those before. Service \
             time counts from when a request started, response time from when it was due, so a stall shows in all \
             requests it held up (no coordinated omission)."
        ),
    }
}

/// What the words of the statistics mean.
pub(super) fn definitions() -> Vec<String> {
    vec![
        "Percentiles are interpolated linearly between neighbours at position (n − 1)·q of the sorted times, which is \
         numpy's default. The median is the 50th. Those of repetitions are taken from the pooled samples; percentiles \
         are never averaged. The 99.9th is shown from 10000 times on."
            .into(),
        "The standard deviation is that of a sample, with n − 1.".into(),
        format!(
            "Intervals hold the average with 95 % confidence: {} draws of a moving block bootstrap, its 2.5th and 97.5th \
             percentile. Blocks are ⌈n^(1/3)⌉ requests long, because neighbours are alike, and stay within their run. \
             The random numbers are SplitMix64 with the FNV-1a hash of TESTBED/RUN as seed. With fewer than {} \
             requests there is no interval.",
            bootstrap::DRAWS,
            bootstrap::LEAST
        ),
        "The bootstrap knows what varies within runs. What varies between runs shows in the spread of their averages \
         (table of runs, by Student's t): where that is wider, trust that."
            .into(),
        "Cohen's d is the difference of averages in units of the pooled standard deviation; below 0.2 it is called \
         negligible, below 0.5 small, below 0.8 medium."
            .into(),
        "Scenario 2 − scenario 1 is not WireGuard's cost: the hosts move into several networks as well. The control has \
         the networks of scenario 2 and no tunnels, so scenario 2 − control is WireGuard's own cost."
            .into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::compare;
    use crate::report::group;
    use crate::report::read::Run;
    use crate::results::record::Link;
    use crate::results::record::PathProof;
    use crate::results::record::Record;
    use crate::results::record::Settings;
    use crate::results::sample::Sample;

    /// A run of a scenario whose times go up and down around a middle.
    fn run(scenario: &str, middle: f64, change: impl FnOnce(&mut Run, &mut Record)) -> Run {
        let time = |at: u32| middle + f64::from(at * 7 % 10) / 100.0;
        let samples = (0..200).map(|at| Sample { total_ms: time(at), status: 200, ..Sample::default() });
        let mut run = Run { testbed: scenario.into(), name: "r".into(), samples: samples.collect(), ..Run::default() };
        let mut record = Record { scenario: scenario.into(), ..Record::default() };
        change(&mut run, &mut record);
        run.record = Some(record);
        run
    }

    fn plain(scenario: &str, middle: f64) -> Run {
        run(scenario, middle, |_, _| ())
    }

    /// The word of a claim, and a part of what it is said by.
    #[track_caller]
    fn check(runs: Vec<Run>, claim: &str, word: &str, why: &str) {
        let set = group::group(runs);
        let table = table(&set, &compare::differences(&set.scenarios));
        let row = table.rows.iter().find(|row| row[0].starts_with(claim)).unwrap();
        assert!(row[1].ends_with(word), "{row:?}");
        assert!(row[2].contains(why), "{row:?}");
    }

    #[test]
    fn averages_are_in_order_or_not() {
        let claim = "Averages are ordered";
        check(vec![plain("1", 2.0), plain("2", 2.3), plain("3", 15.0)], claim, "yes", "1: 2.0450 ms, 2: 2.3450 ms");
        check(vec![plain("1", 2.5), plain("2", 2.3), plain("3", 15.0)], claim, "no", "1: 2.5450 ms");
        check(vec![plain("1", 2.0), plain("3", 15.0)], claim, "open", "not all three were measured");
        let invalid = run("3", 15.0, |run, _| run.invalid.push("no proof".into()));
        check(vec![plain("1", 2.0), plain("2", 2.3), invalid], claim, "open", "not all are valid");
    }

    #[test]
    fn the_tunnels_cost_needs_a_control() {
        let claim = "The tunnel costs time";
        check(
            vec![plain("2", 2.3), plain("control", 2.1)],
            claim,
            "yes",
            "Scenario 2 takes 0.200 ms more than Control",
        );
        check(vec![plain("2", 2.1), plain("control", 2.3)], claim, "no", "9 % less");
        check(vec![plain("2", 2.1), plain("control", 2.1)], claim, "open", "cannot be told apart");
        check(vec![plain("2", 2.3), plain("1", 2.0)], claim, "open", "changes the networks as well");
    }

    #[test]
    fn what_is_not_proven_steady_or_independent_is_said() {
        let proof = |valid| {
            Some(PathProof { interface: "wg0".into(), bytes_over_tunnel: 1, bytes_of_requests: 1, valid, why: None })
        };
        let proven = "The path is proven";
        check(vec![plain("1", 2.0)], proven, "open", "no record has counters of a tunnel");
        check(vec![run("2", 2.0, |_, record| record.path = proof(true))], proven, "yes", "in Scenario 2");
        check(vec![run("2", 2.0, |_, record| record.path = proof(false))], proven, "no", "do not account");
        let drift = run("1", 2.0, |run, _| run.samples.iter_mut().skip(100).for_each(|sample| sample.total_ms += 1.0));
        check(vec![drift], "The system was steady", "no", "in the first half");
        check(vec![plain("1", 2.0)], "The system was steady", "yes", "(0.00 %)");
        let link = |source: &str| {
            let between = ["a".to_string(), "b".to_string()];
            let source = Some(source.to_string());
            vec![Link { between, rtt_ms: None, jitter_ms: None, loss_percent: None, rate_mbit: None, source }]
        };
        let free = "The result does not depend";
        check(vec![run("3", 2.0, |_, record| record.links = link("Table 6.3 of the Thesis"))], free, "no", "circular");
        check(vec![run("3", 2.0, |_, record| record.links = link("a provider"))], free, "yes", "no delay names");
    }

    #[test]
    fn the_method_says_what_a_closed_loop_hides() {
        let method = |pace| {
            let settings =
                Settings { url: String::new(), requests: 200, warm_up: 7, connection: Connection::New, pace };
            let set = group::group(vec![run("1", 2.0, |_, record| record.settings = Some(settings))]);
            method(&set).join("\n")
        };
        let closed = method(Pace::Closed);
        assert!(closed.contains("(coordinated omission)") && closed.contains("7 requests before"), "{closed}");
        assert!(method(Pace::Open { rate_per_second: 50.0 }).contains("50 requests are due each second"));
    }
}
