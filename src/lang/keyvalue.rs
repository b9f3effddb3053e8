//! Arguments written on one line: `src=a dest="b c"`, and commands with options among their words.
//!
//! Words end at white space outside of quotes and templates. Knows nothing of the kinds that take the arguments.

use std::ops::Range;

use crate::diag::Diagnostic;
use crate::diag::Span;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::task::Vars;

/// The only options that are picked out of a command line; every other `=` belongs to the command.
pub const COMMAND_OPTIONS: &[&str] =
    &["creates", "removes", "chdir", "executable", "warn", "stdin", "stdin_add_newline", "strip_empty_ends"];

/// Which words with a `=` are options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// All: `copy: src=a dest=b`.
    All,
    /// Those of [`COMMAND_OPTIONS`]: `shell: FOO=1 make creates=/x`.
    CommandOptions,
}

/// A line taken apart.
#[derive(Debug, Clone, Default)]
pub struct Line {
    pub options: Vars,
    /// What is no option, as it was written.
    pub free: Option<Node>,
}

/// Takes a line apart. `node` must be text; its liveness passes on to the parts.
pub fn split(node: &Node, pick: Pick) -> Result<Line, Diagnostic> {
    let Some(text) = node.as_text() else { return Ok(Line::default()) };
    let place = |range: Range<usize>| match node.span.text() == text {
        true => node.span.part(range.start, range.end),
        false => node.span.clone(),
    };
    let mut line = Line::default();
    let mut free = String::new();
    let mut free_range: Option<Range<usize>> = None;
    let mut end = 0;
    for word in words(text).map_err(|unclosed| unclosed.at(&node.span))? {
        let gap = &text[end..word.start];
        end = word.end;
        let raw = &text[word.clone()];
        let equals = equals(raw).filter(|at| pick == Pick::All || COMMAND_OPTIONS.contains(&&raw[..*at]));
        match equals {
            Some(at) => {
                let key = Key { span: place(word.start..word.start + at), name: raw[..at].trim().to_string() };
                let value = unquote(&unescape(&raw[at + 1..]));
                let span = place(word.start + at + 1..word.end);
                line.options.retain(|(known, _)| known.name != key.name);
                line.options.push((key, text_like(node, &span, value)));
            }
            None => {
                if free_range.is_some() {
                    // A line that goes on is one line, for `command` too, which has no shell to join it.
                    free.push_str(&gap.replace("\\\n", ""));
                }
                free_range.get_or_insert(word.clone()).end = word.end;
                // As Ansible: only where a `=` was escaped are escapes taken out of free words.
                match escaped_equals(raw) {
                    true => free.push_str(&unescape(raw).replace("\\=", "=")),
                    false => free.push_str(raw),
                }
            }
        }
    }
    // With options among the words, the place covers them too: it is exact where it matters most.
    line.free = free_range.map(|range| text_like(node, &place(range), free));
    Ok(line)
}

fn text_like(node: &Node, span: &Span, text: String) -> Node {
    let live = matches!(&node.tree, crate::lang::node::Tree::Text(text) if text.live);
    if live { Node::live(span, text) } else { Node::literal(span, text) }
}

/// The first `=` that is neither at the start nor behind a backslash nor inside of a template.
fn equals(word: &str) -> Option<usize> {
    let at = word.match_indices('=').map(|(at, _)| at).find(|at| *at > 0 && !word[..*at].ends_with('\\'))?;
    (!word[..at].contains("{{") && !word[..at].contains("{%")).then_some(at)
}

/// Whether a word has a `=` and all of them are escaped.
fn escaped_equals(word: &str) -> bool {
    let mut places = word.match_indices('=').map(|(at, _)| at).filter(|at| *at > 0).peekable();
    places.peek().is_some() && places.all(|at| word[..at].ends_with('\\'))
}

/// The words of a line as ranges of bytes.
pub fn words(text: &str) -> Result<Vec<Range<usize>>, Diagnostic> {
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    let mut start = None;
    let mut quote: Option<u8> = None;
    let mut templates: Vec<u8> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (one, next) = (bytes[at], bytes.get(at + 1).copied().unwrap_or(0));
        let open = quote.is_some() || !templates.is_empty();
        if one.is_ascii_whitespace() && !open {
            words.extend(start.take().map(|start| start..at));
        } else if one == b'\\' && next == b'\n' && !open && start.is_none() {
            // A line that goes on.
            at += 1;
        } else {
            start.get_or_insert(at);
            at += usize::from(step(one, next, at > 0 && bytes[at - 1] == b'\\', &mut quote, &mut templates));
        }
        at += 1;
    }
    if quote.is_some() || !templates.is_empty() {
        let what = if quote.is_some() { "a quote" } else { "a template" };
        return Err(Diagnostic::error(format!("{what} is opened in this line and never closed"))
            .help("close it, or write the arguments as a mapping"));
    }
    words.extend(start.map(|start| start..bytes.len()));
    Ok(words)
}

/// Follows quotes and templates over one character; true if the next one belongs to it.
fn step(one: u8, next: u8, escaped: bool, quote: &mut Option<u8>, templates: &mut Vec<u8>) -> bool {
    match (one, next) {
        (b'"' | b'\'', _) if !escaped => {
            match quote {
                Some(open) if *open == one => *quote = None,
                Some(_) => {}
                None => *quote = Some(one),
            }
            false
        }
        (b'{', b'{' | b'%' | b'#') => {
            templates.push(if next == b'{' { b'}' } else { next });
            true
        }
        (b'}' | b'%' | b'#', b'}') if templates.last() == Some(&one) => {
            templates.pop();
            true
        }
        _ => false,
    }
}

/// The value without the quotes around it, if they are a pair.
fn unquote(text: &str) -> String {
    let text = text.trim();
    for quote in ['"', '\''] {
        if text.len() > 1 && text.starts_with(quote) && text.ends_with(quote) && !text.ends_with(&format!("\\{quote}"))
        {
            return text[1..text.len() - 1].to_string();
        }
    }
    text.to_string()
}

/// `\n`, `\t`, `\x41`, `\u00e9`, `\\` and their like; an unknown one stays as it is.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (value, length) = escape(rest);
        match value {
            Some(value) => out.push(value),
            None => out.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    out + rest
}

/// The character behind a backslash and the bytes it takes.
fn escape(text: &str) -> (Option<char>, usize) {
    let hex = |digits: usize| {
        let value =
            text.get(2..2 + digits).and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
        (value, if value.is_some() { 2 + digits } else { 1 })
    };
    let simple = match text.as_bytes().get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'a') => '\x07',
        Some(b'b') => '\x08',
        Some(b'f') => '\x0c',
        Some(b'v') => '\x0b',
        Some(quote @ (b'\\' | b'\'' | b'"')) => char::from(*quote),
        Some(b'x') => return hex(2),
        Some(b'u') => return hex(4),
        Some(b'U') => return hex(8),
        _ => return (None, 1),
    };
    (Some(simple), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, pick: Pick, expected: &str) {
        let source = crate::diag::Source::new("t", text);
        let node = Node::live(&Span::new(&source, 0, text.len()), text);
        let found = match split(&node, pick) {
            Ok(line) => {
                let mut parts: Vec<String> = line
                    .options
                    .iter()
                    .map(|(key, node)| format!("{}=<{}>", key.name, node.as_text().unwrap()))
                    .collect();
                parts.extend(line.free.map(|free| format!("<{}>", free.as_text().unwrap())));
                parts.join(" ")
            }
            Err(fault) => fault.message,
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn all_words_with_equals_are_options() {
        for (text, expected) in [
            ("src=a dest=/b", "src=<a> dest=</b>"),
            ("a=\"x y\" b='p q'", "a=<x y> b=<p q>"),
            ("a={{ x }} b={{ y | d('z z') }}/c", "a=<{{ x }}> b=<{{ y | d('z z') }}/c>"),
            ("a=\"{{ x['k'] }}\"", "a=<{{ x['k'] }}>"),
            ("a=\"x\\n\" b=\\x41\\n", "a=<x\n> b=<A>"),
            ("flush_handlers", "<flush_handlers>"),
            ("main.yml x=1", "x=<1> <main.yml>"),
            ("a\\=b", "<a=b>"),
            ("a=b=c", "a=<b=c>"),
            ("a=1 a=2", "a=<2>"),
            ("{{ f(x=1) }}", "<{{ f(x=1) }}>"),
            ("a='it", "a quote is opened in this line and never closed"),
            ("a={{ b", "a template is opened in this line and never closed"),
            ("", ""),
        ] {
            check(text, Pick::All, expected);
        }
    }

    #[test]
    fn commands_keep_their_words() {
        for (text, expected) in [
            ("FOO=1 make -j x=y", "<FOO=1 make -j x=y>"),
            ("make creates=/x  all", "creates=</x> <make  all>"),
            ("chdir=\"/a b\" ls  -l", "chdir=</a b> <ls  -l>"),
            ("echo a\n  echo b\n", "<echo a\n  echo b>"),
            ("awk '{ print $1 }' creates=x", "creates=<x> <awk '{ print $1 }'>"),
            ("echo \"a  creates=b\"", "<echo \"a  creates=b\">"),
            ("echo \\\n  b", "<echo   b>"),
            ("echo a\\=b c\\d", "<echo a=b c\\d>"),
            ("{{ cmd }} removes=/y", "removes=</y> <{{ cmd }}>"),
        ] {
            check(text, Pick::CommandOptions, expected);
        }
    }

    #[test]
    fn places_are_kept() {
        let source = crate::diag::Source::new("t", "x: a=1 b=22");
        let node = Node::live(&Span::new(&source, 3, 11), "a=1 b=22");
        let line = split(&node, Pick::All).unwrap();
        assert_eq!((line.options[1].0.span.start, line.options[1].1.span.start), (7, 9));
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(text in "[a={}%#\"'\\\\ \nxué]{0,40}") {
            let node = Node::live(&Span::synthetic("t", &text), text.clone());
            let _ = split(&node, Pick::All);
            let _ = split(&node, Pick::CommandOptions);
        }
    }
}
