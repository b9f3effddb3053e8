//! What share of requests was answered within a time, on a logarithmic axis.

use anyhow::Result;
use plotters::style::FontStyle;

use crate::report::figure::Figure;
use crate::report::figure::axis;
use crate::report::figure::axis::Axis;
use crate::report::figure::sheet;
use crate::report::figure::sheet::Anchor;
use crate::report::figure::sheet::At;
use crate::report::figure::sheet::Chart;
use crate::report::figure::sheet::Sheet;
use crate::report::figure::sheet::Width;
use crate::report::figure::style;
use crate::report::figure::style::WHITE;
use crate::report::group::Scenario;
use crate::report::stats::quantile;
use crate::report::stats::sorted;
use crate::report::words::ms;

/// Shares of requests at which a line has a marker; those of the next line are a little further up, so that lines that lie
/// close together keep their markers apart.
const MARKS: [f64; 3] = [0.16, 0.46, 0.76];
const APART: [f64; 4] = [0.0, 0.06, 0.12, 0.18];
/// With more lines than this there is a legend.
const MOST: usize = 4;

pub(super) fn figure(scenarios: &[Scenario]) -> Result<Figure> {
    let said = |one: &Scenario| {
        format!("{}: half within {} ms, 99 % within {} ms", one.marked(), ms(one.summary.median), ms(one.summary.p99))
    };
    let values = scenarios.iter().map(said).collect::<Vec<_>>().join("; ");
    let shell = Figure {
        name: "ecdf".into(),
        title: "Share of requests answered within a time".into(),
        caption: "Empirical distribution; the time axis is logarithmic. Markers only tell the lines apart.".into(),
        alt: format!("Empirical distribution of times on a logarithmic axis. {values}."),
        wide: String::new(),
        narrow: String::new(),
    };
    let height = |width: Width| if width.is_narrow() { 320 } else { 440 };
    sheet::figure(shell, height, |sheet| draw(sheet, scenarios))
}

fn draw(sheet: &Sheet, scenarios: &[Scenario]) -> Result<()> {
    let series: Vec<Vec<f64>> = scenarios.iter().map(|one| sorted(&one.times)).collect();
    let least = scenarios.iter().map(|one| one.summary.min).fold(f64::INFINITY, f64::min);
    let most = scenarios.iter().map(|one| one.summary.max).fold(0.0, f64::max);
    let x = Axis::log("time of a request (ms, logarithmic)", least, most, if sheet.width.is_narrow() { 6 } else { 10 });
    let y = Axis::linear("share of requests (%)", 0.0, 100.0, if sheet.width.is_narrow() { 5 } else { 10 });
    let chart = sheet.chart(&x, &y, 0)?;
    let lines: Vec<Vec<At>> = series.iter().map(|times| steps(&chart, times)).collect();
    for (at, line) in lines.iter().enumerate() {
        let look = style::of(at);
        sheet.dashed(line, look.dark, 4, look.dash)?;
        for share in MARKS.map(|share| share + APART[at % APART.len()]) {
            let place = chart.at(axis::log(quantile(&series[at], share)), share * 100.0);
            sheet.marker(place, look.marker, look.dark)?;
        }
    }
    match sheet.width.is_narrow() || scenarios.len() > MOST {
        true => legend(sheet, &chart, scenarios, &lines),
        false => names(sheet, &chart, scenarios, &lines),
    }
}

/// The name of each line beside it.
fn names(sheet: &Sheet, chart: &Chart, scenarios: &[Scenario], lines: &[Vec<At>]) -> Result<()> {
    let mut taken = Vec::new();
    for (at, one) in scenarios.iter().enumerate() {
        let (left, _, right, _) = chart.frame();
        let text = sheet.cut(&one.marked(), (right - left) / 3);
        let label = place(sheet, chart, &text, at, lines, &taken);
        sheet.fill((label.left, label.top), (label.right, label.bottom), WHITE)?;
        let middle = (label.left, i32::midpoint(label.top, label.bottom));
        sheet.letters(middle, Anchor::Left, &text, style::of(at).dark, FontStyle::Bold)?;
        taken.push(label);
    }
    Ok(())
}

/// All names with a piece of their lines, in the corner with the fewest lines.
fn legend(sheet: &Sheet, chart: &Chart, scenarios: &[Scenario], lines: &[Vec<At>]) -> Result<()> {
    let (left, top, right, bottom) = chart.frame();
    let (sample, gap, row) = (sheet.units(44), sheet.units(6), sheet.line_height());
    let room = (right - left) * 3 / 4 - sample;
    let names: Vec<String> = scenarios.iter().map(|one| sheet.cut(&one.marked(), room)).collect();
    let width = names.iter().map(|name| sheet.bold_width(name)).max().unwrap_or(0) + sample + 3 * gap;
    let height = row * i32::try_from(names.len()).unwrap_or(1) + gap;
    let corners = [(right - width, bottom - height - gap), (left + gap, top + gap), (right - width, top + gap)];
    let label = |(left, top): At| Label { left, top, right: left + width, bottom: top + height };
    let crossed = |label: &Label| lines.iter().map(|line| label.crossed(line)).sum::<usize>();
    let Some(label) = corners.map(label).into_iter().min_by_key(crossed) else { return Ok(()) };
    sheet.fill((label.left, label.top), (label.right, label.bottom), WHITE)?;
    let mut y = label.top + row / 2 + gap / 2;
    for (at, name) in names.iter().enumerate() {
        let (look, from) = (style::of(at), label.left + gap);
        sheet.dashed(&[(from, y), (from + sample, y)], look.dark, 4, look.dash)?;
        sheet.marker((from + sample / 2, y), look.marker, look.dark)?;
        sheet.bold((from + sample + gap, y), Anchor::Left, name)?;
        y += row;
    }
    Ok(())
}

/// The line of a series: a step up at each time, without the corners that fall together on the sheet.
#[expect(clippy::cast_precision_loss, reason = "no run has 2^52 requests")]
fn steps(chart: &Chart, times: &[f64]) -> Vec<At> {
    let mut line: Vec<At> = Vec::new();
    let mut push = |at: At| {
        // Along an upright or level piece only its ends count.
        if let [.., before, last] = line.as_slice()
            && ((before.0 == last.0 && last.0 == at.0) || (before.1 == last.1 && last.1 == at.1))
        {
            line.pop();
        }
        if line.last() != Some(&at) {
            line.push(at);
        }
    };
    let share = |at: usize| 100.0 * at as f64 / times.len() as f64;
    for (at, time) in times.iter().enumerate() {
        push(chart.at(axis::log(*time), share(at)));
        push(chart.at(axis::log(*time), share(at + 1)));
    }
    line
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Label {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
}

impl Label {
    fn meets(&self, other: &Label) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    /// How much of a line runs through it.
    fn crossed(&self, line: &[At]) -> usize {
        let through = |pair: &&[At]| {
            let (a, b) = (pair[0], pair[1]);
            let (left, right) = (a.0.min(b.0), a.0.max(b.0));
            let (top, bottom) = (a.1.min(b.1), a.1.max(b.1));
            left <= self.right && self.left <= right && top <= self.bottom && self.top <= bottom
        };
        line.windows(2).filter(through).count()
    }
}

/// A place for a line's name: beside it, where the fewest other things are.
fn place(sheet: &Sheet, chart: &Chart, text: &str, at: usize, lines: &[Vec<At>], taken: &[Label]) -> Label {
    let (width, height) = (sheet.bold_width(text), sheet.line_height());
    let frame = chart.frame();
    let gap = sheet.units(8);
    let mut best: Option<(usize, Label)> = None;
    for share in [0.97, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.12, 0.06_f64] {
        let y = chart.at(0.0, share * 100.0).1;
        let x = lines[at].iter().find(|point| point.1 <= y).map_or(frame.0, |point| point.0);
        for left in [x + gap, x - gap - width] {
            let label = Label { left, top: y - height / 2, right: left + width, bottom: y + height / 2 };
            let outside =
                label.left < frame.0 || label.right > frame.2 || label.top < frame.1 || label.bottom > frame.3;
            let met = taken.iter().filter(|other| label.meets(other)).count();
            let crossed: usize = lines.iter().map(|line| label.crossed(line)).sum();
            let cost = usize::from(outside) * 100_000 + met * 10_000 + crossed;
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, label));
            }
        }
    }
    let corner = Label { left: frame.0, top: frame.1, right: frame.0 + width, bottom: frame.1 + height };
    best.map_or(corner, |(_, label)| label)
}
