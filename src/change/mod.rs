//! The vocabulary between kinds and hosts: what is looked at, what is changed, and the way back.
//!
//! A kind answers with a [`Probe`] and a [`Change`]; the engine turns both into scripts. Diff, apply and destroy are three
//! readings of one [`Change`]. Knows nothing of connections, tasks or playbooks.

pub mod fuse;
pub mod look;
pub mod sh;

pub use crate::change::look::Look;
pub use crate::change::look::Probe;
pub use crate::change::look::Seen;

/// Everything a task changes on its host, in order. Empty means: already right.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    pub steps: Vec<Step>,
}

impl Change {
    pub fn none() -> Change {
        Change::default()
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Adds a step. The way back is an argument, so that it cannot be forgotten.
    pub fn step(&mut self, what: impl Into<String>, resource: Resource, apply: Apply, undo: Undo) -> &mut Step {
        let at = self.steps.len();
        self.steps.push(Step { what: what.into(), resource: Some(resource), apply, undo, diff: None });
        &mut self.steps[at]
    }

    /// Adds a step that touches nothing which could be given back as it was: a command, a refreshed cache.
    pub fn act(&mut self, what: impl Into<String>, apply: Apply, undo: Undo) -> &mut Step {
        let at = self.steps.len();
        self.steps.push(Step { what: what.into(), resource: None, apply, undo, diff: None });
        &mut self.steps[at]
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// One line for people: `mode: 0644 -> 0600`. Holds no secret.
    pub what: String,
    /// What the step changes; steps without one are not compared when they are undone.
    pub resource: Option<Resource>,
    pub apply: Apply,
    pub undo: Undo,
    /// Text before and after, for `--diff`.
    pub diff: Option<Diff>,
}

/// A thing on a host that has one state. All writers of one file share one resource; fragments of files are resources of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Unique on the host: `file:/etc/hosts`, `sysctl:net.ipv4.ip_forward`, `line:/etc/hosts:<digest>`.
    pub id: String,
    /// Its state, printed; compared when it is undone to see whether somebody changed it since.
    pub look: Look,
}

impl Resource {
    pub fn new(id: impl Into<String>, look: Look) -> Resource {
        Resource { id: id.into(), look }
    }

    /// A whole path: file, directory or link.
    pub fn path(path: &str) -> Resource {
        Resource::new(format!("file:{path}"), Look::Path { path: path.into(), follow: false })
    }
}

/// The closed list of what can be done on a host. Anything smarter is shell inside a script.
#[derive(Debug, Clone, PartialEq)]
pub enum Apply {
    Run(Script),
    Put(Put),
}

/// Text run by the host's shell in a subshell of its own, with no standard input unless given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    pub text: String,
    /// The user's own text: run under the login locale, with the task's environment.
    pub user: bool,
    pub chdir: Option<String>,
    pub stdin: Option<String>,
    /// Another interpreter than the shell that is there: `/bin/bash`.
    pub executable: Option<String>,
}

impl Script {
    pub fn new(text: impl Into<String>) -> Script {
        Script { text: text.into(), ..Script::default() }
    }
}

impl Apply {
    pub fn run(text: impl Into<String>) -> Apply {
        Apply::Run(Script::new(text))
    }
}

/// A file to be written: beside its target, synced, renamed.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    pub path: String,
    pub content: Content,
    /// Of a new file and of an old one; `None` keeps the old file's (0644 under the umask for a new one).
    pub mode: Option<u32>,
    pub owner: Option<String>,
    pub group: Option<String>,
    /// A shell command with `%s` for the temporary file, run before the rename; it must succeed.
    pub validate: Option<String>,
    /// Keep the old file beside the new one under a dated name.
    pub backup: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Text(String),
    /// A file of the controller: too large or too binary for a script.
    File {
        path: std::path::PathBuf,
        sha256: String,
    },
}

/// How a step is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// The host kept the path as it was, right before the step: put it back. For resources made by [`Resource::path`].
    Restore,
    /// A script, run as the user that ran the step. `$_tb_k` is the resource's own directory, which `apply` may have written to.
    By(String),
    /// Run again after what was before it has been undone, if the unit it names still exists: a restarted service.
    Again { unit: String, script: String },
    /// There is nothing to take back.
    Nothing,
    /// There is no way back, and why.
    Never(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    pub before: Option<String>,
    pub after: Option<String>,
}

/// What a step that ran left behind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ran {
    pub rc: i32,
    pub stdout: String,
    pub stderr: String,
    /// Seconds since the epoch by the controller's clock.
    pub start: f64,
    pub end: f64,
}

/// A kind's «no»: the state of the host does not allow what the task asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub message: String,
    pub help: Option<String>,
}

impl Refusal {
    pub fn new(message: impl Into<String>) -> Refusal {
        Refusal { message: message.into(), help: None }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Refusal {
        self.help = Some(help.into());
        self
    }
}
