//! One place to log in to: the inventory, the run's settings and `~/.ssh/config` made into one answer.
//!
//! Opens nothing; does not know whether anything is there.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

use super::config::AgentChoice;
use super::config::Chosen;
use super::config::Config;
use super::config::Family;
use super::config::Proxy;
use super::target::Settings;
use super::target::Target;
use super::target::Unknown;
use super::unreached::Unreached;
use super::unreached::Why;

/// The key files that are tried when none is named; the cheap ones first.
const DEFAULT_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// Everything there is to know before dialling.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    /// For messages: the name, and the address if it is another word.
    pub(super) label: String,
    pub(super) role: Role,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) family: Family,
    pub(super) jump: Option<String>,
    pub(super) lent: Option<Lent>,
    pub(super) keys: Keys,
    pub(super) password: Option<Secret<String>>,
    pub(super) trust: Trust,
    /// For each step of connecting.
    pub(super) limit: Duration,
    pub(super) keepalive: Option<Duration>,
    /// Unanswered questions for a sign of life before the connection counts as lost.
    pub(super) keepalive_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A host of the inventory.
    Host,
    /// On the way to one.
    Jump,
}

/// What the inventory says of a host and what holds for its jump hosts too, if the inventory names these: they belong to
/// the same testbed then. Passwords are not lent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lent {
    keys: Vec<PathBuf>,
    known_hosts: Option<PathBuf>,
    timeout: Option<Duration>,
    unknown: Option<Unknown>,
}

/// Where keys come from.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    /// Named for this host; used first.
    pub(super) named: Vec<PathBuf>,
    /// Used after the agent, if there are no named ones.
    pub(super) default: Vec<PathBuf>,
    pub(super) agent: Option<PathBuf>,
    /// Keys of the agent that no file names are left alone.
    pub(super) only_named: bool,
}

/// How the server proves who it is.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    /// The name known_hosts files have it under.
    pub(super) name: String,
    /// The name without the port, if the port is not the usual one: `ssh` accepts a key known under it.
    pub(super) portless: Option<String>,
    /// Accepted keys are added to the first one.
    pub(super) files: Vec<PathBuf>,
    pub(super) global: Vec<PathBuf>,
    pub(super) unknown: Unknown,
    /// Write names as hashes.
    pub(super) hash: bool,
}

impl Destination {
    /// `user@host:port`.
    pub(super) fn peer(&self) -> String {
        if self.host.contains(':') {
            format!("{}@[{}]:{}", self.user, self.host, self.port)
        } else {
            format!("{}@{}:{}", self.user, self.host, self.port)
        }
    }

    pub(super) fn of_target(target: &Target, settings: &Settings, config: &Config) -> Result<Destination, Unreached> {
        let alias = target.host.as_deref().unwrap_or(&target.name);
        let lent = Lent {
            keys: target.keys.clone(),
            known_hosts: target.known_hosts.clone(),
            timeout: target.timeout,
            unknown: target.unknown,
        };
        let asked = Asked {
            role: Role::Host,
            name: &target.name,
            alias,
            port: target.port,
            user: target.user.as_deref(),
            keys: &target.keys,
            password: target.password.as_ref(),
            jump: target.jump.as_deref(),
            lent: target.jump.is_some().then_some(lent),
            known_hosts: target.known_hosts.as_deref(),
            timeout: target.timeout,
            unknown: target.unknown,
        };
        asked.complete(settings, config)
    }

    /// The last hop of a chain `a,b,c`, to be reached through the others. The first hop of a chain follows its own
    /// `ProxyJump`.
    pub(super) fn of_jump(
        chain: &str,
        lent: Option<&Lent>,
        settings: &Settings,
        config: &Config,
    ) -> Result<Destination, Unreached> {
        let (before, last) = match chain.rsplit_once(',') {
            Some((before, last)) => (Some(before), last),
            None => (None, chain),
        };
        let hop = Hop::parse(last.trim()).ok_or_else(|| {
            Unreached::new(Why::Config, format!("`{last}` is not a jump host"))
                .help("write `user@host:port`, with commas between several")
        })?;
        let asked = Asked {
            role: Role::Jump,
            name: hop.host,
            alias: hop.host,
            port: hop.port,
            user: hop.user,
            keys: lent.map_or(&[], |lent| &lent.keys),
            password: None,
            jump: before,
            lent: lent.cloned(),
            known_hosts: lent.and_then(|lent| lent.known_hosts.as_deref()),
            timeout: lent.and_then(|lent| lent.timeout),
            unknown: lent.and_then(|lent| lent.unknown),
        };
        asked.complete(settings, config)
    }
}

/// `[ssh://][user@]host[:port]`, where an IPv6 address with a port is in brackets.
#[derive(Debug, PartialEq, Eq)]
struct Hop<'a> {
    user: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
}

impl Hop<'_> {
    fn parse(text: &str) -> Option<Hop<'_>> {
        let text = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed.split_once(']')?;
                (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
            }
            None => match rest.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (rest, None),
            },
        };
        let port = match port {
            Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
            None => None,
        };
        let named = !host.is_empty() && user.is_none_or(|user| !user.is_empty());
        (named && !text.contains(char::is_whitespace)).then_some(Hop { user, host, port })
    }
}

/// What is known before the configuration is asked.
struct Asked<'a> {
    role: Role,
    name: &'a str,
    alias: &'a str,
    port: Option<u16>,
    user: Option<&'a str>,
    keys: &'a [PathBuf],
    password: Option<&'a Secret<String>>,
    jump: Option<&'a str>,
    lent: Option<Lent>,
    known_hosts: Option<&'a Path>,
    timeout: Option<Duration>,
    unknown: Option<Unknown>,
}

impl Asked<'_> {
    fn complete(&self, settings: &Settings, config: &Config) -> Result<Destination, Unreached> {
        if self.alias.is_empty() || self.alias.starts_with('-') || self.alias.contains(char::is_whitespace) {
            return Err(Unreached::new(Why::Config, format!("`{}` is not the name of a host", self.alias)));
        }
        let chosen = config.choose(self.alias)?;
        let mut tokens = Tokens { settings, original: self.alias, host: self.alias, port: 22, user: "" };
        let host = match &chosen.host_name {
            Some(pattern) => tokens.expand(pattern, "hn")?,
            None => self.alias.to_string(),
        };
        let user = self.user.map(str::to_string).or_else(|| chosen.user.clone());
        let user = user.unwrap_or_else(|| settings.local_user.clone());
        let port = self.port.or(chosen.port).unwrap_or(22);
        tokens = Tokens { host: &host, port, user: &user, ..tokens };
        let keepalive = chosen.alive_interval.unwrap_or(settings.keepalive);
        Ok(Destination {
            label: if self.name == host { format!("`{host}`") } else { format!("`{}` ({host})", self.name) },
            role: self.role,
            port,
            user: user.clone(),
            family: chosen.family.unwrap_or(Family::Any),
            jump: self.jump(&chosen, &tokens)?,
            lent: self.lent.clone(),
            keys: self.keys(&chosen, &tokens)?,
            password: self.password.cloned(),
            trust: self.trust(&chosen, &tokens)?,
            limit: self.timeout.or(chosen.connect_timeout).unwrap_or(settings.connect_timeout),
            keepalive: (!keepalive.is_zero()).then_some(keepalive),
            keepalive_max: chosen.alive_count.unwrap_or(3),
            host: host.clone(),
        })
    }

    fn jump(&self, chosen: &Chosen, tokens: &Tokens<'_>) -> Result<Option<String>, Unreached> {
        let chain = match (self.jump, &chosen.proxy) {
            (Some(jump), _) => jump.to_string(),
            (None, Some(Proxy::Jump(jump))) => tokens.expand(jump, "hnpr")?,
            (None, Some(Proxy::Direct) | None) => return Ok(None),
            (None, Some(Proxy::Command(place))) => {
                let text = format!("`ProxyCommand` is unsupported ({place}), and `{}` needs it", self.alias);
                return Err(Unreached::new(Why::Config, text).help("use `ProxyJump`, or set `ansible_ssh_jump`"));
            }
        };
        // `Host *` with a `ProxyJump` also holds for the jump host itself, which cannot mean to go through itself.
        let itself = |chain: &str| {
            let first = chain.split(',').next().and_then(|hop| Hop::parse(hop.trim()));
            first.is_some_and(|hop| {
                let same_name = hop.host == self.alias || hop.host == tokens.host;
                same_name && hop.port.is_none_or(|port| port == tokens.port)
            })
        };
        let direct = chain.is_empty() || chain.eq_ignore_ascii_case("none") || itself(&chain);
        Ok((!direct).then_some(chain))
    }

    fn keys(&self, chosen: &Chosen, tokens: &Tokens<'_>) -> Result<Keys, Unreached> {
        let mut named = self.keys.to_vec();
        for pattern in &chosen.identity_files {
            let path = tokens.path(pattern)?;
            if !named.contains(&path) {
                named.push(path);
            }
        }
        let agent = match &chosen.agent {
            Some(AgentChoice::None) => None,
            Some(AgentChoice::Path(pattern)) => Some(tokens.path(pattern)?),
            Some(AgentChoice::Environment) | None => tokens.settings.agent.clone(),
        };
        let default = match named.is_empty() && !chosen.no_identity {
            true => DEFAULT_KEYS.iter().map(|name| tokens.settings.home.join(".ssh").join(name)).collect(),
            false => Vec::new(),
        };
        Ok(Keys { named, default, agent, only_named: chosen.identities_only.unwrap_or(false) })
    }

    fn trust(&self, chosen: &Chosen, tokens: &Tokens<'_>) -> Result<Trust, Unreached> {
        let settings = tokens.settings;
        let paths = |patterns: &[String]| -> Result<Vec<PathBuf>, Unreached> {
            let real = patterns.iter().filter(|pattern| !pattern.eq_ignore_ascii_case("none"));
            real.map(|pattern| tokens.path(pattern)).collect()
        };
        let (files, own) = match (self.known_hosts, settings.known_hosts.as_slice(), &chosen.known_hosts) {
            (Some(file), ..) => (vec![file.to_path_buf()], true),
            (None, [], Some(patterns)) => (paths(patterns)?, false),
            (None, [], None) => {
                (["known_hosts", "known_hosts2"].map(|name| settings.home.join(".ssh").join(name)).to_vec(), false)
            }
            (None, files, _) => (files.to_vec(), true),
        };
        let global = match &chosen.global_known_hosts {
            _ if own => Vec::new(),
            Some(patterns) => paths(patterns)?,
            None => settings.system_config.iter().map(|file| file.with_file_name("ssh_known_hosts")).collect(),
        };
        let host = tokens.host.to_lowercase();
        let (name, portless) = match (&chosen.host_key_alias, tokens.port) {
            (Some(alias), _) => (alias.clone(), None),
            (None, 22) => (host, None),
            (None, port) => (format!("[{host}]:{port}"), Some(host)),
        };
        let unknown = match self.unknown.unwrap_or(settings.unknown_host) {
            Unknown::Ask => chosen.unknown.unwrap_or(Unknown::Ask),
            other => other,
        };
        Ok(Trust { name, portless, files, global, unknown, hash: chosen.hash_known_hosts.unwrap_or(false) })
    }
}

/// What the `%` tokens stand for.
#[derive(Clone, Copy)]
struct Tokens<'a> {
    settings: &'a Settings,
    original: &'a str,
    host: &'a str,
    port: u16,
    user: &'a str,
}

impl Tokens<'_> {
    /// Replaces those tokens that are allowed here, and `%%`.
    fn expand(&self, pattern: &str, allowed: &str) -> Result<String, Unreached> {
        let mut out = String::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let token = chars.next();
            match token {
                Some('%') => out.push('%'),
                Some(token) if !allowed.contains(token) => return Err(unknown_token(pattern, token)),
                Some('h') => out.push_str(self.host),
                Some('n') => out.push_str(self.original),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(self.user),
                Some('u') => out.push_str(&self.settings.local_user),
                Some('d') => out.push_str(&self.settings.home.to_string_lossy()),
                Some(token) => return Err(unknown_token(pattern, token)),
                None => out.push('%'),
            }
        }
        Ok(out)
    }

    /// A path with `~` and tokens.
    fn path(&self, pattern: &str) -> Result<PathBuf, Unreached> {
        if pattern.contains("${") {
            let text = format!("environment variables are unsupported in `{pattern}` of the SSH configuration");
            return Err(Unreached::new(Why::Config, text).help("write the path out"));
        }
        let text = self.expand(pattern, "hnprud")?;
        Ok(match text.strip_prefix("~/") {
            Some(rest) => self.settings.home.join(rest),
            None => PathBuf::from(text),
        })
    }
}

fn unknown_token(pattern: &str, token: char) -> Unreached {
    let text = format!("`%{token}` is unsupported in `{pattern}` of the SSH configuration");
    Unreached::new(Why::Config, text).help("write its value out")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(config: &str, target: Target) -> Result<Destination, Unreached> {
        let (settings, config) = parsed(config);
        Destination::of_target(&target, &settings, &config)
    }

    fn parsed(text: &str) -> (Settings, Config) {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join(".ssh")).unwrap();
        std::fs::write(home.path().join(".ssh/config"), text).unwrap();
        let mut settings = Settings::new(home.path().to_path_buf(), "me");
        settings.system_config = None;
        let config = super::super::config::read_all(&settings).unwrap();
        settings.home = PathBuf::from("/home/me");
        (settings, config)
    }

    fn target(name: &str) -> Target {
        Target { name: name.to_string(), ..Target::default() }
    }

    #[test]
    fn jump_hosts_are_written_in_several_ways() {
        for (text, expected) in [
            ("gate", Some((None, "gate", None))),
            ("me@gate:2222", Some((Some("me"), "gate", Some(2222)))),
            ("ssh://me@gate:2222/", Some((Some("me"), "gate", Some(2222)))),
            ("[::1]:22", Some((None, "::1", Some(22)))),
            ("me@[::1]", Some((Some("me"), "::1", None))),
            ("fe80::1", Some((None, "fe80::1", None))),
            ("a@b@gate", Some((Some("a@b"), "gate", None))),
            ("gate:0", None),
            ("gate:x", None),
            ("@gate", None),
            ("", None),
            ("a b", None),
        ] {
            let hop = Hop::parse(text).map(|hop| (hop.user, hop.host, hop.port));
            assert_eq!(hop, expected, "{text}");
        }
    }

    #[test]
    fn the_inventory_comes_before_the_configuration() {
        let text = "Host web\nHostName %h.lan\nPort 2201\nUser conf\nIdentityFile %d/%r_%n\nProxyJump gate\n";
        let plain = destination(text, target("web")).unwrap();
        assert_eq!(plain.peer(), "conf@web.lan:2201");
        assert_eq!(plain.label, "`web` (web.lan)");
        assert_eq!(plain.keys.named, [PathBuf::from("/home/me/conf_web")]);
        assert_eq!(plain.jump.as_deref(), Some("gate"));
        assert_eq!(plain.trust.name, "[web.lan]:2201");
        let asked = Target {
            host: Some("web".into()),
            port: Some(22),
            user: Some("inv".into()),
            keys: vec![PathBuf::from("/k")],
            jump: Some("none".into()),
            ..target("one")
        };
        let asked = destination(text, asked).unwrap();
        assert_eq!(asked.peer(), "inv@web.lan:22");
        assert_eq!(asked.keys.named, [PathBuf::from("/k"), PathBuf::from("/home/me/inv_web")]);
        assert_eq!(asked.jump, None);
        assert_eq!(asked.trust.name, "web.lan");
    }

    #[test]
    fn without_a_configuration() {
        let plain = destination("", target("web")).unwrap();
        assert_eq!(plain.peer(), "me@web:22");
        assert_eq!(plain.label, "`web`");
        assert_eq!(plain.keys.default.len(), 3);
        assert_eq!(plain.trust.files[0], PathBuf::from("/home/me/.ssh/known_hosts"));
        assert_eq!(plain.trust.unknown, Unknown::Ask);
    }

    #[test]
    fn chains_of_jump_hosts() {
        let (settings, config) = parsed("Host *\nProxyJump gate\nHost gate\nPort 2222\nUser admin\n");
        let host = Destination::of_target(&target("web"), &settings, &config).unwrap();
        assert_eq!(host.jump.as_deref(), Some("gate"));
        let gate = Destination::of_jump("gate", None, &settings, &config).unwrap();
        assert_eq!((gate.peer().as_str(), gate.jump), ("admin@gate:2222", None));
        assert_eq!(gate.keys.named, Vec::<PathBuf>::new());
        let last = Destination::of_jump("a,b,me@c:3", None, &settings, &config).unwrap();
        assert_eq!((last.peer().as_str(), last.jump.as_deref()), ("me@c:3", Some("a,b")));
    }

    #[test]
    fn jump_hosts_of_the_inventory_borrow_from_the_host() {
        let (settings, config) = parsed("Host gate\nIdentityFile /own\n");
        let keys = vec![PathBuf::from("/k")];
        let file = Some(PathBuf::from("/known"));
        let web = Target { keys, known_hosts: file, jump: Some("gate".into()), ..target("web") };
        let web = Destination::of_target(&web, &settings, &config).unwrap();
        let gate = Destination::of_jump("gate", web.lent.as_ref(), &settings, &config).unwrap();
        assert_eq!(gate.keys.named, [PathBuf::from("/k"), PathBuf::from("/own")]);
        assert_eq!(gate.trust.files, [PathBuf::from("/known")]);
    }

    #[test]
    fn no_identity_means_none() {
        let none = destination("IdentityFile none\n", target("web")).unwrap();
        assert_eq!((none.keys.named.len(), none.keys.default.len()), (0, 0));
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        for (text, name, expected) in [
            ("ProxyCommand nc %h %p", "web", "`ProxyCommand` is unsupported"),
            ("IdentityFile %C", "web", "`%C` is unsupported in `%C`"),
            ("IdentityFile ${HOME}/k", "web", "environment variables are unsupported"),
            ("", "-oProxyCommand=x", "is not the name of a host"),
        ] {
            let error = destination(text, target(name)).unwrap_err();
            assert_eq!(error.kind, Why::Config);
            assert!(error.message.contains(expected), "{}", error.message);
        }
    }
}
