//! The way to a host: a connection over which commands run, by SSH or on this machine.
//!
//! Knows nothing of playbooks, modules, events or become; it moves bytes to a command and back, and says in a sentence
//! why it could not. Nothing here reads the environment: [`Settings`] carries the home directory and the agent socket.

mod agent;
mod apply;
mod auth;
mod config;
mod confirm;
mod destination;
mod dial;
pub mod host;
mod identity;
mod known_hosts;
mod link;
mod live;
mod local;
mod lock;
pub mod order;
mod pattern;
mod pipe;
mod probe;
mod route;
mod session;
mod ssh;
mod stage;
pub mod stream;
mod sudo;
mod target;
mod trust;
mod undo;
mod unreached;
mod watchdog;
mod wire;

pub use config::config_faults;
pub use link::Link;
pub use link::Stats;
pub use link::connect;
pub use lock::shown as owner;
pub use pipe::Exit;
pub use pipe::Pipe;
pub use target::Ask;
pub use target::Settings;
pub use target::Shared;
pub use target::Target;
pub use target::Unknown;
pub use target::Via;
pub use unreached::Unreached;
pub use unreached::Why;

/// A loss, for tests of the floors above.
#[cfg(test)]
pub(crate) fn unreached_for_tests(message: &str) -> Unreached {
    Unreached { message: message.into(), help: None, kind: Why::Refused, retryable: false }
}
