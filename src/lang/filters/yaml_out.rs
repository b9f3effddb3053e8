//! Values as YAML text, laid out as PyYAML does, but for long lines, which are not folded.

use std::fmt::Write;

use crate::lang::filters::data::by_key;
use crate::lang::template::python::float_text;
use crate::lang::template::stmt::listed;
use crate::lang::template::val::*;

/// Which collections are written in braces and brackets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Those that hold no other collection.
    Leaves,
    Never,
    Always,
}

pub(crate) struct Yaml {
    pub(crate) indent: usize,
    pub(crate) sort_keys: bool,
    pub(crate) flow: Flow,
    pub(crate) start: bool,
    pub(crate) end: bool,
}

pub(crate) fn yaml(value: &Val, style: &Yaml) -> Res<String> {
    let value = listed(value);
    let mut out = String::new();
    out.push_str(if style.start { "---\n" } else { "" });
    if is_block(&value, style) {
        block(&mut out, &value, style, 0, Inside::Top)?;
    } else {
        if style.start {
            out.truncate(3);
            out.push(' ');
        }
        inline(&mut out, &value, style, style.indent, Within::Block)?;
        out.push('\n');
        // PyYAML marks the end of a document that is one plain scalar; Ansible takes the mark away.
    }
    out.push_str(if style.end { "...\n" } else { "" });
    Ok(out)
}

fn children(value: &Val) -> Vec<Val> {
    match value {
        Val::List(list) => list.0.borrow().clone(),
        Val::Map(map) => map.0.borrow().values().cloned().collect(),
        _ => Vec::new(),
    }
}

/// Whether the value is a collection written over several lines.
fn is_block(value: &Val, style: &Yaml) -> bool {
    let children = children(value);
    let nested = |one: &Val| matches!(one, Val::List(_) | Val::Map(_));
    match style.flow {
        Flow::Always => false,
        Flow::Never => !children.is_empty(),
        Flow::Leaves => children.iter().any(nested),
    }
}

fn entries(value: &Val, style: &Yaml) -> Res<Vec<(Key, Val)>> {
    let Val::Map(map) = value else { return Ok(Vec::new()) };
    let entries: Vec<_> = map.0.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    // Keys without an order stay as they are, as in PyYAML.
    if style.sort_keys { Ok(by_key(entries.clone()).unwrap_or(entries)) } else { Ok(entries) }
}

#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Top,
    Map,
    List,
}

fn block(out: &mut String, value: &Val, style: &Yaml, column: usize, inside: Inside) -> Res<()> {
    let margin = " ".repeat(column);
    if let Val::List(list) = value {
        for (at, item) in list.0.borrow().iter().enumerate() {
            if at > 0 || inside != Inside::List {
                out.push_str(&margin);
            }
            out.push('-');
            if is_block(item, style) {
                // What follows the dash begins at the next multiple of the indent.
                out.push_str(&" ".repeat(style.indent - 1));
                block(out, item, style, column + style.indent, Inside::List)?;
            } else {
                out.push(' ');
                inline(out, item, style, column + style.indent, Within::Block)?;
                out.push('\n');
            }
        }
        return Ok(());
    }
    for (at, (key, item)) in entries(value, style)?.iter().enumerate() {
        if at > 0 || inside != Inside::List {
            out.push_str(&margin);
        }
        inline(out, &key.val(), style, column, Within::Key)?;
        out.push(':');
        if is_block(item, style) {
            out.push('\n');
            // Lists in mappings are not indented.
            let deeper = if matches!(item, Val::List(_)) { 0 } else { style.indent };
            block(out, item, style, column + deeper, Inside::Map)?;
        } else {
            out.push(' ');
            inline(out, item, style, column + style.indent, Within::Block)?;
            out.push('\n');
        }
    }
    Ok(())
}

fn inline(out: &mut String, value: &Val, style: &Yaml, column: usize, within: Within) -> Res<()> {
    match value {
        Val::None => out.push_str("null"),
        Val::Bool(value) => _ = write!(out, "{value}"),
        Val::Int(value) => _ = write!(out, "{value}"),
        Val::Float(value) if value.is_nan() => out.push_str(".nan"),
        Val::Float(value) if value.is_infinite() => out.push_str(if *value > 0.0 { ".inf" } else { "-.inf" }),
        Val::Float(value) => {
            // YAML wants a dot before an exponent.
            let text = float_text(*value);
            let dotted = if text.contains('.') { text } else { text.replace('e', ".0e") };
            out.push_str(&dotted);
        }
        Val::Str(text) => scalar(out, text, column, within),
        Val::List(list) => {
            out.push('[');
            for (at, item) in list.0.borrow().iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                inline(out, item, style, column, Within::Flow)?;
            }
            out.push(']');
        }
        Val::Map(_) => {
            out.push('{');
            for (at, (key, item)) in entries(value, style)?.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                inline(out, &key.val(), style, column, Within::Flow)?;
                out.push_str(": ");
                inline(out, item, style, column, Within::Flow)?;
            }
            out.push('}');
        }
        Val::Moment(_) => out.push_str(&value.to_text()),
        Val::Tuple(_) => return inline(out, &listed(value), style, column, within),
        other => return fail(format!("{} cannot be written as YAML", other.a_type())),
    }
    Ok(())
}

fn scalar(out: &mut String, text: &str, column: usize, within: Within) {
    let spaced_break = text.contains(" \n");
    let special = text.chars().any(|one| one.is_control() && one != '\n');
    let multiline = text.contains('\n');
    if !multiline && !special && is_plain(text, within) {
        out.push_str(text);
    } else if special || spaced_break || (multiline && within == Within::Key) {
        double_quoted(out, text);
    } else {
        single_quoted(out, text, column);
    }
}

/// A newline is written as two, and the line after it is indented.
fn single_quoted(out: &mut String, text: &str, column: usize) {
    out.push('\'');
    let mut rest = text;
    while let Some(at) = rest.find('\n') {
        out.push_str(&rest[..at].replace('\'', "''"));
        let after = rest[at..].trim_start_matches('\n');
        let breaks = rest.len() - at - after.len();
        out.push_str(&"\n".repeat(breaks + 1));
        out.push_str(&" ".repeat(column));
        rest = after;
    }
    out.push_str(&rest.replace('\'', "''"));
    out.push('\'');
}

fn double_quoted(out: &mut String, text: &str) {
    out.push('"');
    for one in text.chars() {
        match one {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '\0' => out.push_str("\\0"),
            one if one.is_control() => _ = write!(out, "\\x{:02x}", one as u32),
            one => out.push(one),
        }
    }
    out.push('"');
}

/// Where a scalar is written: brackets and commas matter only inside of brackets.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Block,
    Flow,
    Key,
}

/// Whether text without quotes is read back as the same text.
fn is_plain(text: &str, within: Within) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let second = text.chars().nth(1);
    let indicator = "#,[]{}&*!|>'\"%@`".contains(first);
    // A dash, question mark or colon is harmless before a letter.
    let lonely = "-?:".contains(first) && second.is_none_or(char::is_whitespace);
    let in_flow = within == Within::Flow && (text.contains([',', '[', ']', '{', '}', '?']) || text.contains(':'));
    !indicator
        && !lonely
        && !in_flow
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace)
        && !text.contains(": ")
        && !text.ends_with(':')
        && !text.contains(" #")
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !text.contains('\u{feff}')
        && !resolves(text)
}

/// Whether YAML 1.1 reads the text as something else than text.
fn resolves(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let word =
        ["", "~", "null", "true", "false", "yes", "no", "on", "off", "=", "<<", ".nan", ".inf", "-.inf", "+.inf"];
    let number = lower.trim_start_matches(['-', '+']);
    let digits = |text: &str| !text.is_empty() && text.chars().all(|one| one.is_ascii_digit() || one == '_');
    let float = number.split_once('.').is_some_and(|(whole, rest)| {
        let (fraction, exponent) =
            rest.split_once('e').map_or((rest, None), |(fraction, exponent)| (fraction, Some(exponent)));
        (digits(whole) || (whole.is_empty() && !fraction.is_empty()))
            && fraction.chars().all(|one| one.is_ascii_digit() || one == '_')
            && exponent.is_none_or(|exponent| exponent.starts_with(['+', '-']) && digits(&exponent[1..]))
    });
    let radix = ["0x", "0b"].iter().any(|mark| {
        number
            .strip_prefix(mark)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|one| one.is_ascii_hexdigit() || one == '_'))
    });
    let sexagesimal = number.contains(':') && number.split(':').all(digits) && !number.starts_with('0');
    let date = text.len() >= 8
        && text.as_bytes().get(4) == Some(&b'-')
        && text.chars().all(|one| one.is_ascii_digit() || "-:. TtZz+".contains(one))
        && digits(&text[..4]);
    word.contains(&lower.as_str())
        || digits(number) && number.starts_with(|one: char| one.is_ascii_digit())
        || float
        || radix
        || sexagesimal
        || date
}
