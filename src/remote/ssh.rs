//! One SSH connection: greeting, key exchange and the check of the host's key, then channels.
//!
//! Does not know which way was taken to the host, nor what to do about an unknown key; see `route`.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use russh::Channel;
use russh::ChannelOpenFailure;
use russh::Disconnect;
use russh::Preferred;
use russh::client;
use russh::client::DisconnectReason;
use russh::client::Handle;
use russh::client::Msg;
use russh::compression;
use russh::kex;
use russh::keys::Algorithm;
use russh::keys::PublicKey;
use russh::keys::PublicKeyOrCertificate;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::destination::Destination;
use super::target::lock;
use super::unreached::Unreached;
use super::unreached::Why;
use super::wire::Greeting;
use super::wire::Meter;
use super::wire::Metered;

/// Cheap ones first: an exchange that resists quantum computers costs a host more than all the rest of a short run.
const EXCHANGES: &[kex::Name] = &[
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::MLKEM768X25519_SHA256,
    kex::ECDH_SHA2_NISTP256,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// How long the farewell may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// A write that makes no progress for this long ends a connection that has no keepalive to say how long.
const STUCK: Duration = Duration::from_secs(60);

/// The byte stream an SSH connection runs on.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Judges the key a host shows: whether to go on with it.
pub(super) type Judge = Box<dyn Fn(&PublicKey) -> bool + Send + Sync>;

/// What happened on a connection, told by the task that runs it.
#[derive(Default)]
pub(super) struct Story {
    farewell: Mutex<Option<Farewell>>,
}

enum Farewell {
    /// The server said so.
    Dismissed(String),
    /// The server has no more ways to log in.
    Exhausted,
    Broken(String),
}

impl Story {
    /// Why the connection ended, if it did, in the server's words or the library's.
    pub(super) fn farewell(&self) -> Option<String> {
        match &*lock(&self.farewell) {
            Some(Farewell::Dismissed(text) | Farewell::Broken(text)) => Some(text.clone()),
            Some(Farewell::Exhausted) | None => None,
        }
    }

    /// Whether the connection ended because the server has no further way to log in.
    pub(super) fn was_exhausted(&self) -> bool {
        matches!(*lock(&self.farewell), Some(Farewell::Exhausted))
    }

    /// Whether the server ended the connection in so many words.
    pub(super) fn was_dismissed(&self) -> bool {
        matches!(*lock(&self.farewell), Some(Farewell::Dismissed(_)))
    }
}

/// The side of the connection that hears what the server does unasked.
pub(super) struct Client {
    judge: Judge,
    story: Arc<Story>,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(shown.certificate().is_none() && (self.judge)(&shown.public_key()))
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        let (farewell, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => (Farewell::Dismissed(info.message), Ok(())),
            DisconnectReason::Error(error @ russh::Error::NoAuthMethod) => (Farewell::Exhausted, Err(error)),
            DisconnectReason::Error(error) => (Farewell::Broken(plain(&error)), Err(error)),
        };
        lock(&self.story.farewell).get_or_insert(farewell);
        result
    }
}

/// An authenticated connection, or one about to be.
pub(super) struct Connection {
    pub(super) handle: Handle<Client>,
    pub(super) story: Arc<Story>,
    pub(super) to: Destination,
    meter: Arc<Meter>,
    /// Ends the task that runs the connection, when dropped.
    _hold: oneshot::Sender<()>,
    /// The connection this one runs through.
    _through: Option<Arc<Connection>>,
}

/// Why there is no connection after the greeting and the key exchange.
pub(super) enum Halt {
    /// The server hung up before it said who it is, as it does when too many come at once.
    Dropped(Unreached),
    /// The judge said no.
    Key,
    Failed(Unreached),
}

/// Exchanges keys with what is at the other end of the stream.
pub(super) async fn shake_hands(
    stream: Box<dyn Stream>,
    through: Option<Arc<Connection>>,
    to: &Destination,
    known: &[Algorithm],
    judge: Judge,
) -> Result<Connection, Halt> {
    let meter = Arc::new(Meter::default());
    let stuck = to.keepalive.map_or(STUCK, |interval| interval.saturating_mul(4).max(to.limit));
    let (wire, hold) = Metered::new(stream, meter.clone(), stuck);
    let story = Arc::new(Story::default());
    let client = Client { judge, story: story.clone() };
    let config = Arc::new(options(to, known));
    match timeout(to.limit, client::connect_stream(config, wire, client)).await {
        Ok(Ok(handle)) => Ok(Connection { handle, story, to: to.clone(), meter, _hold: hold, _through: through }),
        Ok(Err(russh::Error::UnknownKey)) => Err(Halt::Key),
        Ok(Err(error)) => Err(no_greeting(to, &meter, &error)),
        Err(_) => Err(Halt::Failed(too_slow(to, &meter))),
    }
}

fn options(to: &Destination, known: &[Algorithm]) -> client::Config {
    client::Config {
        preferred: Preferred {
            kex: Cow::Borrowed(EXCHANGES),
            key: Cow::Owned(key_order(known)),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        keepalive_interval: to.keepalive,
        keepalive_max: to.keepalive_max,
        nodelay: true,
        ..client::Config::default()
    }
}

/// Kinds of host keys, those first that are known of this host: a server has several keys, and another one than the
/// known one would look like a stranger's.
fn key_order(known: &[Algorithm]) -> Vec<Algorithm> {
    let is_known = |algorithm: &Algorithm| {
        known.iter().any(|known| match (known, algorithm) {
            (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
            (known, algorithm) => known == algorithm,
        })
    };
    let (mut first, rest): (Vec<_>, Vec<_>) = Preferred::DEFAULT.key.iter().cloned().partition(is_known);
    first.extend(rest);
    first
}

fn no_greeting(to: &Destination, meter: &Meter, error: &russh::Error) -> Halt {
    let label = &to.label;
    match (meter.first_words(), error) {
        (Greeting::Nothing, _) => Halt::Dropped(
            Unreached::new(Why::Refused, format!("{label} hung up on port {} before its greeting", to.port))
                .help("look at the log of its sshd (`MaxStartups`, `PerSourcePenalties`), or use fewer forks"),
        ),
        (Greeting::Other(said), _) if said.contains("MaxStartups") || said.contains("Not allowed at this time") => {
            Halt::Dropped(
                Unreached::new(Why::Refused, format!("{label} turned the connection away: {said}"))
                    .help("raise `MaxStartups` or `PerSourceMaxStartups` of its sshd, or use fewer forks"),
            )
        }
        (Greeting::Other(said), _) => Halt::Failed(
            Unreached::new(Why::NotSsh, format!("{label} does not speak SSH on port {}; it says `{said}`", to.port))
                .help("set `ansible_port` to the port of its sshd"),
        ),
        (Greeting::Ssh, russh::Error::NoCommonAlgo { kind, theirs, .. }) => {
            let text = format!("{label} and tbctl share no {kind:?} algorithm; it offers {}", theirs.join(", "));
            Halt::Failed(Unreached::new(Why::NotSsh, text).help("update the SSH server of the host"))
        }
        (Greeting::Ssh, error) => {
            let text = format!("the key exchange with {label} failed: {}", plain(error));
            Halt::Failed(Unreached::new(Why::Lost, text))
        }
    }
}

fn too_slow(to: &Destination, meter: &Meter) -> Unreached {
    let (label, limit) = (&to.label, humantime::format_duration(to.limit));
    let text = match meter.first_words() {
        Greeting::Nothing => format!("{label} took the connection, but sent no SSH greeting within {limit}"),
        Greeting::Ssh => format!("{label} did not finish the key exchange within {limit}"),
        Greeting::Other(said) => format!("{label} sent no SSH greeting within {limit}; it says `{said}`"),
    };
    Unreached::new(Why::Timeout, text).help("look at the load and the log of its sshd, or raise the timeout")
}

impl Connection {
    /// Bytes received and sent.
    pub(super) fn counts(&self) -> (u64, u64) {
        self.meter.counts()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// A channel to run a command on.
    pub(super) async fn session(&self) -> Result<Channel<Msg>, Unreached> {
        self.open(self.handle.channel_open_session(), |why| {
            Unreached::new(Why::Start, format!("{} did not open another session ({why})", self.to.label))
                .help("raise `MaxSessions` of its sshd")
        })
        .await
    }

    /// A channel that leads on to another host.
    pub(super) async fn tunnel(&self, to: &Destination) -> Result<Channel<Msg>, Unreached> {
        let open = self.handle.channel_open_direct_tcpip(&to.host, u32::from(to.port), "127.0.0.1", 0);
        let by = format!("the jump host {}", self.to.label);
        self.open(open, |why| match why {
            "ConnectFailed" => {
                let text = format!("{by} cannot reach {} on port {}", to.label, to.port);
                let mut unreached = Unreached::new(Why::Refused, text);
                unreached.help = Some("check address and port as seen from the jump host".to_string());
                unreached
            }
            _ => Unreached::new(Why::Start, format!("{by} does not forward connections ({why})"))
                .help("set `AllowTcpForwarding yes` in its sshd_config"),
        })
        .await
    }

    async fn open(
        &self,
        opening: impl Future<Output = Result<Channel<Msg>, russh::Error>>,
        refused: impl FnOnce(&str) -> Unreached,
    ) -> Result<Channel<Msg>, Unreached> {
        match timeout(self.to.limit, opening).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(russh::Error::ChannelOpenFailure(why))) => Err(refused(match &why {
                ChannelOpenFailure::AdministrativelyProhibited => "administratively prohibited",
                ChannelOpenFailure::ConnectFailed => "ConnectFailed",
                ChannelOpenFailure::ResourceShortage => "too many",
                _ => "unknown reason",
            })),
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => {
                let limit = humantime::format_duration(self.to.limit);
                let text = format!("{} did not open a channel within {limit}", self.to.label);
                Err(Unreached::new(Why::Timeout, text))
            }
        }
    }

    /// That the connection is no more, and why.
    pub(super) fn lost(&self) -> Unreached {
        let label = &self.to.label;
        let text = match (self.story.farewell(), self.story.was_dismissed()) {
            (Some(said), true) => format!("{label} ended the connection: {said}"),
            (Some(why), false) => format!("the connection to {label} was lost: {why}"),
            (None, _) => format!("the connection to {label} was lost"),
        };
        Unreached::new(Why::Lost, text)
    }

    /// Says goodbye and waits a little for it to be sent.
    pub(super) async fn close(mut self) {
        let farewell = async {
            // A farewell that cannot be sent is not needed, and how the task ended does not matter any more.
            if self.handle.disconnect(Disconnect::ByApplication, "", "").await.is_ok() {
                let _ = (&mut self.handle).await;
            }
        };
        // If the other side does not take it, dropping the stream has to do.
        let _ = timeout(GOODBYE, farewell).await;
    }
}

/// An error of the library as a few words of ours.
fn plain(error: &russh::Error) -> String {
    match error {
        russh::Error::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => "it hung up".to_string(),
        russh::Error::IO(error) => error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase(),
        russh::Error::HUP | russh::Error::Disconnect => "it hung up".to_string(),
        russh::Error::KeepaliveTimeout => "no sign of life".to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_kinds_of_keys_come_first() {
        let order = key_order(&[Algorithm::Rsa { hash: None }]);
        assert!(matches!(order[..3], [Algorithm::Rsa { .. }, Algorithm::Rsa { .. }, Algorithm::Rsa { .. }]));
        assert_eq!(order.len(), Preferred::DEFAULT.key.len());
        assert_eq!(key_order(&[])[0], Algorithm::Ed25519);
    }
}
