//! Filters over paths, as text: nothing is looked up.

use std::sync::Arc;

use crate::lang::filters::Filter;
use crate::lang::lookup::Files;
use crate::lang::template::call::Args;
use crate::lang::template::scope::Cx;
use crate::lang::template::val::*;

pub(super) const FILTERS: &[Filter] = &[
    Filter::deep("basename", |_, args| simple(args, |path| split(path).1.to_string())),
    Filter::deep("dirname", |_, args| simple(args, |path| split(path).0.to_string())),
    Filter::deep("normpath", |_, args| simple(args, normal)),
    Filter::deep("splitext", splitext),
    Filter::deep("relpath", relpath),
    Filter::deep("path_join", path_join),
    Filter::deep("commonpath", commonpath),
    Filter::deep("expanduser", expanduser),
];

fn simple(mut args: Args, change: fn(&str) -> String) -> Res {
    let path = args.text("value")?;
    args.done()?;
    Ok(Val::str(change(&path)))
}

fn split(path: &str) -> (&str, &str) {
    match path.rfind('/') {
        None => ("", path),
        Some(at) => {
            let head = path[..at].trim_end_matches('/');
            (if head.is_empty() { &path[..=at] } else { head }, &path[at + 1..])
        }
    }
}

fn splitext(_: &mut Cx, mut args: Args) -> Res {
    let path = args.text("value")?;
    args.done()?;
    let name = split(&path).1;
    let start = path.len() - name.len() + (name.len() - name.trim_start_matches('.').len());
    let dot = path[start..].rfind('.').map_or(path.len(), |at| start + at);
    Ok(Val::tuple(vec![Val::str(&path[..dot]), Val::str(&path[dot..])]))
}

/// Without `.`, `..` and doubled slashes.
fn normal(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => _ = parts.pop(),
            ("..", None) if rooted => {}
            _ => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, joined) => format!("/{joined}"),
        (false, joined) if joined.is_empty() => ".".into(),
        (false, joined) => joined,
    }
}

fn relpath(_: &mut Cx, mut args: Args) -> Res {
    let path = args.text("value")?;
    let start = args.text_if("start").unwrap_or_else(|| Arc::from("."));
    args.done()?;
    if path.starts_with('/') != start.starts_with('/') {
        return fail("`relpath` between an absolute and a relative path is unsupported; give it an absolute start");
    }
    let (path, start) = (normal(&path), normal(&start));
    let parts = |path: &str| path.split('/').filter(|one| !one.is_empty() && *one != ".").map(str::to_string).collect();
    let (path, start): (Vec<String>, Vec<String>) = (parts(&path), parts(&start));
    let same = path.iter().zip(&start).take_while(|(a, b)| a == b).count();
    let up = vec!["..".to_string(); start.len() - same];
    let joined = [up, path[same..].to_vec()].concat().join("/");
    Ok(Val::str(if joined.is_empty() { ".".into() } else { joined }))
}

fn path_join(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let parts = match &value {
        Val::Str(_) => [vec![value], args.rest()].concat(),
        list => cx.items(list)?,
    };
    args.done()?;
    let mut out = String::new();
    for part in parts {
        let part = part.to_text();
        if part.starts_with('/') {
            out.clear();
        } else if !out.is_empty() && !out.ends_with('/') {
            out.push('/');
        }
        out.push_str(&part);
    }
    Ok(Val::str(out))
}

fn commonpath(cx: &mut Cx, mut args: Args) -> Res {
    let paths: Vec<String> = args.list(cx, "value")?.iter().map(|path| normal(&path.to_text())).collect();
    args.done()?;
    let Some(first) = paths.first() else { return fail("`commonpath` needs at least one path") };
    let mut same: Vec<&str> = first.split('/').collect();
    for path in &paths {
        let count = same.iter().zip(path.split('/')).take_while(|(a, b)| **a == *b).count();
        same.truncate(count);
    }
    let joined = same.join("/");
    Ok(Val::str(if joined.is_empty() && first.starts_with('/') { "/".into() } else { joined }))
}

fn expanduser(cx: &mut Cx, mut args: Args) -> Res {
    let path = args.text("value")?;
    args.done()?;
    let Some(rest) = path.strip_prefix('~') else { return Ok(Val::Str(path)) };
    if !rest.is_empty() && !rest.starts_with('/') {
        return fail(format!("`expanduser` of another user's home, `{path}`, is unsupported"));
    }
    let scope = cx.env.scope.clone();
    match scope.files().and_then(|files: &dyn Files| files.env("HOME")) {
        Some(home) => Ok(Val::str(format!("{home}{rest}"))),
        None => fail("`expanduser` is unsupported here: the controller's HOME cannot be read"),
    }
}
