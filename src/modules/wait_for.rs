//! `wait_for`: until a port or a path is as wanted.

use std::net::IpAddr;

use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Script;
use crate::change::Undo;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::pattern;
use crate::modules::types::HostPath;

/// How the checks below look at ports.
const CHECKS: &str = include_str!("wait_for/checks.sh");

/// Waits until a port is open or closed, or a path is there or gone; with neither, just waits.
///
/// Ports of the loopback interface are read from `/proc/net`. Others are connected to, by bash or by `nc`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitFor {
    /// Whom the port belongs to, seen from the host.
    #[serde(default = "loopback")]
    pub host: String,
    /// The port.
    #[serde(default)]
    pub port: Option<u16>,
    /// The path.
    #[serde(default)]
    pub path: Option<HostPath>,
    /// With `path`: a regular expression of Python's that a line of the file must match. Looked for by `grep -E`, so what that
    /// cannot do is refused. Of no meaning where the path is to be gone.
    #[serde(default)]
    pub search_regex: Option<String>,
    /// `started` and `present`: open or there. `stopped` and `absent`: closed or gone.
    #[serde(default)]
    pub state: Wanted,
    /// Seconds to wait before the first look.
    #[serde(default)]
    pub delay: u32,
    /// Seconds after which it fails.
    #[serde(default = "five_minutes")]
    pub timeout: u32,
    /// Seconds one connection may take.
    #[serde(default = "five")]
    pub connect_timeout: u32,
    /// Seconds between looks.
    #[serde(default = "one")]
    pub sleep: u32,
    /// What is said when it fails.
    #[serde(default)]
    pub msg: Option<String>,
}

fn loopback() -> String {
    "127.0.0.1".into()
}

fn five_minutes() -> u32 {
    300
}

fn five() -> u32 {
    5
}

fn one() -> u32 {
    1
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    #[default]
    Started,
    Stopped,
    Present,
    Absent,
    /// Unsupported.
    Drained,
}

#[derive(Debug, Deserialize)]
pub struct Nothing {}

impl WaitFor {
    fn gone(&self) -> bool {
        matches!(self.state, Wanted::Stopped | Wanted::Absent)
    }

    /// A command that succeeds when the port is open or the path there.
    fn test(&self) -> Option<String> {
        if let Some(path) = &self.path {
            let word = sh::quote(path);
            return Some(match &self.search_regex {
                // What is to be gone is the path, whatever it says.
                Some(regex) if !self.gone() => {
                    let (flag, regex) = pattern::posix(regex).unwrap_or_default();
                    format!("grep -qE{flag} -e {} -- {word} 2>/dev/null", sh::quote(&regex))
                }
                _ => format!("[ -e {word} ]"),
            });
        }
        let port = self.port?;
        let loopback = self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        Some(match loopback {
            true => format!("_tb_listens {port:04X}"),
            false => format!("_tb_connects {} {port} {}", sh::quote(&self.host), self.connect_timeout.max(1)),
        })
    }

    fn subject(&self) -> String {
        match (&self.path, self.port) {
            (Some(path), _) => path.0.clone(),
            (None, Some(port)) => format!("{}:{port}", self.host),
            (None, None) => format!("{} s", self.timeout),
        }
    }

    fn script(&self) -> String {
        let Some(test) = self.test() else {
            return format!("sleep {}\necho {0}", self.delay + self.timeout);
        };
        let turn = if self.gone() { "! " } else { "" };
        let said = self.msg.clone().unwrap_or_else(|| format!("timeout when waiting for {}", self.subject()));
        let checks = if self.path.is_none() { CHECKS } else { "" };
        format!(
            "{checks}_tb_s=$(date +%s)
[ {delay} -eq 0 ] || sleep {delay}
while :; do
	if {turn}{test}; then
		echo $(($(date +%s) - _tb_s))
		exit 0
	fi
	_tb_e=$(($(date +%s) - _tb_s))
	if [ $_tb_e -ge {timeout} ]; then
		echo $_tb_e
		printf '%s\\n' {said} >&2
		exit 1
	fi
	sleep {sleep}
done",
            delay = self.delay,
            timeout = self.timeout,
            said = sh::quote(&said),
            sleep = self.sleep.max(1),
        )
    }
}

impl Module for WaitFor {
    const NAME: &'static str = "wait_for";
    const SUMMARY: &'static str = "Waits until a port or a path is as wanted.";
    const EXAMPLE: &'static str = "wait_for:\n  port: 22\n  timeout: 30\n";
    const NATURE: Nature = Nature::Act;
    const REACH: Reach = Reach::Beyond;
    const UNSUPPORTED: &'static [&'static str] = &["active_connection_states", "exclude_hosts",];

    type Identity = Nothing;
    type State = Nothing;

    fn check(&self) -> Result<(), Refusal> {
        if self.state == Wanted::Drained {
            return Err(Refusal::new("`state: drained` is unsupported").help("wait for `stopped`"));
        }
        if self.port.is_some() && self.path.is_some() {
            return Err(Refusal::new("a task waits for a port or for a path, not both").help("write two tasks"));
        }
        if self.search_regex.is_some() && self.path.is_none() {
            let refusal = Refusal::new("`search_regex` over what a port says is unsupported");
            return Err(refusal.help("give it a `path`, or use `uri` or `shell` with `until`"));
        }
        self.search_regex.as_deref().map(pattern::posix).transpose()?;
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '/';
        match self.host.is_empty() || self.host.starts_with('-') || self.host.contains(odd) {
            true => Err(Refusal::new(format!("`{}` is no name or address of a host", self.host))),
            false => Ok(()),
        }
    }

    fn probe(_: &Nothing) -> Probe {
        Probe::none()
    }

    fn change(&self, _: &Nothing) -> Result<Change, Refusal> {
        let mut change = Change::none();
        let end = if self.gone() { " to be gone" } else { "" };
        change.act(format!("wait for {}{end}", self.subject()), Apply::Run(Script::new(self.script())), Undo::Nothing);
        Ok(change)
    }

    fn result(&self, _: &Nothing, ran: &[Ran]) -> Fields {
        let mut fields = Fields::new();
        let elapsed: i64 = ran.last().and_then(|ran| ran.stdout.trim().parse().ok()).unwrap_or_default();
        fields.insert("changed".into(), Value::from(false));
        fields.insert("elapsed".into(), Value::from(elapsed));
        fields.insert("path".into(), Value::from(self.path.as_ref().map(|path| path.0.clone())));
        fields.insert("port".into(), Value::from(self.port));
        let state = match self.state {
            Wanted::Started | Wanted::Drained => "started",
            Wanted::Stopped => "stopped",
            Wanted::Present => "present",
            Wanted::Absent => "absent",
        };
        fields.insert("state".into(), Value::from(state));
        if let Some(ran) = ran.last().filter(|ran| ran.rc != 0) {
            fields.insert("msg".into(), Value::from(ran.stderr.trim()));
        }
        fields
    }
}
