//! `with_sequence`: `start=1 end=5 stride=2 format=node%02d`, `5`, `2-10/2:host%02d`, or a mapping.
//!
//! Pure.

use minijinja::value::Value;
use minijinja::value::ValueKind;

use crate::lang::loops::MAX_ITEMS;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Sequence {
    start: Option<i64>,
    end: Option<i64>,
    count: Option<i64>,
    stride: Option<i64>,
    format: Option<String>,
}

/// The items of one term. The error is a sentence.
pub(crate) fn expand(term: &Value) -> Result<Vec<Value>, String> {
    let sequence = match term.kind() {
        ValueKind::Map => from_map(term)?,
        _ => from_text(&term.to_string())?,
    };
    items(&sequence)
}

fn number(name: &str, text: &str) -> Result<i64, String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let parsed = match digits.get(..2) {
        Some("0x" | "0X") => i64::from_str_radix(&digits[2..], 16),
        Some("0o" | "0O") => i64::from_str_radix(&digits[2..], 8),
        _ => digits.parse(),
    };
    parsed.map(|value| sign * value).map_err(|_| format!("`{name}` of a sequence is a whole number, found `{text}`"))
}

fn set(sequence: &mut Sequence, name: &str, text: &str) -> Result<(), String> {
    match name {
        "start" => sequence.start = Some(number(name, text)?),
        "end" => sequence.end = Some(number(name, text)?),
        "count" => sequence.count = Some(number(name, text)?),
        "stride" => sequence.stride = Some(number(name, text)?),
        "format" => sequence.format = Some(text.to_string()),
        _ => return Err(format!("a sequence has start, end, count, stride and format, found `{name}`")),
    }
    Ok(())
}

fn from_map(term: &Value) -> Result<Sequence, String> {
    let mut sequence = Sequence::default();
    for key in term.try_iter().map_err(|error| error.to_string())? {
        let value = term.get_item(&key).map_err(|error| error.to_string())?;
        set(&mut sequence, &key.to_string(), &value.to_string())?;
    }
    Ok(sequence)
}

fn from_text(text: &str) -> Result<Sequence, String> {
    let mut sequence = Sequence::default();
    if text.contains('=') {
        for word in text.split_whitespace() {
            let (name, value) =
                word.split_once('=').ok_or_else(|| format!("`{word}` is not of the form name=value"))?;
            set(&mut sequence, name, value)?;
        }
        return Ok(sequence);
    }
    // [start-]end[/stride][:format]
    let (range, format) =
        text.trim().split_once(':').map_or((text.trim(), None), |(range, format)| (range, Some(format)));
    let (range, stride) = range.split_once('/').map_or((range, None), |(range, stride)| (range, Some(stride)));
    let (start, end) = match range.split_once('-').filter(|(start, _)| !start.is_empty()) {
        Some((start, end)) => (Some(start), end),
        None => (None, range),
    };
    sequence.start = start.map(|text| number("start", text)).transpose()?;
    sequence.end = Some(number("end", end)?);
    sequence.stride = stride.map(|text| number("stride", text)).transpose()?;
    sequence.format = format.map(str::to_string);
    Ok(sequence)
}

fn items(sequence: &Sequence) -> Result<Vec<Value>, String> {
    let start = sequence.start.unwrap_or(1);
    let stride = sequence.stride.unwrap_or(1);
    let end = match (sequence.end, sequence.count) {
        (Some(_), Some(_)) => return Err("a sequence has `end` or `count`, not both".into()),
        (None, None) => return Err("a sequence needs `end` or `count`".into()),
        (Some(end), None) => end,
        (None, Some(0)) => return Ok(Vec::new()),
        (None, Some(count)) => {
            let last = stride.checked_mul(count - 1).and_then(|far| start.checked_add(far));
            last.ok_or("the numbers of a sequence are too large")?
        }
    };
    let count = match stride {
        0 => return Ok(Vec::new()),
        1.. if end < start => return Err("to count down, give a sequence a negative `stride`".into()),
        ..0 if end > start => return Err("to count up, give a sequence a positive `stride`".into()),
        _ => (i128::from(end) - i128::from(start)) / i128::from(stride) + 1,
    };
    if count > MAX_ITEMS as i128 {
        return Err(format!("the sequence has {count} items, more than {MAX_ITEMS}"));
    }
    let format = sequence.format.as_deref().unwrap_or("%d");
    (0..count as i64).map(|at| printf(format, start + at * stride).map(Value::from)).collect()
}

/// C's number formats with one place: `%d`, `%02d`, `%x`, `%o`, `%5d`.
fn printf(format: &str, value: i64) -> Result<String, String> {
    let wrong = || format!("`{format}` is not a format with one `%d`, `%02d`, `%x` or `%o` in it");
    let (before, rest) = format.split_once('%').ok_or_else(wrong)?;
    let at = rest.find(|one: char| !one.is_ascii_digit()).ok_or_else(wrong)?;
    let (width, rest) = rest.split_at(at);
    let kind = rest.chars().next().ok_or_else(wrong)?;
    let after = &rest[kind.len_utf8()..];
    let digits = match kind {
        'd' | 'i' | 'u' => value.to_string(),
        'x' => format!("{value:x}"),
        'X' => format!("{value:X}"),
        'o' => format!("{value:o}"),
        _ => return Err(wrong()),
    };
    let places =
        if width.is_empty() { 0 } else { width.parse::<usize>().ok().filter(|it| *it <= 64).ok_or_else(wrong)? };
    let padded = match (width.starts_with('0'), digits.strip_prefix('-')) {
        (true, Some(positive)) => format!("-{positive:0>width$}", width = places.saturating_sub(1)),
        (true, None) => format!("{digits:0>places$}"),
        (false, _) => format!("{digits:>places$}"),
    };
    if after.contains('%') {
        return Err(wrong());
    }
    Ok(format!("{before}{padded}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match expand(&Value::from(text)) {
            Ok(items) => items.iter().map(Value::to_string).collect::<Vec<_>>().join(" "),
            Err(why) => why,
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn all_forms() {
        check("3", "1 2 3");
        check("2-4", "2 3 4");
        check("0-10/5:n%02d", "n00 n05 n10");
        check("start=0 end=4 stride=2 format=x%x", "x0 x2 x4");
        check("count=3", "1 2 3");
        check("count=0", "");
        check("start=5 count=2", "5 6");
        check("start=3 end=1 stride=-1", "3 2 1");
        check("end=0x3", "1 2 3");
        check("end=2 format=%3d.", "  1.   2.");
    }

    #[test]
    fn faults_are_sentences() {
        check("x", "`end` of a sequence is a whole number, found `x`");
        check("start=1", "a sequence needs `end` or `count`");
        check("end=1 count=1", "a sequence has `end` or `count`, not both");
        check("start=3 end=1", "to count down, give a sequence a negative `stride`");
        check("start=1 end=3 stride=-1", "to count up, give a sequence a positive `stride`");
        check("end=3 format=x", "`x` is not a format with one `%d`, `%02d`, `%x` or `%o` in it");
        check("end=9223372036854775807", "the sequence has 9223372036854775807 items, more than 100000");
        check("end=3 step=1", "a sequence has start, end, count, stride and format, found `step`");
        check("end=3 x", "`x` is not of the form name=value");
    }
}
