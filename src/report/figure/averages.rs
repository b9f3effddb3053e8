//! Averages as bars, with their intervals, beside the published ones.

use anyhow::Result;

use crate::report::figure::Figure;
use crate::report::figure::axis::Axis;
use crate::report::figure::sheet;
use crate::report::figure::sheet::Sheet;
use crate::report::figure::sheet::Width;
use crate::report::figure::style;
use crate::report::figure::style::INK;
use crate::report::figure::style::Marker;
use crate::report::group::Scenario;
use crate::report::thesis;
use crate::report::words::average;
use crate::report::words::interval;

pub(super) fn figure(scenarios: &[Scenario]) -> Result<Figure> {
    let said = |one: &Scenario| format!("{} {} ms", one.marked(), average(one.summary.mean));
    let values = scenarios.iter().map(said).collect::<Vec<_>>().join(", ");
    let shell = Figure {
        name: "averages".into(),
        title: "Average time of a request".into(),
        caption:
            "Bars: averages measured here. Whiskers: their 95 % intervals (block bootstrap); with many requests they \
                  are narrow. Diamonds: averages of the thesis (tables 6.1 to 6.3)."
                .into(),
        alt: format!("Bars of average times of a request: {values}."),
        wide: String::new(),
        narrow: String::new(),
    };
    let rows = i32::try_from(scenarios.len()).unwrap_or(1);
    let height = |width: Width| 70 + rows * if width.is_narrow() { 58 } else { 62 };
    sheet::figure(shell, height, |sheet| draw(sheet, scenarios))
}

/// A row a scenario: words above, the bar below.
#[expect(clippy::cast_precision_loss, reason = "rows are few")]
fn draw(sheet: &Sheet, scenarios: &[Scenario]) -> Result<()> {
    let published = |one: &Scenario| thesis::of(&one.key).map(|known| known.value);
    let highest = |one: &Scenario| {
        let interval = one.interval.map_or(one.summary.mean, |interval| interval.high);
        interval.max(published(one).unwrap_or(0.0))
    };
    let most = scenarios.iter().map(highest).fold(0.0, f64::max);
    let ticks = if sheet.width.is_narrow() { 5 } else { 8 };
    let x = Axis::linear("average time of a request (ms)", 0.0, most * 1.04, ticks);
    let y = Axis { low: 0.0, high: scenarios.len() as f64, ticks: Vec::new(), name: String::new() };
    let chart = sheet.chart(&x, &y, 0)?;
    for (at, one) in scenarios.iter().enumerate() {
        let look = style::of(at);
        let (left, top) = chart.at(0.0, (scenarios.len() - at) as f64);
        let (right, bottom) = chart.at(one.summary.mean, (scenarios.len() - at - 1) as f64);
        let words = top + sheet.line_height() * 4 / 5;
        let (from, to) = (top + sheet.line_height() * 3 / 2, bottom - sheet.units(3));
        let (upper, lower) = (from + (to - from) * 3 / 10, from + (to - from) * 13 / 20);
        sheet.bar((left, from), (right.max(left + 2), to), look.light, look.dark, look.hatch)?;
        if let Some(known) = one.interval {
            sheet.whisker(chart.at(known.low, 0.0).0, chart.at(known.high, 0.0).0, upper, sheet.units(5))?;
        }
        if let Some(known) = published(one) {
            sheet.marker((chart.at(known, 0.0).0, lower), Marker::Diamond, INK)?;
        }
        let value = format!("{} ms", average(one.summary.mean));
        let known = thesis::of(&one.key).map(|known| format!("   ◇ thesis {} ms", known.mean)).unwrap_or_default();
        let sure = one.interval.map(|known| format!("   ({})", interval(Some(known)))).unwrap_or_default();
        let whole = format!("{value}{sure}{known}");
        let (_, _, edge, _) = chart.frame();
        let choice = [whole, format!("{value}{known}"), value];
        sheet.row((left + sheet.units(6), words), edge, &one.marked(), &choice)?;
    }
    Ok(())
}
