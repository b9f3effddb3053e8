//! `ansible_ssh_common_args` and its like: options of the `ssh` program, read for what the built-in client can do.
//!
//! Pure. What only tunes the program is passed over; anything else that is not known is refused by name.

use std::path::PathBuf;
use std::time::Duration;

use crate::diag::Diagnostic;
use crate::diag::Span;
use crate::remote::Unknown;

/// What the options say; later ones do not override earlier ones, as with `ssh`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SshArgs {
    pub(super) unknown: Option<Unknown>,
    pub(super) known_hosts: Option<PathBuf>,
    pub(super) jump: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) keys: Vec<PathBuf>,
    pub(super) timeout: Option<Duration>,
}

/// Options that make the program faster, quieter or never ask: nothing here does otherwise.
const PASSED_OVER: [&str; 16] = [
    "controlmaster",
    "controlpath",
    "controlpersist",
    "compression",
    "loglevel",
    "batchmode",
    "tcpkeepalive",
    "serveraliveinterval",
    "serveralivecountmax",
    "globalknownhostsfile",
    "preferredauthentications",
    "kbdinteractiveauthentication",
    "passwordauthentication",
    "forwardagent",
    "connectionattempts",
    "requesttty",
];

impl SshArgs {
    /// Adds the options of one variable.
    pub(super) fn read(&mut self, text: &str, span: &Span) -> Result<(), Diagnostic> {
        let words = shlex::split(text).ok_or_else(|| Diagnostic::error("a quote is not closed").at(span))?;
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let (flag, glued) = match word.char_indices().nth(2) {
                Some((at, _)) if word.starts_with('-') => (word[..at].to_string(), Some(word[at..].to_string())),
                _ => (word.clone(), None),
            };
            let mut value = || {
                glued
                    .clone()
                    .or_else(|| words.next())
                    .ok_or_else(|| Diagnostic::error(format!("the ssh option `{flag}` needs a value")).at(span))
            };
            match flag.as_str() {
                "-o" => self.option(&value()?, span)?,
                "-J" => self.set("proxyjump", &value()?, span)?,
                "-p" => self.set("port", &value()?, span)?,
                "-l" => self.set("user", &value()?, span)?,
                "-i" => self.set("identityfile", &value()?, span)?,
                "-C" | "-q" | "-T" | "-a" | "-x" if glued.is_none() => {}
                _ => {
                    let fault = Diagnostic::error(format!("the ssh option `{word}` is unsupported")).at(span);
                    return Err(fault.help("write it into ~/.ssh/config, or leave it out"));
                }
            }
        }
        Ok(())
    }

    /// `Name=value` or `Name value`.
    fn option(&mut self, text: &str, span: &Span) -> Result<(), Diagnostic> {
        let text = text.trim();
        let at = text.find(['=', ' ', '\t']).unwrap_or(text.len());
        let (name, value) = text.split_at(at);
        let value = value.trim_start_matches(['=', ' ', '\t']).trim_matches('"');
        self.set(name, value, span)
    }

    fn set(&mut self, name: &str, value: &str, span: &Span) -> Result<(), Diagnostic> {
        let wrong = |expected: &str| {
            let text = format!("`{value}` is not {expected}, as the ssh option `{name}` needs");
            Diagnostic::error(text).at(span)
        };
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "stricthostkeychecking" => {
                let unknown = match value.to_ascii_lowercase().as_str() {
                    "no" | "off" => Unknown::Ignore,
                    "accept-new" => Unknown::Accept,
                    "yes" => Unknown::Refuse,
                    "ask" => Unknown::Ask,
                    _ => return Err(wrong("yes, no, ask or accept-new")),
                };
                self.unknown.get_or_insert(unknown);
            }
            "userknownhostsfile" => {
                self.known_hosts.get_or_insert(home(value));
            }
            "proxyjump" => {
                self.jump.get_or_insert(value.to_string());
            }
            "port" => {
                let port = value.parse().ok().filter(|port| *port > 0).ok_or_else(|| wrong("a port"))?;
                self.port.get_or_insert(port);
            }
            "user" => {
                self.user.get_or_insert(value.to_string());
            }
            "identityfile" => self.keys.push(home(value)),
            "connecttimeout" => {
                let seconds = value.parse().map_err(|_| wrong("a number of seconds"))?;
                self.timeout.get_or_insert(Duration::from_secs(seconds));
            }
            // Named keys come first, and servers of a testbed allow enough attempts for those of the agent.
            "identitiesonly" => {}
            known if PASSED_OVER.contains(&known) => {}
            "proxycommand" => {
                let fault = Diagnostic::error("the ssh option `ProxyCommand` is unsupported").at(span);
                return Err(fault.help("use a jump host: `-J user@host:port`"));
            }
            _ => {
                let fault = Diagnostic::error(format!("the ssh option `{name}` is unsupported")).at(span);
                return Err(fault.help("write it into ~/.ssh/config, or leave it out"));
            }
        }
        Ok(())
    }
}

/// A path with `~/`.
pub(super) fn home(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<SshArgs, &str>) {
        let mut args = SshArgs::default();
        let result = args.read(text, &Span::synthetic("test", text));
        assert_eq!(result.map(|()| args).map_err(|fault| fault.message), expected.map_err(str::to_string), "{text}");
    }

    #[test]
    fn options() {
        let none = SshArgs::default;
        check("", Ok(none()));
        check("-o StrictHostKeyChecking=no", Ok(SshArgs { unknown: Some(Unknown::Ignore), ..none() }));
        check("-oStrictHostKeyChecking=accept-new", Ok(SshArgs { unknown: Some(Unknown::Accept), ..none() }));
        check("-o 'StrictHostKeyChecking yes'", Ok(SshArgs { unknown: Some(Unknown::Refuse), ..none() }));
        let args = SshArgs { known_hosts: Some("/dev/null".into()), unknown: Some(Unknown::Ignore), ..none() };
        check("-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR", Ok(args));
        check("-J me@gate:2222 -p 22", Ok(SshArgs { jump: Some("me@gate:2222".into()), port: Some(22), ..none() }));
        check("-C -o ControlMaster=auto -o ControlPersist=60s", Ok(none()));
        check("-p 1 -p 2 -i /k", Ok(SshArgs { port: Some(1), keys: vec!["/k".into()], ..none() }));
        check("-o ConnectTimeout=5", Ok(SshArgs { timeout: Some(Duration::from_secs(5)), ..none() }));
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        for (text, expected) in [
            ("-o ProxyCommand='ssh -W %h:%p gate'", "the ssh option `ProxyCommand` is unsupported"),
            ("-L 80:a:80", "the ssh option `-L` is unsupported"),
            ("-vvv", "the ssh option `-vvv` is unsupported"),
            ("-o Nonsense=1", "the ssh option `Nonsense` is unsupported"),
            ("-o", "the ssh option `-o` needs a value"),
            ("-p x", "`x` is not a port, as the ssh option `port` needs"),
            ("-o 'a", "a quote is not closed"),
            ("é", "the ssh option `é` is unsupported"),
            ("-é", "the ssh option `-é` is unsupported"),
        ] {
            check(text, Err(expected));
        }
    }
}
