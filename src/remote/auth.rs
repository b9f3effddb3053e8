//! Logging in: which keys and passwords are offered, in which order, and what is said if none will do.
//!
//! The order costs few trips: named key files, the password if there is one, the agent, the usual key files. `none` is
//! sent only when there is nothing else to send.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::MethodKind;
use russh::MethodSet;
use russh::SendError;
use russh::Signer;
use russh::client::AuthResult;
use russh::client::Handle;
use russh::client::KeyboardInteractiveAuthResponse;
use russh::client::Prompt;
use russh::keys::Algorithm;
use russh::keys::HashAlg;
use russh::keys::PrivateKey;
use russh::keys::PrivateKeyWithHashAlg;
use russh::keys::PublicKey;
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::public::KeyData;
use tokio::time::timeout;

use crate::secret::Secret;

use super::agent::Agent;
use super::destination::Destination;
use super::destination::Role;
use super::identity;
use super::identity::KeyFile;
use super::ssh::Client;
use super::ssh::Story;
use super::target::Ask;
use super::target::Settings;
use super::target::ask_secret;
use super::unreached::Unreached;
use super::unreached::Why;

/// A key in an agent may wait for a finger on a token.
const TOUCH: Duration = Duration::from_secs(60);

/// Rounds of questions a server may ask by keyboard-interactive.
const QUESTIONS: usize = 10;

/// Factors a server may ask for, one after the other.
const FACTORS: usize = 4;

/// Logs in.
///
/// # Errors
/// [`Why::Auth`] with all that was tried; [`Why::Lost`] and [`Why::Timeout`] if the server went away meanwhile.
pub(super) async fn log_in(
    handle: &mut Handle<Client>,
    story: &Story,
    to: &Destination,
    settings: &Settings,
    ask: &Arc<dyn Ask>,
) -> Result<(), Unreached> {
    let mut login = Login {
        handle,
        story,
        to,
        settings,
        ask,
        agent: None,
        allowed: None,
        offered: Vec::new(),
        tried: Vec::new(),
        sent: 0,
    };
    for _ in 0..FACTORS {
        match login.round().await? {
            Reply::In => return Ok(()),
            Reply::More => login.offered.clear(),
            Reply::No => break,
        }
    }
    Err(login.refused())
}

/// What one offer, or a round of them, came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    In,
    /// Accepted, and something else is wanted besides.
    More,
    No,
}

struct Login<'a> {
    handle: &'a mut Handle<Client>,
    story: &'a Story,
    to: &'a Destination,
    settings: &'a Settings,
    ask: &'a Arc<dyn Ask>,
    /// Asked for its keys when first needed.
    agent: Option<Result<Agent, String>>,
    /// What the server said it would accept, once it said so.
    allowed: Option<MethodSet>,
    offered: Vec<KeyData>,
    /// For the message, in the order of trying.
    tried: Vec<String>,
    /// Offers the server has seen.
    sent: usize,
}

/// Something to try, in the order of [`Login::offers`].
enum Offer<'a> {
    File(&'a Path),
    Password(&'a Secret<String>),
    AgentKeys,
    /// Ask for the password of a jump host, which need not be that of the hosts behind it.
    AskPassword,
    /// To be let in without anything, and else to hear what is wanted.
    Nothing,
}

impl<'a> Login<'a> {
    fn offers(&self) -> Vec<Offer<'a>> {
        let (to, keys) = (self.to, &self.to.keys);
        let mut offers: Vec<Offer<'a>> = keys.named.iter().map(|path| Offer::File(path)).collect();
        offers.extend(to.password.iter().map(Offer::Password));
        if !keys.only_named {
            offers.push(Offer::AgentKeys);
        }
        offers.extend(keys.default.iter().filter(|path| path.exists()).map(|path| Offer::File(path)));
        if to.role == Role::Jump && self.settings.ask_password {
            offers.push(Offer::AskPassword);
        }
        offers.push(Offer::Nothing);
        offers
    }

    /// Offers everything that the server may still accept, until it answers with something else than no.
    async fn round(&mut self) -> Result<Reply, Unreached> {
        for offer in self.offers() {
            let reply = match offer {
                Offer::File(path) if self.may(MethodKind::PublicKey) => self.file(path).await?,
                Offer::Password(password) => self.password(password).await?,
                Offer::AgentKeys if self.may(MethodKind::PublicKey) => self.agent_keys().await?,
                Offer::AskPassword => self.asked_password().await?,
                Offer::Nothing if self.sent == 0 => self.nothing().await?,
                Offer::File(_) | Offer::AgentKeys | Offer::Nothing => Reply::No,
            };
            if reply != Reply::No {
                return Ok(reply);
            }
        }
        Ok(Reply::No)
    }

    fn may(&self, method: MethodKind) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&method))
    }

    async fn nothing(&mut self) -> Result<Reply, Unreached> {
        let result = within(self.to, self.to.limit, self.handle.authenticate_none(&self.to.user)).await?;
        self.heard(result).await
    }

    async fn file(&mut self, path: &Path) -> Result<Reply, Unreached> {
        let shown = path.display().to_string();
        let memory = self.settings.shared.memory();
        match identity::look(path, memory) {
            Ok(KeyFile::Open(key)) => self.key(key, &shown).await,
            Ok(KeyFile::Public(public)) => match self.held(&public).await {
                Some(identity) => self.agent_key(identity).await,
                None => {
                    self.tried.push(format!("{shown} (no private key, and the agent has none for it)"));
                    Ok(Reply::No)
                }
            },
            Ok(KeyFile::Locked(public)) => {
                if let Some(public) = public {
                    if let Some(identity) = self.held(&public).await {
                        return self.agent_key(identity).await;
                    }
                    // The passphrase is only worth asking for if the server takes the key.
                    if !self.would_take(&public, &shown).await? {
                        return Ok(Reply::No);
                    }
                }
                match identity::open(path, memory, self.ask).await {
                    Ok(key) => self.key(key, &shown).await,
                    Err(why) => {
                        self.tried.push(format!("{shown} ({why})"));
                        Ok(Reply::No)
                    }
                }
            }
            Err(why) => {
                self.tried.push(format!("{shown} ({why})"));
                Ok(Reply::No)
            }
        }
    }

    async fn key(&mut self, key: Arc<PrivateKey>, shown: &str) -> Result<Reply, Unreached> {
        if !self.fresh(key.public_key()) {
            return Ok(Reply::No);
        }
        let Some(hash) = self.hash(&key.algorithm(), shown).await? else { return Ok(Reply::No) };
        let key = PrivateKeyWithHashAlg::new(key, hash);
        self.tried.push(shown.to_string());
        let result = within(self.to, self.to.limit, self.handle.authenticate_publickey(&self.to.user, key)).await?;
        self.heard(result).await
    }

    /// Asks whether the server would take a key, without signing.
    async fn would_take(&mut self, public: &PublicKey, shown: &str) -> Result<bool, Unreached> {
        let Some(hash) = self.hash(&public.algorithm(), shown).await? else { return Ok(false) };
        let mut probe = Probe;
        let (to, user) = (self.to, self.to.user.as_str());
        let call = self.handle.authenticate_publickey_with(user, public.clone(), hash, &mut probe);
        match timeout(to.limit, call).await {
            Ok(Err(Probed::Wanted)) => Ok(true),
            Ok(Err(Probed::Gone)) => Err(self.gone()),
            Ok(Ok(result)) => {
                self.tried.push(shown.to_string());
                self.heard(Ok(result)).await.map(|_| false)
            }
            Err(_) => Err(slow(to, to.limit)),
        }
    }

    async fn agent(&mut self) -> Option<&mut Agent> {
        let socket = self.to.keys.agent.as_ref()?;
        if self.agent.is_none() {
            let agent = Agent::connect(socket).await;
            if let Err(why) = &agent {
                self.tried.push(why.clone());
            }
            self.agent = Some(agent);
        }
        self.agent.as_mut().and_then(|agent| agent.as_mut().ok())
    }

    async fn held(&mut self, public: &PublicKey) -> Option<AgentIdentity> {
        self.agent().await?.holds(public)
    }

    async fn agent_keys(&mut self) -> Result<Reply, Unreached> {
        let identities = match self.agent().await {
            Some(agent) => agent.identities.clone(),
            None => return Ok(Reply::No),
        };
        for identity in identities {
            let reply = self.agent_key(identity).await?;
            if reply != Reply::No || !self.may(MethodKind::PublicKey) {
                return Ok(reply);
            }
        }
        Ok(Reply::No)
    }

    async fn agent_key(&mut self, identity: AgentIdentity) -> Result<Reply, Unreached> {
        let public = identity.public_key().into_owned();
        let certificate = matches!(identity, AgentIdentity::Certificate { .. });
        if !certificate && !self.fresh(&public) {
            return Ok(Reply::No);
        }
        let shown = match identity.comment() {
            "" => format!("the agent's {} key", public.algorithm()),
            comment => format!("the agent's key `{comment}`"),
        };
        let Some(hash) = self.hash(&public.algorithm(), &shown).await? else { return Ok(Reply::No) };
        let limit = self.to.limit.max(TOUCH);
        let Some(Ok(agent)) = &mut self.agent else { return Ok(Reply::No) };
        let (user, client) = (self.to.user.as_str(), &mut agent.client);
        let result = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                timeout(limit, self.handle.authenticate_publickey_with(user, key, hash, client)).await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                timeout(limit, self.handle.authenticate_certificate_with(user, certificate, hash, client)).await
            }
        };
        match result {
            Ok(Ok(result)) => {
                self.tried.push(shown);
                self.heard(Ok(result)).await
            }
            // An agent that will not sign is no reason to give up: another key may do.
            Ok(Err(error)) => {
                self.tried.push(format!("{shown} (the agent did not sign: {error})"));
                if self.handle.is_closed() { Err(self.gone()) } else { Ok(Reply::No) }
            }
            Err(_) => Err(slow(self.to, limit)),
        }
    }

    async fn asked_password(&mut self) -> Result<Reply, Unreached> {
        if !self.may(MethodKind::Password) && !self.may(MethodKind::KeyboardInteractive) {
            return Ok(Reply::No);
        }
        match ask_secret(self.ask, format!("password for {}: ", self.to.peer())).await {
            Some(password) => self.password(&password).await,
            None => Ok(Reply::No),
        }
    }

    async fn password(&mut self, password: &Secret<String>) -> Result<Reply, Unreached> {
        if self.may(MethodKind::Password) {
            self.tried.push("the password".to_string());
            let call = self.handle.authenticate_password(&self.to.user, password.expose());
            let result = within(self.to, self.to.limit, call).await?;
            let reply = self.heard(result).await?;
            // A server that takes passwords has judged this one; asking again in another way would only cost time.
            if reply != Reply::No || self.may(MethodKind::Password) {
                return Ok(reply);
            }
            self.tried.pop();
        }
        if self.may(MethodKind::KeyboardInteractive) {
            self.tried.push("the password, by keyboard-interactive".to_string());
            return self.questions(password).await;
        }
        Ok(Reply::No)
    }

    /// Answers the server's questions: the first one that is not to be seen is for the password, others are put to
    /// the user.
    async fn questions(&mut self, password: &Secret<String>) -> Result<Reply, Unreached> {
        let to = self.to;
        let mut unused = Some(password);
        let start = self.handle.authenticate_keyboard_interactive_start(&to.user, None::<String>);
        let mut heard = within(to, to.limit, start).await?;
        for _ in 0..QUESTIONS {
            let prompts = match heard {
                Ok(KeyboardInteractiveAuthResponse::Success) => return self.heard(Ok(AuthResult::Success)).await,
                Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success }) => {
                    return self.heard(Ok(AuthResult::Failure { remaining_methods, partial_success })).await;
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => prompts,
                Err(error) => return self.heard(Err(error)).await,
            };
            let answers = self.answers(&prompts, &mut unused).await;
            let call = self.handle.authenticate_keyboard_interactive_respond(answers);
            heard = within(to, to.limit, call).await?;
        }
        Ok(Reply::No)
    }

    async fn answers(&self, prompts: &[Prompt], unused: &mut Option<&Secret<String>>) -> Vec<String> {
        let mut answers = Vec::new();
        for prompt in prompts {
            let known = if prompt.echo { None } else { unused.take() };
            let answer = match known {
                Some(password) => Some(password.expose().clone()),
                None => {
                    let text = format!("{}: {} ", self.to.peer(), prompt.prompt.trim());
                    ask_secret(self.ask, text).await.map(|answer| answer.expose().clone())
                }
            };
            answers.push(answer.unwrap_or_default());
        }
        answers
    }

    /// Whether a key was not offered yet; notes it.
    fn fresh(&mut self, key: &PublicKey) -> bool {
        let fresh = !self.offered.contains(key.key_data());
        self.offered.push(key.key_data().clone());
        fresh
    }

    /// With which digest an RSA key signs here; `None` if only with one that is broken.
    async fn hash(&mut self, algorithm: &Algorithm, shown: &str) -> Result<Option<Option<HashAlg>>, Unreached> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return Ok(Some(None));
        }
        let best = within(self.to, self.to.limit, self.handle.best_supported_rsa_hash()).await?;
        match best {
            Ok(Some(None)) => {
                self.tried.push(format!("{shown} (the server takes RSA only with SHA-1, which is unsupported)"));
                Ok(None)
            }
            Ok(Some(hash)) => Ok(Some(hash)),
            Ok(None) => Ok(Some(Some(HashAlg::Sha512))),
            Err(_) => Err(self.gone()),
        }
    }

    /// Notes what the server said.
    async fn heard(&mut self, result: Result<AuthResult, russh::Error>) -> Result<Reply, Unreached> {
        self.sent += 1;
        match result {
            Ok(AuthResult::Success) => Ok(Reply::In),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                // This is also what the library says when the connection is no more; then its task is about to end,
                // and to tell why.
                if remaining_methods.is_empty() && !partial_success {
                    let _ = timeout(self.to.limit, &mut *self.handle).await;
                    if !self.story.was_exhausted() {
                        return Err(self.gone());
                    }
                }
                self.allowed = Some(remaining_methods);
                Ok(if partial_success { Reply::More } else { Reply::No })
            }
            Err(_) => Err(self.gone()),
        }
    }
}

/// The messages.
impl Login<'_> {
    /// The server hung up. If it gave a reason, or had seen offers before, it was because of them.
    fn gone(&self) -> Unreached {
        let said = self.story.farewell();
        let how = said.map_or_else(|| "the connection was lost".to_string(), |said| format!("it said: {said}"));
        if self.story.was_dismissed() || self.sent > 1 {
            let text = format!("{} hung up on the login of `{}`: {how}{}", self.to.label, self.to.user, self.list());
            return Unreached::new(Why::Auth, text).help(
                "name the right key with `ansible_ssh_private_key_file`, or with `IdentityFile` and \
                 `IdentitiesOnly yes` in ~/.ssh/config",
            );
        }
        Unreached::new(Why::Lost, format!("{} was lost during the login: {how}", self.to.label))
    }

    fn refused(&self) -> Unreached {
        let methods: Vec<&str> = self.allowed.iter().flat_map(|allowed| allowed.iter()).map(Into::into).collect();
        let wants = match methods.as_slice() {
            [] => String::new(),
            _ => format!("; it accepts {}", methods.join(", ")),
        };
        let text = format!("{} refused to log in `{}`{}{wants}", self.to.label, self.to.user, self.list());
        Unreached::new(Why::Auth, text).help(self.advice())
    }

    fn list(&self) -> String {
        match self.tried.as_slice() {
            [] => ", and there was no key to try".to_string(),
            tried => format!(", tried: {}", tried.join(", ")),
        }
    }

    fn advice(&self) -> String {
        let to = self.to;
        let port = if to.port == 22 { String::new() } else { format!("-p {} ", to.port) };
        let copy = format!("add your key with `ssh-copy-id {port}{}@{}`", to.user, to.host);
        let by_password = self.may(MethodKind::Password) || self.may(MethodKind::KeyboardInteractive);
        match (to.password.is_some(), by_password) {
            (false, true) => format!("give the password with `-k`, {copy}, or set `ansible_user`"),
            (true, true) => format!("check the password and `ansible_user`, or {copy}"),
            (_, false) => format!("{copy}, or set `ansible_user` and `ansible_ssh_private_key_file`"),
        }
    }
}

/// A signer that never signs: being asked to is the answer it is after.
struct Probe;

enum Probed {
    Wanted,
    Gone,
}

impl From<SendError> for Probed {
    fn from(_: SendError) -> Probed {
        Probed::Gone
    }
}

impl Signer for Probe {
    type Error = Probed;

    fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        _hash: Option<HashAlg>,
        _data: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, Probed>> + Send {
        std::future::ready(Err(Probed::Wanted))
    }
}

async fn within<T>(to: &Destination, limit: Duration, call: impl Future<Output = T>) -> Result<T, Unreached> {
    timeout(limit, call).await.map_err(|_| slow(to, limit))
}

fn slow(to: &Destination, limit: Duration) -> Unreached {
    let limit = humantime::format_duration(limit);
    Unreached::new(Why::Timeout, format!("{} did not answer to the login of `{}` within {limit}", to.label, to.user))
        .help("look at the load and the log of its sshd, or raise the timeout")
}
