//! Filters over text, and the string functions behind both filters and methods.

use std::sync::Arc;

use crate::lang::filters::Filter;
use crate::lang::filters::core::dotted;
use crate::lang::template::call::Args;
use crate::lang::template::eval::need;
use crate::lang::template::format;
use crate::lang::template::scope::Cx;
use crate::lang::template::stmt::listed;
use crate::lang::template::val::*;

pub(super) const FILTERS: &[Filter] = &[
    Filter::deep("upper", |_, args| simple(args, |text| text.to_uppercase())),
    Filter::deep("lower", |_, args| simple(args, |text| text.to_lowercase())),
    Filter::deep("title", |_, args| simple(args, title)),
    Filter::deep("capitalize", |_, args| simple(args, capitalize)),
    Filter::deep("quote", quote),
    Filter::deep("escape", |_, args| simple(args, escape)),
    Filter::deep("e", |_, args| simple(args, escape)),
    Filter::deep("forceescape", |_, args| simple(args, escape)),
    Filter::deep("striptags", |_, args| simple(args, striptags)),
    Filter::deep("trim", trim),
    Filter::deep("replace", replace_filter),
    Filter::deep("split", split_filter),
    Filter::deep("splitlines", |_, mut args| Ok(Val::list(lines(&args.text("value")?)))),
    Filter::deep("join", join_filter),
    Filter::deep("indent", indent),
    Filter::deep("wordcount", wordcount),
    Filter::deep("wordwrap", wordwrap),
    Filter::deep("truncate", truncate),
    Filter::deep("center", center),
    Filter::deep("format", format_filter),
    Filter::deep("comment", comment),
    Filter::deep("pprint", |_, mut args| {
        Ok(Val::str(crate::lang::template::python::repr(&listed(&args.need("value")?))))
    }),
];

fn simple(mut args: Args, change: fn(&str) -> String) -> Res {
    let text = args.text("value")?;
    args.done()?;
    Ok(Val::str(change(&text)))
}

pub(crate) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars.as_str().to_lowercase().chars()).collect())
}

/// Every word begins with a capital; a word ends at what is neither letter, digit nor apostrophe.
pub(crate) fn title(text: &str) -> String {
    let mut start = true;
    let mut out = String::with_capacity(text.len());
    for one in text.chars() {
        if start {
            out.extend(one.to_uppercase());
        } else {
            out.extend(one.to_lowercase());
        }
        start = !one.is_alphanumeric() && one != '\'';
    }
    out
}

pub(crate) fn swapcase(text: &str) -> String {
    let swap =
        |one: char| if one.is_uppercase() { one.to_lowercase().to_string() } else { one.to_uppercase().to_string() };
    text.chars().map(swap).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&#34;")
}

fn striptags(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for one in text.chars() {
        match one {
            '<' => inside = true,
            '>' if inside => inside = false,
            _ if !inside => out.push(one),
            _ => {}
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Quotes for a POSIX shell, as Python's `shlex.quote`.
pub(crate) fn shell_quote(text: &str) -> String {
    let plain = |one: char| one.is_ascii_alphanumeric() || "@%+=:,./-_".contains(one);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_string();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn quote(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text_if("value").unwrap_or_else(|| Arc::from(""));
    args.done()?;
    Ok(Val::str(shell_quote(&text)))
}

pub(crate) fn strip<'t>(text: &'t str, chars: Option<&str>, side: &str) -> &'t str {
    let cut = |one: char| chars.map_or_else(|| one.is_whitespace(), |chars| chars.contains(one));
    match side {
        "lstrip" => text.trim_start_matches(cut),
        "rstrip" => text.trim_end_matches(cut),
        _ => text.trim_matches(cut),
    }
}

fn trim(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let chars = args.text_if("chars");
    args.done()?;
    Ok(Val::str(strip(&text, chars.as_deref(), "strip")))
}

pub(crate) fn replace(cx: &mut Cx, text: &str, old: &str, new: &str, count: i128) -> Res<String> {
    let found = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    let times = usize::try_from(count).unwrap_or(found).min(found);
    cx.burn_text(text.len() + times.saturating_mul(new.len()))?;
    Ok(text.replacen(old, new, times))
}

fn replace_filter(cx: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let (old, new) = (args.text("old")?, args.text("new")?);
    let count = args.int_or("count", -1)?;
    args.done()?;
    replace(cx, &text, &old, &new, count).map(Val::str)
}

pub(crate) fn split(cx: &mut Cx, text: &str, separator: Option<&str>, most: i128, from_end: bool) -> Res {
    let most = usize::try_from(most).ok();
    let mut parts: Vec<String> = Vec::new();
    match separator {
        Some("") => return fail("the separator of `split` must not be empty"),
        Some(separator) => match (most, from_end) {
            (None, _) => parts.extend(text.split(separator).map(str::to_string)),
            (Some(most), false) => parts.extend(text.splitn(most + 1, separator).map(str::to_string)),
            (Some(most), true) => {
                parts.extend(text.rsplitn(most + 1, separator).map(str::to_string));
                parts.reverse();
            }
        },
        None => match (most, from_end) {
            (None, _) => parts.extend(text.split_whitespace().map(str::to_string)),
            (Some(most), false) => {
                let mut rest = text.trim_start();
                while parts.len() < most && !rest.is_empty() {
                    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                    parts.push(rest[..end].to_string());
                    rest = rest[end..].trim_start();
                }
                parts.extend((!rest.is_empty()).then(|| rest.to_string()));
            }
            (Some(most), true) => {
                let mut rest = text.trim_end();
                while parts.len() < most && !rest.is_empty() {
                    let start = rest.char_indices().rev().find(|(_, one)| one.is_whitespace());
                    let start = start.map_or(0, |(at, one)| at + one.len_utf8());
                    parts.push(rest[start..].to_string());
                    rest = rest[..start].trim_end();
                }
                parts.extend((!rest.is_empty()).then(|| rest.to_string()));
                parts.reverse();
            }
        },
    }
    cx.burn(parts.len())?;
    Ok(Val::list(parts.into_iter().map(Val::str).collect()))
}

fn split_filter(cx: &mut Cx, mut args: Args) -> Res {
    let Val::Str(text) = args.need("value")? else { return fail("`split` needs text") };
    let separator = args.text_if("sep");
    let most = args.int_or("maxsplit", -1)?;
    args.done()?;
    split(cx, &text, separator.as_deref(), most, false)
}

pub(crate) fn lines(text: &str) -> Vec<Val> {
    text.lines().map(Val::str).collect()
}

pub(crate) fn partition(text: &str, separator: &str, from_end: bool) -> Val {
    let found = if from_end { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = match found {
        Some((before, after)) => [before, separator, after],
        None if from_end => ["", "", text],
        None => [text, "", ""],
    };
    Val::tuple(parts.map(Val::str).to_vec())
}

pub(crate) fn join(cx: &mut Cx, separator: &str, parts: &[Val]) -> Res {
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.push_str(separator);
        }
        out.push_str(&cx.text(&need(part.clone())?)?);
        cx.burn_text(out.len() / 1024)?;
    }
    cx.burn_text(out.len())?;
    Ok(Val::str(out))
}

fn join_filter(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let separator = args.text_if("d").unwrap_or_else(|| Arc::from(""));
    let path = args.take("attribute").filter(|one| !matches!(one, Val::None));
    args.done()?;
    let mut items = cx.items(&value)?;
    if let Some(path) = path {
        items = items.iter().map(|item| dotted(cx, item, &path)).collect::<Res<_>>()?;
    }
    join(cx, &separator, &items)
}

fn indent(cx: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let width = args.take("width").unwrap_or(Val::Int(4));
    let first = args.flag("first", false);
    let blank = args.flag("blank", false);
    args.done()?;
    let margin = match &width {
        Val::Int(count) => " ".repeat(usize::try_from(*count).unwrap_or(0).min(10_000)),
        other => other.to_text(),
    };
    let mut out = String::new();
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        if (at > 0 || first) && (blank || !line.is_empty()) {
            out.push_str(&margin);
        }
        out.push_str(line);
        cx.burn(margin.len() / 16 + 1)?;
    }
    cx.burn_text(out.len())?;
    Ok(Val::str(out))
}

fn wordcount(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    args.done()?;
    let words = text.split(|one: char| !one.is_alphanumeric() && one != '_').filter(|word| !word.is_empty());
    Ok(Val::Int(words.count() as i128))
}

fn wordwrap(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let width = usize::try_from(args.int_or("width", 79)?).unwrap_or(79).max(1);
    args.done()?;
    let wrapped = text.lines().map(|line| {
        let mut out = String::new();
        let mut used = 0;
        for word in line.split_whitespace() {
            let size = word.chars().count();
            if used > 0 && used + 1 + size > width {
                out.push('\n');
                used = 0;
            } else if used > 0 {
                out.push(' ');
                used += 1;
            }
            out.push_str(word);
            used += size;
        }
        out
    });
    Ok(Val::str(wrapped.collect::<Vec<_>>().join("\n")))
}

fn truncate(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let length = usize::try_from(args.int_or("length", 255)?).unwrap_or(0);
    let kill_words = args.flag("killwords", false);
    let end = args.text_if("end").unwrap_or_else(|| Arc::from("..."));
    let leeway = usize::try_from(args.int_or("leeway", 5)?).unwrap_or(0);
    args.done()?;
    let ending = end.chars().count();
    if length < ending {
        return fail(format!("`truncate` needs a length of at least {ending}"));
    }
    if text.chars().count() <= length + leeway {
        return Ok(Val::Str(text));
    }
    let cut: String = text.chars().take(length - ending).collect();
    let kept = if kill_words { &*cut } else { cut.rsplit_once(' ').map_or(&*cut, |(kept, _)| kept) };
    Ok(Val::str(format!("{kept}{end}")))
}

pub(crate) fn justify(cx: &mut Cx, text: &str, how: &str, width: i128, fill: Option<&str>) -> Res<String> {
    let width = usize::try_from(width).unwrap_or(0);
    let fill = if how == "zfill" { "0" } else { fill.unwrap_or(" ") };
    let missing = width.saturating_sub(text.chars().count());
    cx.burn_text(text.len() + missing.saturating_mul(fill.len()))?;
    let pad = |count: usize| fill.repeat(count);
    Ok(match how {
        "ljust" => format!("{text}{}", pad(missing)),
        "rjust" => format!("{}{text}", pad(missing)),
        "zfill" => {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            format!("{sign}{}{digits}", pad(missing))
        }
        // As Python: the odd space goes left when the width is odd.
        _ => {
            let left = missing / 2 + (missing & width & 1);
            format!("{}{text}{}", pad(left), pad(missing - left))
        }
    })
}

fn center(cx: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let width = args.int_or("width", 80)?;
    args.done()?;
    justify(cx, &text, "center", width, None).map(Val::str)
}

fn format_filter(cx: &mut Cx, mut args: Args) -> Res {
    let pattern = args.text("value")?;
    let named = args.rest_named();
    let values = match named.is_empty() {
        true => Val::tuple(args.rest()),
        false => Val::map(named.into_iter().map(|(name, value)| (Key::Str(name), value))),
    };
    args.done()?;
    format::percent(cx, &pattern, &values).map(Val::str)
}

/// How each style of comment begins its lines: decoration, then beginning and end of the whole.
const STYLES: [(&str, &str, &str, &str); 5] = [
    ("plain", "# ", "", ""),
    ("erlang", "% ", "", ""),
    ("c", "// ", "", ""),
    ("cblock", " * ", "/*", " */"),
    ("xml", " - ", "<!--", "-->"),
];

fn comment(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let style = args.text_if("style").unwrap_or_else(|| Arc::from("plain"));
    let Some((_, decoration, beginning, end)) = STYLES.iter().find(|(name, ..)| *name == &*style) else {
        let known: Vec<_> = STYLES.iter().map(|(name, ..)| *name).collect();
        return fail(format!("`comment` knows no style `{style}`, only {}", known.join(", ")));
    };
    let mut option =
        |name: &str, default: &str| args.text_if(name).map_or_else(|| default.to_string(), |one| one.to_string());
    let decoration = option("decoration", decoration);
    let beginning = option("beginning", beginning);
    let end = option("end", end);
    let around = decoration.trim_end().to_string();
    let prefix = option("prefix", &around);
    let postfix = option("postfix", &around);
    let newline = option("newline", "\n");
    let count = |value: Option<Val>| value.map_or(1, |one| one.to_text().parse::<usize>().unwrap_or(1).min(1000));
    let before = count(args.take_named("prefix_count"));
    let after = count(args.take_named("postfix_count"));
    args.done()?;
    let mut out: Vec<String> = Vec::new();
    out.extend((!beginning.is_empty()).then_some(beginning));
    out.extend((!prefix.is_empty()).then(|| vec![prefix; before]).into_iter().flatten());
    out.extend(text.split('\n').map(|line| format!("{decoration}{line}").trim_end_matches(' ').to_string()));
    out.extend((!postfix.is_empty()).then(|| vec![postfix; after]).into_iter().flatten());
    out.extend((!end.is_empty()).then_some(end));
    Ok(Val::str(out.join(&newline)))
}
