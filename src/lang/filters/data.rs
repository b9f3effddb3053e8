//! Filters to and from JSON and YAML.

use std::fmt::Write;

use crate::diag::Diagnostics;
use crate::diag::Source;
use crate::lang::filters::Filter;
use crate::lang::filters::yaml_out;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::template::call::Args;
use crate::lang::template::python::Number;
use crate::lang::template::python::float_text;
use crate::lang::template::python::sort;
use crate::lang::template::scope::Cx;
use crate::lang::template::stmt::listed;
use crate::lang::template::val::*;
use crate::lang::yaml;

pub(super) const FILTERS: &[Filter] = &[
    Filter::deep("to_json", |cx, args| to_json(cx, args, None, false)),
    Filter::deep("to_nice_json", |cx, args| to_json(cx, args, Some(4), true)),
    Filter::deep("tojson", tojson),
    Filter::deep("from_json", from_json),
    Filter::deep("to_yaml", |cx, args| to_yaml(cx, args, yaml_out::Flow::Leaves, 2)),
    Filter::deep("to_nice_yaml", |cx, args| to_yaml(cx, args, yaml_out::Flow::Never, 4)),
    Filter::deep("from_yaml", from_yaml),
    Filter::deep("from_yaml_all", from_yaml_all),
];

/// How JSON is laid out, as Python's `json.dumps`.
pub(crate) struct Json {
    pub(crate) indent: Option<usize>,
    pub(crate) sort_keys: bool,
    pub(crate) ascii: bool,
    /// Between items, and between key and value.
    pub(crate) separators: [String; 2],
}

pub(crate) fn json(value: &Val, style: &Json) -> Res<String> {
    let mut out = String::new();
    write_json(&mut out, value, style, 0)?;
    Ok(out)
}

fn newline(out: &mut String, style: &Json, level: usize) {
    if let Some(indent) = style.indent {
        out.push('\n');
        out.push_str(&" ".repeat(indent * level));
    }
}

fn write_json(out: &mut String, value: &Val, style: &Json, level: usize) -> Res<()> {
    match value {
        Val::None => out.push_str("null"),
        Val::Bool(value) => _ = write!(out, "{value}"),
        Val::Int(value) => _ = write!(out, "{value}"),
        Val::Float(value) if value.is_nan() => out.push_str("NaN"),
        Val::Float(value) if value.is_infinite() => out.push_str(if *value > 0.0 { "Infinity" } else { "-Infinity" }),
        Val::Float(value) => out.push_str(&float_text(*value)),
        Val::Str(text) => write_json_text(out, text, style.ascii),
        Val::List(list) => {
            let items = list.0.borrow();
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { &style.separators[0] } else { "" });
                newline(out, style, level + 1);
                write_json(out, item, style, level + 1)?;
            }
            if !items.is_empty() {
                newline(out, style, level);
            }
            out.push(']');
        }
        Val::Map(map) => {
            let entries: Vec<(Key, Val)> =
                map.0.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            let entries = if style.sort_keys { by_key(entries)? } else { entries };
            out.push('{');
            for (at, (key, item)) in entries.iter().enumerate() {
                out.push_str(if at > 0 { &style.separators[0] } else { "" });
                newline(out, style, level + 1);
                match key {
                    Key::Str(name) => write_json_text(out, name, style.ascii),
                    Key::Bool(value) => _ = write!(out, "\"{value}\""),
                    Key::None => out.push_str("\"null\""),
                    other => write_json_text(out, &other.name(), style.ascii),
                }
                out.push_str(&style.separators[1]);
                write_json(out, item, style, level + 1)?;
            }
            if !entries.is_empty() {
                newline(out, style, level);
            }
            out.push('}');
        }
        Val::Tuple(_) => write_json(out, &listed(value), style, level)?,
        Val::Moment(_) => write_json_text(out, &value.to_text().replace(' ', "T"), style.ascii),
        other => return fail(format!("{} cannot be written as JSON", other.a_type())),
    }
    Ok(())
}

/// The entries in the order of their keys.
pub(crate) fn by_key(entries: Vec<(Key, Val)>) -> Res<Vec<(Key, Val)>> {
    let keyed = entries.into_iter().map(|(key, value)| (key.val(), value)).collect();
    sort(keyed)?.into_iter().map(|(key, value)| Ok((Key::from(&key)?, value))).collect()
}

fn write_json_text(out: &mut String, text: &str, ascii: bool) {
    out.push('"');
    for one in text.chars() {
        match one {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            one if (one as u32) < 0x20 || (ascii && !one.is_ascii()) || one == '\u{7f}' && ascii => {
                let mut units = [0; 2];
                for unit in one.encode_utf16(&mut units) {
                    if one == '\u{7f}' {
                        out.push(one);
                    } else {
                        _ = write!(out, "\\u{unit:04x}");
                    }
                }
            }
            one => out.push(one),
        }
    }
    out.push('"');
}

fn to_json(cx: &mut Cx, mut args: Args, indent: Option<usize>, sort_keys: bool) -> Res {
    let value = args.need("value")?;
    let indent = match args.take("indent") {
        None => indent,
        Some(value) => value.number().map(|number| match number {
            Number::Int(count) => usize::try_from(count).unwrap_or(0).min(100),
            Number::Float(_) => 4,
        }),
    };
    let sort_keys = args.flag("sort_keys", sort_keys);
    let ascii = args.take_named("ensure_ascii").is_none_or(|flag| flag.truthy());
    let default = [if indent.is_some() { "," } else { ", " }, ": "].map(str::to_string);
    let separators = match args.take_named("separators") {
        None | Some(Val::None) => default,
        Some(pair) => match &cx.items(&pair)?[..] {
            [items, keys] => [items.to_text(), keys.to_text()],
            _ => return fail("`separators` is a pair: between items, and after keys"),
        },
    };
    args.take_named("vault_to_text");
    args.take_named("preprocess_unsafe");
    args.done()?;
    let text = json(&value, &Json { indent, sort_keys, ascii, separators })?;
    cx.burn_text(text.len())?;
    Ok(Val::str(text))
}

/// Jinja's own, safe inside HTML.
fn tojson(_: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let indent = args.take("indent").and_then(|value| value.number()).map(|_| 2);
    args.done()?;
    let separators = [if indent.is_some() { "," } else { ", " }, ": "].map(str::to_string);
    let text = json(&value, &Json { indent, sort_keys: true, ascii: true, separators })?;
    let text = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027");
    Ok(Val::str(text))
}

fn from_json(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    args.take_named("profile");
    args.done()?;
    let Val::Str(text) = &value else { return fail(format!("`from_json` needs text, not {}", value.a_type())) };
    cx.burn_text(text.len() * 4)?;
    match serde_json::from_str(text) {
        Ok(parsed) => Ok(parsed_json(parsed)),
        Err(error) => fail(format!("this is no JSON: {error}")),
    }
}

fn parsed_json(value: serde_json::Value) -> Val {
    use serde_json::Value as Json;
    match value {
        Json::Null => Val::None,
        Json::Bool(value) => Val::Bool(value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Val::Int(int.into()),
            (None, Some(int)) => Val::Int(int.into()),
            (None, None) => Val::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Val::str(text),
        Json::Array(items) => Val::list(items.into_iter().map(parsed_json).collect()),
        Json::Object(entries) => {
            Val::map(entries.into_iter().map(|(key, value)| (Key::Str(key.into()), parsed_json(value))))
        }
    }
}

fn to_yaml(cx: &mut Cx, mut args: Args, flow: yaml_out::Flow, indent: usize) -> Res {
    let value = args.need("value")?;
    let indent = usize::try_from(args.int_or("indent", indent as i128)?).unwrap_or(indent);
    let indent = if (2..10).contains(&indent) { indent } else { 2 };
    let sort_keys = args.take_named("sort_keys").is_none_or(|flag| flag.truthy());
    let flow = match args.take_named("default_flow_style") {
        Some(Val::None) => yaml_out::Flow::Leaves,
        Some(flag) if flag.truthy() => yaml_out::Flow::Always,
        Some(_) => yaml_out::Flow::Never,
        None => flow,
    };
    let explicit = [args.take_named("explicit_start"), args.take_named("explicit_end")];
    let [start, end] = explicit.map(|flag| flag.is_some_and(|flag| flag.truthy()));
    // Lines are never folded and text is always unicode, which means the same.
    for ignored in ["width", "allow_unicode", "encoding"] {
        args.take_named(ignored);
    }
    args.done()?;
    let text = yaml_out::yaml(&value, &yaml_out::Yaml { indent, sort_keys, flow, start, end })?;
    cx.burn_text(text.len())?;
    Ok(Val::str(text))
}

fn documents(cx: &mut Cx, text: &str) -> Res<Vec<Val>> {
    cx.burn_text(text.len() * 16)?;
    let mut faults = Diagnostics::default();
    let nodes = yaml::parse(&Source::new("from_yaml", text), &mut faults);
    if let Some(fault) = faults.list.into_iter().find(|fault| fault.severity == crate::diag::Severity::Error) {
        let place = fault.span.as_ref().map(|span| span.line_column());
        let place = place.map_or_else(String::new, |(line, column)| format!(", at {line}:{column} of the text"));
        return fail(format!("this is no YAML: {}{place}", fault.message));
    }
    nodes.iter().map(|node| parsed_yaml(cx, node)).collect()
}

fn parsed_yaml(cx: &mut Cx, node: &Node) -> Res {
    cx.burn(1)?;
    Ok(match &node.tree {
        Tree::Null => Val::None,
        Tree::Bool(value) => Val::Bool(*value),
        Tree::Int(value) => Val::Int(i128::from(*value)),
        Tree::Float(value) => Val::Float(*value),
        Tree::Text(text) => Val::str(&text.text),
        Tree::List(items) => {
            Val::list(items.iter().map(|item| cx.deeper(|cx| parsed_yaml(cx, item))).collect::<Res<_>>()?)
        }
        Tree::Map(entries) => {
            let mut made = Vec::new();
            for (key, item) in entries {
                made.push((Key::written(key), cx.deeper(|cx| parsed_yaml(cx, item))?));
            }
            Val::map(made)
        }
    })
}

fn from_yaml(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    args.done()?;
    let Val::Str(text) = &value else { return Ok(value) };
    let mut all = documents(cx, text)?;
    if all.len() > 1 {
        return fail("the text holds several YAML documents; `from_yaml_all` reads them");
    }
    Ok(all.pop().unwrap_or(Val::None))
}

fn from_yaml_all(cx: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    args.done()?;
    documents(cx, &text).map(Val::list)
}
