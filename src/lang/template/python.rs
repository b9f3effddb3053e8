//! How values print, compare and count as true: as in Python.
//!
//! Works on opened values; a container that is still lazy is a mistake of the caller and prints as its type.

use std::cmp::Ordering;
use std::fmt::Write;
use std::sync::Arc;

use crate::lang::filters::time;
use crate::lang::template::val::Res;
use crate::lang::template::val::Val;
use crate::lang::template::val::fail;

impl Val {
    /// What `str()` gives.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Val::Str(text) => text.to_string(),
            Val::Moment(moment) => moment.to_text(),
            Val::Duration(micros) => time::duration_text(*micros),
            other => repr(other),
        }
    }

    pub(crate) fn to_shared_text(&self) -> Arc<str> {
        match self {
            Val::Str(text) => text.clone(),
            other => Arc::from(other.to_text()),
        }
    }

    /// Whether the value counts as true. Markers are the caller's business.
    pub(crate) fn truthy(&self) -> bool {
        match self {
            Val::Undefined(_) | Val::Unknown(_) | Val::None => false,
            Val::Bool(value) => *value,
            Val::Int(value) => *value != 0,
            Val::Float(value) => *value != 0.0,
            Val::Str(text) => !text.is_empty(),
            Val::List(list) => !list.0.borrow().is_empty(),
            Val::Tuple(items) => !items.is_empty(),
            Val::Map(map) => !map.0.borrow().is_empty(),
            Val::Duration(micros) => *micros != 0,
            _ => true,
        }
    }

    /// The value as a number, if it is one; booleans are.
    pub(crate) fn number(&self) -> Option<Number> {
        match self {
            Val::Bool(value) => Some(Number::Int(i128::from(*value))),
            Val::Int(value) => Some(Number::Int(*value)),
            Val::Float(value) => Some(Number::Float(*value)),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "as Python converts integers to floats")]
    pub(crate) fn float(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        }
    }
}

/// What `repr()` gives.
pub(crate) fn repr(value: &Val) -> String {
    let mut out = String::new();
    write_repr(&mut out, value, 0);
    out
}

/// Nesting beyond this is printed as `...`, as Python does for lists that contain themselves.
const DEEPEST: usize = 200;

fn write_repr(out: &mut String, value: &Val, depth: usize) {
    if depth > DEEPEST {
        out.push_str("...");
        return;
    }
    match value {
        Val::None => out.push_str("None"),
        Val::Bool(true) => out.push_str("True"),
        Val::Bool(false) => out.push_str("False"),
        Val::Int(value) => _ = write!(out, "{value}"),
        Val::Float(value) => out.push_str(&float_text(*value)),
        Val::Str(text) => write_quoted(out, text),
        Val::List(list) => write_items(out, ["[", "]"], &list.0.borrow(), depth),
        Val::Tuple(items) if items.len() == 1 => write_items(out, ["(", ",)"], items, depth),
        Val::Tuple(items) => write_items(out, ["(", ")"], items, depth),
        Val::Map(map) | Val::Namespace(map) => {
            out.push('{');
            for (at, (key, value)) in map.0.borrow().iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_repr(out, &key.val(), depth + 1);
                out.push_str(": ");
                write_repr(out, value, depth + 1);
            }
            out.push('}');
        }
        Val::Moment(moment) => _ = write!(out, "datetime({})", moment.to_text()),
        Val::Duration(micros) => _ = write!(out, "timedelta({})", time::duration_text(*micros)),
        other => _ = write!(out, "<{}>", other.type_name()),
    }
}

fn write_items(out: &mut String, [open, close]: [&str; 2], items: &[Val], depth: usize) {
    out.push_str(open);
    for (at, item) in items.iter().enumerate() {
        out.push_str(if at == 0 { "" } else { ", " });
        write_repr(out, item, depth + 1);
    }
    out.push_str(close);
}

fn write_quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for one in text.chars() {
        match one {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if one == quote => _ = write!(out, "\\{one}"),
            _ if one.is_control() && u32::from(one) < 256 => _ = write!(out, "\\x{:02x}", u32::from(one)),
            _ => out.push(one),
        }
    }
    out.push(quote);
}

/// A float as Python prints it: the shortest digits that read back, with an exponent only when far from one.
pub(crate) fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        if plain.contains('.') { plain } else { plain + ".0" }
    } else {
        format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    }
}

/// `==`
pub(crate) fn equal(left: &Val, right: &Val) -> bool {
    equal_within(left, right, 0)
}

fn equal_within(left: &Val, right: &Val, depth: usize) -> bool {
    let lists =
        |a: &[Val], b: &[Val]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal_within(a, b, depth + 1));
    if depth > DEEPEST {
        return false;
    }
    match (left, right) {
        (Val::None, Val::None) | (Val::Omit, Val::Omit) => true,
        (Val::Str(a), Val::Str(b)) => a == b,
        (Val::List(a), Val::List(b)) => std::rc::Rc::ptr_eq(a, b) || lists(&a.0.borrow(), &b.0.borrow()),
        (Val::Tuple(a), Val::Tuple(b)) => lists(a, b),
        (Val::Map(a), Val::Map(b)) => {
            let (a, b) = (a.0.borrow(), b.0.borrow());
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal_within(value, other, depth + 1)))
        }
        (Val::Moment(a), Val::Moment(b)) => a == b,
        (Val::Duration(a), Val::Duration(b)) => a == b,
        _ => match (left.number(), right.number()) {
            (Some(Number::Int(a)), Some(Number::Int(b))) => a == b,
            (Some(a), Some(b)) => a.float() == b.float(),
            _ => false,
        },
    }
}

/// `<`, `>` and sorting. An error for types that have no order between them.
pub(crate) fn order(left: &Val, right: &Val) -> Res<Ordering> {
    order_within(left, right, 0)
}

fn order_within(left: &Val, right: &Val, depth: usize) -> Res<Ordering> {
    let lists = |a: &[Val], b: &[Val]| match a.iter().zip(b).find(|(a, b)| !equal(a, b)) {
        Some((a, b)) => order_within(a, b, depth + 1),
        None => Ok(a.len().cmp(&b.len())),
    };
    match (left, right) {
        _ if depth > DEEPEST => Ok(Ordering::Equal),
        (Val::Str(a), Val::Str(b)) => Ok(a.cmp(b)),
        (Val::List(a), Val::List(b)) => lists(&a.0.borrow(), &b.0.borrow()),
        (Val::Tuple(a), Val::Tuple(b)) => lists(a, b),
        (Val::Moment(a), Val::Moment(b)) => Ok(a.micros.cmp(&b.micros)),
        (Val::Duration(a), Val::Duration(b)) => Ok(a.cmp(b)),
        _ => match (left.number(), right.number()) {
            (Some(Number::Int(a)), Some(Number::Int(b))) => Ok(a.cmp(&b)),
            (Some(a), Some(b)) => Ok(a.float().partial_cmp(&b.float()).unwrap_or(Ordering::Equal)),
            _ => {
                fail(format!("{} and {} have no order: one is neither less nor greater", left.a_type(), right.a_type()))
            }
        },
    }
}

/// Sorts by the first of each pair; equal elements keep their order. A merge sort of our own, because the standard one may
/// panic when the order is not total, and not-a-number makes it so.
pub(crate) fn sort(items: Vec<(Val, Val)>) -> Res<Vec<(Val, Val)>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let mut left = items;
    let right = left.split_off(left.len() / 2);
    let mut left = sort(left)?.into_iter().peekable();
    let mut right = sort(right)?.into_iter().peekable();
    let mut merged = Vec::with_capacity(left.len() + right.len());
    while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
        let next = if order(b, a)? == Ordering::Less { right.next() } else { left.next() };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}
