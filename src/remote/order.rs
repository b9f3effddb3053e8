//! What the engine asks of a host, and what the host answers. Plain data; the way there is in `host`.

use std::time::Duration;

use crate::change::Look;
use crate::change::Ran;
use crate::change::Step;
use crate::journal::Entry;
use crate::journal::Journal;
use crate::journal::Writer;
use crate::remote::unreached::Unreached;
use crate::secret::Secret;

/// Which user of the host something is done as: `None` is the one who logged in.
pub type As = Option<String>;

/// How a host is worked on.
#[derive(Debug, Clone)]
pub struct Manner {
    pub testbed: String,
    /// Identifies the run on the host: letters, digits, `-`.
    pub run: String,
    /// Who runs this, and since when: shown to whoever finds the lock.
    pub owner: Owner,
    /// Whether journals are read at the first question. Otherwise they are read only before something is changed, and
    /// whoever has none is known to have none.
    pub journals: bool,
    /// For `sudo`, if one was given; asked for only when sudo wants one.
    pub become_password: Option<Secret<String>>,
}

/// Who holds a lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owner {
    /// `user@machine` of the controller.
    pub name: String,
    /// Seconds since the epoch.
    pub since: u64,
}

/// One thing asked of a host. It answers one order after the other.
#[derive(Debug, Clone)]
pub enum Order {
    /// Ask these questions, each as its user, all users side by side. See [`Manner::journals`].
    Probe(Vec<(As, Look)>),
    Apply(Stream),
    /// Take back these entries of the user's journal, in this order (see [`Answer::Undone`]).
    Undo {
        user: As,
        entries: Vec<Entry>,
        force: bool,
    },
    /// This handler need not run any more. Nobody waits for it; there is no answer.
    Rest {
        user: As,
        handler: String,
    },
    /// Remove the lock of another run, whoever holds it.
    Unlock {
        user: As,
    },
    /// Remove the user's journal and everything of tbctl, if nothing is left in it.
    Forget {
        user: As,
    },
    /// Wait, then try the connection again: `wait_for_connection`.
    Reconnect {
        timeout: Duration,
    },
}

/// Tasks applied in one go, each only if what was decided upon still holds.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    pub user: As,
    pub parts: Vec<Part>,
    /// Asked of the host in the same trip when the stream stops early for a guard, and at its end if `ask_at_end`.
    pub rest: Vec<(As, Look)>,
    pub ask_at_end: bool,
    /// Something may be changed: the testbed is locked on the host.
    pub locks: bool,
}

/// One task (or loop item) of a stream.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// The caller's number for it, echoed in answers.
    pub id: u64,
    /// Answers that must still be given before the first step runs. Empty for tasks that look at nothing.
    pub guard: Vec<(Look, String)>,
    /// Which task it is, for the journal.
    pub writer: Writer,
    /// `no_log`: nobody is shown what it is about.
    pub hidden: bool,
    /// Handlers that will have to run if the part changes something: noted on the host before it begins.
    pub wakes: Vec<String>,
    /// Empty: only the guard is checked.
    pub steps: Vec<Step>,
    /// For steps that run the user's own text.
    pub environment: Vec<(String, String)>,
    /// Per step; the step's processes are killed when it passes.
    pub timeout: Option<Duration>,
    /// A part with it stands alone in its stream.
    pub confirm: Option<Confirm>,
}

/// What makes a host take a part back by itself: no new connection came in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    /// From right before the first step.
    pub within: Duration,
    /// Names of what is taken back together: this part, and those of this run before it that bear one of them.
    pub with: Vec<String>,
}

/// What a host says. All but the last answer to an order may come while it runs.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Connected: what it took. Comes once, before the first answer (and again after a reconnection).
    Up {
        peer: String,
        seconds: f64,
    },
    /// The connection was lost while a stream runs; it is tried again for so long.
    Away {
        why: String,
        limit: Duration,
    },
    /// The journal of one of its users, when first met.
    Journal {
        user: As,
        journal: Result<Journal, crate::journal::Damage>,
    },
    /// Handlers that an earlier run owed; comes before the first answer of a user.
    Owed {
        user: As,
        handlers: Vec<String>,
    },
    /// Who held the lock that was removed.
    Unlocked {
        owner: Option<String>,
    },
    /// The last answer to [`Order::Probe`]: in the order of the questions. `Err`: why this user's questions failed (no sudo).
    Probed(Vec<Result<String, String>>),
    Began {
        part: u64,
    },
    /// A line a running step printed, for live display.
    Said {
        part: u64,
        line: String,
    },
    /// All steps of the part ran with rc 0 (or it had none and its guard held).
    Did {
        part: u64,
        ran: Vec<Ran>,
    },
    /// A step ended with another rc; the stream stops here. `why` is set when it was not the step's own doing: a timeout, a
    /// full disk, no right to become the user.
    Failed {
        part: u64,
        ran: Vec<Ran>,
        why: Option<String>,
    },
    /// The guard of this part does not hold any more; the stream stops before it.
    Stale {
        part: u64,
    },
    /// The last answer to [`Order::Apply`], with the answers to `rest` if they were asked.
    Applied {
        rest: Option<Vec<Result<String, String>>>,
    },
    /// One entry of [`Order::Undo`] is finished.
    Undone {
        seq: u32,
        how: Way,
    },
    /// The last answer to [`Order::Undo`], [`Order::Forget`], [`Order::Unlock`] and [`Order::Reconnect`].
    Finished,
    /// The connection could not be made or was lost. `part` is the one that was running: it may or may not have run.
    Lost {
        part: Option<u64>,
        why: Unreached,
    },
}

/// How an entry ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    Back,
    /// It was as before already, or its step never ran.
    Already,
    /// Somebody changed it since: left alone.
    Changed,
    /// There is no way back, and why.
    Never(String),
    Failed(String),
}
