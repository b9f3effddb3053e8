//! Filters that go through a list: `map`, `select` and their kin, `groupby`.

use crate::lang::filters;
use crate::lang::filters::Filter;
use crate::lang::filters::core::dotted;
use crate::lang::filters::lists::folded;
use crate::lang::template::call::Args;
use crate::lang::template::eval::need;
use crate::lang::template::python;
use crate::lang::template::python::equal;
use crate::lang::template::scope::Cx;
use crate::lang::template::val::*;

pub(super) const FILTERS: &[Filter] = &[
    Filter::raw("map", map),
    Filter::raw("select", select),
    Filter::raw("reject", reject),
    Filter::raw("selectattr", selectattr),
    Filter::raw("rejectattr", rejectattr),
    Filter::deep("groupby", groupby),
];

fn map(cx: &mut Cx, mut args: Args) -> Res {
    let input = args.need("value")?;
    if let Val::Undefined(_) | Val::Unknown(_) = input {
        return Ok(input);
    }
    let items = cx.items(&input)?;
    if let Some(path) = args.take_named("attribute") {
        let default = args.take_named("default");
        args.done()?;
        let mut made = Vec::with_capacity(items.len());
        for item in items {
            made.push(match (dotted(cx, &item, &path)?, &default) {
                (Val::Undefined(_), Some(default)) => default.clone(),
                (value, _) => value,
            });
        }
        return Ok(Val::list(made));
    }
    let name = args.text("filter")?;
    let Some(filter) = filters::filter(&name) else { return Err(filters::no_filter(&name).into()) };
    let (plain, named) = (args.rest(), args.rest_named());
    let mut made = Vec::with_capacity(items.len());
    for item in items {
        cx.burn(1)?;
        let plain = [&[item], &plain[..]].concat();
        made.push(cx.filter(filter, Args::new(&name, plain, named.clone()))?);
    }
    Ok(Val::list(made))
}

/// `select` and its kin: by a test, of the item or an attribute of it.
fn chosen(cx: &mut Cx, mut args: Args, by_attribute: bool, wanted: bool) -> Res {
    let input = args.need("value")?;
    if let Val::Undefined(_) | Val::Unknown(_) = input {
        return Ok(input);
    }
    let items = cx.items(&input)?;
    let path = if by_attribute { Some(args.need("attribute")?) } else { None };
    let test = match args.take("test") {
        None => None,
        Some(name) => {
            let name = name.to_shared_text();
            match filters::test(&name) {
                Some(test) => Some(test),
                None => return Err(filters::no_test(&name).into()),
            }
        }
    };
    let (plain, named) = (args.rest(), args.rest_named());
    let mut kept = Vec::new();
    for item in items {
        cx.burn(1)?;
        let value = match &path {
            Some(path) => dotted(cx, &item, path)?,
            None => item.clone(),
        };
        let holds = match test {
            Some(test) => {
                let plain = [&[value], &plain[..]].concat();
                let answer = cx.test(test, Args::new(test.name, plain, named.clone()))?;
                cx.truth(&answer)?
            }
            None => cx.truth(&value)?,
        };
        if holds == wanted {
            kept.push(item);
        }
    }
    Ok(Val::list(kept))
}

fn select(cx: &mut Cx, args: Args) -> Res {
    chosen(cx, args, false, true)
}

fn reject(cx: &mut Cx, args: Args) -> Res {
    chosen(cx, args, false, false)
}

fn selectattr(cx: &mut Cx, args: Args) -> Res {
    chosen(cx, args, true, true)
}

fn rejectattr(cx: &mut Cx, args: Args) -> Res {
    chosen(cx, args, true, false)
}

fn groupby(cx: &mut Cx, mut args: Args) -> Res {
    let items = args.list(cx, "value")?;
    let path = args.need("attribute")?;
    let default = args.take("default");
    let case_sensitive = args.flag("case_sensitive", false);
    args.done()?;
    let mut pairs = Vec::new();
    for item in items {
        let value = match (dotted(cx, &item, &path)?, &default) {
            (Val::Undefined(_), Some(default)) => default.clone(),
            (value, _) => need(value)?,
        };
        pairs.push((folded(value.clone(), case_sensitive), Val::tuple(vec![value, item])));
    }
    let mut groups: Vec<(Val, Val, Vec<Val>)> = Vec::new();
    for (key, pair) in python::sort(pairs)? {
        let Val::Tuple(pair) = pair else { continue };
        let [value, item] = &pair[..] else { continue };
        match groups.last_mut().filter(|(last, _, _)| equal(last, &key)) {
            Some((_, _, group)) => group.push(item.clone()),
            None => groups.push((key, value.clone(), vec![item.clone()])),
        }
    }
    Ok(Val::list(groups.into_iter().map(|(_, value, group)| Val::tuple(vec![value, Val::list(group)])).collect()))
}
