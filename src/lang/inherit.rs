//! Keywords that reach down from play, role, import and block to the task, and the one rule for each.
//!
//! `when` adds up (all must hold), tags and notify unite, environment and variables are layered, the rest is decided by the
//! nearest. Knows nothing of where the keywords were read.

use std::sync::Arc;

use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::task::Vars;

/// What a task has from all around it and from itself.
///
/// An `Option<Node>` is absent, a scalar, or text with a template that the engine renders.
#[derive(Debug, Clone, Default)]
pub struct Inherited {
    /// Expressions, outermost first; all must hold.
    pub when: Vec<Node>,
    pub tags: Vec<Key>,
    /// Mappings or templates of mappings, outermost first; the inner wins key by key.
    pub environment: Vec<Node>,
    /// Variables of play-independent surroundings: imports and blocks outermost first, the task's own last.
    pub vars: Vec<Arc<Vars>>,
    /// Variables given to `include_tasks`/`include_role` around the task: stronger than everything but `-e`.
    pub params: Vec<Arc<Vars>>,
    /// Handlers to wake on change; may hold templates.
    pub notify: Vec<Node>,
    /// Default arguments by kind, outermost first. Already worked into [`crate::lang::task::Action::args`].
    pub module_defaults: Vec<Arc<Vars>>,
    pub escalate: Become,
    pub remote_user: Option<Node>,
    pub port: Option<Node>,
    pub connection: Option<Node>,
    pub delegate_to: Option<Node>,
    pub run_once: Option<Node>,
    pub ignore_errors: Option<Node>,
    pub ignore_unreachable: Option<Node>,
    pub any_errors_fatal: Option<Node>,
    pub no_log: Option<Node>,
    pub check_mode: Option<Node>,
    pub diff: Option<Node>,
    /// Seconds.
    pub timeout: Option<Node>,
    pub reach: Option<Reach>,
}

/// How to become another user on the host.
#[derive(Debug, Clone, Default)]
pub struct Become {
    /// The keyword `become`.
    pub on: Option<Node>,
    pub user: Option<Node>,
    pub method: Option<Node>,
    pub flags: Option<Node>,
    pub exe: Option<Node>,
}

/// The keyword `reach`: what the author says about how far a task's effect goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only its own host.
    Own,
    /// Other hosts may notice.
    Beyond,
}
