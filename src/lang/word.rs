//! Values of keywords: booleans, numbers, texts, lists and conditions, each checked as far as it is no template.
//!
//! Knows the shapes a value may have, not what its keyword means.

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::nearest;
use crate::lang::decode::truth;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::task::Vars;

fn expected(wanted: &str, node: &Node) -> Diagnostic {
    let found = match node.scalar().filter(|text| text.len() <= 40) {
        Some(text) => format!("{} `{text}`", node.kind()),
        None => node.kind().to_string(),
    };
    Diagnostic::error(format!("expected {wanted}, found {found}")).at(&node.span)
}

/// A boolean or a template; `None` for an empty value, which then says nothing.
pub(crate) fn flag(node: &Node, faults: &mut Diagnostics) -> Option<Node> {
    let right = match &node.tree {
        Tree::Null => return None,
        Tree::Bool(_) | Tree::Int(0 | 1) => true,
        Tree::Text(text) => node.is_live() || truth(&text.text).is_some(),
        _ => false,
    };
    if !right {
        faults.push(expected("true or false", node));
    }
    right.then(|| node.clone())
}

/// The value of a flag that must be known now.
pub(crate) fn fixed_flag(node: &Node, faults: &mut Diagnostics) -> Option<bool> {
    let node = flag(node, faults)?;
    if node.is_live() {
        faults.push(Diagnostic::error("a template cannot decide this: it must be known before the run").at(&node.span));
        return None;
    }
    node.scalar().and_then(|text| truth(&text))
}

/// A number from 0 or a template.
pub(crate) fn count(node: &Node, faults: &mut Diagnostics) -> Option<Node> {
    let right = match &node.tree {
        Tree::Null => return None,
        Tree::Int(value) => *value >= 0,
        Tree::Float(value) => *value >= 0.0,
        Tree::Text(text) => node.is_live() || text.text.trim().parse::<f64>().is_ok_and(|value| value >= 0.0),
        _ => false,
    };
    if !right {
        faults.push(expected("a number, 0 or more", node));
    }
    right.then(|| node.clone())
}

/// Any scalar.
pub(crate) fn text(node: &Node, faults: &mut Diagnostics) -> Option<Node> {
    if node.is_null() {
        return None;
    }
    if node.scalar().is_none() {
        faults.push(expected("text", node));
        return None;
    }
    Some(node.clone())
}

/// A text or a list of texts; lists inside are flattened.
pub(crate) fn texts(node: &Node, what: &str, faults: &mut Diagnostics) -> Vec<Node> {
    match &node.tree {
        Tree::Null => Vec::new(),
        Tree::List(items) => items.iter().flat_map(|item| texts(item, what, faults)).collect(),
        Tree::Map(_) => {
            faults.push(expected(what, node));
            Vec::new()
        }
        _ => vec![node.clone()],
    }
}

/// As [`texts`], as names that must be written out.
pub(crate) fn names(node: &Node, what: &str, faults: &mut Diagnostics) -> Vec<Key> {
    let texts = texts(node, what, faults);
    texts.into_iter().filter_map(|node| Some(Key { span: node.span.clone(), name: node.scalar()? })).collect()
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(node: &Node, words: &[(&str, T)], faults: &mut Diagnostics) -> Option<T> {
    let text = text(node, faults)?.scalar()?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let fault = Diagnostic::error(format!("`{text}` is not a value this takes")).at(&node.span);
        faults.push(match nearest(&text, all.iter().copied()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(format!("write one of: {}", all.join(", "))),
        });
    }
    found
}

/// The name of a variable.
pub(crate) fn variable(node: &Node, faults: &mut Diagnostics) -> Option<Key> {
    let name = text(node, faults)?.scalar()?;
    let letters = |(at, one): (usize, char)| one == '_' || one.is_alphabetic() || (at > 0 && one.is_numeric());
    if name.is_empty() || !name.chars().enumerate().all(letters) {
        let fault = Diagnostic::error(format!("`{name}` cannot be the name of a variable")).at(&node.span);
        faults.push(fault.help("use letters, digits and `_`, with no digit first"));
        return None;
    }
    Some(Key { span: node.span.clone(), name })
}

/// A mapping's entries; a list of mappings is laid together as Ansible of old did.
pub(crate) fn mapping(node: &Node, faults: &mut Diagnostics) -> Vars {
    match &node.tree {
        Tree::Null => Vec::new(),
        Tree::Map(entries) => entries.clone(),
        _ => {
            let fault = expected("a mapping", node);
            faults.push(match node.as_list() {
                Some(_) => fault.help("write `name: value` lines without dashes"),
                None => fault,
            });
            Vec::new()
        }
    }
}

/// Variables of a play, block, task or role; each name checked.
pub(crate) fn vars(node: &Node, faults: &mut Diagnostics) -> Vars {
    let entries = mapping(node, faults);
    for (key, _) in &entries {
        variable(&Node::literal(&key.span, key.name.clone()), faults);
    }
    entries
}

/// A mapping, a template of one, or a list of these, outermost first.
pub(crate) fn environment(node: &Node, faults: &mut Diagnostics) -> Vec<Node> {
    match &node.tree {
        Tree::Null => Vec::new(),
        Tree::List(items) => items.iter().flat_map(|item| environment(item, faults)).collect(),
        Tree::Map(_) => vec![node.clone()],
        _ if node.is_live() => vec![node.clone()],
        _ => {
            faults.push(expected("a mapping of environment variables", node));
            Vec::new()
        }
    }
}

/// Words separated by commas, or a list of such.
pub(crate) fn tags(node: &Node, faults: &mut Diagnostics) -> Vec<Key> {
    let mut tags: Vec<Key> = Vec::new();
    for node in texts(node, "a tag", faults) {
        if node.is_live() {
            let fault = Diagnostic::error("templates in tags are unsupported").at(&node.span);
            faults.push(fault.help("tags choose tasks before the run: write them out"));
            continue;
        }
        let text = node.scalar().unwrap_or_default();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !tags.iter().any(|known| known.name == name) {
                tags.push(Key { span: node.span.clone(), name: name.to_string() });
            }
        }
    }
    tags
}

/// Expressions without braces, or literal booleans. Braces around the whole are taken off with a warning.
pub(crate) fn conditions(node: &Node, faults: &mut Diagnostics) -> Vec<Node> {
    match &node.tree {
        Tree::Null => Vec::new(),
        Tree::List(items) => items.iter().flat_map(|item| conditions(item, faults)).collect(),
        Tree::Map(_) => {
            let fault = expected("a condition", node);
            faults.push(fault.help("put a condition that contains `: ` or braces in quotes"));
            Vec::new()
        }
        Tree::Text(text) if text.text.contains("{{") || text.text.contains("{%") => bare(node, &text.text, faults),
        _ => vec![node.clone()],
    }
}

fn bare(node: &Node, text: &str, faults: &mut Diagnostics) -> Vec<Node> {
    let whole = text.trim();
    let inside =
        whole.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).map(|inside| inside.trim_matches('-').trim());
    match inside.filter(|inside| !inside.contains("{{") && !inside.contains("}}") && !whole.contains("{%")) {
        Some(inside) => {
            let fault = Diagnostic::warning("a condition is an expression already: it needs no braces").at(&node.span);
            faults.push(fault.help(format!("write {inside}")));
            let at = inside.as_ptr() as usize - text.as_ptr() as usize;
            let exact = node.span.text() == text;
            let span = if exact { node.span.part(at, at + inside.len()) } else { node.span.clone() };
            vec![Node { span: span.clone(), ..Node::live(&span, inside) }]
        }
        None => {
            let fault = Diagnostic::error("templates inside of a condition are unsupported").at(&node.span);
            faults.push(fault.help("name variables without braces, and join text with `~`"));
            Vec::new()
        }
    }
}
