//! Filters about one value: its presence, its type, a choice by it.

use crate::diag::Diagnostic;
use crate::lang::filters::Filter;
use crate::lang::template::call::Args;
use crate::lang::template::eval::need;
use crate::lang::template::python::Number;
use crate::lang::template::python::equal;
use crate::lang::template::scope::Cx;
use crate::lang::template::scope::entry;
use crate::lang::template::val::*;

pub(super) const FILTERS: &[Filter] = &[
    Filter::raw("default", default),
    Filter::raw("d", default),
    Filter::raw("mandatory", mandatory),
    Filter::raw("type_debug", type_debug),
    Filter::raw("ternary", ternary),
    Filter::deep("bool", bool_),
    Filter::deep("int", int),
    Filter::deep("float", float),
    Filter::deep("string", string),
    Filter::shallow("safe", same),
    Filter::shallow("attr", attr),
    Filter::shallow("length", length),
    Filter::shallow("count", length),
    Filter::shallow("extract", extract),
];

fn default(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let other = args.take("default_value").unwrap_or_else(|| Val::str(""));
    let also_false = args.take("boolean").is_some_and(|flag| flag.truthy());
    args.done()?;
    match &value {
        Val::Undefined(_) => Ok(other),
        Val::Unknown(_) => Ok(value),
        _ if also_false && !cx.truth(&value)? => Ok(other),
        _ => Ok(value),
    }
}

fn mandatory(_: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let message = args.text_if("msg");
    args.done()?;
    let Val::Undefined(absent) = &value else { return Ok(value) };
    let mut fault = absent.diagnostic();
    fault.message = match message {
        Some(message) => message.to_string(),
        None => format!("a mandatory value is missing: {}", fault.message),
    };
    Err(fault.into())
}

fn type_debug(_: &mut Cx, mut args: Args) -> Res {
    match args.need("value")? {
        Val::Unknown(pending) => Err(Stop::Unknown(pending)),
        value => Ok(Val::str(value.type_name())),
    }
}

fn ternary(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let (yes, no) = (args.need("true_val")?, args.need("false_val")?);
    let none = args.take("none_val").filter(|one| !matches!(one, Val::None));
    args.done()?;
    match (&value, none) {
        (Val::Undefined(_) | Val::Unknown(_), _) => Ok(value),
        (Val::None, Some(none)) => Ok(none),
        _ => Ok(if cx.truth(&value)? { yes } else { no }),
    }
}

/// What Ansible takes for true.
pub(crate) fn truth_of(value: &Val) -> bool {
    match value {
        Val::Bool(value) => *value,
        Val::Str(text) => ["yes", "on", "1", "true"].contains(&text.to_lowercase().as_str()),
        other => equal(other, &Val::Int(1)),
    }
}

fn bool_(_: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    args.done()?;
    Ok(Val::Bool(truth_of(&value)))
}

fn int(_: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let default = args.take("default").unwrap_or(Val::Int(0));
    let base = args.int_or("base", 10)?;
    args.done()?;
    let found = match (&value, value.number()) {
        (_, Some(Number::Int(int))) => Some(int),
        #[expect(clippy::cast_possible_truncation, reason = "as `int` cuts a float")]
        (_, Some(Number::Float(float))) => float.is_finite().then_some(float.trunc() as i128),
        (Val::Str(text), None) => parse_int(text, base),
        _ => None,
    };
    Ok(found.map_or(default, Val::Int))
}

fn parse_int(text: &str, base: i128) -> Option<i128> {
    let trimmed = text.trim();
    let (sign, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let digits = match base {
        16 => digits.trim_start_matches("0x").trim_start_matches("0X"),
        8 => digits.trim_start_matches("0o").trim_start_matches("0O"),
        2 => digits.trim_start_matches("0b").trim_start_matches("0B"),
        _ => digits,
    };
    let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base))?;
    let plain = digits.replace('_', "");
    if let Ok(int) = i128::from_str_radix(&plain, base)
        && !plain.starts_with(['+', '-'])
    {
        return Some(sign * int);
    }
    let float: f64 = trimmed.parse().ok().filter(|float: &f64| base == 10 && float.is_finite())?;
    #[expect(clippy::cast_possible_truncation, reason = "as `int` cuts a float")]
    Some(float.trunc() as i128)
}

fn float(_: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let default = args.take("default").unwrap_or(Val::Float(0.0));
    args.done()?;
    Ok(match (&value, value.number()) {
        (_, Some(number)) => Val::Float(number.float()),
        (Val::Str(text), None) => text.trim().parse().map_or(default, Val::Float),
        _ => default,
    })
}

fn string(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    args.done()?;
    Ok(Val::Str(text))
}

fn same(_: &mut Cx, mut args: Args) -> Res {
    args.need("value")
}

fn attr(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let name = args.text("name")?;
    args.done()?;
    cx.attr(&value, &name, &(0..0))
}

pub(crate) fn count(cx: &mut Cx, value: &Val) -> Res<usize> {
    Ok(match value {
        Val::Str(text) => text.chars().count(),
        Val::Tuple(items) => items.len(),
        Val::List(list) => list.0.borrow().len(),
        Val::Map(map) => map.0.borrow().len(),
        Val::Lazy(lazy) => {
            let whole = lazy.whole.borrow().clone();
            match whole {
                Some(whole) => count(cx, &whole)?,
                None => cx.keys(lazy)?.len(),
            }
        }
        other => return fail(format!("{} has no length", other.a_type())),
    })
}

fn length(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    args.done()?;
    Ok(Val::Int(count(cx, &value)? as i128))
}

/// `key | extract(container, more keys)`
fn extract(cx: &mut Cx, mut args: Args) -> Res {
    let key = args.need("key")?;
    let container = args.need("container")?;
    let more = match args.take("morekeys") {
        None | Some(Val::None) => Vec::new(),
        Some(list @ (Val::List(_) | Val::Tuple(_) | Val::Lazy(_))) => cx.items(&list)?,
        Some(one) => vec![one],
    };
    args.done()?;
    let mut value = cx.item(&container, &key, &(0..0))?;
    for key in more {
        value = cx.item(&value, &key, &(0..0))?;
    }
    Ok(unplaced(value))
}

/// A missing value found inside a filter gets the filter's place, not the start of the text.
fn unplaced(value: Val) -> Val {
    match &value {
        Val::Undefined(absent) => {
            let mut fault = absent.diagnostic();
            fault.span = None;
            Val::Undefined(std::rc::Rc::new(Absent::new(fault)))
        }
        _ => value,
    }
}

/// An attribute by its dotted name, each part a key or a position: `a.b.0`.
pub(crate) fn dotted(cx: &mut Cx, value: &Val, path: &Val) -> Res {
    let Val::Str(path) = path else { return cx.item(value, path, &(0..0)).map(unplaced) };
    let mut value = value.clone();
    for part in path.split('.') {
        let opened = match part.parse::<i128>() {
            Ok(at) => cx.item(&value, &Val::Int(at), &(0..0))?,
            Err(_) => cx.item(&value, &Val::str(part), &(0..0))?,
        };
        value = opened;
    }
    Ok(unplaced(value))
}

/// The value of an entry that must be there.
pub(crate) fn field(what: &str, map: &Val, key: &str) -> Res {
    match entry(map, &Key::Str(std::sync::Arc::from(key))) {
        Some(value) => need(value),
        None => {
            let fault = Diagnostic::error(format!("`{what}` needs mappings with the entry '{key}'"));
            Err(fault.suggest(key, map.key_names().iter().map(String::as_str)).into())
        }
    }
}
