//! Who answered, how often, and how fast.

use anyhow::Result;

use crate::report::figure::Figure;
use crate::report::figure::axis::Axis;
use crate::report::figure::sheet;
use crate::report::figure::sheet::Sheet;
use crate::report::figure::sheet::Width;
use crate::report::figure::style;
use crate::report::group::Scenario;
use crate::report::stats;
use crate::report::stats::quantile;
use crate::report::stats::sorted;
use crate::report::tables;
use crate::report::tables::Responder;
use crate::report::words::average;
use crate::report::words::percent;

/// Responders that are drawn; all are in the table.
const MOST: usize = 12;

/// What is drawn of one.
struct Row {
    name: String,
    n: usize,
    share: String,
    mean: f64,
    /// 5th and 95th percentile.
    low: f64,
    high: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts")]
fn row(responder: &Responder, all: usize) -> Row {
    let times = sorted(&responder.times);
    Row {
        name: responder.name.clone(),
        n: times.len(),
        share: percent(times.len() as f64 / all.max(1) as f64),
        mean: stats::mean(&responder.times),
        low: quantile(&times, 0.05),
        high: quantile(&times, 0.95),
    }
}

/// None if nobody said who answered.
pub(super) fn figure(one: &Scenario, at: usize) -> Option<Result<Figure>> {
    let found = tables::responders(one);
    let rows: Vec<Row> = found.iter().take(MOST).map(|responder| row(responder, one.times.len())).collect();
    if matches!(found.as_slice(), [only] if only.name == "not said") {
        return None;
    }
    let more = match found.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" {more} more are in the table."),
    };
    let said = |row: &Row| format!("{} answered {} requests in {} ms on average", row.name, row.n, average(row.mean));
    let shell = Figure {
        name: format!("responders-{}", one.slug),
        title: format!("{}: who answered, and how fast", one.marked()),
        caption: format!("Bars: averages. Whiskers: from the 5th to the 95th percentile.{more}"),
        alt: rows.iter().map(said).collect::<Vec<_>>().join("; ") + ".",
        wide: String::new(),
        narrow: String::new(),
    };
    let lines = i32::try_from(rows.len()).unwrap_or(1);
    let height = |width: Width| 70 + lines * if width.is_narrow() { 54 } else { 56 };
    Some(sheet::figure(shell, height, |sheet| draw(sheet, &rows, at)))
}

#[expect(clippy::cast_precision_loss, reason = "rows are few")]
fn draw(sheet: &Sheet, rows: &[Row], at: usize) -> Result<()> {
    let look = style::of(at);
    let most = rows.iter().map(|row| row.high.max(row.mean)).fold(0.0, f64::max);
    let x = Axis::linear("time of a request (ms)", 0.0, most * 1.05, if sheet.width.is_narrow() { 5 } else { 8 });
    let y = Axis { low: 0.0, high: rows.len() as f64, ticks: Vec::new(), name: String::new() };
    let chart = sheet.chart(&x, &y, 0)?;
    for (number, row) in rows.iter().enumerate() {
        let (left, top) = chart.at(0.0, (rows.len() - number) as f64);
        let (right, bottom) = chart.at(row.mean, (rows.len() - number - 1) as f64);
        let (from, to) = (top + sheet.line_height() * 3 / 2, bottom - sheet.units(3));
        sheet.bar((left, from), (right.max(left + 2), to), look.light, look.dark, look.hatch)?;
        let (low, high) = (chart.at(row.low, 0.0).0, chart.at(row.high, 0.0).0);
        sheet.whisker(low, high, i32::midpoint(from, to), sheet.units(5))?;
        let words = top + sheet.line_height() * 4 / 5;
        let (value, n) = (format!("{} ms", average(row.mean)), row.n);
        let choice = [format!("{value}   {n} requests ({})", row.share), format!("{value}, {n}×"), value];
        let (_, _, edge, _) = chart.frame();
        sheet.row((left + sheet.units(6), words), edge, &row.name, &choice)?;
    }
    Ok(())
}
