//! Host patterns: `web:&lab:!web[0]`, `~n\d+`, `*.lab`, for `hosts:` and `--limit`.
//!
//! Knows the inventory's names only.

use std::collections::HashSet;

use regex::Regex;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Severity;
use crate::diag::Span;
use crate::lang::inventory::Inventory;
use crate::lang::node::Node;

/// One part of a pattern with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub text: String,
    pub span: Span,
}

/// The parts of a value of `hosts:`: a text, or a list of texts.
pub fn parts(node: &Node) -> Vec<Part> {
    match (node.as_list(), node.scalar()) {
        (Some(items), _) => items.iter().flat_map(parts).collect(),
        (None, Some(text)) => split(&text, &node.span),
        (None, None) => Vec::new(),
    }
}

/// The parts of a text, split at commas if there are any, else at colons outside of brackets.
pub fn split(text: &str, span: &Span) -> Vec<Part> {
    let pieces: Vec<&str> = match text.contains(',') {
        true => text.split(',').collect(),
        false if is_address(text) => vec![text],
        false => at_colons(text),
    };
    let place = |piece: &str| {
        let at = piece.as_ptr() as usize - text.as_ptr() as usize;
        if span.text() == text { span.part(at, at + piece.len()) } else { span.clone() }
    };
    let pieces = pieces.into_iter().map(str::trim).filter(|piece| !piece.is_empty());
    pieces.map(|piece| Part { text: piece.to_string(), span: place(piece) }).collect()
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

fn at_colons(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(move |one| {
        match one {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        one == ':' && depth <= 0
    })
    .collect()
}

/// The hosts a pattern names, in the order of the first match. Parts that match nothing are reported: as a warning while the
/// pattern still names hosts, as an error else.
pub fn hosts(parts: &[Part], inventory: &Inventory, faults: &mut Diagnostics) -> Vec<String> {
    let mut found: Vec<Diagnostic> = Vec::new();
    let hosts = evaluate(parts, inventory, &mut found);
    for mut fault in found {
        if hosts.is_empty() {
            fault.severity = Severity::Error;
        }
        faults.push(fault);
    }
    hosts
}

fn evaluate(parts: &[Part], inventory: &Inventory, faults: &mut Vec<Diagnostic>) -> Vec<String> {
    let sign = |part: &Part| part.text.chars().next().filter(|one| matches!(one, '&' | '!'));
    let mut hosts: Vec<String> = Vec::new();
    // Ansible's order: what is named, then what it is cut with, then what is taken away.
    if !parts.iter().any(|part| sign(part).is_none()) && !parts.is_empty() {
        hosts = inventory.hosts_of("all").into_iter().map(str::to_string).collect();
    }
    for wanted in [None, Some('&'), Some('!')] {
        for part in parts.iter().filter(|part| sign(part) == wanted) {
            let matched = one(part, inventory, faults);
            match wanted {
                None => {
                    let known: HashSet<String> = hosts.iter().cloned().collect();
                    hosts.extend(matched.into_iter().filter(|host| !known.contains(host)));
                }
                Some(sign) => {
                    let matched: HashSet<String> = matched.into_iter().collect();
                    hosts.retain(|host| matched.contains(host) == (sign == '&'));
                }
            }
        }
    }
    hosts
}

/// The hosts one part names, its sign aside.
fn one(part: &Part, inventory: &Inventory, faults: &mut Vec<Diagnostic>) -> Vec<String> {
    let pattern = part.text.trim_start_matches(['&', '!']).trim();
    if pattern.is_empty() {
        let fault = Diagnostic::error(format!("`{}` without a name behind it names no host", part.text));
        faults.push(fault.at(&part.span).help("write it in front of a host or group: `all:!web1`"));
        return Vec::new();
    }
    if inventory.hosts.contains_key(&part.text) {
        return vec![pattern.to_string()];
    }
    let (name, subscript) = subscript(pattern);
    let regex = match matcher(name) {
        Ok(regex) => regex,
        Err(error) => {
            let why = error.to_string().lines().last().unwrap_or_default().trim().to_string();
            faults.push(Diagnostic::error(format!("`{pattern}` is not a regular expression: {why}")).at(&part.span));
            return Vec::new();
        }
    };
    let groups: Vec<&String> = inventory.groups.keys().filter(|name| regex.is_match(name)).collect();
    let mut hosts: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    for group in &groups {
        hosts.extend(inventory.hosts_of(group).into_iter().filter(|host| seen.insert(*host)).map(str::to_string));
    }
    if groups.is_empty() || name.contains(['.', '?', '*', '[', '~']) {
        hosts.extend(inventory.hosts.keys().filter(|host| regex.is_match(host) && seen.insert(host.as_str())).cloned());
    }
    if hosts.is_empty() && groups.is_empty() {
        if inventory.host(name).is_some() {
            hosts.push(name.to_string());
        } else {
            faults.push(unmatched(name, part, inventory));
        }
    }
    match subscript {
        None => hosts,
        Some(range) => {
            let picked = range.pick(&hosts);
            if picked.is_empty() && !hosts.is_empty() {
                let fault =
                    Diagnostic::warning(format!("`{pattern}` reaches past the {} hosts of `{name}`", hosts.len()));
                faults.push(fault.at(&part.span).help("the first host is [0], the last [-1]"));
            }
            picked
        }
    }
}

fn unmatched(name: &str, part: &Part, inventory: &Inventory) -> Diagnostic {
    let names: Vec<&str> = inventory.groups.keys().chain(inventory.hosts.keys()).map(String::as_str).collect();
    let fault = Diagnostic::warning(format!("no host or group matches `{name}`")).at(&part.span).suggest(name, names);
    match fault.help {
        Some(_) => fault,
        None if inventory.hosts.is_empty() => fault.help("the inventory has no hosts: give one with `-i`"),
        None => fault.help("`tbctl inventory` lists hosts and groups"),
    }
}

/// `~regex` from the start of the name, or a shell pattern for the whole of it.
fn matcher(pattern: &str) -> Result<Regex, regex::Error> {
    let text = match pattern.strip_prefix('~') {
        Some(regex) => format!("^(?:{regex})"),
        None => shell(pattern),
    };
    regex::RegexBuilder::new(&text).size_limit(1 << 20).build()
}

fn shell(pattern: &str) -> String {
    let mut regex = String::from("(?s)^");
    let mut rest = pattern.chars();
    while let Some(one) = rest.next() {
        match one {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => match rest.as_str().split_once(']') {
                Some((set, after)) if !set.is_empty() && set != "!" => {
                    let (not, set) = set.strip_prefix('!').map_or(("", set), |set| ("^", set));
                    let escaped: String = set
                        .chars()
                        .flat_map(|one| (!one.is_alphanumeric() && one != '-').then_some('\\').into_iter().chain([one]))
                        .collect();
                    regex.push_str(&format!("[{not}{escaped}]"));
                    rest = after.chars();
                }
                _ => regex.push_str("\\["),
            },
            _ => regex.push_str(&regex::escape(one.encode_utf8(&mut [0; 4]))),
        }
    }
    regex + "$"
}

/// `[i]`, `[i:j]`, `[i:]` at the end of a pattern; the end counts.
enum Subscript {
    At(i64),
    From(usize, Option<usize>),
}

impl Subscript {
    fn pick(&self, hosts: &[String]) -> Vec<String> {
        match self {
            Subscript::At(at) => {
                let at = if *at < 0 { hosts.len() as i64 + at } else { *at };
                usize::try_from(at).ok().and_then(|at| hosts.get(at)).into_iter().cloned().collect()
            }
            Subscript::From(first, last) => {
                let count = last.map_or(usize::MAX, |last| last.saturating_add(1).saturating_sub(*first));
                hosts.iter().skip(*first).take(count).cloned().collect()
            }
        }
    }
}

fn subscript(pattern: &str) -> (&str, Option<Subscript>) {
    let parse = || {
        let (name, range) = pattern.strip_suffix(']')?.rsplit_once('[')?;
        if name.is_empty() || name.starts_with('~') {
            return None;
        }
        let found = match range.split_once([':', '-']).filter(|(first, _)| !first.is_empty()) {
            Some((first, "")) => Subscript::From(first.parse().ok()?, None),
            Some((first, last)) => Subscript::From(first.parse().ok()?, Some(last.parse().ok()?)),
            None => Subscript::At(range.parse().ok()?),
        };
        Some((name, found))
    };
    match parse() {
        Some((name, found)) => (name, Some(found)),
        None => (pattern, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;
    use crate::lang::ini;

    fn inventory() -> Inventory {
        let text = "loner\n[web]\nw[1:3].lab\n[db]\nd1\nw1.lab\n[empty]\n[site:children]\nweb\ndb\n";
        let mut inventory = Inventory::new();
        let mut faults = Diagnostics::default();
        ini::read(&Source::new("hosts", text), &mut inventory, &mut faults);
        inventory.finish(&mut faults);
        assert_eq!(faults.list, []);
        inventory
    }

    #[track_caller]
    fn check(pattern: &str, expected: &str) {
        let mut faults = Diagnostics::default();
        let mut found = hosts(&split(pattern, &Span::synthetic("t", pattern)), &inventory(), &mut faults);
        for fault in faults.list {
            let kind = if fault.severity == Severity::Error { "error" } else { "warning" };
            found.push(format!("{kind}: {} / {}", fault.message, fault.help.unwrap_or_default()));
        }
        assert_eq!(found.join(" "), expected, "{pattern}");
    }

    #[test]
    fn names_and_signs() {
        check("all", "loner w1.lab w2.lab w3.lab d1");
        check("*", "loner w1.lab w2.lab w3.lab d1");
        check("db", "d1 w1.lab");
        check("site", "w1.lab w2.lab w3.lab d1");
        check("db:web", "d1 w1.lab w2.lab w3.lab");
        check("db,web", "d1 w1.lab w2.lab w3.lab");
        check("!web:db", "d1");
        check("web:&db", "w1.lab");
        check("!web", "loner d1");
        check("w?.lab", "w1.lab w2.lab w3.lab");
        check("w[!1].lab", "w2.lab w3.lab");
        check("~w[12]", "w1.lab w2.lab");
        check("~w[12]\\.", "w1.lab w2.lab");
        check("~w.*:!w1.lab", "w2.lab w3.lab");
        check("~w[1:2]:&db", "w1.lab");
        check("empty", "");
        check("localhost", "localhost");
        check("w1.lab", "w1.lab");
        check("ungrouped", "loner");
    }

    #[test]
    fn subscripts() {
        check("web[0]", "w1.lab");
        check("web[-1]", "w3.lab");
        check("web[0:1]", "w1.lab w2.lab");
        check("web[1:]", "w2.lab w3.lab");
        check("site:!web[0]", "w2.lab w3.lab d1");
        check("web[7]", "error: `web[7]` reaches past the 3 hosts of `web` / the first host is [0], the last [-1]");
    }

    #[test]
    fn what_matches_nothing() {
        check("wbe", "error: no host or group matches `wbe` / did you mean `web`?");
        check("db:x", "d1 w1.lab warning: no host or group matches `x` / `tbctl inventory` lists hosts and groups");
        check("~w(", "error: `~w(` is not a regular expression: error: unclosed group / ");
        check(
            "db:!",
            "d1 w1.lab error: `!` without a name behind it names no host / write it in front of a host or group: `all:!web1`",
        );
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_makes_it_panic(text in "[a-c~!&:,\\[\\]0-9*?.(é-]{0,20}") {
            hosts(&split(&text, &Span::synthetic("t", &text)), &inventory(), &mut Diagnostics::default());
        }
    }
}
