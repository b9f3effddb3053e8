//! Times as `confirm` takes them: a number of seconds, or words such as `60s` and `1m 30s`.
//!
//! Knows the forms, not what is to happen within the time.

use std::time::Duration;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::lang::node::Node;
use crate::lang::node::Tree;

/// Longer than this nobody waits to be let in again.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A time or a template of one; `None` for an empty value, which then says nothing.
pub(crate) fn written(node: &Node, faults: &mut Diagnostics) -> Option<Node> {
    if node.is_null() {
        return None;
    }
    if !node.is_live()
        && let Err(fault) = read(node)
    {
        faults.push(fault);
        return None;
    }
    Some(node.clone())
}

/// The time a rendered value says; zero, also written `false`, turns it off.
///
/// # Errors
/// The value is no time, or one that cannot be meant.
pub fn read(node: &Node) -> Result<Duration, Diagnostic> {
    let text = node.scalar().unwrap_or_default();
    let text = text.trim();
    let found = match &node.tree {
        Tree::Bool(false) => Some(Duration::ZERO),
        Tree::Bool(true) | Tree::Null | Tree::List(_) | Tree::Map(_) => None,
        _ => text.parse().ok().map(Duration::from_secs).or_else(|| humantime::parse_duration(text).ok()),
    };
    let fault = |message: String, help: &str| Err(Diagnostic::error(message).at(&node.span).help(help));
    match found {
        None => fault("expected a time".into(), "write seconds, or words such as `60s` or `2m`; `0` turns it off"),
        Some(time) if time > LONGEST => fault(format!("`{text}` is too long a time"), "a day is the longest"),
        Some(time) if time.subsec_nanos() > 0 => fault(format!("`{text}` is no whole number of seconds"), "write `1s`"),
        Some(time) => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Span;

    #[track_caller]
    fn check(tree: Tree, expected: &str) {
        let node = Node::new(&Span::synthetic("t", "t"), tree);
        let found = match read(&node) {
            Ok(time) => time.as_secs().to_string(),
            Err(fault) => fault.message,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_and_words() {
        let text = |text: &str| Node::literal(&Span::synthetic("t", "t"), text).tree;
        check(Tree::Int(60), "60");
        check(Tree::Int(0), "0");
        check(Tree::Bool(false), "0");
        check(text("90"), "90");
        check(text("60s"), "60");
        check(text(" 1m 30s "), "90");
        check(Tree::Bool(true), "expected a time");
        check(Tree::Int(-1), "expected a time");
        check(text("soon"), "expected a time");
        check(Tree::List(Vec::new()), "expected a time");
        check(text("500ms"), "`500ms` is no whole number of seconds");
        check(text("2days"), "`2days` is too long a time");
    }
}
