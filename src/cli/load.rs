//! Reads what the command line names: configuration, inventories, playbooks.
//!
//! Knows which word of the command line is what; what is in the files is the language's.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use regex::Regex;
use sha2::Digest as _;
use sha2::Sha256;

use crate::cli::args::Connection;
use crate::cli::args::Sources;
use crate::cli::console::Console;
use crate::cli::console::Stop;
use crate::cli::links;
use crate::cli::reach;
use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::engine::precheck;
use crate::engine::ready::Users;
use crate::engine::store::Store;
use crate::graph::Graph;
use crate::graph::build;
use crate::graph::build::Choice;
use crate::lang::config;
use crate::lang::config::Config;
use crate::lang::files::Files;
use crate::lang::project;
use crate::lang::project::Project;
use crate::lang::project::Request;
use crate::lang::template::Templates;
use crate::modules;
use crate::results::record::Digests;

/// The user's text, read and checked, with what read it.
pub(super) struct Loaded {
    pub(super) project: Project,
    pub(super) files: Files,
    pub(super) templates: Templates,
    /// How many playbooks were named.
    pub(super) playbooks: usize,
}

/// Whether a command can do without playbooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Playbooks {
    Needed,
    Optional,
    /// Each word that is no option names an inventory.
    None,
}

/// Reads everything that is named; warnings go to stderr.
pub(super) fn load(
    console: &Console,
    sources: &Sources,
    connection: Option<&Connection>,
    playbooks: Playbooks,
) -> Result<Loaded, Stop> {
    let (loaded, faults) = partly(console, sources, connection, playbooks)?;
    faults.check(())?;
    // What is wrong with them is said by every command.
    links::read(&loaded)?;
    Ok(loaded)
}

/// The same, and the graph. What is wrong is said together, whether it was found in reading, in building or in trying what
/// every task would be given. What only a run can try is among the faults that come back, unsettled.
pub(super) fn build(
    console: &Console,
    sources: &Sources,
    connection: Option<&Connection>,
    playbooks: Playbooks,
    choice: &Choice,
) -> Result<(Loaded, Graph, Diagnostics), Stop> {
    let (mut loaded, mut faults) = partly(console, sources, connection, playbooks)?;
    if !loaded.project.gaps.inventory {
        faults.extend(links::read(&loaded).err().unwrap_or_default());
        let project = Arc::new(loaded.project);
        faults.extend(reach::faults(&project, &loaded.templates, &console.redactor));
        loaded.project = Arc::unwrap_or_clone(project);
    }
    let wrong = faults.has_errors();
    let (graph, found) = build::built(&loaded.project, &loaded.templates, choice);
    faults.extend(found);
    match wrong {
        true => Err(precheck::faults(&store(loaded, graph), &Users::default(), faults).into()),
        false => Ok((loaded, graph, faults)),
    }
}

/// What was read, for an engine that only looks at it.
pub(super) fn store(loaded: Loaded, graph: Graph) -> Store {
    let Loaded { project, files, templates, .. } = loaded;
    Store::new(Arc::new(project), Arc::new(graph), Arc::new(templates), Arc::new(files), true)
}

/// Reads what can be read, and says what is wrong with the rest.
fn partly(
    console: &Console,
    sources: &Sources,
    connection: Option<&Connection>,
    playbooks: Playbooks,
) -> Result<(Loaded, Diagnostics), Stop> {
    let (files, templates) = (Files::new(), Templates::new());
    let read = read(&files, &templates, sources, connection, playbooks);
    hide_passwords(&files, console);
    let (project, faults, playbooks, warnings) = read?;
    console.faults(&warnings);
    if !faults.has_errors() {
        console.faults(&project.warnings);
    }
    Ok((Loaded { project, files, templates, playbooks }, faults))
}

fn read(
    files: &Files,
    templates: &Templates,
    sources: &Sources,
    connection: Option<&Connection>,
    playbooks: Playbooks,
) -> Result<(Project, Diagnostics, usize, Diagnostics), Stop> {
    let mut warnings = Diagnostics::default();
    let mut config = configuration(files, &mut warnings)?;
    let mut faults = Diagnostics::default();
    config::lay_over(&mut config, |name| std::env::var(name).ok(), &mut faults);
    faults.check(())?;
    if let Some(connection) = connection {
        lay_over(&mut config, connection);
        if let Some(method) = config.become_method.as_deref().filter(|method| *method != "sudo") {
            let fault = Diagnostic::error(format!("to become another user by `{method}` is unsupported"));
            return Err(fault.help("tbctl knows `sudo`").into());
        }
    }
    let words = sort(sources, &config, files, playbooks)?;
    let names = modules::names();
    let request = Request {
        inventories: words.inventories,
        playbooks: words.playbooks,
        extra_vars: sources.extra_vars.clone(),
        limit: sources.limit.clone(),
        roles_path: Vec::new(),
        kinds: &names,
        config,
    };
    let (project, faults) = project::read(&request, files, templates);
    Ok((project, faults, request.playbooks.len(), warnings))
}

/// `ansible.cfg`, from the first of its places. One in a directory that everybody may write to is passed over.
fn configuration(files: &Files, warnings: &mut Diagnostics) -> Result<Config, Stop> {
    let named = std::env::var_os("ANSIBLE_CONFIG").filter(|name| !name.is_empty()).map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    for path in config::places(named.as_deref(), home.as_deref()) {
        if !path.is_file() {
            continue;
        }
        if named.is_none() && path.is_relative() && anybody_may_write(Path::new(".")) {
            let text = "`ansible.cfg` is not read: everybody may write to this directory";
            warnings.push(Diagnostic::warning(text).help("name it: `ANSIBLE_CONFIG=ansible.cfg tbctl …`"));
            continue;
        }
        let source = files.read(&path)?;
        let mut faults = Diagnostics::default();
        let config = config::read(&source, &path, &mut faults);
        if faults.has_errors() {
            return Err(faults.into());
        }
        warnings.extend(faults);
        return Ok(config);
    }
    Ok(Config::default())
}

#[cfg(unix)]
fn anybody_may_write(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    directory.metadata().is_ok_and(|meta| meta.mode() & 0o002 != 0)
}

#[cfg(not(unix))]
fn anybody_may_write(_: &Path) -> bool {
    false
}

/// Options are stronger than the configuration, and weaker than plays and variables.
fn lay_over(config: &mut Config, options: &Connection) {
    let Connection { user, private_key, timeout, become_user, become_method, .. } = options.clone();
    config.remote_user = user.or(config.remote_user.take());
    config.private_key_file = private_key.or(config.private_key_file.take());
    config.timeout = timeout.or(config.timeout);
    config.become_user = become_user.or(config.become_user.take());
    config.become_method = become_method.or(config.become_method.take());
    if options.r#become {
        config.r#become = Some(true);
    }
    if options.ask_become_pass {
        config.become_ask_pass = Some(true);
    }
}

/// The words of the command line by what they name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Words {
    inventories: Vec<String>,
    playbooks: Vec<PathBuf>,
}

/// The first word is the inventory, unless `-i` names one or it reads as a playbook.
fn sort(sources: &Sources, config: &Config, files: &Files, playbooks: Playbooks) -> Result<Words, Diagnostic> {
    let mut words = Words { inventories: sources.inventory.clone(), playbooks: Vec::new() };
    let mut rest = sources.files.as_slice();
    if playbooks == Playbooks::None {
        words.inventories.extend(rest.iter().cloned());
        rest = &[];
    }
    if words.inventories.is_empty()
        && let Some((first, others)) = rest.split_first()
        && !reads_as_playbook(files, Path::new(first))
        && (!others.is_empty() || config.inventory.is_empty())
    {
        words.inventories.push(first.clone());
        rest = others;
    }
    words.playbooks = rest.iter().map(PathBuf::from).collect();
    let nothing = words.inventories.is_empty() && config.inventory.is_empty();
    match playbooks {
        Playbooks::Needed if words.playbooks.is_empty() => {
            let fault = Diagnostic::error("no playbook is named");
            Err(fault.help("write the inventory, then the playbooks: `INVENTORY PLAYBOOK…`"))
        }
        Playbooks::None if nothing => Err(Diagnostic::error("no inventory is named")
            .help("write it behind the command, or as `inventory = …` into ansible.cfg")),
        Playbooks::Optional if nothing && words.playbooks.is_empty() => {
            Err(Diagnostic::error("nothing is named").help("write an inventory, a playbook or both"))
        }
        _ => Ok(words),
    }
}

/// Whether a file's first line that says something begins a list, as playbooks do and inventories never.
fn reads_as_playbook(files: &Files, path: &Path) -> bool {
    let Ok(source) = files.read(path) else { return false };
    let mut lines = source.text.lines().map(str::trim_end);
    let first = lines.find(|line| !line.is_empty() && !line.trim_start().starts_with('#') && *line != "---");
    first.is_some_and(|line| line == "-" || line.starts_with("- "))
}

/// Hides the passwords of inventories and variables, also from messages about the lines they are in.
fn hide_passwords(files: &Files, console: &Console) {
    let Ok(pattern) = Regex::new(r#"(?m)\bansible_\w*(?:pass|password|passphrase)\b["']?\s*[:=]\s*(.+)$"#) else {
        return;
    };
    for source in files.sources() {
        for found in pattern.captures_iter(&source.text) {
            let value = found.get(1).map_or("", |value| value.as_str()).trim();
            if value.contains("{{") {
                continue;
            }
            let word = value.split_whitespace().next().unwrap_or_default();
            for form in [value, word] {
                console.redactor.hide(form.trim_matches(['"', '\'', ',', '}']));
            }
        }
    }
}

/// Digests of all texts that were read: those beside the inventories, and the others.
pub(super) fn digests(project: &Project, files: &Files) -> Digests {
    let mut hashes = [Sha256::new(), Sha256::new()];
    let mut sources = files.sources();
    sources.sort_by(|one, other| one.name.cmp(&other.name));
    for source in sources {
        let path = Path::new(&source.name);
        let beside = project.inventory.directories.iter().any(|directory| {
            let vars = ["group_vars", "host_vars"].iter().any(|vars| path.starts_with(directory.join(vars)));
            vars || path.parent() == Some(directory)
        });
        let hash = &mut hashes[usize::from(!beside)];
        hash.update(format!("{}\0{}\0", source.text.len(), source.text));
    }
    let [inventory, playbook] = hashes.map(|hash| hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
    Digests { inventory, playbook }
}

/// Warnings of a later step, and errors as a reason to stop.
pub(super) fn settle(console: &Console, faults: Diagnostics) -> Result<(), Stop> {
    if faults.has_errors() {
        return Err(faults.into());
    }
    console.faults(&faults);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_by_what_they_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("hosts"), "[web]\na\n").unwrap();
        std::fs::write(path("hosts.yml"), "# x\n---\nall:\n  hosts:\n    a:\n").unwrap();
        std::fs::write(path("play.yml"), "---\n# x\n- hosts: all\n").unwrap();
        let with = Config { inventory: vec!["cfg".into()], ..Config::default() };
        let without = Config::default();
        for (config, option, files, needed, expected) in [
            (&without, None, "hosts play.yml", Playbooks::Needed, Ok("hosts | play.yml")),
            (&without, None, "hosts.yml play.yml play.yml", Playbooks::Needed, Ok("hosts.yml | play.yml play.yml")),
            (&without, Some("hosts"), "play.yml", Playbooks::Needed, Ok("hosts | play.yml")),
            (&without, None, "play.yml", Playbooks::Needed, Ok(" | play.yml")),
            (&without, None, "hosts", Playbooks::Needed, Err("no playbook is named")),
            (&without, None, "hosts", Playbooks::Optional, Ok("hosts | ")),
            (&without, None, "gone play.yml", Playbooks::Needed, Ok("gone | play.yml")),
            (&with, None, "play.yml", Playbooks::Needed, Ok(" | play.yml")),
            (&with, None, "gone.yml", Playbooks::Needed, Ok(" | gone.yml")),
            (&with, None, "hosts play.yml", Playbooks::Needed, Ok("hosts | play.yml")),
            (&without, None, "", Playbooks::None, Err("no inventory is named")),
            (&with, None, "", Playbooks::None, Ok(" | ")),
            (&without, None, "", Playbooks::Optional, Err("nothing is named")),
        ] {
            let sources = Sources {
                files: files.split_whitespace().map(path).collect(),
                inventory: option.map(path).into_iter().collect(),
                ..Sources::default()
            };
            let found = sort(&sources, config, &Files::new(), needed);
            let short = |text: String| text.replace(&path(""), "");
            let found = found.map_err(|fault| fault.message).map(|words| {
                let playbooks: Vec<String> = words.playbooks.iter().map(|path| path.display().to_string()).collect();
                short(format!("{} | {}", words.inventories.join(" "), playbooks.join(" ")))
            });
            assert_eq!(found, expected.map(str::to_string).map_err(str::to_string), "{files}");
        }
    }
}
