//! Text before and after as a unified diff.

use similar::TextDiff;

use crate::event::Shown;
use crate::ui::look::Look;
use crate::ui::look::Tone;
use crate::ui::look::one_line;
use crate::ui::look::tame;

/// Longer texts are not compared line by line: nobody would read it.
const MOST: usize = 1 << 20;

/// The diff of a step, indented; empty if the step has no text to compare.
pub fn unified(step: &Shown, indent: usize, look: &Look) -> String {
    if step.before.is_none() && step.after.is_none() {
        return String::new();
    }
    let lead = " ".repeat(indent);
    let (before, after) = (side(step.before.as_deref()), side(step.after.as_deref()));
    if before.len() + after.len() > MOST {
        return format!("{lead}(too long to be shown: {} and {} bytes)\n", before.len(), after.len());
    }
    let name = one_line(&step.what);
    let old = if step.before.is_some() { name.as_str() } else { "/dev/null" };
    let new = if step.after.is_some() { name.as_str() } else { "/dev/null" };
    let diff = TextDiff::from_lines(&before, &after).unified_diff().context_radius(3).header(old, new).to_string();
    let mut out = String::new();
    for (at, line) in diff.lines().enumerate() {
        let tone = match line.as_bytes().first() {
            _ if at < 2 => Tone::Bold,
            Some(b'+') => Tone::Good,
            Some(b'-') => Tone::Bad,
            Some(b'@') => Tone::Note,
            _ => Tone::Plain,
        };
        out.push_str(&lead);
        out.push_str(&look.paint(tone, line));
        out.push('\n');
    }
    out
}

/// The text of one side. A last line without an end is shown as one: the diff says so itself.
fn side(text: Option<&str>) -> String {
    tame(text.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: Option<&str>, after: Option<&str>, expected: &str) {
        let step = Shown {
            what: "f".into(),
            before: before.map(Into::into),
            after: after.map(Into::into),
            never: None,
            note: None,
        };
        assert_eq!(unified(&step, 2, &Look::default()), expected);
    }

    #[test]
    fn diffs() {
        check(None, None, "");
        check(Some("a\n"), Some("a\n"), "");
        check(Some("a\nb\n"), Some("a\nc\n"), "  --- f\n  +++ f\n  @@ -1,2 +1,2 @@\n   a\n  -b\n  +c\n");
        check(None, Some("a\n"), "  --- /dev/null\n  +++ f\n  @@ -0,0 +1 @@\n  +a\n");
        check(Some("a"), None, "  --- f\n  +++ /dev/null\n  @@ -1 +0,0 @@\n  -a\n  \\ No newline at end of file\n");
    }
}
