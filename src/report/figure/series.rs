//! The raw series: every request at its place, in the order they were made.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Result;

use crate::report::figure::Figure;
use crate::report::figure::axis;
use crate::report::figure::axis::Axis;
use crate::report::figure::sheet;
use crate::report::figure::sheet::Anchor;
use crate::report::figure::sheet::Chart;
use crate::report::figure::sheet::Sheet;
use crate::report::figure::sheet::Width;
use crate::report::figure::style;
use crate::report::figure::style::GREY;
use crate::report::figure::style::INK;
use crate::report::figure::style::Marker;
use crate::report::group::Scenario;
use crate::report::words::count;
use crate::report::words::ms;
use crate::results::sample::Sample;

/// The side of a dot, in units: two requests that fall into the same one are one dot.
const DOT: i32 = 3;
/// Errors that get a cross each; of more only the number is told.
const CROSSES: usize = 200;

pub(super) fn figure(one: &Scenario, at: usize) -> Result<Figure> {
    let errors = match one.errors {
        0 => String::new(),
        errors => format!(" Crosses at the upper edge: {}.", count(errors, "failed request")),
    };
    let runs = if one.runs.len() > 1 { " Upright lines: where the next run begins." } else { "" };
    let shell = Figure {
        name: format!("series-{}", one.slug),
        title: format!("{}: every request", one.marked()),
        caption: format!("A dot is a request; the time axis is logarithmic.{runs}{errors}"),
        alt: format!(
            "Times of {} in the order they were made, from {} to {} ms, median {} ms.{errors}",
            count(one.count, "request"),
            ms(one.summary.min),
            ms(one.summary.max),
            ms(one.summary.median)
        ),
        wide: String::new(),
        narrow: String::new(),
    };
    let height = |width: Width| if width.is_narrow() { 240 } else { 300 };
    sheet::figure(shell, height, |sheet| {
        let (x, y) = axes(sheet, one.count, (one.summary.min, one.summary.max), true, 7);
        let chart = sheet.chart(&x, &y, sheet.line_height() / 2)?;
        dots(sheet, &chart, one, at)
    })
}

/// All scenarios below each other, on the same axes.
pub(super) fn together(scenarios: &[Scenario]) -> Result<Figure> {
    let least = scenarios.iter().map(|one| one.summary.min).fold(f64::INFINITY, f64::min);
    let most = scenarios.iter().map(|one| one.summary.max).fold(0.0, f64::max);
    let longest = scenarios.iter().map(|one| one.count).max().unwrap_or(1);
    let said = |one: &Scenario| format!("{} from {} to {} ms", one.marked(), ms(one.summary.min), ms(one.summary.max));
    let values = scenarios.iter().map(said).collect::<Vec<_>>().join("; ");
    let shell = Figure {
        name: "series".into(),
        title: "Every request".into(),
        caption: "A dot is a request, in the order they were made; the same logarithmic time axis for all.".into(),
        alt: format!("Times of all requests below each other on the same axes: {values}."),
        wide: String::new(),
        narrow: String::new(),
    };
    let panels = i32::try_from(scenarios.len()).unwrap_or(1);
    let height = |width: Width| panels * if width.is_narrow() { 175 } else { 200 };
    sheet::figure(shell, height, |sheet| {
        for (at, one) in scenarios.iter().enumerate() {
            let (x, y) = axes(sheet, longest, (least, most), at + 1 == scenarios.len(), 5);
            let chart = sheet.panel(&x, &y, (at, scenarios.len()), (sheet.left(&y), sheet.line_height()))?;
            dots(sheet, &chart, one, at)?;
            let (left, top, right, _) = chart.frame();
            let name = sheet.cut(&one.marked(), right - left);
            sheet.bold((right, top - sheet.line_height() * 3 / 5), Anchor::Right, &name)?;
        }
        Ok(())
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts")]
fn axes(sheet: &Sheet, longest: usize, (least, most): (f64, f64), named: bool, ticks: usize) -> (Axis, Axis) {
    let name = if named { "number of the request" } else { "" };
    let x = Axis::linear(name, 0.0, longest.max(2) as f64, if sheet.width.is_narrow() { 4 } else { 10 });
    (x, Axis::log("time (ms)", least, most, ticks))
}

#[expect(clippy::cast_precision_loss, reason = "counts")]
fn dots(sheet: &Sheet, chart: &Chart, one: &Scenario, at: usize) -> Result<()> {
    let samples: Vec<&Sample> = one.runs.iter().flat_map(|run| &run.samples).collect();
    let (_, top, _, bottom) = chart.frame();
    let mut begins = 0;
    for run in one.runs.iter().take(one.runs.len().saturating_sub(1)) {
        begins += run.samples.len();
        let x = chart.at(begins as f64, 0.0).0;
        sheet.line(&[(x, top), (x, bottom)], GREY, 2)?;
    }
    let mut cells: BTreeMap<i32, BTreeSet<i32>> = BTreeMap::new();
    let mut errors = Vec::new();
    for (number, sample) in samples.iter().enumerate() {
        let (x, y) = chart.at(number as f64 + 1.0, axis::log(sample.total_ms));
        match sample.failed() {
            true => errors.push((x, top + sheet.units(6))),
            false => {
                cells.entry(x / DOT).or_default().insert(y / DOT);
            }
        }
    }
    let size = if samples.len() <= 500 { DOT * 2 } else { DOT };
    for (column, rows) in cells {
        for (first, last) in spans(&rows) {
            let from = (column * DOT, first * DOT);
            sheet.fill(from, (from.0 + size, last * DOT + size), style::of(at).dark)?;
        }
    }
    for place in errors.iter().take(CROSSES) {
        sheet.marker(*place, Marker::Cross, INK)?;
    }
    Ok(())
}

/// Numbers that follow each other as first and last.
fn spans(rows: &BTreeSet<i32>) -> Vec<(i32, i32)> {
    let mut spans: Vec<(i32, i32)> = Vec::new();
    for row in rows {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == *row => *last = *row,
            _ => spans.push((*row, *row)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_piece() {
        assert_eq!(spans(&BTreeSet::from([1, 2, 3, 5, 9, 10])), [(1, 3), (5, 5), (9, 10)]);
        assert_eq!(spans(&BTreeSet::new()), []);
    }
}
