//! The connection to a host as the rest of tbctl sees it.
//!
//! Does not know what the commands do.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::config::load;
use super::destination::Destination;
use super::local;
use super::pipe;
use super::pipe::Pipe;
use super::route::travel;
use super::ssh::Connection;
use super::target::Ask;
use super::target::Settings;
use super::target::Target;
use super::target::Via;
use super::target::ask_secret;
use super::unreached::Unreached;
use super::wire::Meter;

/// A connection to one host. Dropping it ends it at once; [`Link::close`] says goodbye first.
pub struct Link {
    way: Way,
    channels: AtomicU64,
}

enum Way {
    Ssh(Box<Connection>),
    /// With the directory where commands begin.
    Local(Arc<Meter>, PathBuf),
}

/// What a connection has cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes received: over SSH as they came from the network, locally what the commands printed.
    pub bytes_in: u64,
    /// Bytes sent, counted in the same way.
    pub bytes_out: u64,
    /// Commands that were started.
    pub channels: u64,
}

/// Connects to a host and logs in. Each step has a deadline, but for questions to the user.
///
/// # Errors
/// Why the host cannot be reached, and what to do about it.
pub async fn connect(target: &Target, settings: &Settings, ask: &Arc<dyn Ask>) -> Result<Link, Unreached> {
    let way = match target.via {
        Via::Local => Way::Local(Arc::default(), settings.directory.clone()),
        Via::Ssh => {
            let config = load(settings).await?;
            let mut to = Destination::of_target(target, settings, &config)?;
            if to.password.is_none() && settings.ask_password {
                // Before dialling: servers do not wait long for a login.
                let password = || ask_secret(ask, "SSH password: ".to_string());
                to.password = settings.shared.memory().password.get_or_init(password).await.clone();
            }
            Way::Ssh(Box::new(travel(to, &config, settings, ask).await?))
        }
    };
    Ok(Link { way, channels: AtomicU64::new(0) })
}

impl Link {
    /// Starts a command by the login shell of the host, or by `/bin/sh` locally. What is written to its input is sent
    /// right behind the request; whether the command could be started shows in its exit.
    ///
    /// # Errors
    /// If the connection was lost or the host allows no further session.
    pub async fn exec(&self, command: &str) -> Result<Pipe, Unreached> {
        let pipe = match &self.way {
            Way::Local(meter, directory) => local::exec(command, directory, meter)?,
            Way::Ssh(connection) => {
                let channel = connection.session().await?;
                channel.exec(false, command).await.map_err(|_| connection.lost())?;
                pipe::over(channel)
            }
        };
        self.channels.fetch_add(1, Ordering::Relaxed);
        Ok(pipe)
    }

    /// Ends the connection in order.
    pub async fn close(self) {
        if let Way::Ssh(connection) = self.way {
            connection.close().await;
        }
    }

    pub fn stats(&self) -> Stats {
        let (bytes_in, bytes_out) = match &self.way {
            Way::Ssh(connection) => connection.counts(),
            Way::Local(meter, _) => meter.counts(),
        };
        Stats { bytes_in, bytes_out, channels: self.channels.load(Ordering::Relaxed) }
    }

    /// `user@host:port`, or `local`.
    pub fn peer(&self) -> String {
        match &self.way {
            Way::Ssh(connection) => connection.to.peer(),
            Way::Local(..) => "local".to_string(),
        }
    }

    /// Why the connection is no more; `None` while it is there. What a command without an exit status can be
    /// explained with.
    pub fn lost(&self) -> Option<Unreached> {
        match &self.way {
            Way::Ssh(connection) => connection.is_closed().then(|| connection.lost()),
            Way::Local(..) => None,
        }
    }
}
