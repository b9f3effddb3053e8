//! What the caller says of a host and of the run: where to go, whom to ask, how long to wait.
//!
//! Does not know where these values come from (inventory, flags, ansible.cfg), nor how they are combined with
//! `~/.ssh/config`; that is `destination`.

use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use russh::keys::PrivateKey;
use tokio::sync::OnceCell;

use crate::secret::Secret;

use super::config::Config;
use super::ssh::Connection;
use super::unreached::Unreached;

/// `ansible_connection`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Via {
    #[default]
    Ssh,
    /// This machine, without SSH.
    Local,
}

/// One host as the inventory describes it. What is `None` or empty is filled in from `~/.ssh/config`.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The inventory name, used in messages.
    pub name: String,
    pub via: Via,
    /// `ansible_host`; the name if absent. This is what `Host` patterns of `~/.ssh/config` are matched with.
    pub host: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    /// Private key files, tried before those of `~/.ssh/config`.
    pub keys: Vec<PathBuf>,
    pub password: Option<Secret<String>>,
    /// `user@host:port[,…]`, first hop first; overrides `ProxyJump`. `none` means: directly.
    pub jump: Option<String>,
    /// The only file of known hosts to look into, and the one that accepted keys are added to.
    pub known_hosts: Option<PathBuf>,
    /// The limit for each step of connecting; overrides `ConnectTimeout`.
    pub timeout: Option<Duration>,
    /// Overrides [`Settings::unknown_host`] for this host.
    pub unknown: Option<Unknown>,
}

/// What to do with a host whose key is in no known_hosts file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unknown {
    /// Show the fingerprint and ask.
    #[default]
    Ask,
    /// Add it without asking. A key that differs from the known one is still refused.
    Accept,
    Refuse,
    /// Check nothing and record nothing (`host_key_checking: false`).
    Ignore,
}

/// What holds for all connections of a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The home directory of the user who runs tbctl: `~` and `%d`.
    pub home: PathBuf,
    /// Where commands on this machine begin: the playbook's directory. Empty: where tbctl was started.
    pub directory: PathBuf,
    /// The login name of that user: the user on the hosts if nothing else is said.
    pub local_user: String,
    /// The socket of the SSH agent (`SSH_AUTH_SOCK`).
    pub agent: Option<PathBuf>,
    /// `None` is `~/.ssh/config`, which may be missing; a file that is named must be readable.
    pub config_file: Option<PathBuf>,
    /// Read after the user's file, as `ssh` does.
    pub system_config: Option<PathBuf>,
    /// Overrides `UserKnownHostsFile`; accepted keys are added to the first. Empty: as `ssh` does.
    pub known_hosts: Vec<PathBuf>,
    /// [`Unknown::Ask`] leaves the choice to `StrictHostKeyChecking`; the others override it.
    pub unknown_host: Unknown,
    /// `-k`: ask for the login password, once for all hosts that have none.
    pub ask_password: bool,
    /// The limit for each step of connecting: the TCP connection, the key exchange, each login attempt, each channel.
    pub connect_timeout: Duration,
    /// How long a silent connection may be idle before the server is asked for a sign of life. Three unanswered
    /// questions end the connection. Zero: never.
    pub keepalive: Duration,
    /// How often to dial again when the server hangs up before its greeting (`MaxStartups`).
    pub retries: u32,
    /// The pause before the first of these retries; doubled each time, with some chance added.
    pub backoff: Duration,
    /// What the connections of this run have in common. Clones share it.
    pub shared: Shared,
}

impl Settings {
    pub fn new(home: PathBuf, local_user: impl Into<String>) -> Settings {
        Settings {
            home,
            directory: PathBuf::new(),
            local_user: local_user.into(),
            agent: None,
            config_file: None,
            system_config: Some(PathBuf::from("/etc/ssh/ssh_config")),
            known_hosts: Vec::new(),
            unknown_host: Unknown::Ask,
            ask_password: false,
            connect_timeout: Duration::from_secs(10),
            keepalive: Duration::from_secs(15),
            retries: 6,
            backoff: Duration::from_millis(200),
            shared: Shared::default(),
        }
    }
}

/// Questions to the person at the terminal. Called from a thread that may block, from several hosts at once: whoever
/// implements it lets them wait for each other. `None` and `false` when there is nobody to ask.
pub trait Ask: Send + Sync {
    /// A password or passphrase, typed without echo.
    fn secret(&self, prompt: &str) -> Option<Secret<String>>;
    /// A yes-or-no question.
    fn confirm(&self, question: &str) -> bool;
}

/// Asks on a thread of its own, since a person takes their time.
pub(super) async fn ask_secret(ask: &Arc<dyn Ask>, prompt: String) -> Option<Secret<String>> {
    let ask = ask.clone();
    tokio::task::spawn_blocking(move || ask.secret(&prompt)).await.ok().flatten()
}

pub(super) async fn ask_confirm(ask: &Arc<dyn Ask>, question: String) -> bool {
    let ask = ask.clone();
    tokio::task::spawn_blocking(move || ask.confirm(&question)).await.unwrap_or(false)
}

/// What was read, asked or opened once and serves every host: the parsed configuration, opened keys, the password,
/// accepted host keys, connections to jump hosts. Lives in memory only.
#[derive(Clone, Default)]
pub struct Shared(Arc<Memory>);

#[derive(Default)]
pub(super) struct Memory {
    pub(super) config: OnceCell<Result<Arc<Config>, Unreached>>,
    pub(super) password: OnceCell<Option<Secret<String>>>,
    pub(super) keys: Mutex<HashMap<PathBuf, OpenedKey>>,
    /// Names and keys (`name key`) the user agreed to in this run.
    pub(super) accepted: Mutex<HashSet<String>>,
    /// Held while a host key is asked about, so that the same key is asked about once.
    pub(super) asking: tokio::sync::Mutex<()>,
    pub(super) jumps: Mutex<HashMap<String, JumpSlot>>,
}

pub(super) type OpenedKey = Arc<OnceCell<Result<Arc<PrivateKey>, String>>>;
pub(super) type JumpSlot = Arc<OnceCell<Result<Arc<Connection>, Unreached>>>;

impl Shared {
    pub(super) fn memory(&self) -> &Memory {
        &self.0
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// Locks what is only ever held for a moment; a panic elsewhere does not make the content wrong.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
