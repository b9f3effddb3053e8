//! `ansible.cfg`: the few settings that mean something here.
//!
//! Pure: gets the text, not the file; `places` says where the file may be.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Source;
use crate::diag::Span;
use crate::lang::decode::truth;

/// Settings; `None` where nothing was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from.
    pub file: Option<PathBuf>,
    pub inventory: Vec<String>,
    pub roles_path: Vec<PathBuf>,
    pub remote_user: Option<String>,
    pub private_key_file: Option<PathBuf>,
    /// Whether host keys are checked; the default is yes.
    pub host_key_checking: Option<bool>,
    /// Seconds until a connection attempt is given up.
    pub timeout: Option<u64>,
    pub remote_port: Option<u16>,
    /// `[privilege_escalation]`.
    pub r#become: Option<bool>,
    pub become_user: Option<String>,
    pub become_method: Option<String>,
    pub become_ask_pass: Option<bool>,
    /// Defaults for plays that do not say.
    pub force_handlers: Option<bool>,
    pub any_errors_fatal: Option<bool>,
    /// `gathering = explicit`: plays gather facts only if they say so.
    pub gathering: Option<Gathering>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gathering {
    Implicit,
    Explicit,
    /// Not again for a host that has them.
    Smart,
}

/// Where the file may be, in order; the first that exists counts. `named` is the value of `ANSIBLE_CONFIG`.
pub fn places(named: Option<&Path>, home: Option<&Path>) -> Vec<PathBuf> {
    let named = named.map(|path| if path.is_dir() { path.join("ansible.cfg") } else { path.to_path_buf() });
    let mut places: Vec<PathBuf> = named.into_iter().collect();
    places.push("ansible.cfg".into());
    places.extend(home.map(|home| home.join(".ansible.cfg")));
    places.push("/etc/ansible/ansible.cfg".into());
    places
}

/// Reads the settings. Those without a meaning here are named in one warning.
pub fn read(source: &Arc<Source>, path: &Path, faults: &mut Diagnostics) -> Config {
    let mut config = Config { file: Some(path.to_path_buf()), ..Config::default() };
    let base = path.parent().unwrap_or(Path::new(""));
    let mut section = String::new();
    let mut ignored: Vec<String> = Vec::new();
    let mut first: Option<Span> = None;
    let mut start = 0;
    for raw in source.text.split_inclusive('\n') {
        let at = start;
        start += raw.len();
        let line = raw.trim_end();
        // An indented line goes on with the one before; none of the settings here does.
        if line.is_empty() || line.starts_with(['#', ';', ' ', '\t']) {
            continue;
        }
        let span = Span::new(source, at, at + line.len());
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            section = name.0.trim().to_string();
            continue;
        }
        let Some((name, value)) = line.split_once(['=', ':']) else {
            let fault = Diagnostic::error("this is neither a section nor a setting").at(&span);
            faults.push(fault.help("write `name = value`"));
            continue;
        };
        let value = value.split(" ;").next().unwrap_or_default().trim();
        let setting = Setting { section: &section, name: name.trim(), value, base };
        match set(&mut config, &setting) {
            Ok(true) => {}
            Ok(false) => {
                ignored.push(setting.name.to_string());
                first.get_or_insert(span);
            }
            Err(why) => faults.push(Diagnostic::error(why).at(&span)),
        }
    }
    if let Some(span) = first {
        let message = format!("settings without a meaning here: {}", ignored.join(", "));
        faults.push(Diagnostic::warning(message).at(&span));
    }
    config
}

/// Variables of the environment that stand for settings, and are stronger than the file's.
const VARIABLES: &[(&str, &str, &str)] = &[
    ("ANSIBLE_INVENTORY", "defaults", "inventory"),
    ("ANSIBLE_ROLES_PATH", "defaults", "roles_path"),
    ("ANSIBLE_REMOTE_USER", "defaults", "remote_user"),
    ("ANSIBLE_REMOTE_PORT", "defaults", "remote_port"),
    ("ANSIBLE_PRIVATE_KEY_FILE", "defaults", "private_key_file"),
    ("ANSIBLE_HOST_KEY_CHECKING", "defaults", "host_key_checking"),
    ("ANSIBLE_TIMEOUT", "defaults", "timeout"),
    ("ANSIBLE_FORCE_HANDLERS", "defaults", "force_handlers"),
    ("ANSIBLE_ANY_ERRORS_FATAL", "defaults", "any_errors_fatal"),
    ("ANSIBLE_GATHERING", "defaults", "gathering"),
    ("ANSIBLE_HASH_BEHAVIOUR", "defaults", "hash_behaviour"),
    ("ANSIBLE_JINJA2_EXTENSIONS", "defaults", "jinja2_extensions"),
    ("ANSIBLE_RUN_TAGS", "tags", "run"),
    ("ANSIBLE_SKIP_TAGS", "tags", "skip"),
    ("ANSIBLE_BECOME", "privilege_escalation", "become"),
    ("ANSIBLE_BECOME_USER", "privilege_escalation", "become_user"),
    ("ANSIBLE_BECOME_METHOD", "privilege_escalation", "become_method"),
    ("ANSIBLE_BECOME_ASK_PASS", "privilege_escalation", "become_ask_pass"),
];

/// Lays the variables of the environment over the settings of a file.
pub fn lay_over(config: &mut Config, variable: impl Fn(&str) -> Option<String>, faults: &mut Diagnostics) {
    for (variable_name, section, name) in VARIABLES {
        let Some(value) = variable(variable_name).filter(|value| !value.is_empty()) else { continue };
        let setting = Setting { section, name, value: &value, base: Path::new("") };
        if let Err(why) = set(config, &setting) {
            faults.push(Diagnostic::error(format!("{variable_name}: {why}")));
        }
    }
}

struct Setting<'a> {
    section: &'a str,
    name: &'a str,
    value: &'a str,
    base: &'a Path,
}

impl Setting<'_> {
    fn flag(&self) -> Result<Option<bool>, String> {
        let wrong = || format!("`{}` is true or false, found `{}`", self.name, self.value);
        truth(self.value).map(Some).ok_or_else(wrong)
    }

    fn number<T: std::str::FromStr>(&self) -> Result<Option<T>, String> {
        let wrong = |_| format!("`{}` is a whole number, found `{}`", self.name, self.value);
        self.value.parse().map(Some).map_err(wrong)
    }

    fn text(&self) -> Option<String> {
        Some(self.value.to_string()).filter(|text| !text.is_empty())
    }

    /// A path, relative to the file's directory.
    fn path(&self, text: &str) -> PathBuf {
        match text.strip_prefix("~/") {
            Some(rest) => std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join(rest),
            None => self.base.join(text),
        }
    }
}

/// Takes a setting over; false if it means nothing here.
fn set(config: &mut Config, setting: &Setting<'_>) -> Result<bool, String> {
    match (setting.section, setting.name) {
        ("defaults", "inventory") => {
            let paths = setting.value.split(',').map(str::trim).filter(|path| !path.is_empty());
            config.inventory = paths.map(|path| setting.path(path).display().to_string()).collect();
        }
        ("defaults", "roles_path") => {
            let paths = setting.value.split(':').map(str::trim).filter(|path| !path.is_empty());
            config.roles_path = paths.map(|path| setting.path(path)).collect();
        }
        ("defaults", "remote_user") => config.remote_user = setting.text(),
        ("defaults", "remote_port") => config.remote_port = setting.number()?,
        ("defaults", "private_key_file") => config.private_key_file = Some(setting.path(setting.value)),
        ("defaults", "host_key_checking") => config.host_key_checking = setting.flag()?,
        ("defaults", "timeout") => config.timeout = setting.number()?,
        ("defaults", "force_handlers") => config.force_handlers = setting.flag()?,
        ("defaults", "any_errors_fatal") => config.any_errors_fatal = setting.flag()?,
        ("defaults", "gathering") => {
            config.gathering = Some(match setting.value {
                "implicit" => Gathering::Implicit,
                "explicit" => Gathering::Explicit,
                "smart" => Gathering::Smart,
                other => return Err(format!("`gathering` is implicit, explicit or smart, found `{other}`")),
            });
        }
        // What would give the same words another meaning is not passed over.
        ("defaults", "hash_behaviour") => match setting.value {
            "replace" => {}
            other => {
                return Err(format!(
                    "mappings are not merged: `hash_behaviour = {other}` is unsupported; use the filter `combine`"
                ));
            }
        },
        ("defaults", "jinja2_extensions") if !setting.value.is_empty() => {
            return Err("extensions of Jinja are unsupported".into());
        }
        ("tags", "run" | "skip") if !setting.value.is_empty() => {
            return Err(format!(
                "tags in the configuration are unsupported; write `--{}`",
                if setting.name == "run" { "tags" } else { "skip-tags" }
            ));
        }
        ("defaults", "vault_password_file" | "ask_vault_pass") => {
            return Err("values encrypted with ansible-vault are unsupported".into());
        }
        ("defaults" | "privilege_escalation", "become") => config.r#become = setting.flag()?,
        ("defaults" | "privilege_escalation", "become_user") => config.become_user = setting.text(),
        ("defaults" | "privilege_escalation", "become_method") => config.become_method = setting.text(),
        ("defaults" | "privilege_escalation", "become_ask_pass") => config.become_ask_pass = setting.flag()?,
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> (Config, Vec<String>) {
        let mut faults = Diagnostics::default();
        let config = read(&Source::new("lab/ansible.cfg", text), Path::new("lab/ansible.cfg"), &mut faults);
        (config, faults.list.into_iter().map(|fault| fault.message).collect())
    }

    #[test]
    fn settings_are_read_relative_to_the_file() {
        let (config, faults) = load(
            "# note\n[defaults]\ninventory = hosts.ini, more\nroles_path=roles:/srv/roles\nhost_key_checking = False\n\
             forks = 50\ntimeout=7\ngathering = smart\n[privilege_escalation]\nbecome=yes\n[ssh_connection]\npipelining = True\n",
        );
        assert_eq!(config.inventory, ["lab/hosts.ini", "lab/more"]);
        assert_eq!(config.roles_path, [Path::new("lab/roles"), Path::new("/srv/roles")]);
        assert_eq!((config.host_key_checking, config.timeout, config.r#become), (Some(false), Some(7), Some(true)));
        assert_eq!(config.gathering, Some(Gathering::Smart));
        assert_eq!(faults, ["settings without a meaning here: forks, pipelining"]);
    }

    #[test]
    fn the_environment_is_stronger() {
        let (mut config, _) = load("[defaults]\nremote_user = file\ntimeout = 7\n");
        let mut faults = Diagnostics::default();
        let given = |name: &str| match name {
            "ANSIBLE_REMOTE_USER" => Some("env".to_string()),
            "ANSIBLE_ROLES_PATH" => Some("/a:b".into()),
            "ANSIBLE_TIMEOUT" => Some("soon".into()),
            _ => None,
        };
        lay_over(&mut config, given, &mut faults);
        assert_eq!((config.remote_user.as_deref(), config.timeout), (Some("env"), Some(7)));
        assert_eq!(config.roles_path, [Path::new("/a"), Path::new("b")]);
        assert_eq!(faults.list.len(), 1);
        assert_eq!(faults.list[0].message, "ANSIBLE_TIMEOUT: `timeout` is a whole number, found `soon`");
    }

    #[test]
    fn faults() {
        for (text, expected) in [
            ("[defaults]\nhost_key_checking = maybe\n", "`host_key_checking` is true or false, found `maybe`"),
            ("[defaults]\ntimeout = x\n", "`timeout` is a whole number, found `x`"),
            ("[defaults]\nnonsense\n", "this is neither a section nor a setting"),
            ("[defaults]\nvault_password_file = x\n", "values encrypted with ansible-vault are unsupported"),
            (
                "[defaults]\nhash_behaviour = merge\n",
                "mappings are not merged: `hash_behaviour = merge` is unsupported; use the filter `combine`",
            ),
            ("[defaults]\njinja2_extensions = jinja2.ext.do\n", "extensions of Jinja are unsupported"),
            ("[tags]\nrun = a\n", "tags in the configuration are unsupported; write `--tags`"),
            ("[defaults]\ngathering = x\n", "`gathering` is implicit, explicit or smart, found `x`"),
        ] {
            assert_eq!(load(text).1, [expected]);
        }
    }
}
