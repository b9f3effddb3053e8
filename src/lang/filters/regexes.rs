//! Regular expressions: Python's syntax on an engine whose time is linear in the text.
//!
//! What that engine cannot do, look-around and back-references in patterns, is refused.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::PoisonError;

use regex::Captures;
use regex::Regex;
use regex::RegexBuilder;

use crate::diag::Diagnostic;
use crate::lang::filters::Filter;
use crate::lang::filters::Test;
use crate::lang::template::call::Args;
use crate::lang::template::scope::Cx;
use crate::lang::template::val::*;

pub(super) const FILTERS: &[Filter] = &[
    Filter::deep("regex_replace", replace),
    Filter::deep("regex_search", search),
    Filter::deep("regex_findall", findall),
    Filter::deep("regex_escape", escape),
];
pub(super) const TESTS: &[Test] = &[
    Test::deep("match", |cx, args| matches(cx, args, Some("match"))),
    Test::deep("search", |cx, args| matches(cx, args, Some("search"))),
    Test::deep("regex", |cx, args| matches(cx, args, None)),
];

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Flags {
    ignore_case: bool,
    multiline: bool,
}

/// Compiled patterns; compiling costs far more than matching.
type Compiled = HashMap<(String, Flags), Regex>;
static COMPILED: LazyLock<Mutex<Compiled>> = LazyLock::new(Mutex::default);
const MOST_COMPILED: usize = 500;

fn compile(pattern: &str, flags: Flags) -> Res<Regex> {
    let key = (pattern.to_string(), flags);
    if let Some(known) = COMPILED.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(known.clone());
    }
    let translated = translate(pattern)?;
    let built = RegexBuilder::new(&translated).case_insensitive(flags.ignore_case).multi_line(flags.multiline).build();
    match built {
        Ok(regex) => {
            let mut all = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= MOST_COMPILED {
                all.clear();
            }
            all.insert(key, regex.clone());
            Ok(regex)
        }
        Err(regex::Error::CompiledTooBig(_)) => {
            fail(format!("the regular expression `{pattern}` is too large: unsupported"))
        }
        Err(error) => {
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            fail(format!("`{pattern}` is no regular expression: {why}"))
        }
    }
}

fn unsupported<T>(pattern: &str, what: &str) -> Res<T> {
    let fault = Diagnostic::error(format!("{what} in the regular expression `{pattern}` is unsupported"));
    Err(fault.help("match more and pick a group: `'(a)b'` with `'\\1'`").into())
}

/// From Python's syntax to the engine's, where they differ.
fn translate(pattern: &str) -> Res<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(one) = rest.chars().next() {
        let after = &rest[one.len_utf8()..];
        rest = after;
        match one {
            '\\' => {
                let Some(next) = after.chars().next() else {
                    return fail(format!("`{pattern}` is no regular expression: it ends with a backslash"));
                };
                rest = &after[next.len_utf8()..];
                match next {
                    'Z' => out.push_str("\\z"),
                    '1'..='9' if !in_class => return unsupported(pattern, "a back-reference"),
                    '0' => out.push_str("\\x00"),
                    '<' | '>' => out.push(next),
                    _ if !next.is_ascii() => out.push(next),
                    _ => out.extend(['\\', next]),
                }
            }
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                out.push('[');
                if let Some(after) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = after;
                }
                if let Some(after) = rest.strip_prefix(']') {
                    out.push_str("\\]");
                    rest = after;
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => out.extend(['\\', one]),
            '(' if !in_class => {
                if ["?=", "?!", "?<=", "?<!"].iter().any(|mark| after.starts_with(mark)) {
                    return unsupported(pattern, "look-around");
                }
                if after.starts_with("?P=") || after.starts_with("?(") {
                    return unsupported(pattern, "a back-reference");
                }
                out.push('(');
            }
            '{' if !in_class && !is_repetition(after) => out.push_str("\\{"),
            '{' if !in_class && after.starts_with(',') => out.push_str("{0"),
            '}' if !in_class && !out.ends_with(|last: char| last.is_ascii_digit() || last == ',') => {
                out.push_str("\\}")
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

fn is_repetition(after: &str) -> bool {
    after.split_once('}').is_some_and(|(inside, _)| {
        let numbers = inside.split(',').filter(|part| !part.is_empty()).count();
        numbers > 0 && inside.split(',').count() <= 2 && inside.chars().all(|one| one.is_ascii_digit() || one == ',')
    })
}

/// All matches as Python finds them: an empty one may follow directly on another.
fn each<'t>(cx: &mut Cx, regex: &Regex, text: &'t str, most: usize) -> Res<Vec<Captures<'t>>> {
    let mut found = Vec::new();
    let (mut at, mut empty_at) = (0, None);
    while found.len() < most && at <= text.len() {
        cx.burn(1 + text.len() / 4096)?;
        let Some(captures) = regex.captures_at(text, at) else { break };
        let Some(whole) = captures.get(0) else { break };
        if whole.is_empty() && empty_at == Some(whole.start()) {
            at = whole.end() + text[whole.end()..].chars().next().map_or(1, char::len_utf8);
            continue;
        }
        empty_at = whole.is_empty().then_some(whole.start());
        at = whole.end();
        found.push(captures);
    }
    Ok(found)
}

/// One piece of a replacement.
enum Piece {
    Text(String),
    Group(usize),
    Named(String),
}

/// `\1`, `\g<1>`, `\g<name>` and escapes.
fn replacement(template: &str, regex: &Regex) -> Res<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut chars = template.chars().peekable();
    while let Some(one) = chars.next() {
        if one != '\\' {
            text.push(one);
            continue;
        }
        let group = match chars.next() {
            Some(digit @ '1'..='9') => {
                let mut number = digit as usize - '0' as usize;
                if let Some(next) = chars.next_if(char::is_ascii_digit) {
                    number = number * 10 + (next as usize - '0' as usize);
                }
                Piece::Group(number)
            }
            Some('g') if chars.next_if_eq(&'<').is_some() => {
                let name: String = chars.by_ref().take_while(|&one| one != '>').collect();
                name.parse().map_or_else(|_| Piece::Named(name), Piece::Group)
            }
            Some('n') => Piece::Text("\n".into()),
            Some('t') => Piece::Text("\t".into()),
            Some('r') => Piece::Text("\r".into()),
            Some(other) if other.is_ascii_alphabetic() => {
                return fail(format!("`\\{other}` means nothing in the replacement `{template}`"));
            }
            Some(other) => Piece::Text(other.into()),
            None => return fail(format!("the replacement `{template}` ends with a backslash")),
        };
        match group {
            Piece::Text(more) => text.push_str(&more),
            group => {
                known_group(&group, regex)?;
                pieces.extend([Piece::Text(std::mem::take(&mut text)), group]);
            }
        }
    }
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

fn known_group(group: &Piece, regex: &Regex) -> Res<()> {
    match group {
        Piece::Group(number) if *number >= regex.captures_len() => {
            fail(format!("the regular expression `{regex}` has no group {number}"))
        }
        Piece::Named(name) if !regex.capture_names().flatten().any(|one| one == name) => {
            fail(format!("the regular expression `{regex}` has no group `{name}`"))
        }
        _ => Ok(()),
    }
}

fn flags(args: &mut Args) -> Flags {
    let ignore_case = args.flag("ignorecase", false);
    Flags { ignore_case, multiline: args.flag("multiline", false) }
}

fn replace(cx: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let pattern = args.text("pattern")?;
    let template = args.text("replacement")?;
    let flags = flags(&mut args);
    let count = args.int_or("count", 0)?;
    let mandatory = args.int_or("mandatory_count", 0)?;
    args.done()?;
    let regex = compile(&pattern, flags)?;
    let pieces = replacement(&template, &regex)?;
    let most = usize::try_from(count).ok().filter(|count| *count > 0).unwrap_or(usize::MAX);
    let found = each(cx, &regex, &text, most)?;
    if (found.len() as i128) < mandatory {
        return fail(format!("`{pattern}` matched {} times, {mandatory} were wanted", found.len()));
    }
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for captures in &found {
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[copied..whole.start()]);
        for piece in &pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Group(number) => out.push_str(captures.get(*number).map_or("", |group| group.as_str())),
                Piece::Named(name) => out.push_str(captures.name(name).map_or("", |group| group.as_str())),
            }
        }
        copied = whole.end();
        cx.burn(1)?;
        if out.len() > crate::lang::template::scope::LONGEST {
            cx.burn_text(out.len())?;
        }
    }
    out.push_str(&text[copied..]);
    cx.burn_text(out.len())?;
    Ok(Val::str(out))
}

fn group_text(captures: &Captures, at: usize) -> Val {
    captures.get(at).map_or(Val::None, |group| Val::str(group.as_str()))
}

fn search(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let pattern = args.text("regex")?;
    let ignore_case = args.take_named("ignorecase").is_some_and(|one| one.truthy());
    let multiline = args.take_named("multiline").is_some_and(|one| one.truthy());
    let wanted = args.rest();
    args.done()?;
    let regex = compile(&pattern, Flags { ignore_case, multiline })?;
    let Some(captures) = regex.captures(&text) else { return Ok(Val::None) };
    let mut groups = Vec::new();
    for one in &wanted {
        match replacement(&one.to_text(), &regex)?.into_iter().find(|piece| !matches!(piece, Piece::Text(_))) {
            Some(group) => groups.push(group),
            None => return fail(format!("`{}` is no group: write `\\\\1` or `\\\\g<name>`", one.to_text())),
        }
    }
    if groups.is_empty() {
        return Ok(group_text(&captures, 0));
    }
    let parts = groups.iter().map(|group| match group {
        Piece::Group(number) => group_text(&captures, *number),
        Piece::Named(name) => captures.name(name).map_or(Val::None, |group| Val::str(group.as_str())),
        Piece::Text(_) => Val::None,
    });
    Ok(Val::list(parts.collect()))
}

fn findall(cx: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let pattern = args.text("regex")?;
    let multiline = args.flag("multiline", false);
    let ignore_case = args.flag("ignorecase", false);
    args.done()?;
    let regex = compile(&pattern, Flags { ignore_case, multiline })?;
    let empty = |value: Val| if matches!(value, Val::None) { Val::str("") } else { value };
    let found = each(cx, &regex, &text, usize::MAX)?;
    let rows = found.iter().map(|captures| match regex.captures_len() {
        1 => empty(group_text(captures, 0)),
        2 => empty(group_text(captures, 1)),
        count => Val::tuple((1..count).map(|at| empty(group_text(captures, at))).collect()),
    });
    Ok(Val::list(rows.collect()))
}

fn escape(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let kind = args.text_if("re_type").unwrap_or_else(|| Arc::from("python"));
    args.done()?;
    let special = match &*kind {
        "python" => "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}",
        "posix_basic" => "[].^$*\\",
        other => return fail(format!("`regex_escape` for `{other}` is unsupported")),
    };
    let mut out = String::new();
    for one in text.chars() {
        if special.contains(one) {
            out.push('\\');
        }
        out.push(one);
    }
    Ok(Val::str(out))
}

fn matches(_: &mut Cx, mut args: Args, kind: Option<&str>) -> Res<bool> {
    let text = args.text("value")?;
    let pattern = args.text("pattern")?;
    let flags = flags(&mut args);
    let kind = match kind {
        Some(kind) => kind.to_string(),
        None => args.text_if("match_type").map_or_else(|| "search".to_string(), |kind| kind.to_string()),
    };
    args.done()?;
    let regex = compile(&pattern, flags)?;
    match &*kind {
        "search" => Ok(regex.is_match(&text)),
        // The leftmost match is at the start, if there is one at the start.
        "match" => Ok(regex.find(&text).is_some_and(|found| found.start() == 0)),
        "fullmatch" => {
            let whole = compile(&format!("^(?:{pattern})$"), Flags { multiline: false, ..flags })?;
            Ok(whole.is_match(&text))
        }
        other => fail(format!("`regex` knows no match_type `{other}`, only search, match, fullmatch")),
    }
}
