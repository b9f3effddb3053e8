//! The server: it lets in whom its rules allow and runs commands by `sh`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use russh::Channel;
use russh::ChannelId;
use russh::ChannelMsg;
use russh::ChannelOpenFailure;
use russh::ChannelReadHalf;
use russh::MethodKind;
use russh::MethodSet;
use russh::keys::PrivateKey;
use russh::keys::PublicKey;
use russh::server;
use russh::server::Auth;
use russh::server::ChannelOpenHandle;
use russh::server::Msg;
use russh::server::PublicKeyOffer;
use russh::server::Response;
use russh::server::Session;
use russh::server::VerifiedPublicKey;
use tbctl::remote::Target;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::process::ChildStdin;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Whom the server lets in, and what it does.
pub struct Rules {
    pub host_keys: Vec<PrivateKey>,
    /// The key of the user that tests use when the kind does not matter.
    pub user_key: PrivateKey,
    pub keys: Vec<PublicKey>,
    pub password: Option<&'static str>,
    /// Prompts of keyboard-interactive, whether they are seen while typed, and the right answers.
    pub questions: Vec<(&'static str, bool, &'static str)>,
    /// A key is not enough: the password is wanted as well.
    pub both: bool,
    /// Connections that are closed before the greeting.
    pub turned_away: usize,
    pub max_sessions: usize,
    pub forwards: bool,
    pub max_auth_attempts: usize,
    /// While this file is there, nobody new comes in.
    pub shut: Option<PathBuf>,
    /// What is said then: nothing at all, or that nobody is known.
    pub shuts: Shuts,
    /// The environment of commands, besides that of the test.
    pub environment: Vec<(String, String)>,
}

/// How a server that is shut turns visitors away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shuts {
    /// Before its greeting.
    Door,
    /// At the login.
    Login,
}

impl Rules {
    fn is_shut(&self, how: Shuts) -> bool {
        self.shuts == how && self.shut.as_ref().is_some_and(|path| path.exists())
    }
}

impl Default for Rules {
    fn default() -> Rules {
        let user_key = super::ed25519();
        Rules {
            host_keys: vec![super::ed25519()],
            keys: vec![user_key.public_key().clone()],
            user_key,
            password: None,
            questions: Vec::new(),
            both: false,
            turned_away: 0,
            max_sessions: 10,
            forwards: true,
            max_auth_attempts: 6,
            shut: None,
            shuts: Shuts::Door,
            environment: Vec::new(),
        }
    }
}

pub struct Server {
    pub address: SocketAddr,
    pub rules: Arc<Rules>,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    wires: Arc<Mutex<Vec<AbortHandle>>>,
    frozen: watch::Sender<bool>,
    listener: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listener.abort();
        self.cut();
    }
}

impl Server {
    pub async fn start(rules: Rules) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rules = Arc::new(rules);
        let (seen, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let wires = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let config = Arc::new(options(&rules));
        let frozen = watch::Sender::new(false);
        let serve = {
            let (rules, seen, connections, wires) = (rules.clone(), seen.clone(), connections.clone(), wires.clone());
            let frozen = frozen.clone();
            async move {
                while let Ok((socket, _)) = listener.accept().await {
                    if connections.fetch_add(1, Ordering::SeqCst) < rules.turned_away || rules.is_shut(Shuts::Door) {
                        continue;
                    }
                    let visitor = Visitor::new(rules.clone(), seen.clone());
                    let wire = tokio::spawn(wire(socket, config.clone(), visitor, frozen.subscribe()));
                    wires.lock().unwrap().push(wire.abort_handle());
                }
            }
        };
        let listener = tokio::spawn(serve).abort_handle();
        Server { address, rules, seen, connections, wires, frozen, listener }
    }

    /// The server as an inventory would have it.
    pub fn target(&self) -> Target {
        Target {
            name: "web".to_string(),
            host: Some("127.0.0.1".to_string()),
            port: Some(self.address.port()),
            ..Target::default()
        }
    }

    pub fn known_name(&self) -> String {
        format!("[127.0.0.1]:{}", self.address.port())
    }

    pub fn known_host_line(&self) -> String {
        let key = self.rules.host_keys[0].public_key().to_openssh().unwrap();
        format!("{} {}\n", self.known_name(), key.trim())
    }

    /// What visitors did, in order.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Keeps all connections open and lets nothing pass any more.
    pub fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    /// Breaks all connections without a word.
    pub fn cut(&self) {
        for wire in self.wires.lock().unwrap().drain(..) {
            wire.abort();
        }
    }
}

fn methods(rules: &Rules) -> MethodSet {
    let mut methods = MethodSet::empty();
    if !rules.keys.is_empty() {
        methods.push(MethodKind::PublicKey);
    }
    if rules.password.is_some() && !rules.both {
        methods.push(MethodKind::Password);
    }
    if !rules.questions.is_empty() {
        methods.push(MethodKind::KeyboardInteractive);
    }
    methods
}

fn options(rules: &Rules) -> server::Config {
    server::Config {
        keys: rules.host_keys.clone(),
        methods: methods(rules),
        auth_rejection_time: Duration::ZERO,
        max_auth_attempts: rules.max_auth_attempts,
        nodelay: true,
        ..server::Config::default()
    }
}

/// The session runs on one end of a pipe inside this process, so that the socket can be closed under it. The pipe is
/// wide, since a session does not read while it writes, and we have one at both ends.
async fn wire(mut socket: TcpStream, config: Arc<server::Config>, visitor: Visitor, mut frozen: watch::Receiver<bool>) {
    socket.set_nodelay(true).unwrap();
    let (near, mut far) = tokio::io::duplex(64 << 20);
    tokio::spawn(async move {
        if let Ok(session) = server::run_stream(config, near, visitor).await {
            let _ = session.await;
        }
    });
    let is_frozen = async { frozen.wait_for(|frozen| *frozen).await.is_ok() };
    tokio::select! {
        _ = copy_bidirectional(&mut socket, &mut far) => {}
        true = is_frozen => std::future::pending().await,
    }
}

struct Visitor {
    rules: Arc<Rules>,
    seen: Arc<Mutex<Vec<String>>>,
    channels: HashMap<ChannelId, Channel<Msg>>,
    open: Arc<AtomicUsize>,
    asked: bool,
    key_was_right: bool,
}

impl Visitor {
    fn new(rules: Arc<Rules>, seen: Arc<Mutex<Vec<String>>>) -> Visitor {
        let (channels, open) = (HashMap::new(), Arc::default());
        Visitor { rules, seen, channels, open, asked: false, key_was_right: false }
    }

    fn saw(&self, what: impl Into<String>) {
        self.seen.lock().unwrap().push(what.into());
    }

    /// No, and another try is welcome.
    fn no(&self) -> Auth {
        Auth::Reject { proceed_with_methods: Some(methods(&self.rules)), partial_success: false }
    }

    fn knows(&self, key: &PublicKey) -> bool {
        !self.rules.is_shut(Shuts::Login) && self.rules.keys.iter().any(|known| known.key_data() == key.key_data())
    }
}

impl server::Handler for Visitor {
    type Error = russh::Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, russh::Error> {
        self.saw(format!("none {user}"));
        Ok(self.no())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, russh::Error> {
        let right = self.rules.password == Some(password) && (!self.rules.both || self.key_was_right);
        self.saw(format!("password {user} {right}"));
        Ok(if right { Auth::Accept } else { self.no() })
    }

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, russh::Error> {
        let known = self.knows(offer.public_key);
        self.saw(format!("offer {user} {} {known}", offer.algorithm));
        Ok(if known { Auth::Accept } else { self.no() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        let known = self.knows(key.public_key);
        self.saw(format!("key {user} {} {known}", key.algorithm));
        self.key_was_right = known;
        Ok(match (known, self.rules.both) {
            (true, false) => Auth::Accept,
            (true, true) => Auth::Reject {
                proceed_with_methods: Some(MethodSet::from(&[MethodKind::Password][..])),
                partial_success: true,
            },
            (false, _) => self.no(),
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        let questions = &self.rules.questions;
        if !self.asked {
            self.asked = true;
            let prompts = questions.iter().map(|(prompt, echo, _)| (Cow::Borrowed(*prompt), *echo)).collect();
            return Ok(Auth::Partial { name: "".into(), instructions: "".into(), prompts: Cow::Owned(prompts) });
        }
        let answers: Vec<_> = response.into_iter().flatten().collect();
        let right = answers.len() == questions.len()
            && answers.iter().zip(questions).all(|(answer, (_, _, right))| answer.as_ref() == right.as_bytes());
        self.saw(format!("answers {user} {right}"));
        Ok(if right { Auth::Accept } else { self.no() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.open.load(Ordering::SeqCst) >= self.rules.max_sessions {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        }
        self.open.fetch_add(1, Ordering::SeqCst);
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, data: &[u8], _: &mut Session) -> Result<(), russh::Error> {
        if let Some(channel) = self.channels.remove(&id) {
            let (command, open) = (String::from_utf8_lossy(data).into_owned(), self.open.clone());
            let rules = self.rules.clone();
            tokio::spawn(async move {
                run(channel, &command, &rules.environment).await;
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.saw(format!("forward {host}"));
        if !self.rules.forwards {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        match TcpStream::connect((host, u16::try_from(port).unwrap())).await {
            Ok(mut socket) => {
                socket.set_nodelay(true).unwrap();
                reply.accept().await;
                tokio::spawn(async move { copy_bidirectional(&mut channel.into_stream(), &mut socket).await });
            }
            Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
        }
        Ok(())
    }
}

/// Runs a command as sshd does: the end of the process is told at once, the end of its output when it comes.
async fn run(channel: Channel<Msg>, command: &str, environment: &[(String, String)]) {
    let (read, write) = channel.split();
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let feeding = tokio::spawn(feed(read, child.stdin.take().unwrap()));
    let (mut output, mut errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let outputs = async {
        let mut buffer = vec![0; 32 << 10];
        while let Ok(count @ 1..) = output.read(&mut buffer).await {
            if write.data_bytes(buffer[..count].to_vec()).await.is_err() {
                break;
            }
        }
    };
    let faults = async {
        let mut buffer = vec![0; 32 << 10];
        while let Ok(count @ 1..) = errors.read(&mut buffer).await {
            if write.extended_data_bytes(1, buffer[..count].to_vec()).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(outputs, faults);
    if let Some(code) = child.wait().await.unwrap().code() {
        let _ = write.exit_status(u32::try_from(code).unwrap()).await;
    }
    let _ = write.eof().await;
    let _ = write.close().await;
    feeding.abort();
}

/// Takes input as it comes, as sshd does: a command that does not read must not stop the connection.
async fn feed(mut read: ChannelReadHalf, mut input: ChildStdin) {
    let (queue, mut queued) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(data) = queued.recv().await {
            let data: Vec<u8> = data;
            if input.write_all(&data).await.is_err() {
                return;
            }
        }
    });
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => drop(queue.send(data.to_vec())),
            ChannelMsg::Eof | ChannelMsg::Close => return,
            _ => {}
        }
    }
}
