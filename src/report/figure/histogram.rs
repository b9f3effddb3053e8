//! How many requests took how long, in bins of 0.3 ms as in the thesis.

use anyhow::Result;

use crate::report::figure::Figure;
use crate::report::figure::axis::Axis;
use crate::report::figure::sheet;
use crate::report::figure::sheet::Anchor;
use crate::report::figure::sheet::Chart;
use crate::report::figure::sheet::Sheet;
use crate::report::figure::sheet::Width;
use crate::report::figure::style;
use crate::report::figure::style::Hatch;
use crate::report::group::Scenario;
use crate::report::stats::quantile;
use crate::report::stats::sorted;
use crate::report::words::ms;
use crate::report::words::percent;

/// Of a bin, in milliseconds.
pub(super) const BIN: f64 = 0.3;
/// Bins that are drawn at most.
const MOST: usize = 400;
/// Bins that are drawn at least, if there are requests in them.
const FEW: f64 = 12.0;
/// This share of the times is always drawn.
const SHOWN: f64 = 0.995;

/// Bins that are drawn, counted from 0 ms; `end` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: usize,
    end: usize,
}

impl Range {
    /// Nearly all times: a tail that is much longer than that is cut.
    fn of(times: &[f64]) -> Range {
        let sorted = sorted(times);
        let (least, shown, most) = (quantile(&sorted, 0.0), quantile(&sorted, SHOWN), quantile(&sorted, 1.0));
        let end = if most <= shown * 1.25 { most } else { shown * 1.1 };
        // Few bins say little of the shape: then some of the tail is there as well.
        let end = bin(end.max(most.min(least + FEW * BIN))) + 1;
        // From a bin before the first request on, or from 0 where that is not far.
        let first = bin(least);
        let first = if first * 5 < end { 0 } else { first.saturating_sub(1) };
        Range { first, end: end.min(first + MOST) }
    }

    fn with(self, other: Range) -> Range {
        let first = self.first.min(other.first);
        Range { first, end: self.end.max(other.end).min(first + MOST) }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times are neither negative nor huge")]
fn bin(ms: f64) -> usize {
    (ms / BIN).floor() as usize
}

/// Counts of bins, and what lies beyond them.
#[derive(Debug, Clone, PartialEq)]
struct Bins {
    range: Range,
    counts: Vec<usize>,
    beyond: usize,
    /// The largest time.
    most: f64,
}

impl Bins {
    fn of(times: &[f64], range: Range) -> Bins {
        let most = times.iter().copied().fold(0.0, f64::max);
        let mut bins = Bins { range, counts: vec![0; range.end - range.first], beyond: 0, most };
        for time in times {
            match bin(*time).checked_sub(range.first).and_then(|at| bins.counts.get_mut(at)) {
                Some(count) => *count += 1,
                None => bins.beyond += 1,
            }
        }
        bins
    }

    /// Where the bin at a place of the list begins, in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "bins are few")]
    fn from(&self, at: usize) -> f64 {
        (self.range.first + at) as f64 * BIN
    }

    fn end(&self) -> f64 {
        self.from(self.counts.len())
    }

    /// What is not drawn, in words; none if all is.
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    fn remainder(&self, all: usize) -> Option<String> {
        let share = percent(self.beyond as f64 / all.max(1) as f64);
        (self.beyond > 0).then(|| {
            format!("{} of {all} ({share}) are beyond {:.1} ms, up to {} ms", self.beyond, self.end(), ms(self.most))
        })
    }
}

pub(super) fn figure(one: &Scenario, at: usize) -> Result<Figure> {
    let bins = Bins::of(&one.times, Range::of(&one.times));
    let rest = bins.remainder(one.times.len());
    let cut = rest.map(|rest| format!(" Not drawn: {rest}.")).unwrap_or_default();
    let shell = Figure {
        name: format!("histogram-{}", one.slug),
        title: format!("{}: how many requests took how long", one.marked()),
        caption: format!("Bins of {BIN} ms.{cut}"),
        alt: format!(
            "Histogram of {} times in bins of {BIN} ms; {}.{cut}",
            one.times.len(),
            peak(&bins).unwrap_or_else(|| "no bin has a request".into())
        ),
        wide: String::new(),
        narrow: String::new(),
    };
    let height = |width: Width| if width.is_narrow() { 240 } else { 300 };
    sheet::figure(shell, height, |sheet| {
        let (x, y) = axes(sheet, &bins, true);
        let chart = sheet.chart(&x, &y, sheet.line_height())?;
        let rest = bins.remainder(one.times.len());
        bars(sheet, &chart, &bins, at)?;
        note(sheet, &chart, rest.as_deref(), bins.beyond)
    })
}

/// The bin with the most requests, in words.
fn peak(bins: &Bins) -> Option<String> {
    let filled = bins.counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let (at, count) = filled.max_by_key(|(at, count)| (**count, usize::MAX - at))?;
    Some(format!("the highest bin is {:.1} to {:.1} ms with {count} requests", bins.from(at), bins.from(at + 1)))
}

/// All scenarios below each other, on the same axes.
pub(super) fn together(scenarios: &[Scenario]) -> Result<Figure> {
    let ranges = scenarios.iter().map(|one| Range::of(&one.times));
    let range = ranges.reduce(Range::with).unwrap_or(Range { first: 0, end: 1 });
    let all: Vec<Bins> = scenarios.iter().map(|one| Bins::of(&one.times, range)).collect();
    let said = |(one, bins): (&Scenario, &Bins)| format!("{}: {}", one.marked(), peak(bins).unwrap_or_default());
    let peaks = scenarios.iter().zip(&all).map(said).collect::<Vec<_>>().join("; ");
    let cut = |(one, bins): (&Scenario, &Bins)| {
        bins.remainder(one.times.len()).map(|rest| format!("{}: {rest}", one.marked()))
    };
    let cuts = scenarios.iter().zip(&all).filter_map(cut).collect::<Vec<_>>().join("; ");
    let cuts = if cuts.is_empty() { String::new() } else { format!(" Not drawn: {cuts}.") };
    let shell = Figure {
        name: "histograms".into(),
        title: "How many requests took how long".into(),
        caption: format!("Bins of {BIN} ms, the same time axis for all.{cuts}"),
        alt: format!("Histograms below each other on the same time axis. {peaks}."),
        wide: String::new(),
        narrow: String::new(),
    };
    let panels = i32::try_from(scenarios.len()).unwrap_or(1);
    let height = |width: Width| panels * if width.is_narrow() { 165 } else { 190 };
    sheet::figure(shell, height, |sheet| {
        let widest = all.iter().map(|bins| sheet.left(&axes(sheet, bins, false).1)).max().unwrap_or(0);
        for (at, (one, bins)) in scenarios.iter().zip(&all).enumerate() {
            let last = at + 1 == scenarios.len();
            let (x, y) = axes(sheet, bins, last);
            let chart = sheet.panel(&x, &y, (at, scenarios.len()), (widest, sheet.line_height()))?;
            bars(sheet, &chart, bins, at)?;
            let (left, top, right, _) = chart.frame();
            let name = sheet.cut(&one.marked(), right - left);
            sheet.bold((right, top - sheet.line_height() * 3 / 5), Anchor::Right, &name)?;
        }
        Ok(())
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts")]
fn axes(sheet: &Sheet, bins: &Bins, named: bool) -> (Axis, Axis) {
    let narrow = sheet.width.is_narrow();
    let most = bins.counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let name = if named { "time of a request (ms)" } else { "" };
    let x = Axis::linear(name, bins.from(0), bins.end(), if narrow { 5 } else { 12 });
    (x, Axis::linear("requests", 0.0, most * 1.05, 4))
}

/// Bars that are broad enough have a hatch.
#[expect(clippy::cast_precision_loss, reason = "counts")]
fn bars(sheet: &Sheet, chart: &Chart, bins: &Bins, at: usize) -> Result<()> {
    let look = style::of(at);
    for (bin, count) in bins.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (left, top) = chart.at(bins.from(bin), *count as f64);
        let (right, bottom) = chart.at(bins.from(bin + 1), 0.0);
        // One request is to be seen as well.
        let top = top.min(bottom - 2);
        match right - left {
            0..=9 => sheet.fill((left, top), (right.max(left + 2), bottom), look.dark)?,
            _ => sheet.bar((left, top), (right, bottom), look.light, look.dark, Hatch::Empty)?,
        }
    }
    Ok(())
}

/// What is not drawn stands where it would begin.
fn note(sheet: &Sheet, chart: &Chart, rest: Option<&str>, beyond: usize) -> Result<()> {
    let Some(rest) = rest else { return Ok(()) };
    let (left, top, right, _) = chart.frame();
    let wide = format!("{rest} →");
    let text = if sheet.text_width(&wide) < right - left { wide } else { format!("{beyond} beyond the axis →") };
    sheet.text((right, top - sheet.line_height() * 3 / 5), Anchor::Right, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_in_a_bin_or_in_the_remainder() {
        let mut times: Vec<f64> = (0..1000).map(|at| 1.0 + f64::from(at % 10) / 10.0).collect();
        times.extend([81.6, 5000.0]);
        let bins = Bins::of(&times, Range::of(&times));
        assert_eq!(bins.counts.iter().sum::<usize>() + bins.beyond, times.len());
        assert_eq!(bins.beyond, 2);
        assert!(bins.remainder(1002).unwrap().starts_with("2 of 1002 (0.20 %) are beyond 4.8 ms, up to 5000.000 ms"));
    }

    #[test]
    fn bins_are_few_whatever_the_times_are() {
        for (times, first, end) in [
            (vec![0.0], 0, 1),
            (vec![2.0; 9], 5, 7),
            (vec![200.0, 201.0], 665, 671),
            (vec![6e8; 40], 1_999_999_999, 2_000_000_001),
            (vec![0.0, 6e8], 0, MOST),
        ] {
            assert_eq!(Range::of(&times), Range { first, end }, "{times:?}");
        }
        assert_eq!(Bins::of(&[0.0, 0.29, 0.3], Range { first: 0, end: 2 }).counts, [2, 1]);
    }
}
