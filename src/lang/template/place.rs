//! From a place in a template's text to the place in the file it was written in.
//!
//! A scalar's text is not always what the file says: quotes, escapes, folded lines and indentation lie between.

use std::ops::Range;
use std::sync::Arc;

use crate::diag::Source;
use crate::diag::Span;

/// Where a text stands.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A scalar of a YAML file, and the text it means.
    Scalar(Span, Arc<str>),
    /// A template file from the given byte on.
    File(Arc<Source>, usize),
}

impl Place {
    pub(crate) fn span(&self, at: &Range<usize>) -> Span {
        match self {
            Place::File(source, base) => Span::new(source, base + at.start, base + at.end),
            Place::Scalar(span, text) => scalar(span, text, at),
        }
    }
}

fn scalar(span: &Span, text: &str, at: &Range<usize>) -> Span {
    let raw = span.text();
    if let Some(start) = raw.find(text).filter(|_| !text.is_empty()) {
        return span.part(start + at.start, start + at.end);
    }
    match (aligned(raw, text, at.start), aligned(raw, text, at.end.saturating_sub(1))) {
        (Some(start), Some(end)) if start <= end => span.part(start, end + 1),
        _ => span.clone(),
    }
}

/// The byte of the raw scalar that holds the given byte of its text: each visible character of the text is in the raw
/// scalar too, in the same order, with quotes, backslashes and indentation between.
fn aligned(raw: &str, text: &str, wanted: usize) -> Option<usize> {
    let body = if raw.starts_with(['|', '>']) { raw.find('\n')? } else { 0 };
    let mut rest = raw[body..].char_indices();
    for (at, one) in text.char_indices() {
        if one.is_whitespace() && at < wanted {
            continue;
        }
        let found = rest.find(|&(_, other)| other == one || one.is_whitespace())?;
        if at >= wanted {
            return Some(body + found.0);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, text: &str, part: &str, expected: &str) {
        let span = Span::synthetic("x", raw);
        let start = text.find(part).unwrap();
        let place = Place::Scalar(span, Arc::from(text));
        assert_eq!(place.span(&(start..start + part.len())).text(), expected, "{raw}");
    }

    #[test]
    fn places_in_scalars_are_places_in_the_file() {
        check("{{ a }}", "{{ a }}", "a", "a");
        check("\"x {{ ab }}\"", "x {{ ab }}", "ab", "ab");
        check("\"x\\n {{ ab }}\"", "x\n {{ ab }}", "ab", "ab");
        check("'it''s {{ ab }}'", "it's {{ ab }}", "ab", "ab");
        check("|\n    x\n    {{ ab }}\n", "x\n{{ ab }}\n", "ab", "ab");
        check(">-\n  x\n  {{ ab }}", "x {{ ab }}", "ab", "ab");
        check("whatever", "{{ zz }}", "zz", "whatever");
    }
}
