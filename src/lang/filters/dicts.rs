//! Filters over mappings.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::lang::filters::Filter;
use crate::lang::filters::core::dotted;
use crate::lang::filters::core::field;
use crate::lang::template::call::Args;
use crate::lang::template::eval::need;
use crate::lang::template::python;
use crate::lang::template::python::equal;
use crate::lang::template::scope::Cx;
use crate::lang::template::val::*;

pub(super) const FILTERS: &[Filter] = &[
    Filter::shallow("combine", combine),
    Filter::shallow("dict2items", dict2items),
    Filter::shallow("items2dict", items2dict),
    Filter::shallow("items", items),
    Filter::deep("dictsort", dictsort),
    Filter::deep("subelements", subelements),
    Filter::shallow("dict", dict),
];

type Entries = IndexMap<Key, Val>;

/// The entries of a mapping, or of a list of pairs.
pub(crate) fn pairs(cx: &mut Cx, value: &Val) -> Res<Vec<(Key, Val)>> {
    if let Val::Map(map) = cx.open(&need(value.clone())?)? {
        return Ok(map.0.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect());
    }
    let mut made = Vec::new();
    for pair in cx.items(value)? {
        let pair = cx.items(&pair)?;
        let [key, value] = &pair[..] else { return fail("a mapping is made of pairs of a key and a value") };
        made.push((Key::from(key)?, value.clone()));
    }
    Ok(made)
}

fn entries(cx: &mut Cx, what: &str, value: &Val) -> Res<Entries> {
    match cx.open(&need(value.clone())?)? {
        Val::Map(map) => Ok(map.0.borrow().clone()),
        other => fail(format!("`{what}` needs mappings, not {}", other.a_type())),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Merge {
    Replace,
    Keep,
    Append,
    Prepend,
    AppendAnew,
    PrependAnew,
}

const MERGES: [(&str, Merge); 6] = [
    ("replace", Merge::Replace),
    ("keep", Merge::Keep),
    ("append", Merge::Append),
    ("prepend", Merge::Prepend),
    ("append_rp", Merge::AppendAnew),
    ("prepend_rp", Merge::PrependAnew),
];

fn combine(cx: &mut Cx, mut args: Args) -> Res {
    let recursive = args.take_named("recursive").is_some_and(|flag| flag.truthy());
    let merge = args.take_named("list_merge").map_or_else(|| Arc::from("replace"), |name| name.to_shared_text());
    let Some((_, merge)) = MERGES.iter().find(|(name, _)| *name == &*merge) else {
        let known: Vec<_> = MERGES.iter().map(|(name, _)| *name).collect();
        return fail(format!("`combine` knows no list_merge `{merge}`, only {}", known.join(", ")));
    };
    let parts = args.rest();
    args.done()?;
    let mut whole = Entries::new();
    let mut first = true;
    let mut queue: Vec<Val> = parts.into_iter().rev().collect();
    while let Some(part) = queue.pop() {
        cx.burn(1)?;
        match cx.open(&need(part)?)? {
            Val::List(list) => queue.extend(list.0.borrow().iter().rev().cloned()),
            Val::None => {}
            part => {
                let part = entries(cx, "combine", &part)?;
                whole = if first { part } else { merged(cx, whole, part, recursive, *merge)? };
                first = false;
            }
        }
    }
    Ok(Val::map(whole))
}

fn merged(cx: &mut Cx, mut low: Entries, high: Entries, recursive: bool, merge: Merge) -> Res<Entries> {
    cx.burn(high.len())?;
    for (key, new) in high {
        let Some(old) = low.get(&key).cloned() else {
            low.insert(key, new);
            continue;
        };
        let kinds = [old.type_name(), new.type_name()];
        let value = if recursive && kinds == ["dict", "dict"] {
            let (old, new) = (entries(cx, "combine", &old)?, entries(cx, "combine", &new)?);
            Val::map(cx.deeper(|cx| merged(cx, old, new, recursive, merge))?)
        } else if merge != Merge::Replace && kinds == ["list", "list"] {
            joined(cx, &old, &new, merge)?
        } else {
            new
        };
        low.insert(key, value);
    }
    Ok(low)
}

fn joined(cx: &mut Cx, old: &Val, new: &Val, merge: Merge) -> Res {
    let (old, new) = (cx.items(old)?, cx.items(new)?);
    let without = |cx: &mut Cx, from: &[Val], these: &[Val]| -> Res<Vec<Val>> {
        let these: Vec<Val> = these.iter().map(|one| cx.deep(one)).collect::<Res<_>>()?;
        let mut kept = Vec::new();
        for item in from {
            let made = cx.deep(item)?;
            cx.burn(these.len())?;
            if !these.iter().any(|one| equal(one, &made)) {
                kept.push(item.clone());
            }
        }
        Ok(kept)
    };
    Ok(Val::list(match merge {
        Merge::Keep => old,
        Merge::Append => [old, new].concat(),
        Merge::Prepend => [new, old].concat(),
        Merge::AppendAnew => [without(cx, &old, &new)?, new].concat(),
        Merge::PrependAnew => {
            let rest = without(cx, &old, &new)?;
            [new, rest].concat()
        }
        Merge::Replace => new,
    }))
}

fn names(args: &mut Args) -> (Key, Key) {
    let key = args.text_if("key_name").unwrap_or_else(|| Arc::from("key"));
    let value = args.text_if("value_name").unwrap_or_else(|| Arc::from("value"));
    (Key::Str(key), Key::Str(value))
}

fn dict2items(cx: &mut Cx, mut args: Args) -> Res {
    let map = args.need("value")?;
    let (key_name, value_name) = names(&mut args);
    args.done()?;
    let entries = entries(cx, "dict2items", &map)?;
    cx.burn(entries.len())?;
    let made =
        entries.into_iter().map(|(key, value)| Val::map([(key_name.clone(), key.val()), (value_name.clone(), value)]));
    Ok(Val::list(made.collect()))
}

fn items2dict(cx: &mut Cx, mut args: Args) -> Res {
    let list = args.list(cx, "value")?;
    let (key_name, value_name) = names(&mut args);
    args.done()?;
    let mut made = Entries::new();
    for item in list {
        let item = cx.open(&need(item)?)?;
        if !matches!(item, Val::Map(_)) {
            return fail(format!("`items2dict` needs a list of mappings, found {}", item.a_type()));
        }
        let key = field("items2dict", &item, &key_name.name())?;
        made.insert(Key::from(&key)?, field("items2dict", &item, &value_name.name())?);
    }
    Ok(Val::map(made))
}

fn items(cx: &mut Cx, mut args: Args) -> Res {
    let map = args.need("value")?;
    args.done()?;
    let entries = entries(cx, "items", &map)?;
    Ok(Val::list(entries.into_iter().map(|(key, value)| Val::tuple(vec![key.val(), value])).collect()))
}

fn dict(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    args.done()?;
    Ok(Val::map(pairs(cx, &value)?))
}

fn dictsort(cx: &mut Cx, mut args: Args) -> Res {
    let map = args.need("value")?;
    let case_sensitive = args.flag("case_sensitive", false);
    let by = args.text_if("by").unwrap_or_else(|| Arc::from("key"));
    let reverse = args.flag("reverse", false);
    args.done()?;
    let mut keyed = Vec::new();
    for (key, value) in entries(cx, "dictsort", &map)? {
        let by = if &*by == "value" { value.clone() } else { key.val() };
        let by = match &by {
            Val::Str(text) if !case_sensitive => Val::str(text.to_lowercase()),
            _ => by,
        };
        keyed.push((by, Val::tuple(vec![key.val(), value])));
    }
    cx.burn(keyed.len())?;
    let mut sorted: Vec<Val> = python::sort(keyed)?.into_iter().map(|(_, pair)| pair).collect();
    if reverse {
        sorted.reverse();
    }
    Ok(Val::list(sorted))
}

/// Each item with each element of a list in it.
fn subelements(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let path = match args.need("subelements")? {
        list @ (Val::List(_) | Val::Tuple(_)) => {
            let parts = cx.items(&list)?;
            Val::str(parts.iter().map(Val::to_text).collect::<Vec<_>>().join("."))
        }
        other => other,
    };
    let skip_missing = args.flag("skip_missing", false);
    args.done()?;
    let items = match &value {
        Val::Map(map) => map.0.borrow().values().cloned().collect(),
        list => cx.items(list)?,
    };
    let mut made = Vec::new();
    for item in items {
        match dotted(cx, &item, &path)? {
            Val::Undefined(_) if skip_missing => {}
            found => match need(found)? {
                list @ (Val::List(_) | Val::Tuple(_)) => {
                    for element in cx.items(&list)? {
                        made.push(Val::tuple(vec![item.clone(), element]));
                    }
                }
                other => return fail(format!("`subelements` needs lists, found {}", other.a_type())),
            },
        }
    }
    Ok(Val::list(made))
}
