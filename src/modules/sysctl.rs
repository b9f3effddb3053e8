//! `sysctl`: kernel parameters, live and in a file.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Probe;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::Undo;
use crate::change::look::Look;
use crate::change::sh;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::line;
use crate::modules::types::HostPath;

/// Sets a kernel parameter, now and for the next start of the host.
///
/// The live value and the line in the file are two things: each is compared, set and given back by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sysctl {
    /// The parameter: `net.ipv4.ip_forward`, or `net/ipv4/conf/eth0.7/forwarding`.
    #[serde(alias = "key")]
    pub name: String,
    /// What it is set to.
    #[serde(default, alias = "val")]
    pub value: Option<String>,
    /// `present`, or `absent`, which takes the line out of the file and leaves the live value.
    #[serde(default)]
    pub state: Wanted,
    /// Sets the live value too.
    #[serde(default = "yes")]
    pub reload: bool,
    /// Sets the live value too, whatever `reload` says.
    #[serde(default)]
    pub sysctl_set: bool,
    /// The file that holds the line.
    #[serde(default = "usual_file")]
    pub sysctl_file: HostPath,
    /// A parameter this kernel does not have is written to the file only.
    #[serde(default)]
    pub ignoreerrors: bool,
}

fn yes() -> bool {
    true
}

fn usual_file() -> HostPath {
    HostPath("/etc/sysctl.conf".into())
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    #[default]
    Present,
    Absent,
}

#[derive(Debug, Deserialize)]
pub struct Named {
    #[serde(alias = "key")]
    name: String,
    #[serde(default = "usual_file")]
    sysctl_file: HostPath,
}

#[derive(Debug, Deserialize)]
pub struct State {
    #[serde(default)]
    live: String,
    #[serde(default)]
    lines: String,
}

/// The parameter's path below `/proc/sys`: with a `.` as first separator, `.` and `/` change places.
fn below(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name[at..].starts_with('.') => {
            name.chars().map(|c| if c == '.' { '/' } else if c == '/' { '.' } else { c }).collect()
        }
        _ => name.to_string(),
    }
}

/// The name as it is written into files.
fn dotted(name: &str) -> String {
    below(name).chars().map(|c| if c == '/' { '.' } else if c == '.' { '/' } else { c }).collect()
}

fn plain(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Prints the lines of the file that could set the parameter. The shell reads them itself.
fn lines(name: &str, file: &str) -> Look {
    let last = |c: char| c == '.' || c == '/';
    let tail = sh::quote(name.rsplit(last).next().unwrap_or_default());
    let text = format!(
        "[ -r {file} ] || exit\nwhile IFS= read -r _tb_l || [ -n \"$_tb_l\" ]; do
	case $_tb_l in *{tail}*=*) printf '%s\\n' \"$_tb_l\" ;; esac
done <{file}",
        file = sh::quote(file),
    );
    Look::Script { text }
}

/// The last line that sets the parameter, and the value it sets.
fn setting<'a>(lines: &'a str, name: &str) -> Option<(&'a str, String)> {
    let own = below(name);
    lines.lines().rev().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        let key = key.trim();
        let key = key.strip_prefix('-').unwrap_or(key).trim();
        (!key.starts_with(['#', ';']) && below(key) == own).then(|| (line, plain(value)))
    })
}

impl Sysctl {
    fn set(&self, now: &State, value: &str, change: &mut Change) -> Result<(), Refusal> {
        if !self.reload && !self.sysctl_set || plain(&now.live) == value {
            return Ok(());
        }
        let path = format!("/proc/sys/{}", below(&self.name));
        if now.live.is_empty() {
            if self.ignoreerrors {
                return Ok(());
            }
            let refusal = Refusal::new(format!("the host's kernel has no readable parameter {}", self.name));
            return Err(refusal.help("load the module that brings it first, or write `ignoreerrors: yes`"));
        }
        let write = |value: &str| format!("printf '%s\\n' {} >{}", sh::quote(value), sh::quote(&path));
        let what = format!("{}: {} -> {value} now", self.name, plain(&now.live));
        let resource = Resource::new(format!("sysctl:{}", dotted(&self.name)), Look::Text { path: path.clone() });
        let undo = format!("[ ! -e {} ] || {}", sh::quote(&path), write(now.live.trim_end()));
        change.step(what, resource, Apply::run(write(value)), Undo::By(undo));
        Ok(())
    }

    fn keep(&self, now: &State, value: Option<&str>, change: &mut Change) {
        let old = setting(&now.lines, &self.name);
        if old.as_ref().map(|(_, value)| value.as_str()) == value {
            return;
        }
        let file = &self.sysctl_file.0;
        let new = value.map(|value| format!("{}={value}", dotted(&self.name)));
        let what = match (&old, &new) {
            (Some((line, _)), Some(new)) => format!("{file}: {line} -> {new}"),
            (None, Some(new)) => format!("{file}: add {new}"),
            (Some((line, _)), None) => format!("{file}: remove {line}"),
            (None, None) => return,
        };
        let resource = Resource::new(format!("line:{file}:{}", dotted(&self.name)), lines(&self.name, file));
        let line = old.map(|(line, _)| line);
        let undo = Undo::By(line::restore());
        change.step(what, resource, Apply::run(line::replace(file, line, new.as_deref(), "0644")), undo);
    }
}

impl Module for Sysctl {
    const NAME: &'static str = "sysctl";
    const SUMMARY: &'static str = "Sets kernel parameters, now and for the next start.";
    const EXAMPLE: &'static str = "sysctl:\n  name: net.ipv4.ip_forward\n  value: 1\n  sysctl_file: /etc/sysctl.d/90-example.conf\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Own;

    type Identity = Named;
    type State = State;

    fn check(&self) -> Result<(), Refusal> {
        let strange = |c: char| c.is_whitespace() || c.is_control() || c == '=';
        let parts = below(&self.name);
        if self.name.is_empty() || self.name.contains(strange) || parts.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Refusal::new(format!("`{}` is no kernel parameter", self.name)).help("write `net.ipv4.ip_forward`"));
        }
        match &self.value {
            None if self.state == Wanted::Present => Err(Refusal::new("no `value` is given").help("write `value: 1`")),
            Some(value) if value.contains('\n') => Err(Refusal::new("a value is one line")),
            Some(value) if plain(value).is_empty() => Err(Refusal::new("the value is empty").help("write `value: 1`")),
            _ => Ok(()),
        }
    }

    fn probe(named: &Named) -> Probe {
        let live = format!("/proc/sys/{}", below(&named.name));
        Probe::none().text("live", &live).ask("lines", lines(&named.name, &named.sysctl_file))
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        let mut change = Change::none();
        match (self.state, &self.value) {
            (Wanted::Present, Some(value)) => {
                // Ansible users write `value: yes` for 1.
                let value = match value.as_str() {
                    "True" => "1".to_string(),
                    "False" => "0".to_string(),
                    other => plain(other),
                };
                // The file last: a host that restarts in between would set by it what was never seen as it was before.
                self.set(now, &value, &mut change)?;
                self.keep(now, Some(&value), &mut change);
            }
            _ => self.keep(now, None, &mut change),
        }
        Ok(change)
    }
}
