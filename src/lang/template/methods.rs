//! The methods Python's text, lists and mappings have: `.split()`, `.append()`, `.items()`.
//!
//! Knows nothing of filters, which are the usual way.

use std::rc::Rc;
use std::sync::Arc;

use crate::lang::filters::text as words;
use crate::lang::template::call::Args;
use crate::lang::template::format;
use crate::lang::template::python;
use crate::lang::template::scope::Cx;
use crate::lang::template::val::*;

const STR: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "decode",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "islower",
    "isnumeric",
    "isspace",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];
const LIST: &[&str] =
    &["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"];
const TUPLE: &[&str] = &["count", "index"];
const DICT: &[&str] = &["clear", "copy", "get", "items", "keys", "pop", "setdefault", "update", "values"];
const NUMBER: &[&str] = &["bit_length", "is_integer"];
const MOMENT: &[&str] = &["date", "isoformat", "strftime", "timestamp", "weekday", "isoweekday"];
const DURATION: &[&str] = &["total_seconds"];
const LOOP: &[&str] = &["cycle", "changed"];

/// The methods of a value, for «did you mean».
pub(crate) fn names(receiver: &Val) -> impl Iterator<Item = &'static str> {
    let list = match receiver.type_name() {
        "str" => STR,
        "list" => LIST,
        "tuple" => TUPLE,
        "dict" => DICT,
        "int" | "float" => NUMBER,
        "datetime" => MOMENT,
        "timedelta" => DURATION,
        "LoopContext" => LOOP,
        _ => &[],
    };
    list.iter().copied()
}

pub(crate) fn known(receiver: &Val, name: &str) -> bool {
    names(receiver).any(|one| one == name)
}

/// Whether the method keeps its arguments without looking at them.
pub(crate) fn stores(name: &str) -> bool {
    ["append", "insert", "get", "setdefault", "update", "extend"].contains(&name)
}

pub(crate) fn call(cx: &mut Cx, receiver: &Val, name: &str, mut args: Args) -> Res {
    // Only what is asked for is made of a mapping that is not made yet.
    if let Val::Lazy(lazy) = receiver
        && !lazy.is_list()
    {
        match name {
            "keys" => return Ok(Val::list(cx.keys(lazy)?.iter().map(Key::val).collect())),
            "get" => {
                let key = Key::from(&args.need("key")?)?;
                let default = args.take("default").unwrap_or(Val::None);
                return Ok(cx.part(lazy, &key)?.unwrap_or(default));
            }
            _ => {}
        }
    }
    match &cx.open(receiver)? {
        Val::Str(text) => str_method(cx, text, name, args),
        Val::List(list) => list_method(cx, list, name, args),
        Val::Tuple(items) => {
            let copy = Val::list(items.to_vec());
            call(cx, &copy, name, args)
        }
        Val::Map(map) => dict_method(cx, map, name, args),
        Val::Moment(moment) => moment.method(name, args),
        Val::Duration(micros) => Ok(Val::Float(*micros as f64 / 1e6)),
        Val::Int(value) if name == "bit_length" => Ok(Val::Int(i128::from(128 - value.unsigned_abs().leading_zeros()))),
        Val::Int(_) => Ok(Val::Bool(true)),
        Val::Float(value) => Ok(Val::Bool(value.fract() == 0.0)),
        Val::Loop(state) => {
            let rest = args.rest();
            Ok(if name == "cycle" { state.cycle(&rest) } else { Val::Bool(state.changed(Val::tuple(rest))) })
        }
        other => fail(format!("{} has no method `{name}`", other.a_type())),
    }
}

fn str_method(cx: &mut Cx, text: &Arc<str>, name: &str, mut args: Args) -> Res {
    cx.burn_text(text.len())?;
    let flag = |yes: bool| Ok(Val::Bool(yes));
    let done = match name {
        "upper" | "lower" | "casefold" | "title" | "capitalize" | "swapcase" | "expandtabs" => Ok(changed(text, name)),
        "encode" | "decode" => {
            args.rest();
            args.rest_named();
            Ok(Val::Str(text.clone()))
        }
        "strip" | "lstrip" | "rstrip" => {
            let chars = args.text_if("chars");
            Ok(Val::str(words::strip(text, chars.as_deref(), name)))
        }
        "startswith" | "endswith" => {
            let choices = match args.need("prefix")? {
                Val::Tuple(items) => items.iter().map(Val::to_shared_text).collect(),
                other => vec![other.to_shared_text()],
            };
            flag(
                choices
                    .iter()
                    .any(|one| if name == "startswith" { text.starts_with(&**one) } else { text.ends_with(&**one) }),
            )
        }
        "removeprefix" => {
            let part = args.text("prefix")?;
            Ok(Val::str(text.strip_prefix(&*part).unwrap_or(text)))
        }
        "removesuffix" => {
            let part = args.text("suffix")?;
            Ok(Val::str(text.strip_suffix(&*part).unwrap_or(text)))
        }
        "replace" => {
            let (old, new) = (args.text("old")?, args.text("new")?);
            let count = args.int_or("count", -1)?;
            words::replace(cx, text, &old, &new, count).map(Val::str)
        }
        "split" | "rsplit" => {
            let separator = args.text_if("sep");
            let most = args.int_or("maxsplit", -1)?;
            words::split(cx, text, separator.as_deref(), most, name == "rsplit")
        }
        "splitlines" => Ok(Val::list(words::lines(text))),
        "partition" | "rpartition" => {
            let separator = args.text("sep")?;
            Ok(words::partition(text, &separator, name == "rpartition"))
        }
        "join" => {
            let parts = args.list(cx, "iterable")?;
            words::join(cx, text, &parts)
        }
        "find" | "index" | "rfind" | "rindex" => str_find(text, name, &args.text("sub")?),
        "count" => {
            let part = args.text("sub")?;
            let count = if part.is_empty() { text.chars().count() + 1 } else { text.matches(&*part).count() };
            Ok(Val::Int(count as i128))
        }
        "center" | "ljust" | "rjust" | "zfill" => {
            let width = args.int("width")?;
            let fill = args.text_if("fillchar");
            words::justify(cx, text, name, width, fill.as_deref()).map(Val::str)
        }
        "format" => return format::braces(cx, text, args).map(Val::str),
        _ => str_question(text, name),
    };
    args.done()?;
    done
}

/// The text in another shape.
fn changed(text: &str, name: &str) -> Val {
    Val::str(match name {
        "upper" => text.to_uppercase(),
        "title" => words::title(text),
        "capitalize" => words::capitalize(text),
        "swapcase" => words::swapcase(text),
        "expandtabs" => text.replace('\t', "        "),
        _ => text.to_lowercase(),
    })
}

fn str_find(text: &str, name: &str, part: &str) -> Res {
    let found = if name.starts_with('r') { text.rfind(part) } else { text.find(part) };
    match found {
        Some(at) => Ok(Val::Int(text[..at].chars().count() as i128)),
        None if name.ends_with("index") => fail(format!("'{part}' is not in the text")),
        None => Ok(Val::Int(-1)),
    }
}

/// `.isdigit()` and its kin.
fn str_question(text: &str, name: &str) -> Res {
    let every = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    let cased = text.chars().any(char::is_alphabetic);
    Ok(Val::Bool(match name {
        "isdigit" | "isdecimal" | "isnumeric" => every(char::is_numeric),
        "isalpha" => every(char::is_alphabetic),
        "isalnum" => every(char::is_alphanumeric),
        "isspace" => every(char::is_whitespace),
        "isascii" => text.is_ascii(),
        "islower" => cased && !text.chars().any(char::is_uppercase),
        "isupper" => cased && !text.chars().any(char::is_lowercase),
        _ => return fail(format!("text has no method `{name}`")),
    }))
}

fn list_method(cx: &mut Cx, list: &Rc<List>, name: &str, mut args: Args) -> Res {
    cx.burn(list.0.borrow().len())?;
    let done = match name {
        "append" => {
            let item = args.need("item")?;
            list.0.borrow_mut().push(item);
            Val::None
        }
        "extend" => {
            let items = args.list(cx, "iterable")?;
            list.0.borrow_mut().extend(items);
            Val::None
        }
        "insert" => {
            let at = args.int("index")?;
            let item = args.need("item")?;
            let mut items = list.0.borrow_mut();
            let at = position(at, items.len()).min(items.len());
            items.insert(at, item);
            Val::None
        }
        "pop" => {
            let at = args.int_or("index", -1)?;
            let mut items = list.0.borrow_mut();
            let at = position(at, items.len());
            if at >= items.len() {
                return fail("`pop` from a list that has no such element");
            }
            items.remove(at)
        }
        "remove" | "index" | "count" => list_find(cx, list, name, args.need("item")?)?,
        "reverse" => {
            list.0.borrow_mut().reverse();
            Val::None
        }
        "sort" => {
            let reverse = args.flag("reverse", false);
            let copy = Val::list(list.0.take());
            let sorted = crate::lang::filters::lists::sorted(cx, &copy, reverse)?;
            *list.0.borrow_mut() = sorted;
            Val::None
        }
        "clear" => {
            list.0.borrow_mut().clear();
            Val::None
        }
        "copy" => Val::list(list.0.borrow().clone()),
        _ => return fail(format!("a list has no method `{name}`")),
    };
    args.done()?;
    Ok(done)
}

/// Where in a list something is, how often, or away with it.
fn list_find(cx: &mut Cx, list: &Rc<List>, name: &str, wanted: Val) -> Res {
    let wanted = cx.deep(&wanted)?;
    let items = list.0.borrow().clone();
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let item = cx.deep(item)?;
        if python::equal(&item, &wanted) {
            found.push(at);
        }
    }
    Ok(match (name, found.first()) {
        ("count", _) => Val::Int(found.len() as i128),
        (_, None) => return fail(format!("{} is not in the list", python::repr(&wanted))),
        ("index", Some(at)) => Val::Int(*at as i128),
        (_, Some(at)) => {
            list.0.borrow_mut().remove(*at);
            Val::None
        }
    })
}

/// A position from the front; from the back when negative.
fn position(at: i128, count: usize) -> usize {
    let at = if at < 0 { (at + count as i128).max(0) } else { at };
    usize::try_from(at).unwrap_or(usize::MAX)
}

fn dict_method(cx: &mut Cx, map: &Rc<Map>, name: &str, mut args: Args) -> Res {
    cx.burn(1)?;
    let missing = || Val::None;
    let done = match name {
        "get" | "setdefault" => {
            let key = Key::from(&args.need("key")?)?;
            let default = args.take("default").unwrap_or_else(missing);
            let whole = Val::Map(map.clone());
            match crate::lang::template::scope::entry(&whole, &key) {
                Some(value) => value,
                None if name == "get" => default,
                None => {
                    map.0.borrow_mut().insert(key, default.clone());
                    default
                }
            }
        }
        "pop" => {
            let key = Key::from(&args.need("key")?)?;
            let default = args.take("default");
            match (map.0.borrow_mut().shift_remove(&key), default) {
                (Some(value), _) | (None, Some(value)) => value,
                (None, None) => return fail(format!("the mapping has no entry '{}' to pop", key.name())),
            }
        }
        "keys" => Val::list(map.0.borrow().keys().map(Key::val).collect()),
        "values" => Val::list(map.0.borrow().values().cloned().collect()),
        "items" => {
            Val::list(map.0.borrow().iter().map(|(key, value)| Val::tuple(vec![key.val(), value.clone()])).collect())
        }
        "update" => {
            let mut more = Vec::new();
            if let Some(other) = args.take("other") {
                more = crate::lang::filters::dicts::pairs(cx, &other)?;
            }
            more.extend(args.rest_named().into_iter().map(|(name, value)| (Key::Str(name), value)));
            map.0.borrow_mut().extend(more);
            Val::None
        }
        "clear" => {
            map.0.borrow_mut().clear();
            Val::None
        }
        "copy" => Val::map(map.0.borrow().iter().map(|(key, value)| (key.clone(), value.clone()))),
        _ => return fail(format!("a mapping has no method `{name}`")),
    };
    args.done()?;
    Ok(done)
}
