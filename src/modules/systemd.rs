//! `systemd`: units, started and stopped, enabled and disabled.

use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::Undo;
use crate::change::look::Look;
use crate::change::look::UnitState;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;

/// Starts, stops, restarts, enables, disables and masks a unit of systemd.
///
/// Undone, the unit is as active, enabled and masked as it was before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Systemd {
    /// The unit. Without a suffix it is a service.
    #[serde(default, alias = "service", alias = "unit")]
    pub name: Option<String>,
    /// `started`, `stopped`, `restarted` or `reloaded`; the last two act each time.
    #[serde(default)]
    pub state: Option<Wanted>,
    /// Whether the unit starts with the host.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Whether the unit is barred from being started at all.
    #[serde(default)]
    pub masked: Option<bool>,
    /// Has systemd read its unit files anew, first; only when it says that they changed.
    #[serde(default, alias = "daemon-reload")]
    pub daemon_reload: bool,
    /// Does not wait until the unit is started or stopped.
    #[serde(default)]
    pub no_block: bool,
    /// The manager spoken to. Only `system` is supported.
    #[serde(default)]
    pub scope: Scope,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    #[default]
    System,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    Started,
    Stopped,
    Restarted,
    Reloaded,
}

#[derive(Debug, Deserialize)]
pub struct Named {
    #[serde(default, alias = "service", alias = "unit")]
    name: Option<String>,
    #[serde(default, alias = "daemon-reload")]
    daemon_reload: bool,
}

#[derive(Debug, Deserialize)]
pub struct State {
    #[serde(default)]
    unit: UnitState,
    #[serde(default)]
    stale: String,
}

const SUFFIXES: [&str; 11] = [
    ".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path", ".timer", ".slice", ".scope",
];

/// A service when the name does not say what it is.
fn full(name: &str) -> String {
    match SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        true => name.to_string(),
        false => format!("{name}.service"),
    }
}

fn active(unit: &UnitState) -> bool {
    matches!(unit.active.as_str(), "active" | "activating" | "reloading")
}

/// Whether it starts with the host; `None` where there is nothing to be enabled.
fn enabled(unit: &UnitState) -> Option<bool> {
    match unit.file.as_str() {
        "enabled" | "enabled-runtime" | "linked" | "linked-runtime" => Some(unit.file.starts_with("enabled")),
        "disabled" => Some(false),
        _ => None,
    }
}

fn masked(unit: &UnitState) -> bool {
    unit.load == "masked" || unit.file.starts_with("masked")
}

/// Whether this unit, or any unit when none is named, was changed on disk since it was read.
fn stale(name: Option<&str>) -> Look {
    match name {
        Some(name) => Look::Reread { name: full(name) },
        None => {
            let text = "case $(systemctl show -p NeedDaemonReload '*') in *=yes*) echo NeedDaemonReload=yes ;; esac";
            Look::Script { text: text.into() }
        }
    }
}

impl Systemd {
    /// The verbs that bring the unit where it is wanted.
    fn commands(&self, unit: &UnitState) -> Vec<&'static str> {
        let mut commands = Vec::new();
        if self.masked == Some(false) && masked(unit) {
            commands.push("unmask");
        }
        match (self.enabled, enabled(unit)) {
            (Some(true), Some(false)) => commands.push("enable"),
            (Some(false), Some(true)) => commands.push("disable"),
            (Some(true), None) if masked(unit) => commands.push("enable"),
            _ => {}
        }
        match self.state {
            Some(Wanted::Stopped) if active(unit) || unit.active == "deactivating" => commands.push("stop"),
            Some(Wanted::Started | Wanted::Restarted | Wanted::Reloaded) if !active(unit) => commands.push("start"),
            _ => {}
        }
        if self.masked == Some(true) && !masked(unit) {
            commands.push("mask");
        }
        commands
    }

    fn run(&self, verb: &str, name: &str) -> String {
        let block = if self.no_block && matches!(verb, "start" | "stop" | "restart" | "reload") { " --no-block" } else { "" };
        format!("systemctl{block} {verb} {}", sh::quote(name))
    }

    fn refuse(&self, name: &str, unit: &UnitState) -> Result<(), Refusal> {
        if unit.load.is_empty() {
            return Err(Refusal::new("this host is not run by systemd: other service managers are unsupported"));
        }
        if unit.load == "not-found" && self.masked != Some(true) {
            return Err(Refusal::new(format!("the host has no unit {name}")).help("install what brings it, or correct the name"));
        }
        let starts = matches!(self.state, Some(Wanted::Started | Wanted::Restarted | Wanted::Reloaded)) || self.enabled == Some(true);
        if masked(unit) && starts && self.masked != Some(false) {
            return Err(Refusal::new(format!("{name} is masked")).help("write `masked: no` to lift that"));
        }
        Ok(())
    }
}

/// Puts the unit back where it was, whatever was done to it since.
fn undo(name: &str, unit: &UnitState) -> String {
    let word = sh::quote(name);
    let mut lines = vec![
        "rm -f \"$_tb_k/touched\"".to_string(),
        format!("case $(systemctl show -p LoadState {word}) in *=not-found) exit 0 ;; esac"),
    ];
    if !masked(unit) {
        lines.push(format!("case $(systemctl show -p UnitFileState {word}) in *=masked*) systemctl unmask {word} ;; esac"));
    }
    let file = match enabled(unit) {
        Some(true) => "enable",
        Some(false) => "disable",
        None if unit.load == "not-found" || masked(unit) => "disable",
        None => "",
    };
    let live = if active(unit) { "start" } else { "stop" };
    if !file.is_empty() {
        let now = if (file, live) == ("enable", "start") || (file, live) == ("disable", "stop") { " --now" } else { "" };
        // A unit whose file was removed may still run; there is nothing to disable then.
        let gone = if file == "disable" { format!(" || ! systemctl cat {word} >/dev/null 2>&1") } else { String::new() };
        lines.push(format!("systemctl {file}{now} {word}{gone} || exit"));
    }
    lines.push(format!("systemctl {live} {word} || exit"));
    if unit.active == "inactive" {
        lines.push(format!("systemctl reset-failed {word} 2>/dev/null"));
    }
    if masked(unit) {
        lines.push(format!("systemctl mask {word} || exit"));
    }
    lines.push("exit 0".into());
    lines.join("\n")
}

impl Module for Systemd {
    const NAME: &'static str = "systemd";
    const SUMMARY: &'static str = "Starts, stops, enables and masks units of systemd.";
    const EXAMPLE: &'static str = "systemd:\n  name: remote-cryptsetup.target\n  state: started\n  enabled: yes\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Own;
    const UNSUPPORTED: &'static [&'static str] = &["arguments", "daemon_reexec", "force", "pattern", "runlevel", "sleep", "use"];
    const ALIASES: &'static [&'static str] = &["systemd_service", "service"];

    type Identity = Named;
    type State = State;

    fn check(&self) -> Result<(), Refusal> {
        let asks = self.state.is_some() || self.enabled.is_some() || self.masked.is_some();
        match &self.name {
            None if asks => Err(Refusal::new("the task names no unit").help("write `name: UNIT`")),
            None if !self.daemon_reload => Err(Refusal::new("the task asks for nothing").help("write `state: started`")),
            Some(name) if name.is_empty() || name.starts_with('-') || name.contains(['*', '?', '[', '\n', ' ', '/']) => {
                Err(Refusal::new(format!("`{name}` is no name of one unit")))
            }
            Some(_) if !asks && !self.daemon_reload => {
                Err(Refusal::new("the task asks for nothing").help("write `state`, `enabled` or `masked`"))
            }
            _ => Ok(()),
        }
    }

    fn probe(named: &Named) -> Probe {
        let mut probe = Probe::none();
        if let Some(name) = &named.name {
            probe = probe.ask("unit", Look::Unit { name: full(name) });
        }
        if named.daemon_reload {
            probe = probe.ask("stale", stale(named.name.as_deref()));
        }
        probe
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        let mut change = Change::none();
        if now.stale.ends_with("=yes") {
            // Repeated once the unit files are back as they were; this target is always there.
            let again = Undo::Again { unit: "basic.target".into(), script: "systemctl daemon-reload".into() };
            change.act("read the unit files anew", Apply::run("systemctl daemon-reload"), again);
        }
        let Some(name) = self.name.as_deref().map(full) else { return Ok(change) };
        self.refuse(&name, &now.unit)?;
        let commands = self.commands(&now.unit);
        if !commands.is_empty() {
            let script: Vec<String> = commands.iter().map(|verb| self.run(verb, &name)).collect();
            // Nothing is no answer: it comes from a systemd that is going down. Whether it runs is not looked at, since it may have ended by itself; but then that it was touched has to be seen.
            let text = format!(
                "systemctl show -p UnitFileState {} 2>/dev/null || exit 75\n[ ! -e \"$_tb_k/touched\" ] || echo touched",
                sh::quote(&name)
            );
            let resource = Resource::new(format!("unit:{name}"), Look::Script { text });
            let what = format!("{} {name}", commands.join(" and "));
            let script = format!("true >\"${{_tb_k:?}}/touched\" && {}", script.join(" && "));
            change.step(what, resource, Apply::run(script), Undo::By(undo(&name, &now.unit)));
        }
        let (verb, back) = match self.state {
            Some(Wanted::Restarted) if active(&now.unit) => ("restart", "try-restart"),
            Some(Wanted::Reloaded) if active(&now.unit) => ("reload", "try-reload-or-restart"),
            _ => return Ok(change),
        };
        let again = Undo::Again { unit: name.clone(), script: format!("systemctl reset-failed {0} 2>/dev/null\nsystemctl {back} {0}", sh::quote(&name)) };
        change.act(format!("{verb} {name}"), Apply::run(self.run(verb, &name)), again);
        Ok(change)
    }

    fn result(&self, now: &State, ran: &[Ran]) -> Fields {
        let mut fields = Fields::new();
        if let Some(name) = &self.name {
            fields.insert("name".into(), Value::from(name.as_str()));
        }
        if let Some(state) = self.state {
            let state = if state == Wanted::Stopped { "stopped" } else { "started" };
            fields.insert("state".into(), Value::from(state));
        }
        if let Some(enabled) = self.enabled {
            fields.insert("enabled".into(), Value::from(enabled));
        }
        let (active, file) = match ran.is_empty() {
            true => (now.unit.active.clone(), now.unit.file.clone()),
            false => {
                let active = match self.state {
                    Some(Wanted::Stopped) => "inactive",
                    Some(_) => "active",
                    None => &now.unit.active,
                };
                let file = match self.enabled {
                    Some(true) if enabled(&now.unit).is_some() => "enabled",
                    Some(false) if enabled(&now.unit).is_some() => "disabled",
                    _ => &now.unit.file,
                };
                (active.to_string(), file.to_string())
            }
        };
        let status = [("LoadState", now.unit.load.clone()), ("ActiveState", active), ("UnitFileState", file)];
        fields.insert("status".into(), Value::from_pairs(status));
        fields
    }
}
