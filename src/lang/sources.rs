//! What `-i` names: inventory files, directories of them, and lists of hosts; merged into one inventory.
//!
//! Knows how to tell the forms apart; the forms themselves are read by `ini` and `inventory_yaml`.

use std::path::Path;
use std::path::PathBuf;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Source;
use crate::diag::Span;
use crate::lang::beside;
use crate::lang::connection;
use crate::lang::files;
use crate::lang::files::Files;
use crate::lang::hostname;
use crate::lang::ini;
use crate::lang::inventory::Beside;
use crate::lang::inventory::Inventory;
use crate::lang::inventory::overlay;
use crate::lang::inventory_yaml;
use crate::lang::node::Node;
use crate::lang::yaml;

/// Files of an inventory directory that are no inventories.
const PASSED_OVER: [&str; 12] =
    ["pyc", "pyo", "swp", "bak", "rpm", "md", "txt", "rst", "orig", "cfg", "retry", "example"];

/// Reads all inventories. With none, there is just the implicit `localhost`.
pub fn read(files: &Files, sources: &[String], faults: &mut Diagnostics) -> Inventory {
    let mut inventory = Inventory::new();
    inventory.sources = sources.iter().map(PathBuf::from).collect();
    let mut testbeds: Vec<Node> = Vec::new();
    for name in sources {
        testbeds.extend(read_one(files, name, &mut inventory, faults));
    }
    inventory.finish(faults);
    let directories = inventory.directories.clone();
    let mut beside_all = Beside::default();
    for directory in &directories {
        let beside = beside::read(files, directory, &inventory, faults);
        for (name, vars) in beside.groups {
            overlay(beside_all.groups.entry(name).or_default(), vars);
        }
        for (name, vars) in beside.hosts {
            overlay(beside_all.hosts.entry(name).or_default(), vars);
        }
    }
    inventory.beside = beside_all;
    connection::check_inventory(&mut inventory, faults);
    name_testbed(&mut inventory, testbeds, sources, faults);
    inventory
}

fn read_one(files: &Files, name: &str, inventory: &mut Inventory, faults: &mut Diagnostics) -> Vec<Node> {
    let path = Path::new(name);
    if name.contains(',') && !path.exists() {
        list(name, inventory, faults);
        return Vec::new();
    }
    let span = Span::synthetic("--inventory", name);
    match path.metadata() {
        Err(_) => {
            let fault = files::missing("inventory", name, &[path.to_path_buf()]).at(&span);
            let help = format!("for a list of hosts, end it with a comma: `-i {name},`");
            let plain =
                !name.contains('/') && !name.contains('.') && fault.help.as_ref().is_none_or(|it| !it.contains("mean"));
            faults.push(if plain { Diagnostic { help: Some(help), ..fault } } else { fault });
            Vec::new()
        }
        Ok(meta) if meta.is_dir() => {
            note_directory(inventory, path);
            let mut testbeds = Vec::new();
            for file in files::names(path).into_iter().filter(|name| is_inventory(name)) {
                let path = path.join(file);
                match path.is_dir() {
                    true => testbeds.extend(read_one(files, &path.display().to_string(), inventory, faults)),
                    false => testbeds.extend(read_file(files, &path, inventory, faults)),
                }
            }
            testbeds
        }
        Ok(_) => {
            note_directory(inventory, path.parent().unwrap_or(Path::new("")));
            read_file(files, path, inventory, faults).into_iter().collect()
        }
    }
}

fn note_directory(inventory: &mut Inventory, directory: &Path) {
    let directory = files::tidy(directory);
    if !inventory.directories.contains(&directory) {
        inventory.directories.push(directory);
    }
}

fn is_inventory(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    !(name.starts_with('.')
        || name.ends_with('~')
        || matches!(name, "group_vars" | "host_vars" | "vars_plugins")
        || PASSED_OVER.contains(&ending))
}

/// `a,b,` as hosts.
fn list(text: &str, inventory: &mut Inventory, faults: &mut Diagnostics) {
    let span = Span::synthetic("--inventory", text);
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match hostname::expand(name) {
            Ok(hosts) => {
                for name in hosts.names {
                    let host = inventory.add_host("ungrouped", &name, &span);
                    overlay(&mut host.vars, ini::port_var(hosts.port, &span));
                }
            }
            Err(why) => faults.push(Diagnostic::error(why).at(&span)),
        }
    }
}

fn read_file(files: &Files, path: &Path, inventory: &mut Inventory, faults: &mut Diagnostics) -> Option<Node> {
    let source = match files.read(path) {
        Ok(source) => source,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    match form(path, &source) {
        Form::Yaml => inventory_yaml::read(&yaml::document(&source, faults)?, inventory, faults),
        Form::Ini => {
            ini::read(&source, inventory, faults);
            None
        }
        Form::Unsupported(what) => {
            let fault = Diagnostic::error(format!("inventories that are {what} are unsupported"));
            faults.push(fault.at(&Span::new(&source, 0, 1)).help("write the hosts in YAML or INI form"));
            None
        }
    }
}

enum Form {
    Yaml,
    Ini,
    Unsupported(&'static str),
}

/// The form by the file's ending; without one, by its first line that says something.
fn form(path: &Path, source: &Source) -> Form {
    if source.text.starts_with("#!") {
        return Form::Unsupported("programs");
    }
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("yml" | "yaml" | "json") => Form::Yaml,
        Some("toml") => Form::Unsupported("TOML files"),
        _ => {
            let lines = source.text.lines().map(str::trim);
            let first = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with(['#', ';'])).unwrap_or("");
            let key = first.split(" #").next().unwrap_or("").trim_end();
            match first == "---" || first.starts_with('{') || (key.ends_with(':') && !first.starts_with('[')) {
                true => Form::Yaml,
                false => Form::Ini,
            }
        }
    }
}

/// The testbed's name: as written in one of the inventories, else the first one's file stem.
fn name_testbed(inventory: &mut Inventory, mut said: Vec<Node>, sources: &[String], faults: &mut Diagnostics) {
    let all = inventory.groups.get("all").and_then(|group| group.vars.iter().find(|(key, _)| key.name == "testbed"));
    said.extend(all.map(|(_, node)| node.clone()));
    let names: Vec<(String, Span)> = said.iter().filter_map(|node| Some((node.scalar()?, node.span.clone()))).collect();
    if let Some((first, span)) = names.first() {
        for (other, place) in names.iter().filter(|(other, _)| other != first) {
            let fault = Diagnostic::error(format!("two names of the testbed: `{first}` and `{other}`")).at(place);
            faults.push(fault.note(span, "first named here").help("one run works on one testbed: give one inventory"));
        }
    }
    for (name, span) in names.iter().filter(|(name, _)| !is_testbed(name)) {
        let fault = Diagnostic::error(format!("`{name}` cannot be the name of a testbed")).at(span);
        faults.push(fault.help("use at most 64 letters, digits, `-`, `_` and `.`, a letter or digit first"));
    }
    let stem = || {
        let path = PathBuf::from(sources.first()?);
        let list = sources.first()?.contains(',') && !path.exists();
        let stem = path.canonicalize().unwrap_or(path).file_stem()?.to_str()?.to_string();
        (!list && is_testbed(&stem)).then_some(stem)
    };
    let name = names.into_iter().next().map(|(name, _)| name);
    inventory.testbed = name.or_else(stem).unwrap_or_else(|| "default".into());
}

/// Whether a testbed may be called so; a name is also the name of a directory.
pub fn is_testbed(name: &str) -> bool {
    let legal = |one: char| one.is_ascii_alphanumeric() || "-_.".contains(one);
    name.len() <= 64 && name.chars().all(legal) && name.starts_with(|one: char| one.is_ascii_alphanumeric())
}
