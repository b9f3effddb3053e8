//! Spans and diagnostics: what is wrong, where, and what to write instead.
//!
//! Knows nothing of YAML, playbooks or terminals; it carries places in text and turns them into readable messages.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// The widest line a rendered diagnostic aims for, in columns.
const WIDTH: usize = 80;

/// One text that was read, with the name it is shown under.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub text: String,
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Source> {
        Arc::new(Source { name: name.into(), text: text.into() })
    }
}

/// A range of bytes in a [`Source`]. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    pub source: Arc<Source>,
    pub start: usize,
    pub end: usize,
}

impl Span {
    /// `start..end` in bytes; both are moved back into the text and onto character borders.
    pub fn new(source: &Arc<Source>, start: usize, end: usize) -> Span {
        let floor = |mut at: usize| {
            at = at.min(source.text.len());
            while !source.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(start);
        Span { source: source.clone(), start, end: floor(end).max(start) }
    }

    /// A span for text that is in no file: a command line argument, a default, a test.
    pub fn synthetic(name: &str, text: &str) -> Span {
        Span { source: Source::new(name, text), start: 0, end: text.len() }
    }

    /// The text the span covers.
    pub fn text(&self) -> &str {
        &self.source.text[self.start..self.end]
    }

    /// Line and column of the start, both counted from 1; the column in characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// The directory of the file the span lies in.
    pub fn directory(&self) -> &Path {
        Path::new(&self.source.name).parent().unwrap_or_else(|| Path::new(""))
    }

    /// A part of this span, in bytes from its start.
    pub fn part(&self, start: usize, end: usize) -> Span {
        Span::new(&self.source, self.start + start, self.start + end)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// One fault in the user's text: a sentence, a place, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub message: String,
    pub span: Option<Span>,
    /// Further places that explain the fault.
    pub notes: Vec<(Span, String)>,
    pub help: Option<String>,
    pub lacking: Option<Box<Lacking>>,
}

/// What is not there, where that is the fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lacking {
    /// A name of the language: it may be in a text that was not read.
    Name(String),
    /// A text: nobody knows what it would have brought.
    Text,
}

impl Diagnostic {
    pub fn error(message: impl Into<String>) -> Diagnostic {
        let message = message.into();
        Diagnostic { severity: Severity::Error, message, span: None, notes: Vec::new(), help: None, lacking: None }
    }

    pub fn warning(message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(message) }
    }

    /// Sets the place, unless a more exact one is known already.
    #[must_use]
    pub fn at(mut self, span: &Span) -> Diagnostic {
        self.span.get_or_insert_with(|| span.clone());
        self
    }

    #[must_use]
    pub fn note(mut self, span: &Span, text: impl Into<String>) -> Diagnostic {
        self.notes.push((span.clone(), text.into()));
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn lacks(mut self, what: Lacking) -> Diagnostic {
        self.lacking = Some(Box::new(what));
        self
    }

    /// Adds «did you mean …?» when one of the candidates is close to the word.
    #[must_use]
    pub fn suggest<'a>(self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Diagnostic {
        // What is the same is there, only not here or not yet.
        match nearest(word, candidates).filter(|near| *near != word) {
            Some(near) if self.help.is_none() => self.help(format!("did you mean `{near}`?")),
            _ => self,
        }
    }

    /// Whether it reads the same.
    fn says(&self, other: &Diagnostic) -> bool {
        let Diagnostic { severity, message, span, notes, help, lacking: _ } = self;
        (severity, message, span, help) == (&other.severity, &other.message, &other.span, &other.help)
            && *notes == other.notes
    }

    /// The message with file:line:column, the line and a caret; coloured only if asked.
    pub fn render(&self, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        if let Some(span) = &self.span {
            let mut snippet = snippet(span).annotation(AnnotationKind::Primary.span(visible(span)));
            let (same, other): (Vec<_>, Vec<_>) = self.notes.iter().partition(|(place, _)| place.source == span.source);
            for (place, text) in same {
                snippet = snippet.annotation(AnnotationKind::Context.span(visible(place)).label(text.as_str()));
            }
            group = group.element(snippet);
            for (place, text) in other {
                group = group.element(
                    self::snippet(place).annotation(AnnotationKind::Context.span(visible(place)).label(text.as_str())),
                );
            }
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.term_width(WIDTH).render(&[group])
    }
}

fn snippet(span: &Span) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
    Snippet::source(span.source.text.as_str()).path(span.source.name.as_str())
}

/// The first line of the span: carets under whole blocks say less than one line.
fn visible(span: &Span) -> std::ops::Range<usize> {
    let text = span.text();
    let end = text.find('\n').map_or(span.end, |at| span.start + at);
    span.start..end
}

/// Many faults at once, in the order they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Once, also when it is found in two ways.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        match self.list.iter_mut().find(|known| known.says(&diagnostic)) {
            Some(known) => known.lacking = known.lacking.take().or(diagnostic.lacking),
            None => self.list.push(diagnostic),
        }
    }

    pub fn extend(&mut self, other: Diagnostics) {
        for diagnostic in other.list {
            self.push(diagnostic);
        }
    }

    /// Puts them file by file as they were found first, and from top to bottom in each. What has no place comes first.
    pub fn in_reading_order(&mut self) {
        let mut sources: Vec<Arc<Source>> = Vec::new();
        for span in self.list.iter().filter_map(|fault| fault.span.as_ref()) {
            if !sources.contains(&span.source) {
                sources.push(span.source.clone());
            }
        }
        let place = |fault: &Diagnostic| {
            let span = fault.span.as_ref()?;
            Some((sources.iter().position(|source| *source == span.source), span.start))
        };
        self.list.sort_by_cached_key(place);
    }

    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|one| one.severity == Severity::Error)
    }

    /// Keeps the value of a fallible step, or notes the fault and goes on.
    pub fn take<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|fault| self.push(fault)).ok()
    }

    /// `value` if nothing here is an error. Warnings are kept beside it by the caller.
    pub fn check<T>(self, value: T) -> Result<T, Diagnostics> {
        if self.has_errors() { Err(self) } else { Ok(value) }
    }

    pub fn render(&self, colour: bool) -> String {
        self.list.iter().map(|one| one.render(colour) + "\n").collect::<Vec<_>>().join("\n")
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Diagnostics {
        Diagnostics { list: vec![one] }
    }
}

/// The candidate that looks most like the word, if any is close enough to be a slip of the hand.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (word.len().max(candidate.len()) / 3).max(1))
        .min_by(|(one, a), (other, b)| {
            // Of equals the one that begins more alike: `taks` is `tasks` rather than `tags`.
            let alike = |candidate: &str| strsim::jaro_winkler(word, candidate);
            one.cmp(other).then_with(|| alike(b).total_cmp(&alike(a)))
        })
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_shows_place_line_caret_and_help() {
        let source = Source::new("play.yaml", "- hosts: all\n  taks: []\n");
        let span = Span::new(&source, 15, 19);
        let text =
            Diagnostic::error("unknown keyword `taks`").at(&span).suggest("taks", ["tasks", "hosts"]).render(false);
        assert!(text.contains("play.yaml:2:3"), "{text}");
        assert!(text.contains("^^^^"), "{text}");
        assert!(text.contains("did you mean `tasks`?"), "{text}");
    }

    #[test]
    fn spans_stay_on_character_borders() {
        let source = Source::new("x", "é");
        assert_eq!(Span::new(&source, 1, 99).text(), "é");
    }
}
