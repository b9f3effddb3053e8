//! Files of `ssh_config` into options, each under the conditions it was written under.
//!
//! Does not know which host is asked for, so it decides nothing.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Source;
use crate::diag::Span;

use super::Asked;
use super::Block;
use super::Config;
use super::Criterion;
use super::Line;
use super::When;
use super::keywords::Meaning;
use super::keywords::meaning;
use super::keywords::names;
use crate::remote::pattern::fits;

/// How deep files may include each other; the same limit as in OpenSSH.
const DEPTH: usize = 16;

/// One word of a line and its place.
struct Word {
    text: String,
    span: Span,
}

/// Reads one file and what it includes into `config`. `within` is the block that holds the `Include` line.
pub(super) struct Reader<'a> {
    pub(super) config: &'a mut Config,
    pub(super) home: &'a Path,
    /// Where relative `Include` paths start: `~/.ssh` or `/etc/ssh`.
    pub(super) base: PathBuf,
    pub(super) depth: usize,
}

impl Reader<'_> {
    /// Reads the file at `path`. Faults in the text become diagnostics of the config.
    ///
    /// # Errors
    /// When the file cannot be read, which is for the caller to judge.
    pub(super) fn file(&mut self, path: &Path, within: Option<usize>) -> io::Result<()> {
        let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
        let source = Source::new(path.display().to_string(), text);
        let mut block = within;
        let mut at = 0;
        for line in source.text.split_inclusive('\n') {
            let place = Span::new(&source, at, at + line.trim_end().len());
            at += line.len();
            match split(&place) {
                Ok(words) => self.line(words, &mut block, within),
                Err(fault) => self.config.faults.push(fault),
            }
        }
        Ok(())
    }

    fn line(&mut self, words: Vec<Word>, block: &mut Option<usize>, within: Option<usize>) {
        let mut words = words.into_iter();
        let Some(first) = words.next() else { return };
        let keyword = first.text.to_lowercase();
        let values: Vec<Word> = words.collect();
        if values.is_empty() {
            let fault = Diagnostic::error(format!("`{}` needs a value", first.text)).at(&first.span);
            self.config.faults.push(fault);
            return;
        }
        match keyword.as_str() {
            "host" => {
                let patterns = values.into_iter().map(|word| word.text).collect();
                *block = Some(self.config.add_block(Block { within, when: When::Host(patterns) }));
            }
            "match" => {
                let when = self.criteria(values);
                *block = Some(self.config.add_block(Block { within, when }));
            }
            "include" => values.iter().for_each(|word| self.include(word, *block)),
            _ => self.option(&keyword, &first, values, *block),
        }
    }

    fn option(&mut self, keyword: &str, first: &Word, values: Vec<Word>, block: Option<usize>) {
        match meaning(keyword) {
            Meaning::Obeyed(key) => {
                let span = first.span.clone();
                let values = values.into_iter().map(|word| word.text).collect();
                self.config.lines.push(Line { block, key, values, span });
            }
            Meaning::Moot => {}
            Meaning::Unsupported => self.config.faults.push(
                Diagnostic::warning(format!("`{}` is unsupported and has no effect here", first.text)).at(&first.span),
            ),
            Meaning::Unknown => self.config.faults.push(
                Diagnostic::warning(format!("unknown keyword `{}`", first.text))
                    .at(&first.span)
                    .suggest(keyword, names()),
            ),
        }
    }

    /// `all`, `host`, `originalhost`; whatever else a `Match` line asks for cannot be decided, so its block never
    /// applies, and the user is told.
    fn criteria(&mut self, values: Vec<Word>) -> When {
        let mut criteria = Vec::new();
        let mut words = values.into_iter();
        while let Some(word) = words.next() {
            let (word_name, mut argument) = match word.text.split_once('=') {
                Some((name, value)) => (name.to_string(), Some(value.to_string())),
                None => (word.text.clone(), None),
            };
            let (negated, name) = match word_name.strip_prefix('!') {
                Some(name) => (true, name.to_lowercase()),
                None => (false, word_name.to_lowercase()),
            };
            let kind: fn(Vec<String>) -> Asked = match name.as_str() {
                "all" if !negated => continue,
                "host" => Asked::Host,
                "originalhost" => Asked::Original,
                _ => {
                    let text = format!("`Match {name}` is unsupported: the lines below it have no effect here");
                    let fault = Diagnostic::warning(text).at(&word.span);
                    self.config.faults.push(fault.help("use `Host` with patterns of names instead"));
                    return When::Never;
                }
            };
            argument = argument.or_else(|| words.next().map(|word| word.text));
            let Some(list) = argument else {
                let fault = Diagnostic::error(format!("`Match {name}` needs patterns")).at(&word.span);
                self.config.faults.push(fault);
                return When::Never;
            };
            criteria.push(Criterion { negated, asked: kind(list.split(',').map(str::to_string).collect()) });
        }
        When::Match(criteria)
    }

    fn include(&mut self, word: &Word, block: Option<usize>) {
        if self.depth >= DEPTH {
            self.config.faults.push(Diagnostic::error("too many files include each other").at(&word.span));
            return;
        }
        let path = match word.text.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None => self.base.join(&word.text),
        };
        for file in expand(&path) {
            let mut inner =
                Reader { config: &mut *self.config, home: self.home, base: self.base.clone(), depth: self.depth + 1 };
            if let Err(error) = inner.file(&file, block) {
                let fault = Diagnostic::error(format!("cannot read `{}`: {error}", file.display())).at(&word.span);
                self.config.faults.push(fault);
            }
        }
    }
}

/// The existing files a path with wildcards stands for, in order of their names.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str().to_string_lossy();
        if !part.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(part.as_ref()));
            continue;
        }
        let mut next = Vec::new();
        for directory in found {
            let Ok(entries) = std::fs::read_dir(&directory) else { continue };
            let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
            // As in a shell, a wildcard does not find what hides behind a dot.
            let mut names: Vec<_> =
                names.filter(|name| fits(&part, name) && (part.starts_with('.') || !name.starts_with('.'))).collect();
            names.sort();
            next.extend(names.into_iter().map(|name| directory.join(name)));
        }
        found = next;
    }
    found.retain(|path| path.is_file());
    found
}

/// The words of a line: a keyword, an optional `=`, and values that may be quoted. A comment gives none.
fn split(line: &Span) -> Result<Vec<Word>, Diagnostic> {
    let text = line.text();
    let mut words: Vec<Word> = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if words.len() == 1 && text[at..].starts_with('=') {
            at += 1;
            continue;
        }
        let Some(start) = text[at..].chars().next() else { return Ok(words) };
        if start == '#' {
            return Ok(words);
        }
        let (value, length) = word(&text[at..], words.is_empty())
            .ok_or_else(|| Diagnostic::error("a quote is not closed").at(&line.part(at, text.len())))?;
        words.push(Word { text: value, span: line.part(at, at + length) });
        at += length;
    }
}

/// The word at the start of `text` without its quotes, and its length in bytes; `None` when a quote stays open.
fn word(text: &str, keyword: bool) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut quote = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match quote {
            Some(mark) if c == mark => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() || (keyword && c == '=') => return Some((value, at)),
            _ if c == '\\' => match chars.peek() {
                Some(&(_, next)) if "\"'\\".contains(next) || (next == ' ' && quote.is_none()) => {
                    value.push(next);
                    chars.next();
                }
                _ => value.push(c),
            },
            _ => value.push(c),
        }
    }
    quote.is_none().then_some((value, text.len()))
}

/// The source of a path, for faults that have no text.
pub(super) fn named(path: &Path) -> Arc<Source> {
    Source::new(path.display().to_string(), "")
}
