//! Tests: what stands after `is`.

use crate::lang::filters::Test;
use crate::lang::filters::core::truth_of;
use crate::lang::lookup::Files;
use crate::lang::lookup::PathKind;
use crate::lang::template::call::Args;
use crate::lang::template::eval::need;
use crate::lang::template::python::equal;
use crate::lang::template::scope::Cx;
use crate::lang::template::scope::entry;
use crate::lang::template::syntax::Compare;
use crate::lang::template::val::*;

pub(super) const TESTS: &[Test] = &[
    Test::raw("defined", |_, args| defined(args)),
    Test::raw("undefined", |_, args| defined(args).map(|yes| !yes)),
    Test::shallow("none", |_, args| of(args, |value| matches!(value, Val::None))),
    Test::shallow("null", |_, args| of(args, |value| matches!(value, Val::None))),
    Test::shallow("string", |_, args| of(args, |value| matches!(value, Val::Str(_)))),
    Test::shallow("boolean", |_, args| of(args, |value| matches!(value, Val::Bool(_)))),
    Test::shallow("true", |_, args| of(args, |value| matches!(value, Val::Bool(true)))),
    Test::shallow("false", |_, args| of(args, |value| matches!(value, Val::Bool(false)))),
    Test::shallow("integer", |_, args| of(args, |value| matches!(value, Val::Int(_)))),
    Test::shallow("float", |_, args| of(args, |value| matches!(value, Val::Float(_)))),
    Test::shallow("number", |_, args| of(args, |value| value.number().is_some())),
    Test::shallow("mapping", |_, args| of(args, |value| value.type_name() == "dict")),
    Test::shallow("sequence", |_, args| {
        of(args, |value| ["str", "list", "tuple", "dict"].contains(&value.type_name()))
    }),
    Test::shallow("iterable", |_, args| {
        of(args, |value| ["str", "list", "tuple", "dict"].contains(&value.type_name()))
    }),
    Test::shallow("callable", |_, args| of(args, |value| matches!(value, Val::Callable(_) | Val::Loop(_)))),
    Test::shallow("escaped", |_, args| of(args, |_| false)),
    Test::shallow("lower", |_, args| of(args, |value| value.to_text().chars().all(|one| !one.is_uppercase()))),
    Test::shallow("upper", |_, args| of(args, |value| value.to_text().chars().all(|one| !one.is_lowercase()))),
    Test::deep("nan", |_, args| of(args, |value| value.number().is_some_and(|number| number.float().is_nan()))),
    Test::deep("even", |_, args| whole(args).map(|value| value.rem_euclid(2) == 0)),
    Test::deep("odd", |_, args| whole(args).map(|value| value.rem_euclid(2) == 1)),
    Test::deep("divisibleby", divisibleby),
    Test::deep("sameas", sameas),
    Test::shallow("truthy", truthy),
    Test::shallow("falsy", |cx, args| truthy(cx, args).map(|yes| !yes)),
    Test::shallow("in", |cx, args| contained(cx, args, false)),
    Test::shallow("contains", |cx, args| contained(cx, args, true)),
    Test::deep("eq", |cx, args| compare(cx, args, Compare::Eq)),
    Test::deep("equalto", |cx, args| compare(cx, args, Compare::Eq)),
    Test::deep("==", |cx, args| compare(cx, args, Compare::Eq)),
    Test::deep("ne", |cx, args| compare(cx, args, Compare::Ne)),
    Test::deep("!=", |cx, args| compare(cx, args, Compare::Ne)),
    Test::deep("lt", |cx, args| compare(cx, args, Compare::Lt)),
    Test::deep("lessthan", |cx, args| compare(cx, args, Compare::Lt)),
    Test::deep("<", |cx, args| compare(cx, args, Compare::Lt)),
    Test::deep("le", |cx, args| compare(cx, args, Compare::Le)),
    Test::deep("<=", |cx, args| compare(cx, args, Compare::Le)),
    Test::deep("gt", |cx, args| compare(cx, args, Compare::Gt)),
    Test::deep("greaterthan", |cx, args| compare(cx, args, Compare::Gt)),
    Test::deep(">", |cx, args| compare(cx, args, Compare::Gt)),
    Test::deep("ge", |cx, args| compare(cx, args, Compare::Ge)),
    Test::deep(">=", |cx, args| compare(cx, args, Compare::Ge)),
    Test::deep("subset", |cx, args| subset(cx, args, false)),
    Test::deep("issubset", |cx, args| subset(cx, args, false)),
    Test::deep("superset", |cx, args| subset(cx, args, true)),
    Test::deep("issuperset", |cx, args| subset(cx, args, true)),
    Test::deep("any", |cx, args| truths(cx, args).map(|mut truths| truths.any(|one| one))),
    Test::deep("all", |cx, args| truths(cx, args).map(|mut truths| truths.all(|one| one))),
    Test::deep("filter", |_, mut args| Ok(crate::lang::filters::filter(&args.text("name")?).is_some())),
    Test::deep("test", |_, mut args| Ok(crate::lang::filters::test(&args.text("name")?).is_some())),
    Test::deep("version", version),
    Test::deep("version_compare", version),
    Test::shallow("failed", |cx, args| result(cx, args, "failed")),
    Test::shallow("failure", |cx, args| result(cx, args, "failed")),
    Test::shallow("succeeded", |cx, args| result(cx, args, "failed").map(|yes| !yes)),
    Test::shallow("success", |cx, args| result(cx, args, "failed").map(|yes| !yes)),
    Test::shallow("successful", |cx, args| result(cx, args, "failed").map(|yes| !yes)),
    Test::shallow("changed", changed),
    Test::shallow("change", changed),
    Test::shallow("skipped", |cx, args| result(cx, args, "skipped")),
    Test::shallow("skip", |cx, args| result(cx, args, "skipped")),
    Test::shallow("unreachable", |cx, args| result(cx, args, "unreachable")),
    Test::shallow("reachable", |cx, args| result(cx, args, "unreachable").map(|yes| !yes)),
    Test::shallow("timedout", timedout),
    Test::shallow("started", |cx, args| result(cx, args, "started")),
    Test::shallow("finished", |cx, args| result(cx, args, "finished")),
    Test::deep("abs", |_, args| of(args, |value| value.to_text().starts_with('/'))),
    Test::deep("is_abs", |_, args| of(args, |value| value.to_text().starts_with('/'))),
    Test::deep("isnan", |_, args| of(args, |value| value.number().is_some_and(|number| number.float().is_nan()))),
    Test::deep("is_link", |cx, args| path(cx, args, |files, path| files.is_link(path))),
    Test::deep("link_exists", |cx, args| path(cx, args, |files, path| files.kind(path).is_some())),
    Test::deep("exists", |cx, args| path(cx, args, |files, path| files.kind(path).is_some())),
    Test::deep("file", |cx, args| path(cx, args, |files, path| files.kind(path) == Some(PathKind::File))),
    Test::deep("directory", |cx, args| path(cx, args, |files, path| files.kind(path) == Some(PathKind::Directory))),
    Test::deep("link", |cx, args| path(cx, args, |files, path| files.is_link(path))),
    Test::deep("is_file", |cx, args| path(cx, args, |files, path| files.kind(path) == Some(PathKind::File))),
    Test::deep("is_dir", |cx, args| path(cx, args, |files, path| files.kind(path) == Some(PathKind::Directory))),
    Test::deep("url", |_, args| {
        of(args, |value| scheme(&value.to_text()).is_some_and(|(_, rest)| rest.starts_with("//")))
    }),
    Test::deep("uri", |_, args| of(args, |value| scheme(&value.to_text()).is_some())),
    Test::deep("urn", |_, args| of(args, |value| scheme(&value.to_text()).is_some_and(|(name, _)| name == "urn"))),
    Test::shallow("vault_encrypted", |_, args| {
        of(args, |value| matches!(value, Val::Str(text) if text.starts_with("$ANSIBLE_VAULT;")))
    }),
];

fn of(mut args: Args, holds: fn(&Val) -> bool) -> Res<bool> {
    let value = args.need("value")?;
    args.done()?;
    Ok(holds(&value))
}

fn defined(mut args: Args) -> Res<bool> {
    let value = args.need("value")?;
    args.done()?;
    match value {
        Val::Unknown(pending) => Err(Stop::Unknown(pending)),
        other => Ok(!matches!(other, Val::Undefined(_))),
    }
}

fn whole(mut args: Args) -> Res<i128> {
    let value = args.int("value")?;
    args.done()?;
    Ok(value)
}

fn divisibleby(_: &mut Cx, mut args: Args) -> Res<bool> {
    let (value, by) = (args.int("value")?, args.int("num")?);
    args.done()?;
    match value.checked_rem(by) {
        Some(rest) => Ok(rest == 0),
        None => fail("division by zero"),
    }
}

fn sameas(_: &mut Cx, mut args: Args) -> Res<bool> {
    let (value, other) = (args.need("value")?, args.need("other")?);
    args.done()?;
    Ok(value.type_name() == other.type_name() && equal(&value, &other))
}

fn truthy(cx: &mut Cx, mut args: Args) -> Res<bool> {
    let value = args.need("value")?;
    let convert = args.flag("convert_bool", false);
    args.done()?;
    match &value {
        Val::Str(text) if convert && crate::lang::decode::truth(text).is_some() => Ok(truth_of(&value)),
        _ => cx.truth(&value),
    }
}

fn contained(cx: &mut Cx, mut args: Args, reversed: bool) -> Res<bool> {
    let (value, other) = (args.need("value")?, args.need("other")?);
    args.done()?;
    if reversed { cx.contains(&value, &other) } else { cx.contains(&other, &value) }
}

fn compare(cx: &mut Cx, mut args: Args, op: Compare) -> Res<bool> {
    let (value, other) = (args.need("value")?, args.need("other")?);
    args.done()?;
    cx.compare(op, &value, &other)
}

fn subset(cx: &mut Cx, mut args: Args, reversed: bool) -> Res<bool> {
    let (value, other) = (args.list(cx, "value")?, args.list(cx, "other")?);
    args.done()?;
    let (small, large) = if reversed { (other, value) } else { (value, other) };
    cx.burn(small.len().saturating_mul(large.len()) / 8)?;
    Ok(small.iter().all(|one| large.iter().any(|other| equal(one, other))))
}

fn truths(cx: &mut Cx, mut args: Args) -> Res<impl Iterator<Item = bool>> {
    let items = args.list(cx, "value")?;
    args.done()?;
    Ok(items.into_iter().map(|item| item.truthy()))
}

/// A flag of a task's result.
fn flag(cx: &mut Cx, result: &Val, name: &str) -> Res<bool> {
    let value = match result {
        Val::Lazy(lazy) => cx.part(lazy, &Key::Str(name.into()))?,
        other => entry(other, &Key::Str(name.into())),
    };
    match value {
        Some(value) => Ok(truth_of(&need(value.clone())?) || cx.truth(&value)?),
        None => Ok(false),
    }
}

fn task_result(args: &mut Args) -> Res {
    let value = args.need("result")?;
    if value.type_name() != "dict" {
        return fail(format!("the test `{}` needs the result of a task, not {}", args.what, value.a_type()));
    }
    Ok(value)
}

fn result(cx: &mut Cx, mut args: Args, name: &str) -> Res<bool> {
    let value = task_result(&mut args)?;
    args.done()?;
    flag(cx, &value, name)
}

fn changed(cx: &mut Cx, mut args: Args) -> Res<bool> {
    let value = task_result(&mut args)?;
    args.done()?;
    flag(cx, &value, "changed")
}

/// The task ran out of time: `timedout` holds for how long.
fn timedout(cx: &mut Cx, mut args: Args) -> Res<bool> {
    let value = task_result(&mut args)?;
    args.done()?;
    let found = cx.item(&value, &Val::str("timedout"), &(0..0))?;
    match found {
        Val::Undefined(_) => Ok(false),
        found => {
            let period = cx.item(&found, &Val::str("period"), &(0..0))?;
            if matches!(period, Val::Undefined(_)) { Ok(false) } else { cx.truth(&period) }
        }
    }
}

fn path(cx: &mut Cx, mut args: Args, holds: fn(&dyn Files, &std::path::Path) -> bool) -> Res<bool> {
    let path = args.text("path")?;
    let what = args.what.clone();
    args.done()?;
    let scope = cx.env.scope.clone();
    match scope.files() {
        Some(files) => Ok(holds(files, std::path::Path::new(&*path))),
        None => fail(format!("the test `{what}` is unsupported here: it looks at the controller's files")),
    }
}

fn scheme(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once(':')?;
    let right = name.starts_with(|one: char| one.is_ascii_alphabetic())
        && name.chars().all(|one| one.is_ascii_alphanumeric() || "+.-".contains(one));
    (right && !rest.is_empty()).then_some((name, rest))
}

/// A piece of a version: what kind, then its number or its word.
type Piece = (u8, u128, String);

/// A version cut into numbers and words; a word comes after a number.
fn loose(version: &str) -> Vec<Piece> {
    let mut parts = Vec::new();
    let mut rest = version;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let end = rest.find(|one: char| one.is_ascii_digit() != digit || one == '.').unwrap_or(rest.len());
        let (part, after) = rest.split_at(end.max(first.len_utf8()));
        rest = after;
        if part == "." {
            continue;
        }
        parts.push(if digit {
            (0, part.parse().unwrap_or(u128::MAX), String::new())
        } else {
            (1, 0, part.to_string())
        });
    }
    parts
}

/// Semantic versions: what is before a release is less than it; build data does not count.
fn semver(version: &str) -> Res<(Vec<u128>, Vec<Piece>)> {
    let bare = version.split('+').next().unwrap_or_default();
    let (core, pre) = bare.split_once('-').map_or((bare, None), |(core, pre)| (core, Some(pre)));
    let numbers: Result<Vec<u128>, _> = core.split('.').map(str::parse).collect();
    let Ok(numbers) = numbers.map_err(|_| ()).and_then(|list| if list.len() == 3 { Ok(list) } else { Err(()) }) else {
        return fail(format!("`{version}` is no semantic version: write `1.2.3`"));
    };
    let pre = match pre {
        None => vec![(2, 0, String::new())],
        Some(pre) => pre
            .split('.')
            .map(|part| part.parse().map_or_else(|_| (1, 0, part.to_string()), |number| (0, number, String::new())))
            .collect(),
    };
    Ok((numbers, pre))
}

fn version(_: &mut Cx, mut args: Args) -> Res<bool> {
    use std::cmp::Ordering;
    let value = args.text("value")?;
    let other = args.text("version")?;
    let operator = args.text_if("operator").map_or_else(|| "eq".to_string(), |one| one.to_string());
    let strict = args.flag("strict", false);
    let default = if strict { "strict" } else { "loose" };
    let kind = args.text_if("version_type").map_or_else(|| default.to_string(), |one| one.to_string());
    args.done()?;
    if value.is_empty() || other.is_empty() {
        return fail("a version to compare is empty");
    }
    let order = match &*kind {
        "loose" => loose(&value).cmp(&loose(&other)),
        "strict" => {
            let padded = |version: &str| {
                let mut parts = loose(version);
                parts.resize(parts.len().max(3), (0, 0, String::new()));
                parts
            };
            padded(&value).cmp(&padded(&other))
        }
        "semver" | "semantic" => semver(&value)?.cmp(&semver(&other)?),
        other => return fail(format!("the version type `{other}` is unsupported; loose, strict and semver are known")),
    };
    Ok(match &*operator {
        "==" | "=" | "eq" => order == Ordering::Equal,
        "!=" | "<>" | "ne" => order != Ordering::Equal,
        "<" | "lt" => order == Ordering::Less,
        "<=" | "le" => order != Ordering::Greater,
        ">" | "gt" => order == Ordering::Greater,
        ">=" | "ge" => order != Ordering::Less,
        other => return fail(format!("`{other}` does not compare; write ==, !=, <, <=, > or >=")),
    })
}
