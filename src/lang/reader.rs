//! What goes along while playbooks are read: the files, the faults so far, and what a play collects from its roles.
//!
//! Knows nothing of the shapes that are read.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Lacking;
use crate::diag::Span;
use crate::lang::files::Files;
use crate::lang::fixed::Fixed;
use crate::lang::inherit::Inherited;
use crate::lang::lookup::Fault;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::role::Role;
use crate::lang::task::Context;
use crate::lang::task::Entry;
use crate::lang::task::Link;
use crate::lang::template::Templates;

/// The most tasks and blocks of one project, imports written out.
pub(crate) const MAX_ENTRIES: usize = 100_000;
/// The deepest nesting of blocks, through all files.
pub(crate) const MAX_BLOCKS: usize = 64;
/// The deepest nesting of imports, includes and roles.
pub(crate) const MAX_CHAIN: usize = 32;

/// Under what conditions and tags a role is used.
pub(crate) struct Terms {
    when: HashSet<String>,
    tags: HashSet<String>,
}

impl Terms {
    fn new(inherited: &Inherited) -> Terms {
        Terms {
            when: inherited.when.iter().filter_map(Node::scalar).collect(),
            tags: inherited.tags.iter().map(|tag| tag.name.clone()).collect(),
        }
    }

    /// Whether this use runs wherever the other would.
    fn covers(&self, other: &Terms) -> bool {
        self.when.is_subset(&other.when) && self.tags == other.tags
    }
}

pub(crate) struct Reader<'a> {
    pub(crate) files: &'a Files,
    pub(crate) templates: &'a Templates,
    pub(crate) faults: &'a mut Diagnostics,
    /// Tasks and blocks so far.
    pub(crate) entries: usize,
    /// Handlers of imported roles, for the play.
    pub(crate) handlers: Vec<Entry>,
    /// Roles the whole play sees.
    pub(crate) public_roles: Vec<Arc<Role>>,
    /// Uses of roles in the play, for those that run once: under what conditions and tags.
    pub(crate) uses: HashMap<String, Vec<Terms>>,
    /// Files already warned about.
    pub(crate) warned: HashSet<std::path::PathBuf>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(files: &'a Files, templates: &'a Templates, faults: &'a mut Diagnostics) -> Reader<'a> {
        Reader {
            files,
            templates,
            faults,
            entries: 0,
            handlers: Vec::new(),
            public_roles: Vec::new(),
            uses: HashMap::new(),
            warned: HashSet::new(),
        }
    }

    /// Counts one more entry; false once there are too many.
    pub(crate) fn count(&mut self, span: &Span) -> bool {
        self.entries += 1;
        if self.entries == MAX_ENTRIES + 1 {
            let fault = Diagnostic::error(format!("more than {MAX_ENTRIES} tasks after writing out imports")).at(span);
            self.faults.push(fault.help("imports that import each other twice multiply; write less of them"));
        }
        self.entries <= MAX_ENTRIES
    }

    /// Notes the use of a role; false if an earlier use runs wherever this one would.
    pub(crate) fn first_use(&mut self, identity: &str, inherited: &Inherited) -> bool {
        let terms = Terms::new(inherited);
        let uses = self.uses.entry(identity.to_string()).or_default();
        let first = !uses.iter().any(|earlier| earlier.covers(&terms));
        uses.push(terms);
        first
    }

    /// Reports faults of templates in a tree.
    pub(crate) fn check(&mut self, node: &Node) {
        if node.is_live() {
            self.faults.extend(self.templates.check(node));
        }
    }

    /// Reports faults of expressions.
    pub(crate) fn check_expressions(&mut self, nodes: &[Node]) {
        for node in nodes.iter().filter(|node| node.as_text().is_some()) {
            self.faults.extend(self.templates.check_expression(node));
        }
    }

    /// A name as text, as far as it is known before the run.
    pub(crate) fn name(&mut self, node: &Node, fixed: &Fixed) -> Name {
        match fixed.render(node, self.templates) {
            Ok(Some(node)) => match node.scalar() {
                Some(text) if !text.is_empty() => Name::Known(Key { span: node.span, name: text }),
                _ => {
                    let message = format!("expected a name, found {}", node.kind());
                    self.faults.push(Diagnostic::error(message).at(&node.span).lacks(Lacking::Text));
                    Name::Wrong
                }
            },
            Ok(None) => Name::Later,
            Err(Fault::Error(fault)) => {
                self.faults.push(fault.at(&node.span).lacks(Lacking::Text));
                Name::Wrong
            }
            Err(Fault::Unknown(_)) => Name::Later,
        }
    }

    /// The context one file deeper. Reports circles of imports and chains that are too long.
    pub(crate) fn deeper(&mut self, context: &Context, link: Link) -> Option<Context> {
        let circle = context.chain.iter().any(|known| known.file == link.file);
        if circle || context.chain.len() >= MAX_CHAIN {
            let name = crate::lang::files::shown(&link.file);
            let mut fault = match circle {
                true => Diagnostic::error(format!("`{name}` imports itself")),
                false => Diagnostic::error(format!("imports are nested more than {MAX_CHAIN} deep")),
            };
            for known in context.chain.iter().rev().take(4).rev() {
                fault = fault.note(&known.span, format!("leads to `{}`", crate::lang::files::shown(&known.file)));
            }
            self.faults
                .push(fault.at(&link.span).help("remove one of the imports, or use `include_tasks` with a `when`"));
            return None;
        }
        let mut deeper = context.clone();
        deeper.chain.push(link);
        Some(deeper)
    }
}

/// What is known of a name before the run.
pub(crate) enum Name {
    Known(Key),
    /// It depends on what only the run knows.
    Later,
    /// Reported.
    Wrong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_that_multiply_are_stopped_and_reported_once() {
        let (files, templates, mut faults) = (Files::new(), Templates::new(), Diagnostics::default());
        let mut reader = Reader::new(&files, &templates, &mut faults);
        let span = Span::synthetic("t", "x");
        assert_eq!((0..MAX_ENTRIES + 5).filter(|_| !reader.count(&span)).count(), 5);
        let messages: Vec<&str> = faults.list.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(messages, ["more than 100000 tasks after writing out imports"]);
    }
}
