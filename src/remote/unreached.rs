//! Why a host could not be reached, in a sentence that also says what to do.
//!
//! Does not know what will be done about it; [`Unreached::retryable`] only says whether time alone may help.

use std::fmt;

/// What went wrong, for those who act on it. People read [`Unreached::message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nobody listens there, or the server hung up before it said anything.
    Refused,
    /// The network has no way to the address.
    NoRoute,
    /// The name has no address.
    Name,
    /// A step took longer than its limit.
    Timeout,
    /// Something answers there, but it is no SSH server we share a language with.
    NotSsh,
    /// The server's key is unknown, revoked or another one than before.
    HostKey,
    /// The server did not let the user in.
    Auth,
    /// The connection was there and broke.
    Lost,
    /// The settings do not make sense or ask for what is unsupported.
    Config,
    /// A command could not be started on a connection that works.
    Start,
}

/// A host that could not be reached, or was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// A sentence without a full stop: which host, and what happened.
    pub message: String,
    /// What the user can do about it.
    pub help: Option<String>,
    pub kind: Why,
    /// Whether the same attempt may work a little later with nothing changed: a host that is still booting, a full
    /// backlog. Never for keys, passwords and settings.
    pub retryable: bool,
}

impl Unreached {
    pub(super) fn new(kind: Why, message: impl Into<String>) -> Unreached {
        let retryable = matches!(kind, Why::Refused | Why::NoRoute | Why::Timeout | Why::Lost);
        Unreached { message: message.into(), help: None, kind, retryable }
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Unreached {
        self.help = Some(help.into());
        self
    }

    /// The fault of a jump host, as the host behind it tells it.
    #[must_use]
    pub(super) fn on_the_way_to(mut self, label: &str) -> Unreached {
        self.message = format!("on the way to {label}: {}", self.message);
        self
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Unreached {}
