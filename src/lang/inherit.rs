//! Keywords that reach down from play, role, import and block to the task, and the one rule for each.
//!
//! `when` adds up (all must hold), tags unite, environment, variables and module defaults are layered, the rest is decided by
//! the nearest. Knows nothing of where the keywords were read.

use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::lang::keyword::Keywords;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::task::Vars;
use crate::lang::within;
use crate::lang::word;

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
    /// Variables of imports and blocks, outermost first, the task's own last. The play's are not among them.
    pub vars: Vec<Arc<Vars>>,
    /// Variables given to `include_tasks`/`include_role` around the task: stronger than everything but `-e`.
    pub params: Vec<Arc<Vars>>,
    /// Handlers to wake on change; may hold templates. The nearest counts.
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
    /// How soon a new connection has to come, or else its host takes it back: see [`crate::lang::within`].
    pub confirm: Option<Node>,
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

impl Inherited {
    /// What reaches the inside of something that has these keywords. `vars` are added by [`Inherited::with_vars`], since not
    /// every place hands them down.
    #[must_use]
    pub fn with(&self, words: &Keywords<'_>, faults: &mut Diagnostics) -> Inherited {
        let mut own = self.clone();
        if let Some(node) = words.get("when") {
            own.when.extend(word::conditions(node, faults));
        }
        if let Some(node) = words.get("tags") {
            let tags = word::tags(node, faults);
            own.tags.extend(tags.into_iter().filter(|tag| !self.tags.iter().any(|known| known.name == tag.name)));
        }
        if let Some(node) = words.get("environment") {
            own.environment.extend(word::environment(node, faults));
        }
        if let Some(node) = words.get("module_defaults") {
            own.module_defaults.push(Arc::new(module_defaults(node, faults)));
        }
        if let Some(node) = words.get("notify") {
            own.notify = word::texts(node, "the name of a handler", faults);
        }
        if let Some(node) = words.get("reach") {
            own.reach = word::choice(node, &[("own", Reach::Own), ("beyond", Reach::Beyond)], faults);
        }
        own.nearest(words, faults);
        own
    }

    /// Keywords for which the nearest counts.
    fn nearest(&mut self, words: &Keywords<'_>, faults: &mut Diagnostics) {
        for (name, place) in [
            ("become", &mut self.escalate.on),
            ("run_once", &mut self.run_once),
            ("ignore_errors", &mut self.ignore_errors),
            ("ignore_unreachable", &mut self.ignore_unreachable),
            ("any_errors_fatal", &mut self.any_errors_fatal),
            ("no_log", &mut self.no_log),
            ("check_mode", &mut self.check_mode),
            ("diff", &mut self.diff),
        ] {
            if let Some(node) = words.get(name) {
                *place = word::flag(node, faults);
            }
        }
        for (name, place) in [("port", &mut self.port), ("timeout", &mut self.timeout)] {
            if let Some(node) = words.get(name) {
                *place = word::count(node, faults);
            }
        }
        if let Some(node) = words.get("confirm") {
            self.confirm = within::written(node, faults);
        }
        for (name, place) in [
            ("become_user", &mut self.escalate.user),
            ("become_method", &mut self.escalate.method),
            ("become_flags", &mut self.escalate.flags),
            ("become_exe", &mut self.escalate.exe),
            ("remote_user", &mut self.remote_user),
            ("connection", &mut self.connection),
            ("delegate_to", &mut self.delegate_to),
        ] {
            if let Some(node) = words.get(name) {
                *place = word::text(node, faults);
            }
        }
        if let Some(node) = words.get("connection").filter(|node| !node.is_live()) {
            match node.as_text() {
                Some(
                    "ssh"
                    | "smart"
                    | "local"
                    | "paramiko"
                    | "paramiko_ssh"
                    | "ansible.builtin.ssh"
                    | "ansible.builtin.local",
                ) => {}
                _ => {
                    let name = node.scalar().unwrap_or_default();
                    let fault = Diagnostic::error(format!("the connection `{name}` is unsupported")).at(&node.span);
                    faults.push(fault.help("hosts are reached by `ssh` or `local`"));
                }
            }
        }
    }

    /// Adds variables, stronger than those around.
    #[must_use]
    pub fn with_vars(mut self, vars: Vars) -> Inherited {
        if !vars.is_empty() {
            self.vars.push(Arc::new(vars));
        }
        self
    }
}

/// Default arguments by the short name of the kind.
fn module_defaults(node: &Node, faults: &mut Diagnostics) -> Vars {
    let mut all = Vars::new();
    for (key, args) in word::mapping(node, faults) {
        if key.name.starts_with("group/") {
            let fault = Diagnostic::error(format!("the group of kinds `{}` is unsupported", key.name)).at(&key.span);
            faults.push(fault.help("write the defaults for each kind by its name"));
            continue;
        }
        let name = key.name.rsplit('.').next().unwrap_or(&key.name).to_string();
        word::mapping(&args, faults);
        all.push((Key { span: key.span, name }, args));
    }
    all
}
