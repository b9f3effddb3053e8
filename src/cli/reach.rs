//! How the hosts are reached: inventory variables, options, the configuration, and the lab if one of this testbed is up.
//!
//! Makes [`Target`]s; opens no connection.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::cli::args::Connection;
use crate::cli::console::Console;
use crate::cli::console::Stop;
use crate::cli::host_vars::HostVars;
use crate::cli::load;
use crate::cli::ssh_args::SshArgs;
use crate::cli::ssh_args::home;
use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Span;
use crate::lab;
use crate::lab::Access;
use crate::lang::config::Config;
use crate::lang::decode::truth;
use crate::lang::inherit::Inherited;
use crate::lang::lookup::Fault;
use crate::lang::lookup::Lookup;
use crate::lang::node::Node;
use crate::lang::project::Project;
use crate::lang::template::Templates;
use crate::remote;
use crate::remote::Settings;
use crate::remote::Target;
use crate::remote::Unknown;
use crate::remote::Via;
use crate::secret::Redactor;
use crate::secret::Secret;

/// Variables with options for the `ssh` program, the strongest first.
const SSH_ARGS: [&str; 3] = ["ansible_ssh_extra_args", "ansible_ssh_common_args", "ansible_ssh_args"];

/// What holds for all connections of this run. What `~/.ssh/config` has that means nothing here is said once.
pub(super) fn settings(console: &Console, config: &Config, options: &Connection) -> Result<Settings, Stop> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    let user = variable("USER").or_else(|| variable("LOGNAME")).or_else(login).unwrap_or_else(|| "root".into());
    let mut settings = Settings::new(home, user);
    settings.agent = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from);
    settings.ask_password = options.ask_pass;
    if let Some(seconds) = config.timeout {
        settings.connect_timeout = Duration::from_secs(seconds.max(1));
    }
    if config.host_key_checking == Some(false) {
        settings.unknown_host = Unknown::Ignore;
    }
    load::settle(console, Diagnostics { list: remote::config_faults(&settings) })?;
    Ok(settings)
}

/// The name of the user who runs this.
#[cfg(target_os = "linux")]
fn login() -> Option<String> {
    nix::unistd::User::from_uid(nix::unistd::Uid::current()).ok().flatten().map(|user| user.name)
}

#[cfg(not(target_os = "linux"))]
fn login() -> Option<String> {
    None
}

/// The way to one host, and the password for `sudo` there, if it has its own.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) target: Target,
    pub(super) become_password: Option<Secret<String>>,
}

/// The ways to hosts, by their names in the inventory.
pub(super) type Ways = IndexMap<String, Way>;

/// Where the controller keeps what belongs to a testbed: its keys.
pub(super) fn store(testbed: &str) -> PathBuf {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    data.unwrap_or_else(|| home("~/.local/share")).join("tbctl").join(testbed)
}

/// The ways to all hosts of the inventory, `localhost` included.
pub(super) fn ways(console: &Console, project: &Arc<Project>, templates: &Templates) -> Result<Ways, Stop> {
    let lab = lab::access(&project.inventory.testbed)?.unwrap_or_default();
    let (mut ways, faults) = written(project, templates, &console.redactor);
    let mut used = false;
    for (name, access) in &lab {
        if let Some(way) = ways.get_mut(name) {
            used = true;
            way.target = in_lab(way.target.clone(), access);
        }
    }
    load::settle(console, faults)?;
    if used {
        let testbed = &project.inventory.testbed;
        console.note(&format!("the lab of `{testbed}` is up: its hosts are reached there"));
    }
    Ok(ways)
}

/// What is wrong with what the inventory and the plays say of the ways to hosts.
pub(super) fn faults(project: &Arc<Project>, templates: &Templates, redactor: &Redactor) -> Diagnostics {
    written(project, templates, redactor).1
}

/// The ways as they are written.
fn written(project: &Arc<Project>, templates: &Templates, redactor: &Redactor) -> (Ways, Diagnostics) {
    let beside = project.plays.first().map(|play| play.beside.clone()).unwrap_or_default();
    let (mut ways, mut faults) = (Ways::default(), Diagnostics::default());
    let names = project.inventory.hosts.keys().map(String::as_str);
    let implicit = ["localhost", "127.0.0.1", "::1"].into_iter();
    for name in names.chain(implicit.filter(|name| !project.inventory.hosts.contains_key(*name))) {
        let vars = HostVars { project: project.clone(), beside: beside.clone(), host: name.to_string() };
        let mut host = Host { name, scope: Arc::new(vars.clone()), vars, templates, faults: &mut faults };
        let target = host.target(redactor);
        let become_password = host.secret("ansible_become_password", redactor);
        ways.insert(name.to_string(), Way { target, become_password });
    }
    (ways, faults)
}

/// The same host in the lab: reached directly, by the lab's key, and known already.
pub(super) fn in_lab(target: Target, access: &Access) -> Target {
    Target {
        name: target.name,
        via: Via::Ssh,
        host: Some(access.address.to_string()),
        port: Some(access.port),
        user: target.user.or_else(|| Some(access.user.clone())),
        keys: vec![access.key.clone()],
        password: None,
        jump: Some("none".into()),
        known_hosts: Some(access.known_hosts.clone()),
        timeout: target.timeout,
        unknown: Some(Unknown::Refuse),
    }
}

/// One host while its target is made.
struct Host<'a> {
    name: &'a str,
    vars: HostVars,
    scope: Arc<dyn Lookup>,
    templates: &'a Templates,
    faults: &'a mut Diagnostics,
}

impl Host<'_> {
    fn target(&mut self, redactor: &Redactor) -> Target {
        let project = self.vars.project.clone();
        let config = &project.config;
        let args = self.ssh_args();
        let password = self.secret("ansible_password", redactor);
        let key = self.text("ansible_ssh_private_key_file").map(|(path, _)| home(&path));
        let mut keys: Vec<PathBuf> = args.keys.clone();
        keys.extend(key.or_else(|| config.private_key_file.clone().filter(|_| args.keys.is_empty())));
        let user = self.text("ansible_user").map(|(text, _)| text).or(args.user);
        let seconds = self.number("ansible_timeout");
        Target {
            name: self.name.to_string(),
            via: self.via(),
            host: self.text("ansible_host").map(|(text, _)| text),
            port: self.port().or(args.port).or(config.remote_port),
            user: user.or_else(|| self.of_plays("remote_user")).or_else(|| config.remote_user.clone()),
            keys,
            password,
            jump: self.text("ansible_ssh_jump").map(|(text, _)| text).or(args.jump),
            known_hosts: args.known_hosts,
            timeout: seconds.map(Duration::from_secs).or(args.timeout),
            unknown: self.unknown().or(args.unknown),
        }
    }

    /// A password; never shown from now on.
    fn secret(&mut self, name: &str, redactor: &Redactor) -> Option<Secret<String>> {
        let (text, _) = self.text(name)?;
        redactor.hide(&text);
        Some(Secret::new(text))
    }

    fn node(&mut self, name: &str) -> Option<Node> {
        let node = match self.vars.of_plays(name) {
            Ok(node) => node?,
            Err(fault) => {
                self.faults.push(fault);
                return None;
            }
        };
        match self.templates.render_unless_omitted(&node, &self.scope) {
            Ok(node) => node.filter(|node| !node.is_null()),
            Err(Fault::Error(fault)) => {
                self.faults.push(fault.at(&node.span));
                None
            }
            Err(Fault::Unknown(_)) => {
                let text = format!("`{name}` must be known before `{}` is reached", self.name);
                self.faults.push(Diagnostic::error(text).at(&node.span).help("use what the inventory says only"));
                None
            }
        }
    }

    fn text(&mut self, name: &str) -> Option<(String, Span)> {
        let node = self.node(name)?;
        match node.scalar() {
            Some(text) if text.is_empty() => None,
            Some(text) => Some((text, node.span)),
            None => {
                let text = format!("`{name}` is text, found {}", node.kind());
                self.faults.push(Diagnostic::error(text).at(&node.span));
                None
            }
        }
    }

    fn number<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        let (text, span) = self.text(name)?;
        let wrong = |_| Diagnostic::error(format!("`{name}` is a number, found `{text}`")).at(&span);
        let parsed = text.trim().parse().map_err(wrong);
        self.faults.take(parsed)
    }

    fn port(&mut self) -> Option<u16> {
        let said = self.text("ansible_port");
        let parsed = said.map(|(text, span)| match text.trim().parse::<u16>() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(Diagnostic::error(format!("a port is a number from 1 to 65535, found `{text}`")).at(&span)),
        });
        let port = self.faults.take(parsed.transpose()).flatten();
        port.or_else(|| self.of_plays("port")?.parse().ok()).filter(|port| *port > 0)
    }

    fn unknown(&mut self) -> Option<Unknown> {
        let (text, span) = self.text("ansible_host_key_checking")?;
        match truth(&text) {
            Some(true) => None,
            Some(false) => Some(Unknown::Ignore),
            None => {
                let text = format!("`ansible_host_key_checking` is true or false, found `{text}`");
                self.faults.push(Diagnostic::error(text).at(&span));
                None
            }
        }
    }

    fn via(&mut self) -> Via {
        let said = self.text("ansible_connection");
        let (name, span) = match said {
            Some((name, span)) => (name, Some(span)),
            None => (self.of_plays("connection").unwrap_or_else(|| "ssh".into()), None),
        };
        match name.strip_prefix("ansible.builtin.").unwrap_or(&name) {
            "local" => Via::Local,
            "ssh" | "smart" | "paramiko" | "paramiko_ssh" => Via::Ssh,
            _ => {
                let fault = Diagnostic::error(format!("the connection `{name}` is unsupported"));
                let fault = fault.help("hosts are reached by `ssh` or `local`");
                self.faults.push(match span {
                    Some(span) => fault.at(&span),
                    None => fault,
                });
                Via::Ssh
            }
        }
    }

    fn ssh_args(&mut self) -> SshArgs {
        let mut args = SshArgs::default();
        for name in SSH_ARGS {
            if let Some((text, span)) = self.text(name) {
                let read = args.read(&text, &span);
                self.faults.take(read);
            }
        }
        args
    }

    /// What the plays that name this host say by a keyword; they have to agree, since a host is reached once.
    fn of_plays(&mut self, keyword: &str) -> Option<String> {
        let project = self.vars.project.clone();
        let mut found: Option<(Option<String>, Span)> = None;
        let plays = project.plays.iter().enumerate().filter(|(number, _)| !project.gaps.plays.contains(number));
        for (_, play) in plays.filter(|(_, play)| play.hosts.iter().any(|host| host == self.name)) {
            let node = of(&play.inherited, keyword);
            let span = node.map_or(&play.span, |node| &node.span).clone();
            let value = match node.map(|node| self.templates.render(node, &self.scope)) {
                None => None,
                Some(Ok(node)) => node.scalar(),
                Some(Err(_)) => {
                    let text = format!("`{keyword}` of a play must be known before the run");
                    self.faults.push(Diagnostic::error(text).at(&span));
                    return None;
                }
            };
            match &found {
                None => found = Some((value, span)),
                Some((first, place)) if *first != value => {
                    let text =
                        format!("plays that differ in `{keyword}` are unsupported: `{}` is reached once", self.name);
                    let fault = Diagnostic::error(text).at(&span).note(place, "differs from here");
                    self.faults.push(fault.help("use `become`, or a second run"));
                    return None;
                }
                Some(_) => {}
            }
        }
        found.and_then(|(value, _)| value)
    }
}

fn of<'a>(inherited: &'a Inherited, keyword: &str) -> Option<&'a Node> {
    match keyword {
        "remote_user" => inherited.remote_user.as_ref(),
        "port" => inherited.port.as_ref(),
        _ => inherited.connection.as_ref(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::lang::files::Files;
    use crate::lang::project;
    use crate::lang::project::Request;

    const HOSTS: &str = "\
plain
named ansible_host=10.0.0.1 ansible_port=2222 ansible_user=admin ansible_password=geheim-123
keyed ansible_ssh_private_key_file=/k ansible_ssh_common_args='-o StrictHostKeyChecking=no -J me@gate:22 -p 23'
near ansible_connection=local
mixed ansible_host='{{ inventory_hostname }}.lan' ansible_user='{{ who }}' who=me ansible_timeout=7
trusting ansible_host_key_checking=false
odd ansible_port=x ansible_connection=docker ansible_ssh_extra_args='-L 1:a:1'
";

    /// One host's way in one line, and what is wrong with it.
    fn way(host: &str, config: Config) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hosts.ini");
        std::fs::write(&path, HOSTS).unwrap();
        let request = Request { inventories: vec![path.display().to_string()], config, ..Request::default() };
        let (files, templates) = (Files::new(), Templates::new());
        let project = Arc::new(project::load(&request, &files, &templates).unwrap());
        let vars = HostVars { project, beside: Arc::default(), host: host.into() };
        let (mut faults, redactor) = (Diagnostics::default(), Redactor::default());
        let scope = Arc::new(vars.clone());
        let mut host = Host { name: host, vars, scope, templates: &templates, faults: &mut faults };
        let target = host.target(&redactor);
        let mut text = short(&target);
        faults.list.iter().for_each(|fault| text += &format!(" !{}", fault.message));
        redactor.clean(&text)
    }

    fn short(target: &Target) -> String {
        let mut words = vec![format!("{:?}", target.via)];
        words.extend(target.user.clone().map(|user| format!("user={user}")));
        words.extend(target.host.clone().map(|host| format!("host={host}")));
        words.extend(target.port.map(|port| format!("port={port}")));
        words.extend(target.keys.iter().map(|key| format!("key={}", key.display())));
        words.extend(target.password.as_ref().map(|password| format!("password={}", password.expose())));
        words.extend(target.jump.clone().map(|jump| format!("jump={jump}")));
        words.extend(target.known_hosts.as_ref().map(|path| format!("known={}", path.display())));
        words.extend(target.timeout.map(|time| format!("timeout={}", time.as_secs())));
        words.extend(target.unknown.map(|unknown| format!("unknown={unknown:?}")));
        words.join(" ")
    }

    #[test]
    fn ways_of_an_inventory() {
        let options =
            Config { remote_user: Some("cfg".into()), private_key_file: Some("/cfg".into()), ..Config::default() };
        for (host, config, expected) in [
            ("plain", Config::default(), "Ssh"),
            ("plain", options.clone(), "Ssh user=cfg key=/cfg"),
            ("named", options.clone(), "Ssh user=admin host=10.0.0.1 port=2222 key=/cfg password=<secret>"),
            ("keyed", options, "Ssh user=cfg port=23 key=/k jump=me@gate:22 unknown=Ignore"),
            ("near", Config::default(), "Local"),
            ("mixed", Config::default(), "Ssh user=me host=mixed.lan timeout=7"),
            ("trusting", Config::default(), "Ssh unknown=Ignore"),
            (
                "odd",
                Config::default(),
                "Ssh !the ssh option `-L` is unsupported !the connection `docker` is unsupported \
                 !a port is a number from 1 to 65535, found `x`",
            ),
        ] {
            assert_eq!(way(host, config), expected, "{host}");
        }
    }

    #[test]
    fn in_the_lab_nothing_else_counts() {
        let access = Access {
            address: Ipv4Addr::new(10, 1, 0, 10),
            port: 22,
            user: "root".into(),
            key: "/lab/key".into(),
            known_hosts: "/lab/known".into(),
        };
        let real = Target {
            name: "web1".into(),
            via: Via::Local,
            host: Some("203.0.113.9".into()),
            port: Some(2222),
            keys: vec!["/k".into()],
            jump: Some("gate".into()),
            password: Some(Secret::new("geheim-123".into())),
            ..Target::default()
        };
        let expected = "Ssh user=root host=10.1.0.10 port=22 key=/lab/key jump=none known=/lab/known unknown=Refuse";
        assert_eq!(short(&in_lab(real.clone(), &access)), expected);
        let asked = Target { user: Some("labpw".into()), ..real };
        assert!(short(&in_lab(asked, &access)).starts_with("Ssh user=labpw host=10.1.0.10"));
    }
}
