//! Templates under Ansible's semantics (core 2.19): text with `{{ … }}` becomes a value of its native type.
//!
//! Knows nothing of where variables come from (see [`crate::lang::lookup`]) nor of what the values are for.

use std::fmt;
use std::sync::Arc;

use minijinja::value::Value;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Source;
use crate::diag::Span;
use crate::lang::lookup::Fault;
use crate::lang::lookup::Lookup;
use crate::lang::node::Node;

/// The engine with all filters, tests and functions. Made once and shared.
#[derive(Debug, Default)]
pub struct Templates {}

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
        Templates {}
    }

    /// Every live text of the tree rendered to its native type; places are kept, `omit` entries removed. `omit` itself is null.
    pub fn render(&self, node: &Node, scope: &Arc<dyn Lookup>) -> Result<Node, Fault> {
        let null = Node::new(&node.span, crate::lang::node::Tree::Null);
        Ok(self.render_unless_omitted(node, scope)?.unwrap_or(null))
    }

    /// As [`Templates::render`]; `None` when the whole is `omit`.
    pub fn render_unless_omitted(&self, node: &Node, scope: &Arc<dyn Lookup>) -> Result<Option<Node>, Fault> {
        let _ = scope;
        if node.is_live() { Err(soon(node)) } else { Ok(Some(node.clone())) }
    }

    /// As [`Templates::render`], as a value.
    pub fn value(&self, node: &Node, scope: &Arc<dyn Lookup>) -> Result<Value, Fault> {
        Ok(self.render(node, scope)?.to_value())
    }

    /// A raw expression (`when`, `until`, `loop` conditions): no braces.
    pub fn expression(&self, node: &Node, scope: &Arc<dyn Lookup>) -> Result<Value, Fault> {
        let _ = scope;
        Err(soon(node))
    }

    /// All expressions of a list hold. Each must give a boolean; literal booleans are allowed.
    pub fn condition(&self, list: &[Node], scope: &Arc<dyn Lookup>) -> Result<bool, Fault> {
        let _ = scope;
        list.first().map_or(Ok(true), |node| Err(soon(node)))
    }

    /// A template *file* as text.
    pub fn file(&self, source: &Arc<Source>, scope: &Arc<dyn Lookup>) -> Result<String, Fault> {
        let _ = scope;
        Err(Diagnostic::error("templates are unsupported in this build").at(&Span::new(source, 0, 0)).into())
    }

    /// The names a tree reads.
    pub fn names(&self, node: &Node) -> Vec<Name> {
        let _ = node;
        Vec::new()
    }

    /// The names a raw expression reads.
    pub fn expression_names(&self, node: &Node) -> Vec<Name> {
        let _ = node;
        Vec::new()
    }

    /// The names a template file reads.
    pub fn file_names(&self, source: &Arc<Source>) -> Vec<Name> {
        let _ = source;
        Vec::new()
    }

    /// Syntax errors and unknown filters, tests and functions in the live texts of a tree.
    pub fn check(&self, node: &Node) -> Diagnostics {
        let _ = node;
        Diagnostics::default()
    }

    /// As [`Templates::check`] for a raw expression.
    pub fn check_expression(&self, node: &Node) -> Diagnostics {
        let _ = node;
        Diagnostics::default()
    }

    /// As [`Templates::check`] for a template file.
    pub fn check_file(&self, source: &Arc<Source>) -> Diagnostics {
        let _ = source;
        Diagnostics::default()
    }
}

fn soon(node: &Node) -> Fault {
    Diagnostic::error("templates are unsupported in this build").at(&node.span).into()
}
