//! What a plain scalar means: YAML 1.1 as PyYAML reads it, with `0o644` besides.
//!
//! Pure text to value; knows nothing of files or places.

use crate::lang::node::Text;
use crate::lang::node::Tree;

/// The value of a scalar that has neither quotes nor a tag.
pub fn plain(text: &str) -> Tree {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Tree::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Tree::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Tree::Bool(false),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'0'..=b'9' | b'-' | b'+' | b'.' => {}
        _ => return live(text),
    }
    int(text).map(Tree::Int).or_else(|| float(text).map(Tree::Float)).unwrap_or_else(|| live(text))
}

fn live(text: &str) -> Tree {
    Tree::Text(Text { text: text.to_string(), live: true })
}

/// Whether the text is a number to base sixty, such as `22:30`, which its author hardly meant.
pub fn is_sexagesimal(text: &str) -> bool {
    text.contains(':') && matches!(plain(text), Tree::Int(_) | Tree::Float(_))
}

fn signed(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

/// A whole number; `None` also for one too large, which then stays text.
pub fn int(text: &str) -> Option<i64> {
    let (negative, body) = signed(text);
    let magnitude = match body.as_bytes() {
        [b'0'] => 0,
        [b'0', b'b', ..] => radix(&body[2..], 2)?,
        [b'0', b'x', ..] => radix(&body[2..], 16)?,
        [b'0', b'o', ..] => radix(&body[2..], 8)?,
        [b'0', ..] => radix(&body[1..], 8)?,
        [b'1'..=b'9', ..] if body.contains(':') => sixty(body)?,
        [b'1'..=b'9', ..] => radix(body, 10)?,
        _ => return None,
    };
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

fn radix(digits: &str, radix: u32) -> Option<i128> {
    let digits: String = digits.chars().filter(|one| *one != '_').collect();
    let plain = !digits.is_empty() && digits.chars().all(|one| one.is_digit(radix));
    plain.then(|| i128::from_str_radix(&digits, radix).ok()).flatten()
}

/// `1:30` is 90: each part after the first is at most 59.
fn sixty(text: &str) -> Option<i128> {
    let mut parts = text.split(':');
    let mut sum = radix(parts.next()?, 10)?;
    for part in parts {
        let value = part.parse::<u8>().ok().filter(|value| *value < 60 && part.len() <= 2 && !part.starts_with('+'))?;
        sum = sum.checked_mul(60)?.checked_add(value.into())?;
    }
    Some(sum)
}

/// A number with a point. An exponent must have a sign: `1e3` and `1.5e3` are text in YAML 1.1.
pub fn float(text: &str) -> Option<f64> {
    let (negative, body) = signed(text);
    let sign = if negative { -1.0 } else { 1.0 };
    match body {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if body.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    let (whole, rest) = body.split_once('.')?;
    if let Some((minutes, seconds)) = whole.rsplit_once(':') {
        let high = sixty(minutes).filter(|_| seconds.len() <= 2 && !minutes.starts_with('0'))?;
        let low: f64 = format!("{seconds}.{rest}").parse().ok().filter(|low| (0.0..60.0).contains(low))?;
        return Some(sign * (high as f64 * 60.0 + low));
    }
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, "+0"),
    };
    let digits = |part: &str| part.bytes().all(|one| one.is_ascii_digit() || one == b'_');
    let exponent_holds = exponent.len() > 1 && exponent.starts_with(['+', '-']) && digits(&exponent[1..]);
    let body_holds = digits(whole) && digits(fraction) && !whole.starts_with('_') && !fraction.starts_with('_');
    if !exponent_holds || !body_holds || (whole.is_empty() && (fraction.is_empty() || body.len() != text.len())) {
        return None;
    }
    format!("{whole}.{fraction}e{exponent}")
        .replace('_', "")
        .replace(".e", ".0e")
        .parse::<f64>()
        .ok()
        .map(|it| sign * it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match plain(text) {
            Tree::Text(_) => "text".to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words() {
        for word in ["yes", "On", "TRUE"] {
            check(word, "Bool(true)");
        }
        for word in ["no", "Off", "FALSE"] {
            check(word, "Bool(false)");
        }
        for word in ["", "~", "null", "NULL"] {
            check(word, "Null");
        }
        for word in ["y", "n", "yEs", "none", "None", "-", "+", ".", "1e3", "1.5e3", "0x", "09", "2001-12-14", "1.2.3"]
        {
            check(word, "text");
        }
    }

    #[test]
    fn numbers() {
        for (text, expected) in [
            ("0", "Int(0)"),
            ("-12", "Int(-12)"),
            ("+1_000", "Int(1000)"),
            ("0644", "Int(420)"),
            ("0o644", "Int(420)"),
            ("0x1F", "Int(31)"),
            ("0b101", "Int(5)"),
            ("1:30", "Int(90)"),
            ("-1:30:00", "Int(-5400)"),
            ("1:60", "text"),
            ("0:30", "text"),
            ("10.0.0.1", "text"),
            ("9223372036854775807", "Int(9223372036854775807)"),
            ("-9223372036854775808", "Int(-9223372036854775808)"),
            ("9223372036854775808", "text"),
            ("99999999999999999999999999999999999999999999", "text"),
            ("1.5", "Float(1.5)"),
            ("1.", "Float(1.0)"),
            (".5", "Float(0.5)"),
            ("-1.5e+3", "Float(-1500.0)"),
            ("1_0.5", "Float(10.5)"),
            ("1:30.5", "Float(90.5)"),
            ("-.inf", "Float(-inf)"),
            (".nan", "Float(NaN)"),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn the_hidden_number_to_base_sixty() {
        assert!(is_sexagesimal("22:30"));
        assert!(!is_sexagesimal("a:30"));
        assert!(!is_sexagesimal("00:11:22:33:44:55"));
    }
}
