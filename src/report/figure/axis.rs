//! Ranges and ticks of axes.

use std::ops::Range;

use plotters::coord::ranged1d::KeyPointHint;
use plotters::coord::ranged1d::NoDefaultFormatting;
use plotters::coord::ranged1d::Ranged;
use plotters::coord::ranged1d::ValueFormatter;

/// Ratios of ticks within ten, the densest first.
const STEPS: [&[f64]; 5] =
    [&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], &[1.0, 2.0, 3.0, 5.0], &[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];

/// The least time a logarithmic axis shows: what a clock of microseconds tells from nothing.
const LEAST: f64 = 0.001;

/// One axis. Positions of a logarithmic one are decadic logarithms.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<(f64, String)>,
    /// With the unit.
    pub(super) name: String,
}

impl Axis {
    /// From `low` to `high` with about so many ticks, on round numbers.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "ticks are few")]
    pub(super) fn linear(name: &str, low: f64, high: f64, about: usize) -> Axis {
        let high = if high > low { high } else { low + 1.0 };
        let rough = (high - low) / about.max(1) as f64;
        let ten = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|one| one * ten).into_iter().find(|step| *step >= rough * 0.999);
        let step = step.unwrap_or(10.0 * ten);
        let digits = usize::try_from((-step.log10().floor()) as i64).unwrap_or(0);
        let (first, last) = ((low / step).ceil() as i64, (high / step + 1e-9).floor() as i64);
        let ticks = (first..=last).map(|at| (at as f64 * step, format!("{:.digits$}", at as f64 * step)));
        Axis { low, high, ticks: ticks.collect(), name: name.into() }
    }

    /// The same on a logarithmic axis, a little wider than the values, with at most `most` ticks.
    pub(super) fn log(name: &str, low: f64, high: f64, most: usize) -> Axis {
        let low = low.max(LEAST);
        let high = high.max(low);
        let (from, to) = (low.log10() - 0.02, high.log10() + 0.02);
        let pad = if to - from < 0.1 { 0.1 } else { 0.0 };
        let (from, to) = (from - pad, to + pad);
        // None right in the corner, where the other axis has its first one.
        let within = |steps: &[f64]| ticks(from + (to - from) * 0.04, to, steps);
        let decades = || {
            let all = within(&[1.0]);
            let step = all.len().div_ceil(most.max(1)).max(1);
            all.into_iter().step_by(step).collect()
        };
        let found = STEPS.iter().map(|steps| within(steps)).find(|ticks| ticks.len() <= most);
        Axis { low: from, high: to, ticks: found.unwrap_or_else(decades), name: name.into() }
    }
}

/// `plotters` draws the ticks as they are, and finds no others.
impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[expect(clippy::cast_possible_truncation, reason = "places on a sheet")]
    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.weight().allow_light_points() {
            true => Vec::new(),
            false => self.ticks.iter().map(|(at, _)| *at).collect(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let near = |(tick, _): &&(f64, String)| (tick - value).abs() < 1e-9;
        self.ticks.iter().find(near).map(|(_, label)| label.clone()).unwrap_or_default()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "decades are few")]
fn ticks(from: f64, to: f64, steps: &[f64]) -> Vec<(f64, String)> {
    let decades = from.floor() as i32..=to.ceil() as i32;
    let all = decades.flat_map(|decade| steps.iter().map(move |step| (step * 10_f64.powi(decade), decade)));
    let label = |(value, decade): (f64, i32)| {
        let digits = usize::try_from(-decade).unwrap_or(0);
        (value.log10(), format!("{value:.digits$}"))
    };
    all.map(label).filter(|(at, _)| from <= *at && *at <= to).collect()
}

/// Where a time is on a logarithmic axis.
pub(super) fn log(ms: f64) -> f64 {
    ms.max(LEAST).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(axis: &Axis, expected: &str) {
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels.join(" "), expected);
        assert!(axis.low < axis.high);
    }

    #[test]
    fn ticks_are_round() {
        check(&Axis::linear("", 0.0, 16.2, 5), "0 5 10 15");
        check(&Axis::linear("", 0.0, 0.31, 4), "0.0 0.1 0.2 0.3");
        check(&Axis::linear("", 0.0, 10_000.0, 5), "0 2000 4000 6000 8000 10000");
        check(&Axis::linear("", 2.0, 2.0, 2), "2.0 2.5 3.0");
        check(&Axis::log("", 1.1, 81.6, 8), "2 3 5 10 20 30 50");
        check(&Axis::log("", 1.1, 81.6, 5), "2 5 10 20 50");
        check(&Axis::log("", 1.1, 3.0, 8), "2 3");
        check(&Axis::log("", 0.5, 0.5, 8), "0.4 0.5 0.6");
        check(&Axis::log("", 0.0, 604_800_000.0, 8), "0.01 1 100 10000 1000000 100000000");
    }
}
