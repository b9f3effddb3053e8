//! What could not be read, and what may be in it: of names that it may bring nothing can be said yet.

use std::collections::HashSet;
use std::sync::Arc;

use regex::Regex;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Lacking;
use crate::diag::Severity;
use crate::diag::Source;

#[derive(Debug, Clone, Default)]
pub struct Gaps {
    /// Texts with faults: parts of them were not understood.
    texts: Vec<Arc<Source>>,
    /// A text was not read at all.
    whole: bool,
    /// Something is wrong with the inventory.
    pub inventory: bool,
    /// Plays whose hosts are not known, by number; they are looked at as if they ran on this machine.
    pub plays: HashSet<usize>,
}

impl Gaps {
    /// What the faults of reading have left open.
    pub fn of(faults: &Diagnostics) -> Gaps {
        let mut gaps = Gaps::default();
        for fault in faults.list.iter().filter(|fault| fault.severity == Severity::Error) {
            gaps.whole |= fault.lacking.as_deref() == Some(&Lacking::Text);
            if let Some(span) = fault.span.as_ref().filter(|span| !gaps.texts.contains(&span.source)) {
                gaps.texts.push(span.source.clone());
            }
        }
        gaps
    }

    /// Takes out the faults that may only follow from what was not read. `play`: where they were found.
    pub fn sift(&self, faults: &mut Diagnostics, play: Option<usize>) {
        if self.texts.is_empty() && !self.whole && self.plays.is_empty() {
            return;
        }
        let unsure = self.whole || play.is_some_and(|play| self.plays.contains(&play));
        let stays = |fault: &Diagnostic| match fault.lacking.as_deref() {
            Some(Lacking::Name(name)) => !unsure && !self.texts.iter().any(|text| brings(text, name)),
            Some(Lacking::Text) | None => true,
        };
        faults.list.retain(stays);
    }
}

/// Whether a text looks as if it gave a meaning to a name: as a key, or as what is registered or called so.
fn brings(text: &Source, name: &str) -> bool {
    if !text.text.contains(name) {
        return false;
    }
    let name = regex::escape(name);
    let key = format!(r#"(?m)(?:^|[\s{{,\[-])["']?{name}["']?\s*(?::|=[^=])"#);
    let called = r"\b(?:name|listen|register|loop_var|index_var)\s*:";
    let called = format!(r#"(?m)(?:{called}.*?[\s"'\[,]|^\s*-\s+["']?){name}(?:["'\],}}\s]|$)"#);
    [key, called].iter().any(|pattern| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(&text.text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_may_bring() {
        let text = Source::new(
            "play.yml",
            "- vars: {port: 1, \"host\": x}\n  who: {{ user }}\n  tasks:\n  - shell: id == {{ uid }}\n    register: seen\n    \
             when: count == 1\n  - set_fact: total=3\n  - name: restart nginx\n  - listen: [one, 'two']\n",
        );
        for name in ["port", "host", "who", "seen", "total", "restart nginx", "one", "two"] {
            assert!(brings(&text, name), "{name}");
        }
        for name in ["user", "uid", "count", "nginx.conf", "see"] {
            assert!(!brings(&text, name), "{name}");
        }
    }
}
