//! What differs between a saved plan and one that was made anew, in sentences.
//!
//! Pure; knows digests, so it can say that a content is another one and never which.

use std::collections::HashMap;
use std::collections::VecDeque;

use indexmap::IndexMap;

use crate::engine::saved::Basis;
use crate::engine::saved::Decided;
use crate::engine::saved::Decision;
use crate::engine::saved::Hosts;

/// Files by their paths.
type Digested = IndexMap<String, String>;

/// Most sentences about what one task looks at.
const MOST: usize = 3;

/// Files that are not as they were read for the plan. `now`: the digest of a file, if it can be read.
pub fn changed_files(saved: &Digested, now: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let one = |(path, digest): (&String, &String)| file(path, digest, now(path), "cannot be read any more");
    saved.iter().filter_map(one).collect()
}

/// The same of what was read for the plan and what was read now: a name may lead to another file.
pub fn other_files(saved: &Digested, now: &Digested) -> Vec<String> {
    let one = |(path, digest): (&String, &String)| file(path, digest, now.get(path).cloned(), "is not read any more");
    let new = now.keys().filter(|path| !saved.contains_key(*path));
    let new = new.map(|path| format!("drifted: {path} is read now, and was not when the plan was made"));
    saved.iter().filter_map(one).chain(new).collect()
}

fn file(path: &str, digest: &str, now: Option<String>, gone: &str) -> Option<String> {
    match now {
        Some(now) if now == digest => None,
        Some(_) => Some(format!("drifted: {path} is another than when the plan was made")),
        None => Some(format!("drifted: {path} {gone}")),
    }
}

/// Hosts and tasks about which something else would be decided now.
pub fn decisions(saved: &Hosts, now: &Hosts) -> Vec<String> {
    let mut found = Vec::new();
    for (name, host) in saved {
        match now.get(name) {
            None => found.push(format!("drifted: {name} has no part in it any more")),
            Some(other) if other.reached != host.reached => {
                found.push(format!("drifted: {name} is at {}, and was at {}", other.reached, host.reached));
            }
            Some(other) => of_host(name, &host.decisions, &other.decisions, &mut found),
        }
    }
    let new = now.keys().filter(|name| !saved.contains_key(*name));
    found.extend(new.map(|name| format!("drifted: {name} had no part in it when the plan was made")));
    found
}

/// What names a decision on its host; a task that is there several times is told apart by its turn.
fn key(decision: &Decision) -> (&str, Option<&str>) {
    (&decision.at, decision.item.as_ref().map(|item| item.digest.as_str()))
}

fn of_host(host: &str, saved: &[Decision], now: &[Decision], found: &mut Vec<String>) {
    let mut left: HashMap<_, VecDeque<&Decision>> = HashMap::new();
    for decision in now {
        left.entry(key(decision)).or_default().push_back(decision);
    }
    let mut say = |decision: &Decision, why: &str| found.push(sentence(host, decision, why));
    for before in saved {
        match left.get_mut(&key(before)).and_then(VecDeque::pop_front) {
            Some(after) => of_task(before, after).iter().for_each(|why| say(after, why)),
            None => say(before, "it is not there any more"),
        }
    }
    // As many as are left of each are new: its last ones.
    let mut new = Vec::new();
    for decision in now.iter().rev() {
        new.extend(left.get_mut(&key(decision)).and_then(VecDeque::pop_front).map(|_| decision));
    }
    new.into_iter().rev().for_each(|decision| say(decision, "it was not there when the plan was made"));
}

fn sentence(host: &str, decision: &Decision, why: &str) -> String {
    let item = decision.item.as_ref().map(|item| match item.label.as_str() {
        "" => format!(" [item {}]", item.number),
        label => format!(" [{label}]"),
    });
    let item = item.unwrap_or_default();
    format!("drifted: {host} {}{item} ({}): {why}", decision.task, decision.at)
}

/// Why one decision is not as it was; empty if it is.
fn of_task(before: &Decision, now: &Decision) -> Vec<String> {
    let mut found = match (&before.basis, &now.basis) {
        (Some(before), Some(now)) => seen(before, now),
        _ => Vec::new(),
    };
    if before.outcome != now.outcome {
        found.push(format!("{} when the plan was made, and now {}", was(before.outcome), is(now.outcome)));
    }
    if !found.is_empty() {
        return found;
    }
    let digests = |decision: &Decision| {
        decision.basis.as_ref().map(|basis| (basis.change.clone(), basis.intent.clone(), basis.behind))
    };
    match digests(before) == digests(now) {
        true => Vec::new(),
        false => {
            let moves =
                "its host is as it was, so it uses a value that moves: the time, the environment, a fact, chance";
            vec![format!("it would do something else than the plan says; {moves}")]
        }
    }
}

/// What a task looks at and is not as it was.
fn seen(before: &Basis, now: &Basis) -> Vec<String> {
    let differs = |what: &&String| before.seen.get(*what) != now.seen.get(*what);
    let new = now.seen.keys().filter(|what| !before.seen.contains_key(*what));
    let all: Vec<&String> = before.seen.keys().chain(new).filter(differs).collect();
    // If a thing itself is gone or new, so are its mode and its content.
    let part = |what: &&String| !all.iter().any(|whole| what.ends_with(&format!(" {whole}")));
    let one = |what: &String| match (before.seen.contains_key(what), now.seen.contains_key(what)) {
        (true, true) => format!("{what} is another than when the plan was made"),
        (true, false) => format!("{what} is not there any more"),
        (false, _) => format!("{what} was not there when the plan was made"),
    };
    all.iter().copied().filter(part).take(MOST).map(one).collect()
}

fn was(outcome: Decided) -> &'static str {
    match outcome {
        Decided::Same => "it was right",
        Decided::Change => "it would change something",
        Decided::Runs => "it would run",
        Decided::Skipped => "it was skipped",
        Decided::After => "it was known only after apply",
        Decided::Failed => "it would fail",
    }
}

fn is(outcome: Decided) -> &'static str {
    match outcome {
        Decided::Same => "it is right",
        Decided::Change => "it would change something",
        Decided::Runs => "it would run",
        Decided::Skipped => "it is skipped",
        Decided::After => "it is known only after apply",
        Decided::Failed => "it fails",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::saved::Host;
    use crate::engine::saved::ItemOf;

    /// `at outcome change seen…`, a decision a line; `at/item` for an item.
    fn host(text: &str) -> Hosts {
        let one = |line: &str| {
            let mut words = line.split_whitespace();
            let mut next = || words.next().unwrap_or_default();
            let (at, outcome, change) = (next(), next(), next());
            let (at, item) = at.split_once('/').map_or((at, None), |(at, item)| (at, Some(item)));
            let outcome = serde_json::from_value(serde_json::Value::from(outcome)).unwrap();
            let pair = |word: &str| word.split_once('=').map(|(k, v)| (k.replace('_', " "), v.to_string()));
            let basis = Basis {
                seen: words.filter_map(pair).collect(),
                change: Some(change.into()),
                intent: "".into(),
                behind: false,
            };
            Decision {
                task: "t".into(),
                at: at.into(),
                item: item.map(|item| ItemOf { number: 1, label: String::new(), digest: item.into() }),
                outcome,
                why: String::new(),
                what: Vec::new(),
                basis: Some(basis.into()),
            }
        };
        let decisions = text.split(';').map(str::trim).filter(|line| !line.is_empty()).map(one).collect();
        IndexMap::from([("n".to_string(), Host { reached: "n:22".into(), decisions })])
    }

    #[track_caller]
    fn check(before: &str, now: &str, expected: &[&str]) {
        let found = decisions(&host(before), &host(now));
        let expected: Vec<String> = expected.iter().map(|line| format!("drifted: n t{line}")).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_differs_is_named() {
        let moves = " (1): it would do something else than the plan says; its host is as it was, so it uses a value that moves: \
             the time, the environment, a fact, chance";
        check("1 change a /x=f", "1 change a /x=f", &[]);
        check(
            "1 same - the_content_of_/x=a",
            "1 same - the_content_of_/x=b",
            &[" (1): the content of /x is another than when the plan was made"],
        );
        check("1 same - /x=f the_mode_of_/x=1", "1 same -", &[" (1): /x is not there any more"]);
        check("1 same -", "1 same - /x=f the_mode_of_/x=1", &[" (1): /x was not there when the plan was made"]);
        check(
            "1 same -",
            "1 change a",
            &[" (1): it was right when the plan was made, and now it would change something"],
        );
        check("1 change a", "1 change b", &[moves]);
    }

    #[test]
    fn tasks_and_items_come_and_go() {
        check(
            "1 same -; 2/a change x",
            "1 same -; 2/b change x",
            &[" [item 1] (2): it is not there any more", " [item 1] (2): it was not there when the plan was made"],
        );
        check("1 same -; 1 change a", "1 same -; 1 change a", &[]);
        check("1 same -; 1 change a", "1 same -", &[" (1): it is not there any more"]);
        check(
            "1 same -",
            "1 same -; 1 change a; 3 same -",
            &[" (1): it was not there when the plan was made", " (3): it was not there when the plan was made"],
        );
    }

    #[test]
    fn hosts_come_go_and_move() {
        let (one, none) = (host("1 same -"), Hosts::new());
        assert_eq!(decisions(&one, &none), ["drifted: n has no part in it any more"]);
        assert_eq!(decisions(&none, &one), ["drifted: n had no part in it when the plan was made"]);
        let mut moved = one.clone();
        moved["n"].reached = "m:22".into();
        assert_eq!(decisions(&one, &moved), ["drifted: n is at m:22, and was at n:22"]);
    }

    #[test]
    fn files_differ_vanish_and_appear() {
        let files = |text: &str| -> IndexMap<String, String> {
            text.split_whitespace().filter_map(|pair| pair.split_once('=')).map(|(a, b)| (a.into(), b.into())).collect()
        };
        let (saved, now) = (files("/a=1 /b=2 /c=3"), files("/a=1 /b=3 /d=4"));
        assert_eq!(
            changed_files(&saved, |path| now.get(path).cloned()),
            ["drifted: /b is another than when the plan was made", "drifted: /c cannot be read any more",]
        );
        assert_eq!(
            other_files(&saved, &now),
            [
                "drifted: /b is another than when the plan was made",
                "drifted: /c is not read any more",
                "drifted: /d is read now, and was not when the plan was made",
            ]
        );
    }
}
