//! Which scenarios are compared, what their difference is, and the sentence that says so.

use crate::report::bootstrap;
use crate::report::group::Scenario;
use crate::report::stats;
use crate::report::stats::Interval;
use crate::report::thesis;
use crate::report::words::ms;

/// What each pair of the thesis' scenarios means: the first minus the second.
const PAIRS: [(&str, &str, &str); 5] = [
    ("2", "1", "the tunnels and the change from one network to several, together"),
    ("2", "control", "WireGuard's own cost: the networks are the same, only the tunnels are not"),
    ("control", "1", "the change from one network to several, without any tunnel"),
    ("3", "2", "the distance between regions"),
    ("3", "1", "tunnels, networks and distance together"),
];

/// A difference of averages.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference<'a> {
    pub(super) of: &'a Scenario,
    pub(super) to: &'a Scenario,
    /// What it is the cost of; empty if nobody said.
    pub(super) meaning: &'static str,
    /// In milliseconds.
    pub(super) value: f64,
    pub(super) interval: Option<Interval>,
    /// Cohen's d.
    pub(super) effect: Option<f64>,
    /// The same in the thesis.
    pub(super) published: Option<f64>,
}

/// All that is worth comparing, in the order of its importance.
pub(super) fn differences(scenarios: &[Scenario]) -> Vec<Difference<'_>> {
    let mut found = Vec::new();
    for (of_key, to_key, meaning) in PAIRS {
        for of in scenarios.iter().filter(|one| one.key == of_key) {
            let like = |one: &&Scenario| one.key == to_key && manner(one) == manner(of);
            found.extend(scenarios.iter().filter(like).map(|to| difference(of, to, meaning)));
        }
    }
    let known = |one: &Scenario| PAIRS.iter().any(|(of, to, _)| *of == one.key || *to == one.key);
    if let Some((first, others)) = scenarios.split_first() {
        found.extend(others.iter().filter(|one| !known(one) || !known(first)).map(|one| difference(one, first, "")));
    }
    found
}

/// How requests are made: only what is measured alike is compared as the thesis compares.
fn manner(scenario: &Scenario) -> String {
    let settings = scenario.settings();
    format!("{:?}", settings.map(|settings| (settings.connection, settings.pace)).unwrap_or_default())
}

fn difference<'a>(of: &'a Scenario, to: &'a Scenario, meaning: &'static str) -> Difference<'a> {
    Difference {
        of,
        to,
        meaning,
        value: of.summary.mean - to.summary.mean,
        interval: bootstrap::difference(&of.draws, &to.draws),
        effect: stats::effect(&of.summary, &to.summary),
        published: thesis::difference(&of.key, &to.key),
    }
}

impl Difference<'_> {
    /// As in "Scenario 2 − Scenario 1".
    pub(super) fn name(&self) -> String {
        format!("{} − {}", self.of.marked(), self.to.marked())
    }

    /// Whether the data tell the two apart; none if there are too few.
    pub(super) fn is_clear(&self) -> Option<bool> {
        self.interval.map(|interval| !interval.has(0.0))
    }

    /// One sentence for people in a hurry.
    pub(super) fn sentence(&self) -> String {
        let (of, to) = (self.of.marked(), self.to.marked());
        let more = if self.value < 0.0 { "less" } else { "more" };
        let share = self.share();
        let mut text = match (self.interval, self.is_clear()) {
            (Some(at), Some(false)) => format!(
                "{of} and {to} cannot be told apart: the difference of their averages is {} ms, and its 95 % interval \
                 ({} to {} ms) contains 0",
                ms(self.value),
                ms(at.low),
                ms(at.high)
            ),
            (Some(at), _) => {
                let (low, high) = (at.low.abs().min(at.high.abs()), at.low.abs().max(at.high.abs()));
                format!(
                    "{of} takes {} ms {more} than {to} on average (95 % interval {} to {} ms; {share})",
                    ms(self.value.abs()),
                    ms(low),
                    ms(high)
                )
            }
            (None, _) => format!(
                "{of} takes {} ms {more} than {to} on average; there are too few requests to say how sure that is",
                ms(self.value.abs())
            ),
        };
        if !self.meaning.is_empty() {
            text += &format!(". This is {}", self.meaning);
        }
        text + "."
    }

    /// As a part of what it is compared with, or how many times that.
    fn share(&self) -> String {
        let ratio = self.of.summary.mean / self.to.summary.mean;
        match ratio {
            ratio if ratio > 2.0 => format!("{ratio:.1} times as much"),
            ratio if ratio < 1.0 => format!("{:.0} % less", (1.0 - ratio) * 100.0),
            ratio => format!("{:.0} % more", (ratio - 1.0) * 100.0),
        }
    }

    /// How large the effect is, in Cohen's words.
    pub(super) fn size(&self) -> &'static str {
        match self.effect.map(f64::abs) {
            None => "–",
            Some(d) if d < 0.2 => "negligible",
            Some(d) if d < 0.5 => "small",
            Some(d) if d < 0.8 => "medium",
            Some(_) => "large",
        }
    }
}
