//! What is wrong with a YAML text, said in sentences, with the usual slip of the hand behind it where one can be guessed.
//!
//! Knows the YAML parser's errors and the author's habits, nothing of values.

use std::sync::Arc;

use serde_saphyr::granit_parser::ErrorKind;
use serde_saphyr::granit_parser::ScanError;

use crate::diag::Diagnostic;
use crate::diag::Source;
use crate::diag::Span;
use crate::lang::yaml::MAX_BYTES;
use crate::lang::yaml::MAX_DEPTH;
use crate::lang::yaml::MAX_EXPANDED;
use crate::lang::yaml::MAX_NODES;

/// What can be said before parsing: size and characters that are no text.
pub(crate) fn check_text(source: &Arc<Source>) -> Result<(), Box<Diagnostic>> {
    if source.text.len() > MAX_BYTES {
        let message = format!("the file is larger than {} MiB, the most that is read as YAML", MAX_BYTES >> 20);
        return Err(Box::new(Diagnostic::error(message).at(&Span::new(source, 0, 0))));
    }
    let control = |one: char| (one < ' ' && !matches!(one, '\t' | '\n' | '\r')) || one == '\x7f';
    match source.text.find(control) {
        None => Ok(()),
        Some(at) => {
            let code = u32::from(source.text.as_bytes()[at]);
            let message = format!("the control character U+{code:04X} cannot stand in YAML");
            let fault = Diagnostic::error(message).at(&Span::new(source, at, at + 1));
            Err(Box::new(fault.help(format!("write it as \"\\x{code:02x}\" in double quotes"))))
        }
    }
}

pub(crate) fn too_deep() -> Diagnostic {
    Diagnostic::error(format!("lists and mappings are nested more than {MAX_DEPTH} levels deep"))
}

pub(crate) fn too_large() -> Diagnostic {
    let message = format!("more than {MAX_NODES} values or {} MiB after writing out aliases", MAX_EXPANDED >> 20);
    Diagnostic::error(message).help("aliases that refer to aliases multiply; write less of them")
}

pub(crate) fn vault() -> Diagnostic {
    Diagnostic::error("values encrypted with ansible-vault are unsupported")
        .help("use `lookup('env', 'NAME')`, or `-e @file` with a file of mode 0600")
}

pub(crate) fn unsupported_tag(tag: &str) -> Diagnostic {
    Diagnostic::error(format!("the YAML tag `{tag}` is unsupported"))
        .help("remove it; `!unsafe` is the one that is known")
}

pub(crate) fn sexagesimal(text: &str) -> Diagnostic {
    Diagnostic::warning(format!("`{text}` is a number to base sixty in YAML 1.1"))
        .help(format!("if text is meant, write '{text}' in quotes"))
}

/// `key: {{ var }}`: YAML sees a mapping in a mapping.
pub(crate) fn bare_template(span: &Span) -> Diagnostic {
    let text = &span.source.text;
    let start = text[..span.start].trim_end().strip_suffix('{').map_or(span.start, str::len);
    let line = text[start..].lines().next().unwrap_or_default();
    let value = without_closing(line.split(" #").next().unwrap_or(line).trim_end());
    let whole = Span::new(&span.source, start, start + value.len());
    Diagnostic::error("a value that begins with `{{` needs quotes").at(&whole).help(quoted(value))
}

/// Without the brackets at its end that close something around the value.
fn without_closing(mut value: &str) -> &str {
    let more = |value: &str, open: char, close: char| value.matches(close).count() > value.matches(open).count();
    while (value.ends_with('}') && more(value, '{', '}')) || (value.ends_with(']') && more(value, '[', ']')) {
        value = value[..value.len() - 1].trim_end();
    }
    value
}

fn quoted(value: &str) -> String {
    match value.contains('"') {
        true => format!("write '{}'", value.replace('\'', "''")),
        false => format!("write \"{value}\""),
    }
}

/// The parser's error as a sentence, or the slip that led to it.
pub(crate) fn explain(source: &Arc<Source>, error: &ScanError) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or(0);
    let span = Span::new(source, at, at + 1);
    let line_start = source.text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    if let Some(slip) =
        slip(source, line_start).or_else(|| previous_line(source, line_start).and_then(|at| slip(source, at)))
    {
        return slip;
    }
    let (message, help) = sentence(error);
    let fault = Diagnostic::error(message).at(&span);
    match help {
        "" => fault,
        help => fault.help(help),
    }
}

fn previous_line(source: &Source, line_start: usize) -> Option<usize> {
    let end = line_start.checked_sub(1)?;
    Some(source.text[..end].rfind('\n').map_or(0, |at| at + 1))
}

/// A line whose value begins with a brace or a quote that does not hold all of it.
fn slip(source: &Arc<Source>, line_start: usize) -> Option<Diagnostic> {
    let line = source.text[line_start..].lines().next()?;
    let item = line.trim_start().trim_start_matches("- ").trim_start();
    let value = match item.starts_with(['{', '"', '\'']) {
        true => item,
        false => item.split_once(": ")?.1.trim_start(),
    };
    let start = line_start + line.len() - value.len();
    let value = value.trim_end();
    let span = Span::new(source, start, start + value.len());
    if value.starts_with("{{") {
        return Some(bare_template(&span));
    }
    let quote = value.chars().next().filter(|one| matches!(one, '"' | '\''))?;
    let rest = value[1..].find(quote).map(|at| value[at + 2..].trim_start())?;
    if rest.is_empty() || rest.starts_with('#') {
        return None;
    }
    let fault = Diagnostic::error("the quotes end before the value does").at(&span);
    Some(match quote {
        '"' if !value.contains('\'') => fault.help(format!("put the whole value in quotes: '{value}'")),
        _ => fault.help("put the whole value in quotes of the other kind"),
    })
}

/// One sentence for each kind of error that people meet; the parser's own words for the rest.
fn sentence(error: &ScanError) -> (String, &'static str) {
    let (message, help) = match error.kind() {
        ErrorKind::MappingValueNotAllowed => ("a second `: ` on one line", "put a value that contains `: ` in quotes"),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => ("a tab where YAML wants spaces", "indent with spaces"),
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation => {
            ("this does not fit the mapping it stands in", "indent all keys of one mapping alike")
        }
        ErrorKind::ExpectedBlockSequenceEntry | ErrorKind::BlockSequenceEntryNotAllowed => {
            ("this does not fit the list it stands in", "begin each item with `- `, all in the same column")
        }
        ErrorKind::UnexpectedCharacter { character } => {
            let message = format!("a value cannot begin with `{}`", character.escape_default());
            return (message, "put the value in quotes");
        }
        ErrorKind::UnclosedFlowCollection { open } => {
            return (format!("the bracket `{open}` is never closed"), "close it, or put the value in quotes");
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            return (format!("the bracket `{open}` is closed by `{close}`"), "close it with its own kind");
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => {
            ("quotes are opened here or above and never closed", "close the quotes")
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            ("a backslash in double quotes that YAML does not know", "use single quotes, or write `\\\\`")
        }
        ErrorKind::UnknownAnchor => ("the alias refers to no anchor above it", "write `&name` at the value it means"),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            ("a line without `: ` where a key and its value belong", "write `key: value`")
        }
        ErrorKind::RecursionLimitExceeded => return (too_deep().message, ""),
        _ => return (format!("this is not YAML: {}", error.info()), ""),
    };
    (message.to_string(), help)
}
