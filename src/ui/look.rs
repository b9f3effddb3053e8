//! How text is set: width, colour, wrapping, and what is done about control characters.
//!
//! Knows nothing of events. Colour never says anything that the words do not.

use std::io::IsTerminal;

/// The width of everything that is not on a terminal.
pub const WIDTH: usize = 80;

/// What the text is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Columns.
    pub width: usize,
    pub colour: Colour,
    /// How often `-v` was given.
    pub verbose: u8,
    pub diffs: Diffs,
}

impl Default for Look {
    fn default() -> Look {
        Look { width: WIDTH, colour: Colour::Off, verbose: 0, diffs: Diffs::Hidden }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    #[default]
    Off,
    On,
}

/// Whether `--diff` was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Diffs {
    #[default]
    Hidden,
    Shown,
}

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Change,
    Bad,
    Note,
    Dim,
    Bold,
    Plain,
}

impl Colour {
    /// The colour of a stream: `NO_COLOR` and `CLICOLOR_FORCE` first, then whether it is a terminal that can.
    pub fn of(stream: &impl IsTerminal) -> Colour {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match (set("NO_COLOR"), set("CLICOLOR_FORCE").filter(|value| value != "0")) {
            (Some(_), _) => Colour::Off,
            (None, Some(_)) => Colour::On,
            (None, None) if stream.is_terminal() && !dumb => Colour::On,
            _ => Colour::Off,
        }
    }

    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Change => "33",
            Tone::Bad => "1;31",
            Tone::Note => "36",
            Tone::Dim => "2",
            Tone::Bold => "1",
            Tone::Plain => "",
        };
        match (self, text) {
            (Colour::Off, _) | (_, "") => text.to_string(),
            _ if tone == Tone::Plain => text.to_string(),
            (Colour::On, _) => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

impl Look {
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        self.colour.paint(tone, text)
    }
}

/// Text of hosts and users as it may be printed: no escape sequences, no carriage returns; line ends stay.
pub fn tame(text: &str) -> String {
    let text = console::strip_ansi_codes(text);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(one) = chars.next() {
        match one {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\r' if matches!(chars.peek(), Some('\n') | None) => {}
            // A progress bar that was drawn over itself reads as lines.
            '\r' => out.push('\n'),
            one if one.is_control() || is_turner(one) => out.push('\u{fffd}'),
            one => out.push(one),
        }
    }
    out
}

/// Characters that turn the direction of the text around them: what is read would not be what is written.
fn is_turner(one: char) -> bool {
    matches!(one, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line of it, with line ends as spaces.
pub fn one_line(text: &str) -> String {
    tame(text).split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Columns the text takes, escape sequences not counted.
pub fn columns(text: &str) -> usize {
    console::measure_text_width(text)
}

/// The text cut to so many columns, with `…` where it was cut.
pub fn cut(text: &str, width: usize) -> String {
    console::truncate_str(text, width, "…").into_owned()
}

/// The text, and spaces up to the width.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// Broken into lines of at most `width` columns, at spaces where there are any. Lines of the text stay lines; what leads
/// them, too.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    for line in text.lines() {
        let body = line.trim_start();
        let lead = &line[..line.len() - body.len()];
        let lead = if columns(lead) * 2 > width { "" } else { lead };
        let mut current = lead.to_string();
        let mut fresh = true;
        for word in body.split(' ') {
            if !fresh && columns(&current) + 1 + columns(word) > width {
                lines.push(std::mem::replace(&mut current, lead.to_string()));
                fresh = true;
            }
            if !fresh {
                current.push(' ');
            }
            current.push_str(word);
            fresh = false;
            while columns(&current) > width {
                let at = split_at(&current, width);
                let rest = current.split_off(at);
                lines.push(std::mem::replace(&mut current, format!("{lead}{rest}")));
            }
        }
        lines.push(current);
    }
    lines
}

/// The byte at which so many columns end.
fn split_at(text: &str, width: usize) -> usize {
    let mut taken = 0;
    for (at, one) in text.char_indices() {
        taken += columns(one.encode_utf8(&mut [0; 4]));
        if taken > width && at > 0 {
            return at;
        }
    }
    text.len()
}

/// A block under a label: the label before the first line, the others below it.
pub fn labelled(label: &str, text: &str, indent: usize, width: usize) -> String {
    let lead = " ".repeat(indent);
    let gap = " ".repeat(columns(label) + 1);
    let inside = width.saturating_sub(indent + columns(&gap));
    let mut out = String::new();
    for (at, line) in wrap(&tame(text), inside).iter().enumerate() {
        let head = if at == 0 { format!("{label} ") } else { gap.clone() };
        out.push_str(format!("{lead}{head}{line}").trim_end());
        out.push('\n');
    }
    out
}

/// A span of time for people: `0.4 s`, `12 s`, `2 min 05 s`.
pub fn time(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..10 => format!("{:.1} s", seconds.max(0.0)),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// `1 host`, `2 hosts`.
pub fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping() {
        for (text, width, expected) in [
            ("a b c", 80, vec!["a b c"]),
            ("alpha beta gamma", 11, vec!["alpha beta", "gamma"]),
            ("  alpha beta gamma", 12, vec!["  alpha beta", "  gamma"]),
            ("abcdefghijkl", 8, vec!["abcdefgh", "ijkl"]),
            ("x abcdefghijkl", 8, vec!["x", "abcdefgh", "ijkl"]),
            ("日本語日本語", 8, vec!["日本語日", "本語"]),
            ("one\n\ntwo", 8, vec!["one", "", "two"]),
            ("", 8, vec![]),
        ] {
            assert_eq!(wrap(text, width), expected, "{text}");
        }
    }

    #[test]
    fn what_hosts_say_cannot_steer_the_terminal() {
        for (text, expected) in [
            ("\x1b[31mred\x1b[0m", "red"),
            ("10%\r20%\r\n", "10%\n20%\n"),
            ("a\tb\x07", "a    b\u{fffd}"),
            ("\u{202e}txet", "\u{fffd}txet"),
            ("\x1b]0;title\x07x", "x"),
        ] {
            let tamed = tame(text);
            assert_eq!(tamed, expected);
        }
    }

    #[test]
    fn times() {
        for (seconds, expected) in [
            (0.0, "0.0 s"),
            (3.44, "3.4 s"),
            (9.96, "10 s"),
            (59.7, "1 min 00 s"),
            (125.0, "2 min 05 s"),
            (3700.0, "1 h 01 min"),
        ] {
            assert_eq!(time(seconds), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_too_wide(text in "[a-c日é \n]{0,60}", width in 8..20usize) {
            for line in wrap(&text, width) {
                proptest::prop_assert!(columns(&line) <= width, "{line:?}");
            }
        }
    }
}
