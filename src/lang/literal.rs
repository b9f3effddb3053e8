//! Values of INI inventories: a Python literal if the text is one, else text.
//!
//! `5`, `1.5`, `True`, `None`, `'x'`, `[1, 'a']`, `{'k': (1, 2)}`. Knows nothing of lines or sections.

use crate::diag::Span;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::node::Text;
use crate::lang::node::Tree;

/// The deepest nesting; deeper text stays text.
const MAX_DEPTH: usize = 32;

/// The value of `text`, whose parts all get the place `span`.
pub fn value(span: &Span, text: &str) -> Node {
    let mut reader = Reader { span, text, at: 0 };
    reader.whole().unwrap_or_else(|| Node::live(span, text))
}

struct Reader<'a> {
    span: &'a Span,
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    /// A literal up to the end, or several with commas between them, which Python takes for a tuple.
    fn whole(&mut self) -> Option<Node> {
        let first = self.literal(0)?;
        let mut items = Vec::new();
        while self.eat(',') {
            if self.is_done() {
                break;
            }
            items.push(self.literal(0)?);
        }
        let done = self.is_done();
        match self.text[..self.at].trim_end().ends_with(',') || !items.is_empty() {
            true => {
                items.insert(0, first);
                done.then(|| Node::new(self.span, Tree::List(items)))
            }
            false => done.then_some(first),
        }
    }

    fn is_done(&mut self) -> bool {
        self.blank();
        self.rest().is_empty() || self.rest().starts_with('#')
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blank(&mut self) {
        let trimmed = self.rest().trim_start();
        self.at = self.text.len() - trimmed.len();
    }

    fn eat(&mut self, mark: char) -> bool {
        self.blank();
        let found = self.rest().starts_with(mark);
        self.at += if found { mark.len_utf8() } else { 0 };
        found
    }

    fn literal(&mut self, depth: usize) -> Option<Node> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.blank();
        let tree = match self.rest().chars().next()? {
            '[' => Tree::List(self.items(']', depth)?.0),
            '(' => match self.items(')', depth)? {
                // Brackets around one value are no tuple.
                (mut items, false) if items.len() == 1 => items.pop()?.tree,
                (items, _) => Tree::List(items),
            },
            '{' => self.braces(depth)?,
            '"' | '\'' => Tree::Text(Text { text: self.string()?, live: true }),
            _ => self.word()?,
        };
        Some(Node::new(self.span, tree))
    }

    /// Items up to the closing mark, and whether there was a comma.
    fn items(&mut self, close: char, depth: usize) -> Option<(Vec<Node>, bool)> {
        self.at += 1;
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            if self.eat(close) {
                return Some((items, comma));
            }
            items.push(self.literal(depth + 1)?);
            if self.eat(',') {
                comma = true;
            } else {
                return self.eat(close).then_some((items, comma));
            }
        }
    }

    /// A mapping, or a set, which becomes a list.
    fn braces(&mut self, depth: usize) -> Option<Tree> {
        self.at += 1;
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut items = Vec::new();
        while !self.eat('}') {
            let first = self.literal(depth + 1)?;
            if self.eat(':') {
                let name = first.scalar()?;
                let node = self.literal(depth + 1)?;
                entries.retain(|(known, _)| known.name != name);
                entries.push((Key { span: self.span.clone(), name }, node));
            } else {
                items.push(first);
            }
            if !self.eat(',') && !self.rest().starts_with('}') {
                return None;
            }
        }
        match (entries.is_empty(), items.is_empty()) {
            (_, true) => Some(Tree::Map(entries)),
            (true, false) => Some(Tree::List(items)),
            (false, false) => None,
        }
    }

    fn string(&mut self) -> Option<String> {
        let quote = self.rest().chars().next()?;
        let mut out = String::new();
        let mut chars = self.rest()[1..].char_indices();
        while let Some((at, one)) = chars.next() {
            match one {
                '\\' => match chars.next()?.1 {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    '\n' => {}
                    plain @ ('\\' | '\'' | '"') => out.push(plain),
                    // Rare escapes of Python: better text than a wrong value.
                    'x' | 'u' | 'U' | 'N' | '0'..='7' | 'a' | 'b' | 'f' | 'v' => return None,
                    other => out.extend(['\\', other]),
                },
                '\n' => return None,
                one if one == quote => {
                    self.at += at + 2;
                    return Some(out);
                }
                one => out.push(one),
            }
        }
        None
    }

    fn word(&mut self) -> Option<Tree> {
        let end = self.rest().find(|one: char| !(one.is_alphanumeric() || "+-._".contains(one)));
        let word = self.rest()[..end.unwrap_or(self.rest().len())].to_string();
        self.at += word.len();
        match word.as_str() {
            "True" => Some(Tree::Bool(true)),
            "False" => Some(Tree::Bool(false)),
            "None" => Some(Tree::Null),
            word => number(word),
        }
    }
}

fn number(word: &str) -> Option<Tree> {
    let (sign, body) = match word.strip_prefix('-') {
        Some(body) => (-1, body),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    if !body.starts_with(|one: char| one.is_ascii_digit() || one == '.')
        || body.ends_with('_')
        || body.contains("__")
        || body.contains("._")
        || body.contains("_.")
    {
        return None;
    }
    let digits = body.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    let radix =
        |prefix: &str, radix| lower.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok());
    if let Some(value) = radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2)) {
        return Some(Tree::Int(sign * value));
    }
    if digits.bytes().all(|one| one.is_ascii_digit()) {
        // `05` is no number in Python, and one too large for us keeps its digits as text.
        let whole = !digits.starts_with('0') || digits.bytes().all(|one| one == b'0');
        return whole.then(|| digits.parse::<i64>().ok()).flatten().map(|value| Tree::Int(sign * value));
    }
    let plain = lower.bytes().all(|one| one.is_ascii_digit() || b".e+-".contains(&one));
    plain.then(|| lower.parse::<f64>().ok()).flatten().map(|value| Tree::Float(sign as f64 * value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_literals_and_all_else_text() {
        let span = Span::synthetic("t", "x");
        for (text, expected) in [
            ("5", "5"),
            ("-5", "-5"),
            ("1_000", "1000"),
            ("0x1f", "31"),
            ("05", "\"05\""),
            ("0", "0"),
            ("1.5", "1.5"),
            ("1e3", "1000.0"),
            ("True", "true"),
            ("true", "\"true\""),
            ("yes", "\"yes\""),
            ("None", "null"),
            ("'05'", "\"05\""),
            ("\"a b\"", "\"a b\""),
            ("'a' # note", "\"a\""),
            ("a # note", "\"a # note\""),
            ("[1, 'a', [True,]]", "[1,\"a\",[true]]"),
            ("(1,)", "[1]"),
            ("80, 443", "[80,443]"),
            ("'a',", "[\"a\"]"),
            ("a,b", "\"a,b\""),
            ("1,b", "\"1,b\""),
            ("00", "0"),
            ("(1)", "1"),
            ("{'a': {'b': 1}, 2: None}", "{\"a\":{\"b\":1},\"2\":null}"),
            ("{1, 2}", "[1,2]"),
            ("[1, a]", "\"[1, a]\""),
            ("10.0.0.1", "\"10.0.0.1\""),
            ("1+1", "\"1+1\""),
            ("{{ x }}", "\"{{ x }}\""),
            ("'open", "\"'open\""),
            ("99999999999999999999", "\"99999999999999999999\""),
            ("", "\"\""),
            ("é", "\"é\""),
        ] {
            assert_eq!(serde_json::to_string(&value(&span, text).to_value()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn deep_nesting_stays_text() {
        let text = "[".repeat(10_000);
        assert_eq!(value(&Span::synthetic("t", "x"), &text).as_text(), Some(text.as_str()));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\](){}'\"\\\\,:#0-9a-fx_.+é -]{0,30}") {
            value(&Span::synthetic("t", "x"), &text);
        }
    }
}
