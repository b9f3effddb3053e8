//! The tree of tasks: what a `tasks:` list says, after imports were spliced in and keywords handed down.
//!
//! Only the shapes; `entries` reads them from text. Knows the form of an action, not what any kind of task does.

use std::fmt;
use std::sync::Arc;

use crate::diag::Span;
use crate::lang::fixed::Fixed;
use crate::lang::inherit::Inherited;
use crate::lang::loops::Loop;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::role::Role;
use crate::lang::search::Search;

/// Variables in the order written. A later entry of the same name does not occur: the reader keeps the last.
pub type Vars = Vec<(Key, Node)>;

/// One element of a list of tasks. `import_tasks` and `import_role` never appear: their entries stand in their place.
#[derive(Debug, Clone)]
pub enum Entry {
    Task(Box<Task>),
    Block(Box<Block>),
    Include(Box<Include>),
}

impl Entry {
    pub fn span(&self) -> &Span {
        match self {
            Entry::Task(task) => &task.span,
            Entry::Block(block) => &block.span,
            Entry::Include(include) => &include.span,
        }
    }
}

/// One action with everything said about it. Handlers are tasks too.
#[derive(Debug, Clone)]
pub struct Task {
    pub span: Span,
    /// May hold a template.
    pub name: Option<Node>,
    pub action: Action,
    pub loops: Option<Loop>,
    pub register: Option<Key>,
    /// Topics a handler answers to beside its name.
    pub listen: Vec<Key>,
    /// Expressions, all of which must hold; `None` where the keyword is absent.
    pub changed_when: Option<Vec<Node>>,
    pub failed_when: Option<Vec<Node>>,
    pub until: Option<Vec<Node>>,
    /// A number, or text that is a template. 3 in the presence of `until`.
    pub retries: Option<Node>,
    /// Seconds between tries; 5 if absent.
    pub delay: Option<Node>,
    pub delegate_facts: Option<Node>,
    /// Names of tasks that must be done before this one, on all hosts.
    pub needs: Vec<Node>,
    /// How `destroy` takes back what the task did: text for the shell, or a mapping as for `shell`.
    pub undo: Option<Node>,
    /// Expressions that must hold for `undo` to run.
    pub undo_when: Vec<Node>,
    pub inherited: Inherited,
    pub role: Option<Arc<Role>>,
    /// Where the files it names are looked for.
    pub search: Arc<Search>,
}

impl Task {
    /// The name as written, or the kind when it has none.
    pub fn title(&self) -> String {
        self.name.as_ref().and_then(Node::scalar).unwrap_or_else(|| self.action.full.clone())
    }
}

/// What a task does: a kind and its arguments.
#[derive(Debug, Clone)]
pub struct Action {
    /// The short name, such as `copy`, with the place where it was written.
    pub kind: Key,
    /// The name as written, such as `ansible.builtin.copy`.
    pub full: String,
    /// Always a mapping: `module_defaults`, then `args:`, then what is written at the action; the last wins.
    pub args: Node,
    /// The words that are no `key=value`: a command line for `command`, a verb for `meta`.
    pub free_form: Option<Node>,
}

/// Tasks that share keywords, and what to do when one of them fails.
#[derive(Debug, Clone)]
pub struct Block {
    pub span: Span,
    pub name: Option<Node>,
    pub body: Vec<Entry>,
    pub rescue: Vec<Entry>,
    pub always: Vec<Entry>,
    /// The block's own, already part of what its entries carry.
    pub inherited: Inherited,
}

/// `include_tasks` or `include_role`: entries that join the host's chain when the include's own `when` holds.
#[derive(Debug, Clone)]
pub struct Include {
    pub span: Span,
    pub name: Option<Node>,
    pub what: Included,
    pub loops: Option<Loop>,
    pub register: Option<Key>,
    pub listen: Vec<Key>,
    /// What decides about the include itself (`when`, `tags` …). Its entries inherit from around the include
    /// and from `apply:`, not from this; the graph puts `when` in front of them.
    pub inherited: Inherited,
    /// The entries, if the name is known before the run and the include is not inside of itself. `None`:
    /// [`crate::lang::include::load`] reads them when the name is known and the time has come.
    pub body: Option<Body>,
    /// What is needed to read the entries later.
    pub context: Arc<Context>,
    pub role: Option<Arc<Role>>,
    pub search: Arc<Search>,
}

#[derive(Debug, Clone)]
pub enum Included {
    Tasks { file: Node },
    Role(Box<RoleCall>),
}

/// The arguments of `include_role` and `import_role`.
#[derive(Debug, Clone)]
pub struct RoleCall {
    pub name: Node,
    pub tasks_from: Option<Node>,
    pub handlers_from: Option<Node>,
    pub vars_from: Option<Node>,
    pub defaults_from: Option<Node>,
    /// Whether the role's variables are seen by the rest of the play.
    pub public: bool,
    pub allow_duplicates: bool,
}

/// What an include brings.
#[derive(Debug, Clone, Default)]
pub struct Body {
    pub entries: Vec<Entry>,
    /// Handlers of an included role; they join those of the play.
    pub handlers: Vec<Entry>,
    /// The role itself; the play sees its variables from now on if it is public.
    pub role: Option<Arc<Role>>,
    /// Roles imported inside, if the file was read during the run: the play sees their variables from now on. Of files read
    /// before the run, they are in [`crate::lang::playbook::Play::public_roles`].
    pub imported: Vec<Arc<Role>>,
}

/// Where entries are being read: all that a list of tasks takes from around it.
#[derive(Clone)]
pub struct Context {
    /// What is handed down to the entries.
    pub inherited: Inherited,
    pub role: Option<Arc<Role>>,
    pub search: Arc<Search>,
    /// The kinds of task that exist.
    pub kinds: Arc<[String]>,
    /// Directories in which roles are looked for, in order.
    pub roles_path: Arc<[std::path::PathBuf]>,
    /// The files and roles being read, outermost first; finds circles.
    pub chain: Vec<Link>,
    /// How many blocks are around.
    pub depth: usize,
    /// Whether the entries are handlers.
    pub place: Place,
    /// What templates in the names of includes may use before the run.
    pub fixed: Arc<Fixed>,
    /// The same with the play's variables: names of imports are fixed by them.
    pub fixed_for_imports: Arc<Fixed>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("place", &self.place).field("chain", &self.chain).finish_non_exhaustive()
    }
}

/// One step of the way from the playbook to a list of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// A file, or a role's directory with the file of tasks.
    pub file: std::path::PathBuf,
    /// Where it was asked for.
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    #[default]
    Tasks,
    Handlers,
}
