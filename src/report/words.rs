//! Numbers as they are printed.

use crate::report::stats::Interval;

/// Averages and what is derived from them: the clock has microseconds, averages of many requests a digit more.
pub(super) fn average(ms: f64) -> String {
    zero(format!("{ms:.4}"))
}

/// Single times: to the microsecond.
pub(super) fn ms(ms: f64) -> String {
    zero(format!("{ms:.3}"))
}

pub(super) fn optional(value: Option<f64>, print: fn(f64) -> String) -> String {
    value.map_or_else(|| "–".into(), print)
}

pub(super) fn interval(interval: Option<Interval>) -> String {
    interval.map_or_else(|| "–".into(), |one| format!("{} to {}", average(one.low), average(one.high)))
}

/// With its sign.
pub(super) fn signed(ms: f64) -> String {
    let text = average(ms);
    if text.starts_with('-') || text.trim_matches(['0', '.']).is_empty() { text } else { format!("+{text}") }
}

pub(super) fn percent(share: f64) -> String {
    zero(format!("{:.2}", share * 100.0)) + " %"
}

/// A count beside a word in one or many.
pub(super) fn count(number: usize, word: &str) -> String {
    match number {
        1 => format!("1 {word}"),
        _ => format!("{number} {word}s"),
    }
}

/// There is no minus zero.
fn zero(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.trim_matches(['0', '.']).is_empty() => rest.to_string(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_print() {
        for (found, expected) in [
            (average(2.042_149), "2.0421"),
            (ms(-0.000_01), "0.000"),
            (signed(0.3), "+0.3000"),
            (signed(-0.3), "-0.3000"),
            (signed(0.0), "0.0000"),
            (percent(0.0087), "0.87 %"),
            (optional(None, ms), "–"),
            (interval(Some(Interval { low: 1.0, high: 2.0 })), "1.0000 to 2.0000"),
            (count(1, "run"), "1 run"),
            (count(2, "run"), "2 runs"),
        ] {
            assert_eq!(found, expected);
        }
    }
}
