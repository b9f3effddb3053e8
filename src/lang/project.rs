//! The whole of what the user wrote, read and checked: the inventory, the plays, the extra variables.
//!
//! The only entrance for the floors above.

use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Severity;
use crate::diag::Source;
use crate::diag::Span;
use crate::lang::beside;
use crate::lang::config::Config;
use crate::lang::connection;
use crate::lang::extra;
use crate::lang::files::Files;
use crate::lang::fixed::Fixed;
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
}

/// Reads everything. All faults come together; warnings stay in [`Project::warnings`].
pub fn load(request: &Request<'_>, files: &Files, templates: &Templates) -> Result<Project, Diagnostics> {
    let mut faults = Diagnostics::default();
    let sources = match request.inventories.is_empty() {
        true => &request.config.inventory,
        false => &request.inventories,
    };
    let inventory = sources::read(files, sources, &mut faults);
    // Without its inventory nothing can be said of hosts.
    let no_hosts = faults.has_errors() && inventory.hosts.is_empty();
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
    let limit = request.limit.as_ref().filter(|_| !no_hosts).map(|text| limit(text, &inventory, files, &mut faults));
    let mut found: Vec<(PathBuf, Arc<Beside>)> = Vec::new();
    for play in &mut plays {
        play.beside = beside(&play.directory, &inventory, files, &mut found, &mut faults);
        if !no_hosts {
            choose_hosts(play, &inventory, &extra_vars, limit.as_ref(), templates, &mut faults);
        }
    }
    in_reading_order(&mut faults);
    let (errors, warnings) = faults.list.into_iter().partition(|fault| fault.severity == Severity::Error);
    let (errors, warnings) = (Diagnostics { list: errors }, Diagnostics { list: warnings });
    match errors.list.is_empty() {
        true => {
            let (limit, config) = (request.limit.clone(), request.config.clone());
            Ok(Project { inventory, plays, extra_vars, limit, config, warnings })
        }
        false => {
            let mut all = errors;
            all.extend(warnings);
            Err(all)
        }
    }
}

/// File by file as they were read, and from top to bottom in each.
fn in_reading_order(faults: &mut Diagnostics) {
    let mut sources: Vec<Arc<Source>> = Vec::new();
    for span in faults.list.iter().filter_map(|fault| fault.span.as_ref()) {
        if !sources.contains(&span.source) {
            sources.push(span.source.clone());
        }
    }
    let place = |fault: &Diagnostic| {
        let span = fault.span.as_ref()?;
        Some((sources.iter().position(|source| *source == span.source), span.start))
    };
    faults.list.sort_by_cached_key(|fault| place(fault));
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

/// The hosts of `--limit`: patterns, and `@file` with one pattern a line.
fn limit(text: &str, inventory: &Inventory, files: &Files, faults: &mut Diagnostics) -> HashSet<String> {
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
    faults.extend(found);
    hosts
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

/// Finds a play's hosts from its pattern, in its order, cut by the limit.
fn choose_hosts(
    play: &mut Play,
    inventory: &Inventory,
    extra_vars: &Vars,
    limit: Option<&HashSet<String>>,
    templates: &Templates,
    faults: &mut Diagnostics,
) {
    let fixed = Fixed::default().with(&play.vars).with(extra_vars).path("playbook_dir", &play.directory);
    let mut parts = Vec::new();
    for node in &play.pattern {
        match fixed.render(node, templates) {
            Ok(Some(node)) => parts.extend(pattern::parts(&node)),
            Ok(None) => {
                let fault = Diagnostic::error("the hosts of a play must be known before the run").at(&node.span);
                faults.push(fault.help("use variables of the play or of `-e` only, or `groups` in a task's loop"));
                return;
            }
            Err(Fault::Error(fault)) => return faults.push(fault.at(&node.span)),
            Err(Fault::Unknown(_)) => return,
        }
    }
    play.all_hosts = pattern::hosts(&parts, inventory, faults);
    match play.order {
        Order::Inventory => {}
        Order::ReverseInventory => play.all_hosts.reverse(),
        Order::Sorted => play.all_hosts.sort(),
        Order::ReverseSorted => {
            play.all_hosts.sort();
            play.all_hosts.reverse();
        }
    }
    let within = |host: &&String| limit.is_none_or(|limit| limit.contains(*host));
    play.hosts = play.all_hosts.iter().filter(within).cloned().collect();
}
