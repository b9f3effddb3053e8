//! Lookups: `lookup('file', …)`, `query('sequence', …)` and what `with_…` loops go through.
//!
//! Files are read, and the environment seen, only through the scope.

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::lang::filters::short;
use crate::lang::lookup::Files;
use crate::lang::lookup::Search;
use crate::lang::template::call::Args;
use crate::lang::template::eval::need;
use crate::lang::template::eval::with_newlines;
use crate::lang::template::files;
use crate::lang::template::format;
use crate::lang::template::scope::Cx;
use crate::lang::template::scope::Env;
use crate::lang::template::syntax::Body;
use crate::lang::template::val::*;

type Run = fn(&mut Cx, Args) -> Res<Vec<Val>>;

const LOOKUPS: &[(&str, Run)] = &[
    ("cartesian", nested),
    ("dict", dict),
    ("env", env),
    ("file", file),
    ("fileglob", fileglob),
    ("first_found", first_found),
    ("flattened", flattened),
    ("indexed_items", indexed_items),
    ("items", items),
    ("list", list),
    ("nested", nested),
    ("sequence", sequence),
    ("subelements", subelements),
    ("template", template),
    ("together", together),
    ("unvault", file),
    ("vars", vars),
    ("varnames", varnames),
];

const UNSUPPORTED: &[(&str, &str)] = &[
    ("pipe", "run the command as a task on localhost and register its result"),
    ("lines", "run the command as a task on localhost and register its result"),
    ("password", "use `lookup('env', 'NAME')`, or `-e @file` with a file of mode 0600"),
    ("random_choice", "use `list | random(seed=inventory_hostname)`"),
    ("random_string", "put the text into a variable"),
    ("url", "use `get_url`, or `command: curl …` on localhost"),
    ("config", "there is no Ansible configuration"),
    ("csvfile", "use `lookup('file', …)` with `split`"),
    ("ini", "use `lookup('file', …)` with `regex_search`"),
    ("inventory_hostnames", "use `groups`"),
    ("dig", "use `getent hosts` as a task"),
    ("dnstxt", "use a task"),
    ("redis", "use a task"),
    ("k8s", "use a task with `kubectl`"),
];

/// What is said of a lookup that is not here.
pub(crate) fn unknown(name: &str) -> Option<Diagnostic> {
    let short = short(name);
    if LOOKUPS.iter().any(|(one, _)| *one == short) {
        return None;
    }
    Some(match UNSUPPORTED.iter().find(|(one, _)| *one == short) {
        Some((_, help)) => Diagnostic::error(format!("the lookup `{name}` is unsupported")).help(*help),
        None => {
            Diagnostic::error(format!("unknown lookup `{name}`")).suggest(short, LOOKUPS.iter().map(|(one, _)| *one))
        }
    })
}

/// Runs a lookup on its terms; `None` when an error is to be ignored.
pub(crate) fn run(cx: &mut Cx, name: &str, mut args: Args) -> Res<Option<Vec<Val>>> {
    let errors = args.take_named("errors").map(|value| value.to_text());
    let short = short(name);
    let Some((_, run)) = LOOKUPS.iter().find(|(one, _)| *one == short) else {
        return unknown(name).map_or_else(|| Ok(None), |fault| Err(fault.into()));
    };
    args.what = Arc::from(format!("lookup('{short}')"));
    match run(cx, args) {
        Ok(found) => Ok(Some(found)),
        Err(Stop::Error(_)) if errors.is_some_and(|errors| ["ignore", "warn"].contains(&errors.as_str())) => Ok(None),
        Err(stop) => Err(stop),
    }
}

/// The terms as written, each list among them taken apart.
fn terms(cx: &mut Cx, args: &mut Args) -> Res<Vec<Val>> {
    let mut flat = Vec::new();
    for term in args.rest() {
        match term.type_name() {
            "list" | "tuple" => flat.extend(cx.items(&term)?),
            _ => flat.push(term),
        }
    }
    flat.into_iter().map(need).collect()
}

fn with_files<T>(cx: &mut Cx, what: &str, work: impl FnOnce(&dyn Files) -> Res<T>) -> Res<T> {
    let scope = cx.env.scope.clone();
    match scope.files() {
        Some(files) => work(files),
        None => fail(format!("`{what}` is unsupported here: the controller cannot be looked at")),
    }
}

fn env(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let default = args.take_named("default");
    let names = terms(cx, &mut args)?;
    let what = args.what.clone();
    args.done()?;
    with_files(cx, &what, |files| {
        let value = |name: &Val| match (files.env(&name.to_text()), &default) {
            (Some(value), _) => Val::str(value),
            (None, Some(default)) => default.clone(),
            (None, None) => Val::str(""),
        };
        Ok(names.iter().map(value).collect())
    })
}

fn file(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let rstrip = args.take_named("rstrip").is_none_or(|flag| flag.truthy());
    let lstrip = args.take_named("lstrip").is_some_and(|flag| flag.truthy());
    let names = terms(cx, &mut args)?;
    let raw = args.what.contains("unvault");
    args.done()?;
    let mut found = Vec::new();
    for name in names {
        let name = cx.text(&name)?;
        let Some(source) = files::find(cx, Search::Files, &name)? else {
            return fail(format!("the file `{name}` was not found"));
        };
        let text = if rstrip && !raw { source.text.trim_end() } else { &source.text };
        let text = if lstrip { text.trim_start() } else { text };
        cx.burn_text(text.len())?;
        found.push(Val::str(text));
    }
    Ok(found)
}

/// A template file, rendered with the variables and `template_vars`.
fn template(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let more = args.take_named("template_vars");
    args.take_named("convert_data");
    let names = terms(cx, &mut args)?;
    args.done()?;
    let mut found = Vec::new();
    for name in names {
        let name = cx.text(&name)?;
        let Some(source) = files::find(cx, Search::Templates, &name)? else {
            return fail(format!("the template `{name}` was not found"));
        };
        let (unit, place) = files::unit(cx.templates, &source)?;
        let Body::Template(stmts) = &unit.body else { continue };
        let env = Env::new(&cx.env.scope, place);
        let more = match &more {
            Some(more) => crate::lang::filters::dicts::pairs(cx, more)?,
            None => Vec::new(),
        };
        let text = cx.within(env, |cx| {
            for (key, value) in more {
                cx.set(&Arc::from(key.name()), value);
            }
            let out = cx.template(stmts)?;
            cx.joined(out)
        })?;
        found.push(with_newlines(Val::str(text), &source.text));
    }
    Ok(found)
}

fn vars(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let default = args.take_named("default");
    let names = terms(cx, &mut args)?;
    args.done()?;
    let scope = cx.env.scope.clone();
    let mut found = Vec::new();
    for name in names {
        let name = cx.text(&name)?;
        let value = cx.deeper(|cx| cx.variable(&scope, &name, None))?;
        found.push(match (value, &default) {
            (None | Some(Val::Undefined(_)), Some(default)) => default.clone(),
            (Some(value), _) => value,
            (None, None) => {
                let fault = Diagnostic::error(format!("'{name}' is undefined"));
                let near = Some((name.to_string(), Near::Scope(scope.clone())));
                Val::Undefined(Rc::new(Absent { fault, near, blank: false }))
            }
        });
    }
    Ok(found)
}

fn varnames(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let patterns = terms(cx, &mut args)?;
    args.done()?;
    let scope = cx.env.scope.clone();
    let mut found = Vec::new();
    for pattern in patterns {
        let search = crate::lang::filters::test("search");
        for name in scope.names() {
            let Some(search) = search else { continue };
            let args = Args::new("varnames", vec![Val::str(&name), pattern.clone()], Vec::new());
            let answer = cx.test(search, args)?;
            if cx.truth(&answer)? {
                found.push(Val::str(name));
            }
        }
    }
    Ok(found)
}

fn dict(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let maps = args.rest();
    args.done()?;
    let mut found = Vec::new();
    for map in maps {
        let maps = if map.type_name() == "list" { cx.items(&map)? } else { vec![map] };
        for map in maps {
            let map = need(map)?;
            if map.type_name() != "dict" {
                return fail(format!("`dict` goes through mappings, not {}", map.a_type()));
            }
            let pairs = crate::lang::filters::dicts::pairs(cx, &map)?;
            found.extend(pairs.into_iter().map(|(key, value)| Val::record([("key", key.val()), ("value", value)])));
        }
    }
    Ok(found)
}

/// Lists among the terms are taken apart, one level.
fn items(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let found = terms(cx, &mut args)?;
    args.done()?;
    Ok(found)
}

fn list(_: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let found = args.rest();
    args.done()?;
    Ok(found)
}

fn flattened(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let mut queue: Vec<Val> = args.rest().into_iter().rev().collect();
    args.done()?;
    let mut found = Vec::new();
    while let Some(one) = queue.pop() {
        cx.burn(1)?;
        match one.type_name() {
            "list" | "tuple" => queue.extend(cx.items(&one)?.into_iter().rev()),
            _ => found.push(need(one)?),
        }
    }
    Ok(found)
}

fn indexed_items(cx: &mut Cx, args: Args) -> Res<Vec<Val>> {
    let found = items(cx, args)?;
    Ok(found.into_iter().enumerate().map(|(at, item)| Val::tuple(vec![Val::Int(at as i128), item])).collect())
}

fn lists(cx: &mut Cx, args: &mut Args) -> Res<Vec<Vec<Val>>> {
    let mut found = Vec::new();
    for list in args.rest() {
        found.push(if list.type_name() == "list" || list.type_name() == "tuple" {
            cx.items(&list)?
        } else {
            vec![list]
        });
    }
    Ok(found)
}

fn nested(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let lists = lists(cx, &mut args)?;
    args.done()?;
    let mut rows: Vec<Vec<Val>> = vec![Vec::new()];
    for list in &lists {
        cx.burn(rows.len().saturating_mul(list.len()).saturating_mul(lists.len()))?;
        rows = rows
            .iter()
            .flat_map(|row| list.iter().map(|item| [&row[..], std::slice::from_ref(item)].concat()))
            .collect();
    }
    Ok(rows.into_iter().map(Val::list).collect())
}

fn together(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let lists = lists(cx, &mut args)?;
    args.done()?;
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    cx.burn(longest.saturating_mul(lists.len()))?;
    let row = |at: usize| lists.iter().map(|list| list.get(at).cloned().unwrap_or(Val::None)).collect();
    Ok((0..longest).map(|at| Val::list(row(at))).collect())
}

fn subelements(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let mut plain = args.rest();
    args.done()?;
    let mut named = Vec::new();
    if plain.len() == 3
        && let Some(flags) = plain.pop()
    {
        let skip = cx.item(&flags, &Val::str("skip_missing"), &(0..0))?;
        named.push((Arc::from("skip_missing"), skip));
    }
    let Some(filter) = crate::lang::filters::filter("subelements") else { return Ok(Vec::new()) };
    let path = plain.get(1).map_or_else(String::new, Val::to_text);
    let made = cx.filter(filter, Args::new("subelements", plain, named))?;
    let mut rows = cx.items(&made)?;
    // The lookup takes the list out of the item; the filter leaves it in.
    for row in rows.iter_mut().filter(|_| !path.contains('.')) {
        if let Val::Tuple(pair) = row
            && let [Val::Map(map), element] = &pair[..]
        {
            let rest = map
                .0
                .borrow()
                .iter()
                .filter(|(key, _)| key.name() != path)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect::<Vec<_>>();
            *row = Val::tuple(vec![Val::map(rest), element.clone()]);
        }
    }
    Ok(rows)
}

fn fileglob(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let patterns = terms(cx, &mut args)?;
    let what = args.what.clone();
    args.done()?;
    with_files(cx, &what, |files| {
        let paths = patterns.iter().flat_map(|pattern| files.glob(&pattern.to_text()));
        Ok(paths.map(|path| Val::str(path.to_string_lossy())).collect())
    })
}

/// Names to try: plain ones, or each of `files` in each of `paths`.
fn first_found(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let mut skip = args.take_named("skip").is_some_and(|flag| flag.truthy());
    let files = args.take_named("files");
    let paths = args.take_named("paths");
    let mut candidates = in_paths(cx, files, paths)?;
    for term in terms(cx, &mut args)? {
        let term = cx.deep(&term)?;
        if let Val::Map(map) = &term {
            let part = |name: &str| map.0.borrow().get(&Key::Str(name.into())).cloned();
            skip |= part("skip").is_some_and(|flag| flag.truthy());
            candidates.extend(in_paths(cx, part("files"), part("paths"))?);
        } else {
            candidates.push(term.to_text());
        }
    }
    let what = args.what.clone();
    args.done()?;
    let found = with_files(cx, &what, |files| {
        let searches = [Search::Files, Search::Templates, Search::Vars];
        Ok(candidates.iter().find_map(|name| searches.iter().find_map(|search| files.find(*search, name))))
    })?;
    match found {
        Some(path) => Ok(vec![Val::str(path.to_string_lossy())]),
        None if skip => Ok(Vec::new()),
        None => fail(format!("none of these files was found: `{}`", candidates.join("`, `"))),
    }
}

fn in_paths(cx: &mut Cx, files: Option<Val>, paths: Option<Val>) -> Res<Vec<String>> {
    let mut texts = |value: Option<Val>| match value {
        None => Ok(Vec::new()),
        Some(Val::Str(text)) => Ok(text.split([',', ';']).map(|one| one.trim().to_string()).collect()),
        Some(list) => {
            cx.items(&list)?.iter().map(|one| cx.text(one).map(|text| text.to_string())).collect::<Res<Vec<_>>>()
        }
    };
    let (files, paths) = (texts(files)?, texts(paths)?);
    if paths.is_empty() {
        return Ok(files);
    }
    Ok(paths
        .iter()
        .flat_map(|path| files.iter().map(move |file| format!("{}/{file}", path.trim_end_matches('/'))))
        .collect())
}

/// Numbers as text: `start=1 end=5 stride=2 format=host%02d`, or short `1-5/2:host%02d`.
fn sequence(cx: &mut Cx, mut args: Args) -> Res<Vec<Val>> {
    let mut options: Vec<(String, String)> = Vec::new();
    for term in args.rest() {
        let term = term.to_text();
        match short_sequence(&term) {
            Some(short) => options.extend(short),
            None => {
                for pair in term.split_whitespace() {
                    let Some((key, value)) = pair.split_once('=') else {
                        return fail(format!("`{term}` is no sequence: write `start=1 end=5` or `1-5`"));
                    };
                    options.push((key.to_string(), value.to_string()));
                }
            }
        }
    }
    options.extend(args.rest_named().into_iter().map(|(name, value)| (name.to_string(), value.to_text())));
    let (mut start, mut end, mut stride, mut count, mut shape) = (1, None, None, None, "%d".to_string());
    for (key, value) in &options {
        let number = || parse_number(value);
        match key.as_str() {
            "start" => start = number()?,
            "end" => end = Some(number()?),
            "stride" => stride = Some(number()?),
            "count" => count = Some(number()?),
            "format" => shape.clone_from(value),
            other => {
                return fail(format!("`sequence` has no option `{other}`; it has start, end, stride, count, format"));
            }
        }
    }
    let stride = stride.unwrap_or(if end.is_some_and(|end| end < start) { -1 } else { 1 });
    let count = match (count, end) {
        (Some(count), None) => count,
        (None, Some(_)) if stride == 0 => 0,
        (None, Some(end)) => (end - start) / stride + 1,
        _ => return fail("`sequence` needs either `end` or `count`"),
    };
    let count = usize::try_from(count).unwrap_or(0).min(1_000_000);
    cx.burn(count * 4)?;
    (0..count as i128).map(|at| format::percent(cx, &shape, &Val::Int(start + at * stride)).map(Val::str)).collect()
}

fn parse_number(text: &str) -> Res<i128> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => text.parse::<i64>(),
    };
    parsed.map_or_else(|_| fail(format!("`{text}` is no number for `sequence`")), |value| Ok(i128::from(value)))
}

fn short_sequence(term: &str) -> Option<Vec<(String, String)>> {
    let (numbers, shape) = term.split_once(':').map_or((term, None), |(numbers, shape)| (numbers, Some(shape)));
    let (range, stride) = numbers.split_once('/').map_or((numbers, None), |(range, stride)| (range, Some(stride)));
    let (start, end) = range.split_once('-').map_or((None, range), |(start, end)| (Some(start), end));
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|one| one.is_ascii_hexdigit() || one == 'x');
    if !is_number(end) || !start.is_none_or(is_number) {
        return None;
    }
    let named = [("start", start), ("end", Some(end)), ("stride", stride), ("format", shape)];
    Some(named.into_iter().filter_map(|(key, value)| Some((key.to_string(), value?.to_string()))).collect())
}
