//! A failure as a block: where, why, what the command said, and what to do.

use crate::event::Failure;
use crate::ui::look::Look;
use crate::ui::look::Tone;
use crate::ui::look::labelled;
use crate::ui::look::tame;

/// Lines of output that are shown of each stream; the last ones say most.
const EXCERPT: usize = 20;

/// The block below the line that names host and task.
pub fn block(at: &str, failure: &Failure, look: &Look) -> String {
    let mut out = String::new();
    let mut add = |label: &str, text: &str| {
        if !text.trim().is_empty() {
            let label = format!("{label:<6}");
            out.push_str(&labelled(&label, text, 2, look.width));
        }
    };
    add("at", at);
    add("why", &failure.message);
    if let Some(rc) = failure.rc {
        add("rc", &rc.to_string());
    }
    add("stdout", &excerpt(&failure.stdout, look));
    add("stderr", &excerpt(&failure.stderr, look));
    if let Some(help) = &failure.help {
        add("help", help);
    }
    out.lines().map(|line| colour(line, look) + "\n").collect()
}

fn colour(line: &str, look: &Look) -> String {
    match (line.strip_prefix("  why    "), line.strip_prefix("  help   ")) {
        (Some(text), _) => format!("  why    {}", look.paint(Tone::Bad, text)),
        (_, Some(text)) => format!("  help   {}", look.paint(Tone::Note, text)),
        _ => line.to_string(),
    }
}

/// The last lines of an output; with `-v` all of it.
fn excerpt(text: &str, look: &Look) -> String {
    let text = tame(text.trim_end());
    let lines: Vec<&str> = text.lines().collect();
    match lines.len().checked_sub(EXCERPT) {
        Some(more @ 1..) if look.verbose == 0 => {
            format!("… {more} lines before, -v shows them\n{}", lines[more..].join("\n"))
        }
        _ => lines.join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_outputs_show_their_end() {
        let stdout = (1..=30).map(|line| format!("line {line}\n")).collect();
        let failure = Failure { message: "it failed".into(), help: None, rc: Some(3), stdout, stderr: String::new() };
        let text = block("a.yml:1:1", &failure, &Look::default());
        assert!(text.starts_with("  at     a.yml:1:1\n  why    it failed\n  rc     3\n  stdout … 10 lines"), "{text}");
        assert!(text.ends_with("         line 30\n") && !text.contains("line 10\n"), "{text}");
        let all = block("a.yml:1:1", &failure, &Look { verbose: 1, ..Look::default() });
        assert!(all.contains("line 1\n"), "{all}");
    }
}
