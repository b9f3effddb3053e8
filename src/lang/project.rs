//! The whole of what the user wrote, read and checked: the inventory, the plays, the extra variables.
//!
//! The only entrance for the floors above.

use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use minijinja::Value;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Severity;
use crate::diag::Span;
use crate::lang::beside;
use crate::lang::config::Config;
use crate::lang::connection;
use crate::lang::extra;
use crate::lang::files::Files;
use crate::lang::fixed::Fixed;
use crate::lang::gaps::Gaps;
use crate::lang::inventory::Beside;
use crate::lang::inventory::Inventory;
use crate::lang::lookup::Fault;
use crate::lang::pattern;
use crate::lang::playbook::Order;
use crate::lang::playbook::Play;
use crate::lang::playbook_read;
use crate::lang::playbook_read::Around;
use crate::lang::reader::Reader;
use crate::lang::sources;
use crate::lang::task::Entry;
use crate::lang::task::Vars;
use crate::lang::template::Templates;

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// As given to `-i`: files, directories, or host lists `a,b,`.
    pub inventories: Vec<String>,
    pub playbooks: Vec<PathBuf>,
    /// As given to `-e`: `k=v …`, YAML or JSON mappings, `@file`.
    pub extra_vars: Vec<String>,
    pub limit: Option<String>,
    /// Further directories of roles, before those of the configuration.
    pub roles_path: Vec<PathBuf>,
    /// The kinds of task that exist, by short name.
    pub kinds: &'a [&'a str],
    pub config: Config,
}

#[derive(Debug, Clone, Default)]
pub struct Project {
    pub inventory: Inventory,
    pub plays: Vec<Play>,
    pub extra_vars: Vars,
    /// As given to `--limit`.
    pub limit: Option<String>,
    pub config: Config,
    /// What is worth a word but no fault.
    pub warnings: Diagnostics,
    /// What could not be read. A project that has any is good for finding more faults, and for nothing else.
    pub gaps: Gaps,
}

/// Reads everything, or says all that is wrong; warnings stay in [`Project::warnings`].
pub fn load(request: &Request<'_>, files: &Files, templates: &Templates) -> Result<Project, Diagnostics> {
    let (project, faults) = read(request, files, templates);
    faults.check(project)
}

/// Reads what can be read. If anything is wrong, the warnings are among the faults, behind the errors.
pub fn read(request: &Request<'_>, files: &Files, templates: &Templates) -> (Project, Diagnostics) {
    let mut faults = Diagnostics::default();
    let sources = match request.inventories.is_empty() {
        true => &request.config.inventory,
        false => &request.inventories,
    };
    let inventory = sources::read(files, sources, &mut faults);
    // Without its inventory nothing can be said of hosts.
    let wrong_inventory = faults.has_errors();
    let no_hosts = wrong_inventory && inventory.hosts.is_empty();
    let extra_vars = extra::read(files, &request.extra_vars, &mut faults);
    let around = Around {
        kinds: request.kinds.iter().map(|kind| (*kind).to_string()).collect(),
        roles_path: roles_path(request).into(),
        extra_vars: extra_vars.clone(),
    };
    let mut reader = Reader::new(files, templates, &mut faults);
    let mut plays: Vec<Play> = Vec::new();
    for path in &request.playbooks {
        plays.extend(playbook_read::read(path, &around, &mut reader));
    }
    let limit = request.limit.as_ref().filter(|_| !no_hosts);
    let limit = limit.and_then(|text| limit_hosts(text, &inventory, files, &mut faults));
    let mut found: Vec<(PathBuf, Arc<Beside>)> = Vec::new();
    let mut stand_ins = HashSet::new();
    for (number, play) in plays.iter_mut().enumerate() {
        play.beside = beside(&play.directory, &inventory, files, &mut found, &mut faults);
        let fixed = fixed_of(play, &inventory, &extra_vars);
        name_handlers(&mut play.handlers, &play.vars, &extra_vars, templates);
        settle_facts(play, &fixed, templates, &mut faults);
        let known = !no_hosts && choose_hosts(play, &inventory, &fixed, limit.as_ref(), templates, &mut faults);
        if !known {
            stand_ins.insert(number);
            play.hosts = vec![inventory.localhost.name.clone()];
        }
    }
    faults.in_reading_order();
    let mut gaps = Gaps::of(&faults);
    (gaps.inventory, gaps.plays) = (wrong_inventory, stand_ins);
    let (mut errors, warnings): (Vec<_>, Vec<_>) =
        faults.list.into_iter().partition(|fault| fault.severity == Severity::Error);
    if !errors.is_empty() {
        errors.extend(warnings.iter().cloned());
    }
    let (limit, config) = (request.limit.clone(), request.config.clone());
    let warnings = Diagnostics { list: warnings };
    (Project { inventory, plays, extra_vars, limit, config, warnings, gaps }, Diagnostics { list: errors })
}

/// Directories of roles, in order: asked for, configured, Ansible's defaults.
fn roles_path(request: &Request<'_>) -> Vec<PathBuf> {
    let mut paths = request.roles_path.clone();
    paths.extend(request.config.roles_path.iter().cloned());
    if request.config.roles_path.is_empty() {
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".ansible/roles"));
        paths.extend(home);
        paths.extend(["/usr/share/ansible/roles", "/etc/ansible/roles"].map(PathBuf::from));
    }
    paths
}

/// The hosts of `--limit`: patterns, and `@file` with one pattern a line. `None` if it is wrong.
fn limit_hosts(text: &str, inventory: &Inventory, files: &Files, faults: &mut Diagnostics) -> Option<HashSet<String>> {
    let span = Span::synthetic("--limit", text);
    let mut parts = Vec::new();
    for part in pattern::split(text, &span) {
        match part.text.strip_prefix('@') {
            None => parts.push(part),
            Some(path) => {
                if let Some(source) = faults.take(files.read(Path::new(path)).map_err(|fault| fault.at(&part.span))) {
                    let lines =
                        source.text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
                    parts.extend(lines.flat_map(|line| pattern::split(line, &Span::synthetic(&source.name, line))));
                }
            }
        }
    }
    let mut found = Diagnostics::default();
    let hosts: HashSet<String> = pattern::hosts(&parts, inventory, &mut found).into_iter().collect();
    if hosts.is_empty() && !found.has_errors() {
        found.push(
            Diagnostic::error("the limit leaves no host").at(&span).help("`tbctl inventory` lists hosts and groups"),
        );
    }
    let right = !found.has_errors();
    faults.extend(found);
    right.then_some(hosts)
}

/// group_vars and host_vars beside a playbook, read once a directory. What lies beside the inventory too is read there.
fn beside(
    directory: &Path,
    inventory: &Inventory,
    files: &Files,
    found: &mut Vec<(PathBuf, Arc<Beside>)>,
    faults: &mut Diagnostics,
) -> Arc<Beside> {
    if let Some((_, known)) = found.iter().find(|(path, _)| path == directory) {
        return known.clone();
    }
    let mut read = match inventory.directories.iter().any(|path| path == directory) {
        true => Beside::default(),
        false => beside::read(files, directory, inventory, faults),
    };
    connection::check_beside(&mut read, faults);
    let read = Arc::new(read);
    found.push((directory.to_path_buf(), read.clone()));
    read
}

/// Gives handlers the names their templates stand for, as far as they depend on no host.
fn name_handlers(handlers: &mut [Entry], vars: &Vars, extra_vars: &Vars, templates: &Templates) {
    for entry in handlers {
        let Entry::Task(task) = entry else { continue };
        let Some(name) = task.name.as_ref().filter(|name| name.is_live()) else { continue };
        let role = task.role.as_ref();
        let defaults = role.map(|role| role.default_layers()).unwrap_or_default();
        let own = role.map(|role| role.var_layers()).unwrap_or_default();
        let layers = defaults.into_iter().chain([vars]).chain(own).chain([extra_vars]);
        let fixed = layers.fold(Fixed::default(), |fixed, layer| fixed.with(layer));
        if let Ok(Some(known)) = fixed.render(name, templates) {
            task.name = Some(known);
        }
    }
}

/// What templates of a play's own keywords can use before the run.
fn fixed_of(play: &Play, inventory: &Inventory, extra_vars: &Vars) -> Fixed {
    let names = |group: &String| inventory.hosts_of(group).into_iter().map(Value::from).collect::<Value>();
    let groups = Value::from_pairs(inventory.groups.keys().map(|group| (group.clone(), names(group))));
    let fixed = Fixed::default().with(&play.vars).with(extra_vars).value("groups", groups);
    fixed.path("playbook_dir", &play.directory).closed()
}

/// Settles whether a play gathers facts, where that is a template.
fn settle_facts(play: &mut Play, fixed: &Fixed, templates: &Templates, faults: &mut Diagnostics) {
    let Some(node) = &play.gather_facts else { return };
    match fixed.render(node, templates) {
        Ok(Some(node)) => play.gather_facts = Some(node),
        Ok(None) | Err(Fault::Unknown(_)) => {
            let fault = Diagnostic::error("whether facts are gathered must be known before the run").at(&node.span);
            faults.push(fault.help("use variables of the play or of `-e` only"));
        }
        Err(Fault::Error(fault)) => faults.push(fault.at(&node.span)),
    }
}

/// Finds a play's hosts from its pattern, in its order, cut by the limit. Whether they are known.
fn choose_hosts(
    play: &mut Play,
    inventory: &Inventory,
    fixed: &Fixed,
    limit: Option<&HashSet<String>>,
    templates: &Templates,
    faults: &mut Diagnostics,
) -> bool {
    let mut parts = Vec::new();
    for node in &play.pattern {
        match fixed.render(node, templates) {
            Ok(Some(node)) => parts.extend(pattern::parts(&node)),
            Ok(None) | Err(Fault::Unknown(_)) => {
                let fault = Diagnostic::error("the hosts of a play must be known before the run").at(&node.span);
                faults.push(fault.help("use variables of the play, of `-e`, or `groups`"));
                return false;
            }
            Err(Fault::Error(fault)) => {
                faults.push(fault.at(&node.span));
                return false;
            }
        }
    }
    let mut found = Diagnostics::default();
    play.all_hosts = pattern::hosts(&parts, inventory, &mut found);
    let known = !found.has_errors();
    faults.extend(found);
    play.all_hosts.retain(|host| limit.is_none_or(|limit| limit.contains(host)));
    play.hosts = play.all_hosts.clone();
    match play.order {
        Order::Inventory => {}
        Order::ReverseInventory => play.hosts.reverse(),
        Order::Sorted => play.hosts.sort(),
        Order::ReverseSorted => {
            play.hosts.sort();
            play.hosts.reverse();
        }
    }
    known
}
