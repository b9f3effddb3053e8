//! Loops: how they are written, and how their values become items.
//!
//! Pure: values are rendered before they come here.

use crate::diag::Span;
use crate::lang::node::Key;
use crate::lang::node::Node;

/// `loop:` or one of the `with_` family.
#[derive(Debug, Clone)]
pub struct Loop {
    /// The keyword.
    pub span: Span,
    pub kind: LoopKind,
    pub over: Node,
    pub control: LoopControl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopKind {
    /// `loop`, `with_list`: a list as it stands.
    List,
    /// `with_items`: lists inside are flattened by one level.
    Items,
    /// `with_flattened`: flattened to the ground.
    Flattened,
    /// `with_dict`: entries with `key` and `value`.
    Dict,
    /// `with_nested`, `with_cartesian`: every combination.
    Nested,
    /// `with_together`: one of each, side by side.
    Together,
    /// `with_sequence`: numbers, formatted.
    Sequence,
    /// `with_subelements`: pairs of an element and one of its sub-elements.
    Subelements,
    /// `with_indexed_items`: pairs of number and item.
    IndexedItems,
    /// `with_fileglob`: files here that match; the caller looks them up.
    FileGlob,
    /// `with_first_found`: the first file here that exists; the caller looks it up.
    FirstFound,
}

/// `loop_control:`.
#[derive(Debug, Clone)]
pub struct LoopControl {
    /// The name of the item, `item` by default.
    pub variable: String,
    pub index_variable: Option<Key>,
    /// What is shown in place of the item.
    pub label: Option<Node>,
    /// Seconds between items.
    pub pause: Option<Node>,
    /// Whether `ansible_loop` is set.
    pub extended: Option<Node>,
}

impl Default for LoopControl {
    fn default() -> LoopControl {
        LoopControl { variable: "item".into(), index_variable: None, label: None, pause: None, extended: None }
    }
}
