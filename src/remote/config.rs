//! `~/.ssh/config`: which values hold for one host name. The first value found wins, as in OpenSSH.
//!
//! Does not know of inventories or defaults. Our own parser, since the crates at hand drop line numbers, `Match` and
//! tokens, and say nothing of what they do not obey.

mod keywords;
mod read;

use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::diag::Diagnostic;
use crate::diag::Severity;
use crate::diag::Span;

use self::keywords::Key;
use self::read::Reader;
use super::pattern::any_fits;
use super::target::Settings;
use super::target::Unknown;
use super::unreached::Unreached;
use super::unreached::Why;

/// All options of all files, in the order `ssh` would read them.
#[derive(Debug, Default)]
pub(super) struct Config {
    blocks: Vec<Block>,
    lines: Vec<Line>,
    faults: Vec<Diagnostic>,
}

#[derive(Debug)]
struct Line {
    /// `None` holds for all hosts.
    block: Option<usize>,
    key: Key,
    values: Vec<String>,
    span: Span,
}

/// A `Host` or `Match` line. A block of an included file holds only where the `Include` line does.
#[derive(Debug)]
struct Block {
    within: Option<usize>,
    when: When,
}

#[derive(Debug)]
enum When {
    Host(Vec<String>),
    Match(Vec<Criterion>),
    Never,
}

#[derive(Debug)]
struct Criterion {
    negated: bool,
    asked: Asked,
}

#[derive(Debug)]
enum Asked {
    /// The name after `HostName`.
    Host(Vec<String>),
    /// The name as it was given.
    Original(Vec<String>),
}

/// `IdentityAgent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AgentChoice {
    None,
    Environment,
    Path(String),
}

/// `ProxyJump` and `ProxyCommand` are one choice: what is said first holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proxy {
    Direct,
    Jump(String),
    /// Unsupported; with the place it is written at.
    Command(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Any,
    V4,
    V6,
}

/// The values that hold for one name. Paths still have their tokens.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) host_name: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) identity_files: Vec<String>,
    /// `IdentityFile none`: not even the usual files.
    pub(super) no_identity: bool,
    pub(super) identities_only: Option<bool>,
    pub(super) agent: Option<AgentChoice>,
    pub(super) proxy: Option<Proxy>,
    pub(super) known_hosts: Option<Vec<String>>,
    pub(super) global_known_hosts: Option<Vec<String>>,
    pub(super) host_key_alias: Option<String>,
    pub(super) hash_known_hosts: Option<bool>,
    pub(super) unknown: Option<Unknown>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) alive_interval: Option<Duration>,
    pub(super) alive_count: Option<usize>,
    pub(super) family: Option<Family>,
}

/// What is wrong or unsupported in the user's SSH configuration, whichever hosts are asked for. Empty without a file.
pub fn config_faults(settings: &Settings) -> Vec<Diagnostic> {
    match read_all(settings) {
        Ok(config) => config.faults,
        Err(fault) => vec![fault],
    }
}

/// The configuration of this run, read once.
pub(super) async fn load(settings: &Settings) -> Result<Arc<Config>, Unreached> {
    let read = || async {
        let config = read_all(settings).map_err(|fault| as_unreached(&fault))?;
        match config.faults.iter().find(|fault| fault.severity == Severity::Error) {
            Some(fault) => Err(as_unreached(fault)),
            None => Ok(Arc::new(config)),
        }
    };
    settings.shared.memory().config.get_or_init(read).await.clone()
}

pub(super) fn read_all(settings: &Settings) -> Result<Config, Diagnostic> {
    let mut config = Config::default();
    let home = settings.home.as_path();
    let user = settings.config_file.clone().unwrap_or_else(|| home.join(".ssh/config"));
    let mut reader = Reader { config: &mut config, home, base: home.join(".ssh"), depth: 0 };
    if let Err(error) = reader.file(&user, None)
        && (settings.config_file.is_some() || error.kind() != ErrorKind::NotFound)
    {
        return Err(Diagnostic::error(format!("cannot read the SSH configuration: {error}")).at(&Span::new(
            &read::named(&user),
            0,
            0,
        )));
    }
    if let Some(system) = &settings.system_config {
        let base = system.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        // A system without the file, or one that is not for us to read, is as good as an empty one.
        let _ = Reader { config: &mut config, home, base, depth: 0 }.file(system, None);
    }
    Ok(config)
}

fn as_unreached(fault: &Diagnostic) -> Unreached {
    let message = match &fault.span {
        Some(span) => format!("{}: {}", place(span), fault.message),
        None => fault.message.clone(),
    };
    let unreached = Unreached::new(Why::Config, message);
    match &fault.help {
        Some(help) => unreached.help(help.clone()),
        None => unreached,
    }
}

impl Config {
    fn add_block(&mut self, block: Block) -> usize {
        self.blocks.push(block);
        self.blocks.len() - 1
    }

    /// The values for a host as it was named.
    ///
    /// # Errors
    /// When a value that holds for the host cannot be understood, or is one we cannot obey.
    pub(super) fn choose(&self, name: &str) -> Result<Chosen, Unreached> {
        let mut chosen = Chosen::default();
        // A block is judged when its first line is met, with the `HostName` known by then, and not again.
        let mut judged: Vec<Option<bool>> = vec![None; self.blocks.len()];
        for line in &self.lines {
            if line.block.is_none_or(|block| self.holds(block, name, &chosen, &mut judged)) {
                chosen.take(line).map_err(|fault| as_unreached(&fault))?;
            }
        }
        Ok(chosen)
    }

    fn holds(&self, index: usize, name: &str, chosen: &Chosen, judged: &mut Vec<Option<bool>>) -> bool {
        if let Some(verdict) = judged[index] {
            return verdict;
        }
        let block = &self.blocks[index];
        let outer = block.within.is_none_or(|within| self.holds(within, name, chosen, judged));
        let verdict = outer && block.when.holds(name, chosen);
        judged[index] = Some(verdict);
        verdict
    }
}

impl When {
    fn holds(&self, name: &str, chosen: &Chosen) -> bool {
        let listed = |patterns: &[String], text: &str| any_fits(patterns.iter().map(String::as_str), text);
        match self {
            When::Host(patterns) => listed(patterns, name),
            When::Never => false,
            When::Match(criteria) => criteria.iter().all(|criterion| {
                let found = match &criterion.asked {
                    Asked::Original(patterns) => listed(patterns, name),
                    Asked::Host(patterns) => {
                        let full = chosen.host_name.as_ref().map(|pattern| pattern.replace("%h", name));
                        listed(patterns, full.as_deref().unwrap_or(name))
                    }
                };
                found != criterion.negated
            }),
        }
    }
}

impl Chosen {
    fn take(&mut self, line: &Line) -> Result<(), Diagnostic> {
        self.value(line).map_err(|what| Diagnostic::error(what).at(&line.span))
    }

    fn value(&mut self, line: &Line) -> Result<(), String> {
        let value = line.values.first().map_or("", String::as_str);
        match line.key {
            Key::HostName => first(&mut self.host_name, Ok(value.to_string())),
            Key::User => first(&mut self.user, Ok(value.to_string())),
            Key::HostKeyAlias => first(&mut self.host_key_alias, Ok(value.to_string())),
            Key::Port => first(&mut self.port, port(value)),
            Key::IdentityFile if value.eq_ignore_ascii_case("none") => {
                self.no_identity = true;
                Ok(())
            }
            Key::IdentityFile => {
                if !self.identity_files.iter().any(|file| file == value) {
                    self.identity_files.push(value.to_string());
                }
                Ok(())
            }
            Key::IdentitiesOnly => first(&mut self.identities_only, yes(value)),
            Key::HashKnownHosts => first(&mut self.hash_known_hosts, yes(value)),
            Key::IdentityAgent => first(&mut self.agent, Ok(agent(value))),
            Key::ProxyJump if value.eq_ignore_ascii_case("none") => first(&mut self.proxy, Ok(Proxy::Direct)),
            Key::ProxyJump => first(&mut self.proxy, Ok(Proxy::Jump(value.to_string()))),
            Key::ProxyCommand if value.eq_ignore_ascii_case("none") => first(&mut self.proxy, Ok(Proxy::Direct)),
            Key::ProxyCommand => first(&mut self.proxy, Ok(Proxy::Command(place(&line.span)))),
            Key::UserKnownHostsFile => first(&mut self.known_hosts, Ok(line.values.clone())),
            Key::GlobalKnownHostsFile => first(&mut self.global_known_hosts, Ok(line.values.clone())),
            Key::StrictHostKeyChecking => first(&mut self.unknown, strictness(value)),
            Key::ConnectTimeout => first(&mut self.connect_timeout, duration(value)),
            Key::ServerAliveInterval => first(&mut self.alive_interval, duration(value)),
            Key::ServerAliveCountMax => {
                first(&mut self.alive_count, value.parse().map_err(|_| format!("`{value}` is not a number")))
            }
            Key::AddressFamily => first(&mut self.family, family(value)),
        }
    }
}

/// The first value wins; later ones are still checked.
fn first<T>(slot: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    let value = value?;
    slot.get_or_insert(value);
    Ok(())
}

fn place(span: &Span) -> String {
    let (line, _) = span.line_column();
    if span.source.text.is_empty() { span.source.name.clone() } else { format!("{}:{line}", span.source.name) }
}

fn port(value: &str) -> Result<u16, String> {
    value.parse().ok().filter(|port| *port > 0).ok_or_else(|| format!("`{value}` is not a port from 1 to 65535"))
}

fn yes(value: &str) -> Result<bool, String> {
    match value.to_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(format!("`{value}` is neither `yes` nor `no`")),
    }
}

fn agent(value: &str) -> AgentChoice {
    match value {
        "SSH_AUTH_SOCK" | "$SSH_AUTH_SOCK" => AgentChoice::Environment,
        _ if value.eq_ignore_ascii_case("none") => AgentChoice::None,
        _ => AgentChoice::Path(value.to_string()),
    }
}

fn strictness(value: &str) -> Result<Unknown, String> {
    match value.to_lowercase().as_str() {
        "yes" | "true" => Ok(Unknown::Refuse),
        "accept-new" => Ok(Unknown::Accept),
        "ask" => Ok(Unknown::Ask),
        "no" | "off" | "false" => Ok(Unknown::Ignore),
        _ => Err(format!("`{value}` is none of `yes`, `accept-new`, `ask`, `no`")),
    }
}

fn family(value: &str) -> Result<Family, String> {
    match value.to_lowercase().as_str() {
        "any" => Ok(Family::Any),
        "inet" => Ok(Family::V4),
        "inet6" => Ok(Family::V6),
        _ => Err(format!("`{value}` is none of `any`, `inet`, `inet6`")),
    }
}

/// Seconds, or numbers with units as in `1m30s`.
fn duration(value: &str) -> Result<Duration, String> {
    let fault = || format!("`{value}` is not a time; write seconds or a time like `1m30s`");
    let mut total: u64 = 0;
    let mut number = String::new();
    for c in value.to_lowercase().chars().chain(['s']) {
        let unit = match c {
            '0'..='9' => {
                number.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(fault()),
        };
        if !number.is_empty() {
            let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(fault)?;
            total = total.checked_add(part).ok_or_else(fault)?;
            number.clear();
        }
    }
    if value.chars().any(|c| c.is_ascii_digit()) { Ok(Duration::from_secs(total)) } else { Err(fault()) }
}

#[cfg(test)]
mod tests;
