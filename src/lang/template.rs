//! Templates under Ansible's semantics (core 2.19): text with `{{ … }}` becomes a value of its native type.
//!
//! minijinja reads the syntax (`lower`), everything else is our own evaluation of the tree, because Ansible's rules for missing
//! values, laziness and Python's types are not those of minijinja's machine. Knows nothing of where variables come from (see
//! [`crate::lang::lookup`]) nor of what the values are for.

pub(crate) mod call;
pub(crate) mod eval;
pub(crate) mod files;
pub(crate) mod format;
pub(crate) mod lower;
pub(crate) mod methods;
mod names;
pub(crate) mod ops;
mod out;
mod place;
pub(crate) mod python;
pub(crate) mod scope;
pub(crate) mod stmt;
pub(crate) mod syntax;
#[cfg(test)]
mod test_vars;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_hostile;
pub(crate) mod val;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use minijinja::value::Value;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Source;
use crate::diag::Span;
use crate::lang::lookup::Fault;
use crate::lang::lookup::Lookup;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::template::lower::Mode;
use crate::lang::template::lower::SyntaxFault;
use crate::lang::template::place::Place;
use crate::lang::template::syntax::Unit;

/// The engine with all filters, tests and functions. Made once and shared.
#[derive(Debug, Default)]
pub struct Templates {
    /// What was parsed, by text: the same text is rendered for many hosts.
    parsed: Mutex<HashMap<Mode, HashMap<String, Parsed>>>,
}

type Parsed = Result<Arc<Unit>, SyntaxFault>;

/// So many texts are kept parsed.
const MOST_PARSED: usize = 10_000;

/// A name that a template reads: `foo.bar`, `hostvars['x'].y`, `groups[item]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    /// The variable, then what is read of it, as far as the text says. The first is always [`Part::Key`].
    pub parts: Vec<Part>,
    pub span: Span,
    /// Whether the template allows for its absence (`default`, `is defined`).
    pub guarded: bool,
}

/// One step of a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Key(String),
    Index(i64),
    /// Computed when the template runs.
    Computed,
}

impl Name {
    /// The variable itself.
    pub fn root(&self) -> &str {
        match self.parts.first() {
            Some(Part::Key(name)) => name,
            _ => "",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.parts.iter().enumerate() {
            match part {
                Part::Key(key) if at == 0 => f.write_str(key)?,
                Part::Key(key) => write!(f, ".{key}")?,
                Part::Index(index) => write!(f, "[{index}]")?,
                Part::Computed => f.write_str("[…]")?,
            }
        }
        Ok(())
    }
}

impl Templates {
    pub fn new() -> Templates {
        Templates::default()
    }

    /// Every live text of the tree rendered to its native type; places are kept, `omit` entries removed. `omit` itself is null.
    pub fn render(&self, node: &Node, scope: &Arc<dyn Lookup>) -> Result<Node, Fault> {
        let null = Node::new(&node.span, Tree::Null);
        Ok(self.render_unless_omitted(node, scope)?.unwrap_or(null))
    }

    /// As [`Templates::render`]; `None` when the whole is `omit`.
    pub fn render_unless_omitted(&self, node: &Node, scope: &Arc<dyn Lookup>) -> Result<Option<Node>, Fault> {
        out::render(self, node, scope)
    }

    /// As [`Templates::render`], as a value.
    pub fn value(&self, node: &Node, scope: &Arc<dyn Lookup>) -> Result<Value, Fault> {
        Ok(self.render(node, scope)?.to_value())
    }

    /// A raw expression (`when`, `until`, the `var` of a debug task): no braces. Booleans stay booleans.
    pub fn expression(&self, node: &Node, scope: &Arc<dyn Lookup>) -> Result<Value, Fault> {
        out::expression(self, node, scope)
    }

    /// All expressions of a list hold. Each must give a boolean; literal booleans are allowed.
    pub fn condition(&self, list: &[Node], scope: &Arc<dyn Lookup>) -> Result<bool, Fault> {
        for node in list {
            if !out::condition(self, node, scope)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A template *file* as text.
    pub fn file(&self, source: &Arc<Source>, scope: &Arc<dyn Lookup>) -> Result<String, Fault> {
        let whole = Span::new(source, 0, 0);
        files::render(self, source, scope).map_err(|stop| out::fault(stop, &whole))
    }

    /// What `query(name, terms)` gives: the items a `with_…` loop goes through. A list of terms is several terms.
    pub fn query(&self, name: &str, terms: &Node, scope: &Arc<dyn Lookup>) -> Result<Vec<Node>, Fault> {
        out::query(self, name, terms, scope)
    }

    /// The names a tree reads.
    pub fn names(&self, node: &Node) -> Vec<Name> {
        names::of_tree(self, node)
    }

    /// The names a raw expression reads.
    pub fn expression_names(&self, node: &Node) -> Vec<Name> {
        names::of_expression(self, node)
    }

    /// The names a template file reads. What it includes is not followed.
    pub fn file_names(&self, source: &Arc<Source>) -> Vec<Name> {
        names::of_file(self, source)
    }

    /// Syntax errors and unknown filters, tests and lookups in the live texts of a tree.
    pub fn check(&self, node: &Node) -> Diagnostics {
        names::check_tree(self, node)
    }

    /// As [`Templates::check`] for a raw expression, or a list of them.
    pub fn check_expression(&self, node: &Node) -> Diagnostics {
        names::check_expression(self, node)
    }

    /// As [`Templates::check`] for a template file.
    pub fn check_file(&self, source: &Arc<Source>) -> Diagnostics {
        names::check_file(self, source)
    }

    /// The parsed text, from memory if it was seen before.
    pub(crate) fn unit(&self, text: &str, mode: &Mode, place: &Place) -> Result<Arc<Unit>, Diagnostic> {
        self.parsed(text, mode).map_err(|fault| {
            let diagnostic = Diagnostic::error(fault.message).at(&place.span(&fault.at));
            fault.help.into_iter().fold(diagnostic, Diagnostic::help)
        })
    }

    fn parsed(&self, text: &str, mode: &Mode) -> Parsed {
        let known = |all: &HashMap<Mode, HashMap<String, Parsed>>| all.get(mode)?.get(text).cloned();
        if let Some(known) = known(&self.parsed.lock().unwrap_or_else(PoisonError::into_inner)) {
            return known;
        }
        let parsed = lower::parse(text, mode).map(Arc::new);
        let mut all = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        let texts = all.entry(mode.clone()).or_default();
        if texts.len() >= MOST_PARSED {
            texts.clear();
        }
        texts.insert(text.to_string(), parsed.clone());
        parsed
    }
}
