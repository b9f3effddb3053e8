//! How scenarios are told apart: by colour, and by hatch, marker and dash for who sees none.

use plotters::style::RGBColor;

/// What fills bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hatch {
    Empty,
    Rising,
    Falling,
    Crossed,
    Level,
    Upright,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Disc,
    Square,
    Triangle,
    Cross,
    Ring,
    Diamond,
}

/// How one scenario looks in all figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Style {
    pub(super) dark: RGBColor,
    pub(super) light: RGBColor,
    pub(super) hatch: Hatch,
    pub(super) marker: Marker,
    /// Length of a dash and of the gap behind it; none is a line without gaps.
    pub(super) dash: Option<(i32, i32)>,
}

pub(super) const INK: RGBColor = RGBColor(0x1a, 0x1a, 0x1a);
pub(super) const FAINT: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
pub(super) const PALE: RGBColor = RGBColor(0xf0, 0xf0, 0xee);
pub(super) const GREY: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub(super) const WHITE: RGBColor = RGBColor(0xff, 0xff, 0xff);

/// Colours that people who see fewer of them still tell apart (Okabe and Ito), darkened for lines on white.
const STYLES: [Style; 6] = [
    style((0x00, 0x5a, 0x9c), (0xcf, 0xe3, 0xf2), Hatch::Rising, Marker::Disc, None),
    style((0xb8, 0x4a, 0x00), (0xfa, 0xdc, 0xc6), Hatch::Falling, Marker::Square, Some((24, 10))),
    style((0x00, 0x73, 0x54), (0xcb, 0xe9, 0xdf), Hatch::Crossed, Marker::Triangle, Some((10, 8))),
    style((0x7d, 0x2c, 0x6a), (0xee, 0xd9, 0xe8), Hatch::Level, Marker::Cross, Some((40, 10))),
    style((0x4d, 0x4d, 0x4d), (0xe6, 0xe6, 0xe6), Hatch::Upright, Marker::Ring, Some((4, 8))),
    style((0x6b, 0x56, 0x00), (0xf3, 0xea, 0xc4), Hatch::Empty, Marker::Diamond, Some((16, 16))),
];

const fn style(
    dark: (u8, u8, u8),
    light: (u8, u8, u8),
    hatch: Hatch,
    marker: Marker,
    dash: Option<(i32, i32)>,
) -> Style {
    Style { dark: RGBColor(dark.0, dark.1, dark.2), light: RGBColor(light.0, light.1, light.2), hatch, marker, dash }
}

/// Of the scenario at a place of the list.
pub(super) fn of(at: usize) -> Style {
    STYLES[at % STYLES.len()]
}
