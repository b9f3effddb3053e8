//! One drawing: letters, lines, hatches and markers in the units of the paper, and charts with axes on it.
//!
//! Drawn by `plotters` with whole numbers as coordinates, so there are two units to a pixel. The letters are measured in the
//! font that the PNG files are set in; it is not asked what fonts this machine has.

use std::sync::OnceLock;

use anyhow::Result;
use plotters::chart::ChartBuilder;
use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::DrawingArea;
use plotters::drawing::IntoDrawingArea;
use plotters::element::Circle;
use plotters::element::PathElement;
use plotters::element::Polygon;
use plotters::element::Rectangle;
use plotters::element::Text;
use plotters::style::Color;
use plotters::style::FontStyle;
use plotters::style::IntoFont;
use plotters::style::RGBColor;
use plotters::style::TextStyle;
use plotters::style::register_font;
use plotters::style::text_anchor::HPos;
use plotters::style::text_anchor::Pos;
use plotters::style::text_anchor::VPos;
use plotters_svg::SVGBackend;

use crate::report::figure::Figure;
use crate::report::figure::axis::Axis;
use crate::report::figure::style::FAINT;
use crate::report::figure::style::GREY;
use crate::report::figure::style::Hatch;
use crate::report::figure::style::INK;
use crate::report::figure::style::Marker;
use crate::report::figure::style::WHITE;

/// The fonts a reader may have, the one that is measured first.
const FONT: &str = "DejaVu Sans, Verdana, sans-serif";
/// Units in a pixel.
const UNITS: i32 = 2;
/// `plotters` takes the height of a line for the size of a font.
const LINE: f64 = 1.24;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A place on the sheet, in units.
pub(super) type At = (i32, i32);

/// Which of the two drawings of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Wide,
    Narrow,
}

impl Width {
    fn pixels(self) -> i32 {
        match self {
            Width::Wide => 960,
            Width::Narrow => 360,
        }
    }

    /// Of the letters, in pixels.
    fn letters(self) -> i32 {
        match self {
            Width::Wide => 14,
            Width::Narrow => 12,
        }
    }

    pub(super) fn is_narrow(self) -> bool {
        self == Width::Narrow
    }
}

/// Where a text stands relative to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Left,
    Right,
}

pub(super) struct Sheet<'a> {
    root: Area<'a>,
    pub(super) width: Width,
}

/// A part of a sheet with axes.
pub(super) struct Chart<'a> {
    chart: ChartContext<'a, SVGBackend<'a>, Cartesian2d<Axis, Axis>>,
}

impl Chart<'_> {
    /// Where a point is on the sheet.
    pub(super) fn at(&self, x: f64, y: f64) -> At {
        self.chart.backend_coord(&(x, y))
    }

    /// Left, top, right, bottom of what the axes enclose.
    pub(super) fn frame(&self) -> (i32, i32, i32, i32) {
        let (x, y) = self.chart.plotting_area().get_pixel_range();
        (x.start, y.start, x.end, y.end)
    }
}

/// Draws a figure in both widths; `height` is in pixels.
pub(super) fn figure(
    figure: Figure,
    height: impl Fn(Width) -> i32,
    draw: impl Fn(&Sheet) -> Result<()>,
) -> Result<Figure> {
    let one = |width: Width| {
        let mut svg = String::new();
        let (across, down) = (width.pixels(), height(width));
        let units = |pixels: i32| u32::try_from(pixels * UNITS).unwrap_or(1);
        fonts();
        {
            let root = SVGBackend::with_string(&mut svg, (units(across), units(down))).into_drawing_area();
            root.fill(&WHITE)?;
            draw(&Sheet { root: root.clone(), width })?;
            root.present()?;
        }
        let size = |pixels: i32| (format!("=\"{}\"", pixels * UNITS), format!("=\"{pixels}\""));
        let ((w_units, w), (h_units, h)) = (size(across), size(down));
        let svg = svg.replacen(&format!("width{w_units}"), &format!("width{w}"), 1);
        let svg = svg.replacen(&format!("height{h_units}"), &format!("height{h}"), 1);
        let svg = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{}\" ", escape(&figure.alt)), 1);
        // What is said anyway makes the page twice as long.
        anyhow::Ok(svg.replace(" opacity=\"1\"", "").replace(" stroke=\"none\"/>", "/>"))
    };
    let (wide, narrow) = (one(Width::Wide)?, one(Width::Narrow)?);
    Ok(Figure { wide, narrow, ..figure })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Makes the fonts known, once.
fn fonts() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        // Fails only for what is no font.
        let _ = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
        let _ = register_font(FONT, FontStyle::Bold, dejavu::sans::bold());
    });
}

impl<'a> Sheet<'a> {
    /// Pixels in units, larger letters taking more.
    pub(super) fn units(&self, pixels: i32) -> i32 {
        pixels * UNITS
    }

    /// The height of a line of text.
    pub(super) fn line_height(&self) -> i32 {
        self.units(self.width.letters()) * 13 / 10
    }

    fn style(&self, colour: RGBColor, weight: FontStyle) -> TextStyle<'static> {
        let size = f64::from(self.units(self.width.letters())) * LINE;
        TextStyle { color: colour.to_backend_color(), ..TextStyle::from((FONT, size).into_font().style(weight)) }
    }

    /// How wide a text will be.
    pub(super) fn text_width(&self, text: &str) -> i32 {
        let size = self.root.estimate_text_size(text, &self.style(INK, FontStyle::Normal));
        size.map_or(0, |(width, _)| i32::try_from(width).unwrap_or(i32::MAX))
    }

    /// How wide a text in bold will be: a little wider.
    pub(super) fn bold_width(&self, text: &str) -> i32 {
        self.text_width(text) * 23 / 20
    }

    /// As much of a text as fits in bold.
    pub(super) fn cut(&self, text: &str, room: i32) -> String {
        let cut = |columns: usize| console::truncate_str(text, columns, "…").into_owned();
        let all = console::measure_text_width(text);
        (4..=all).rev().map(cut).find(|text| self.bold_width(text) <= room).unwrap_or_else(|| cut(4))
    }

    /// A row of words from the left: a name in bold, and the longest of what else there is to say that fits beside it.
    /// The name is cut where not even the shortest does.
    pub(super) fn row(&self, at: At, right: i32, name: &str, more: &[String]) -> Result<()> {
        let gap = self.units(10);
        let least = more.iter().map(|text| self.text_width(text)).min().unwrap_or(0);
        let name = self.cut(name, right - at.0 - gap - least);
        self.bold(at, Anchor::Left, &name)?;
        let beyond = at.0 + self.bold_width(&name) + gap;
        let fits = |text: &&String| beyond + self.text_width(text) <= right;
        match more.iter().filter(fits).max_by_key(|text| self.text_width(text)) {
            Some(text) => self.text((beyond, at.1), Anchor::Left, text),
            None => Ok(()),
        }
    }

    /// Text with its middle at the height given.
    pub(super) fn text(&self, at: At, anchor: Anchor, text: &str) -> Result<()> {
        self.letters(at, anchor, text, INK, FontStyle::Normal)
    }

    pub(super) fn bold(&self, at: At, anchor: Anchor, text: &str) -> Result<()> {
        self.letters(at, anchor, text, INK, FontStyle::Bold)
    }

    pub(super) fn letters(
        &self,
        at: At,
        anchor: Anchor,
        text: &str,
        colour: RGBColor,
        weight: FontStyle,
    ) -> Result<()> {
        let side = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Right => HPos::Right,
        };
        let style = self.style(colour, weight).pos(Pos::new(side, VPos::Center));
        // The backend sets the middle half an x-height too low for capitals and digits.
        Ok(self.root.draw(&Text::new(text.to_string(), (at.0, at.1 + self.units(1)), style))?)
    }

    pub(super) fn line(&self, points: &[At], colour: RGBColor, width: u32) -> Result<()> {
        Ok(self.root.draw(&PathElement::new(points.to_vec(), colour.stroke_width(width)))?)
    }

    /// Dashes along a line with corners.
    pub(super) fn dashed(&self, points: &[At], colour: RGBColor, width: u32, dash: Option<(i32, i32)>) -> Result<()> {
        let Some((on, off)) = dash else { return self.line(points, colour, width) };
        for piece in dashes(points, f64::from(on), f64::from(off)) {
            self.line(&piece, colour, width)?;
        }
        Ok(())
    }

    pub(super) fn fill(&self, from: At, to: At, colour: RGBColor) -> Result<()> {
        Ok(self.root.draw(&Rectangle::new([from, to], colour.filled()))?)
    }

    pub(super) fn outline(&self, from: At, to: At, colour: RGBColor) -> Result<()> {
        let corners = [from, (to.0, from.1), to, (from.0, to.1), from];
        self.line(&corners, colour, 2)
    }

    /// A bar: filled, hatched and with an outline.
    pub(super) fn bar(&self, from: At, to: At, light: RGBColor, dark: RGBColor, hatch: Hatch) -> Result<()> {
        self.fill(from, to, light)?;
        for (start, end) in hatch_lines(from, to, hatch) {
            self.line(&[start, end], dark, 1)?;
        }
        self.outline(from, to, dark)
    }

    /// A whisker that lies, with ends of the height given.
    pub(super) fn whisker(&self, low: i32, high: i32, y: i32, half: i32) -> Result<()> {
        self.line(&[(low, y), (high, y)], INK, 3)?;
        self.line(&[(low, y - half), (low, y + half)], INK, 3)?;
        self.line(&[(high, y - half), (high, y + half)], INK, 3)
    }

    pub(super) fn marker(&self, (x, y): At, marker: Marker, colour: RGBColor) -> Result<()> {
        let r = 9;
        match marker {
            Marker::Disc => Ok(self.root.draw(&Circle::new((x, y), r, colour.filled()))?),
            Marker::Ring => {
                self.root.draw(&Circle::new((x, y), r, WHITE.filled()))?;
                Ok(self.root.draw(&Circle::new((x, y), r, colour.stroke_width(3)))?)
            }
            Marker::Square => self.fill((x - 8, y - 8), (x + 8, y + 8), colour),
            Marker::Triangle => {
                let corners = vec![(x, y - 11), (x + 10, y + 8), (x - 10, y + 8)];
                Ok(self.root.draw(&Polygon::new(corners, colour.filled()))?)
            }
            Marker::Diamond => {
                let corners = vec![(x, y - 12), (x + 12, y), (x, y + 12), (x - 12, y)];
                self.root.draw(&Polygon::new(corners.clone(), WHITE.filled()))?;
                self.line(&[corners[0], corners[1], corners[2], corners[3], corners[0]], colour, 3)
            }
            Marker::Cross => {
                self.line(&[(x - r, y - r), (x + r, y + r)], colour, 4)?;
                self.line(&[(x - r, y + r), (x + r, y - r)], colour, 4)
            }
        }
    }

    /// Axes on the whole sheet, below `top` units that are left for a title.
    pub(super) fn chart(&self, x: &Axis, y: &Axis, top: i32) -> Result<Chart<'a>> {
        self.panel(x, y, (0, 1), (self.left(y), top))
    }

    /// What an axis on the left needs for its name and its labels.
    pub(super) fn left(&self, y: &Axis) -> i32 {
        match y.ticks.iter().map(|(_, label)| self.text_width(label)).max() {
            Some(widest) => widest + self.line_height() + self.units(18),
            // Half a label of the axis below.
            None => self.units(14),
        }
    }

    /// Axes on one of several panels that stand below each other, counted from the top; `left` is the same for all.
    pub(super) fn panel(
        &self,
        x: &Axis,
        y: &Axis,
        (number, all): (usize, usize),
        (left, top): (i32, i32),
    ) -> Result<Chart<'a>> {
        let areas = self.root.split_evenly((all, 1));
        let area = areas.get(number).unwrap_or(&self.root);
        let unnamed = if x.name.is_empty() { self.line_height() / 2 } else { 0 };
        let mut chart = ChartBuilder::on(area)
            .margin_top(top + self.line_height() * 7 / 10)
            .margin_left(self.units(3))
            .margin_right(self.units(26))
            .x_label_area_size(self.line_height() * 2 + self.units(14) - unnamed)
            .y_label_area_size(left)
            .build_cartesian_2d(x.clone(), y.clone())?;
        let letters = self.style(INK, FontStyle::Normal);
        chart
            .configure_mesh()
            .axis_style(GREY.stroke_width(2))
            .bold_line_style(FAINT.stroke_width(1))
            .light_line_style(FAINT.stroke_width(0))
            .set_all_tick_mark_size(self.units(6))
            .label_style(letters.clone())
            .axis_desc_style(letters)
            .x_desc(x.name.clone())
            .y_desc(y.name.clone())
            .draw()?;
        Ok(Chart { chart })
    }
}

/// Pieces of a line with corners, as long as dashes are.
#[expect(clippy::cast_possible_truncation, reason = "places on a sheet")]
fn dashes(points: &[At], on: f64, off: f64) -> Vec<Vec<At>> {
    let mut pieces = Vec::new();
    let mut piece: Vec<At> = points.first().copied().into_iter().collect();
    let (mut drawing, mut left) = (true, on);
    for pair in points.windows(2) {
        let (mut x, mut y) = (f64::from(pair[0].0), f64::from(pair[0].1));
        let (to_x, to_y) = (f64::from(pair[1].0), f64::from(pair[1].1));
        loop {
            let far = (to_x - x).hypot(to_y - y);
            let step = far.min(left);
            if far > 0.0 {
                (x, y) = (x + (to_x - x) * step / far, y + (to_y - y) * step / far);
            }
            left -= step;
            if drawing {
                piece.push((x.round() as i32, y.round() as i32));
            }
            if left > 1e-9 {
                break;
            }
            if drawing {
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![(x.round() as i32, y.round() as i32)];
            }
            drawing = !drawing;
            left = if drawing { on } else { off };
            if far <= step {
                break;
            }
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

/// The lines that hatch a rectangle, cut at its sides.
fn hatch_lines(from: At, to: At, hatch: Hatch) -> Vec<(At, At)> {
    let (w, h) = ((to.0 - from.0).max(0), (to.1 - from.1).max(0));
    let every = 14;
    let level = || (1..).map(|at| at * every).take_while(|y| *y < h).map(|y| ((0, y), (w, y)));
    let upright = || (1..).map(|at| at * every).take_while(|x| *x < w).map(|x| ((x, 0), (x, h)));
    // From the left or the top side downwards to the right: x - y is the same all along.
    let falling = || {
        let along = (1 - h / every - 1..).map(|at| at * every).take_while(|d| *d < w);
        along.filter(|d| *d > -h).map(|d| ((d.max(0), (-d).max(0)), (w.min(h + d), h.min(w - d))))
    };
    let turn = |((x0, y0), (x1, y1)): (At, At)| ((x0, h - y0), (x1, h - y1));
    let lines: Vec<(At, At)> = match hatch {
        Hatch::Empty => Vec::new(),
        Hatch::Level => level().collect(),
        Hatch::Upright => upright().collect(),
        Hatch::Falling => falling().collect(),
        Hatch::Rising => falling().map(turn).collect(),
        Hatch::Crossed => falling().chain(falling().map(turn)).collect(),
    };
    let shift = |(x, y): At| (x + from.0, y + from.1);
    lines.into_iter().map(|(start, end)| (shift(start), shift(end))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_go_around_corners() {
        let found = dashes(&[(0, 0), (10, 0), (10, 10)], 6.0, 2.0);
        assert_eq!(found, vec![vec![(0, 0), (6, 0)], vec![(8, 0), (10, 0), (10, 4)], vec![(10, 6), (10, 10)]]);
        assert_eq!(dashes(&[], 6.0, 2.0), Vec::<Vec<At>>::new());
    }

    #[test]
    fn hatches_stay_inside() {
        for hatch in [Hatch::Rising, Hatch::Falling, Hatch::Crossed, Hatch::Level, Hatch::Upright] {
            for (w, h) in [(100, 40), (40, 100), (3, 3), (0, 0)] {
                for ((x0, y0), (x1, y1)) in hatch_lines((5, 7), (5 + w, 7 + h), hatch) {
                    for (x, y) in [(x0, y0), (x1, y1)] {
                        assert!((5..=5 + w).contains(&x) && (7..=7 + h).contains(&y), "{hatch:?} {w}×{h}: {x} {y}");
                    }
                }
            }
        }
        assert!(hatch_lines((0, 0), (100, 40), Hatch::Rising).len() > 3);
    }
}
