//! `group_vars/` and `host_vars/` of one directory.
//!
//! Knows the names such files may have; which layer they make is `inventory`'s.

use std::path::Path;
use std::path::PathBuf;

use indexmap::IndexMap;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::nearest;
use crate::lang::files;
use crate::lang::files::Files;
use crate::lang::inventory::Beside;
use crate::lang::inventory::Inventory;
use crate::lang::inventory::overlay;
use crate::lang::inventory_yaml::variables;
use crate::lang::task::Vars;

/// What a file of variables may be called behind its stem. The first that exists counts.
const ENDINGS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// Reads the variables of all groups and hosts of the inventory that lie in `directory`.
pub fn read(files: &Files, directory: &Path, inventory: &Inventory, faults: &mut Diagnostics) -> Beside {
    let groups: Vec<&str> = inventory.groups.keys().map(String::as_str).collect();
    let mut hosts: Vec<&str> = inventory.hosts.keys().map(String::as_str).collect();
    if !hosts.contains(&"localhost") {
        hosts.push("localhost");
    }
    Beside {
        groups: read_kind(files, &directory.join("group_vars"), &groups, "group", faults),
        hosts: read_kind(files, &directory.join("host_vars"), &hosts, "host", faults),
    }
}

fn read_kind(
    files: &Files,
    directory: &Path,
    names: &[&str],
    what: &str,
    faults: &mut Diagnostics,
) -> IndexMap<String, Vars> {
    let present = files::names(directory);
    let mut all = IndexMap::new();
    for name in names {
        let found: Vec<PathBuf> = ENDINGS
            .iter()
            .map(|ending| format!("{name}{ending}"))
            .filter(|file| present.contains(file))
            .map(|file| directory.join(file))
            .collect();
        if let [first, second, ..] = found.as_slice() {
            let (first, second) = (files::shown(first), files::shown(second));
            let fault = Diagnostic::warning(format!("`{second}` is not read: `{first}` comes before it"));
            faults.push(fault.help("put both into one directory of that name, or join them"));
        }
        if let Some(path) = found.first() {
            all.insert((*name).to_string(), read_path(files, path, faults));
        }
    }
    for file in present {
        let stem = ENDINGS[1..].iter().find_map(|ending| file.strip_suffix(ending)).unwrap_or(&file);
        let known = names.contains(&stem) || names.contains(&file.as_str()) || stem.starts_with('.');
        // `node2` beside `node1` is no slip: its host may be in another inventory.
        let letters = |name: &str| name.chars().filter(|one| !one.is_ascii_digit()).collect::<String>();
        let slip = |near: &&str| !known && letters(near) != letters(stem);
        if let Some(near) = nearest(stem, names.iter().copied()).filter(slip) {
            let path = files::shown(&directory.join(&file));
            let fault = Diagnostic::warning(format!("`{path}` is not read: there is no {what} `{stem}`"));
            faults.push(fault.help(format!("did you mean `{near}`?")));
        }
    }
    all
}

/// The variables of a file, or of all files of a directory laid over each other in their order.
pub fn read_path(files: &Files, path: &Path, faults: &mut Diagnostics) -> Vars {
    let paths = match path.is_dir() {
        true => files::walk(path).into_iter().filter(|path| is_vars(path)).collect(),
        false => vec![path.to_path_buf()],
    };
    let mut all = Vars::new();
    for path in paths {
        let vars = files.yaml(&path, None, faults).and_then(|root| variables(&root, faults));
        overlay(&mut all, vars.unwrap_or_default());
    }
    all
}

fn is_vars(path: &Path) -> bool {
    path.extension().is_none_or(|ending| ["yml", "yaml", "json"].iter().any(|known| ending == *known))
}
