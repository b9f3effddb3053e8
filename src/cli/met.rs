//! The hosts a testbed has been applied to, and how they were reached: so that one which leaves the inventory can still be
//! given back. Kept beside the testbed's keys, without passwords.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Deserialize;
use serde::Serialize;

use crate::cli::reach;
use crate::cli::reach::Way;
use crate::cli::reach::Ways;
use crate::lab;
use crate::lang::project::Project;
use crate::remote::Target;
use crate::remote::Via;

/// How a host was reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Met {
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jump: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    known_hosts: Option<PathBuf>,
}

type All = BTreeMap<String, Met>;

fn path(testbed: &str) -> PathBuf {
    reach::store(testbed).join("hosts.json")
}

fn read(testbed: &str) -> anyhow::Result<All> {
    let path = path(testbed);
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| {
            format!("{} is damaged; remove it, and name hosts that left in an inventory", path.display())
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(All::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Written beside, then renamed: never half a file.
fn write(testbed: &str, all: &All) -> anyhow::Result<()> {
    let path = path(testbed);
    let directory = reach::store(testbed);
    let save = || -> std::io::Result<()> {
        std::fs::create_dir_all(&directory)?;
        let mut file = tempfile::NamedTempFile::new_in(&directory)?;
        file.write_all(serde_json::to_string_pretty(all)?.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    };
    save().with_context(|| format!("cannot write {}", path.display()))
}

/// Notes hosts that a run reached.
pub(super) fn note<'a>(testbed: &str, hosts: impl Iterator<Item = &'a String>, ways: &Ways) -> anyhow::Result<()> {
    let mut all = read(testbed)?;
    let before = all.clone();
    for (name, target) in hosts.filter_map(|name| Some((name, &ways.get(name)?.target))) {
        if target.via == Via::Ssh {
            let Target { host, port, user, keys, jump, known_hosts, .. } = target.clone();
            all.insert(name.clone(), Met { host, port, user, keys, jump, known_hosts });
        }
    }
    if all == before { Ok(()) } else { write(testbed, &all) }
}

/// Forgets a host that was given back.
pub(super) fn forget(testbed: &str, names: &[String]) -> anyhow::Result<()> {
    let mut all = read(testbed)?;
    let before = all.len();
    all.retain(|name, _| !names.contains(name));
    match (all.len() == before, all.is_empty()) {
        (true, _) => Ok(()),
        (false, false) => write(testbed, &all),
        (false, true) => {
            std::fs::remove_file(path(testbed)).with_context(|| format!("cannot remove {}", path(testbed).display()))
        }
    }
}

/// Hosts that were applied to.
pub(super) fn names(testbed: &str) -> anyhow::Result<Vec<String>> {
    Ok(read(testbed)?.into_keys().collect())
}

/// Hosts that were applied to and are not in the inventory any more.
pub(super) fn gone(testbed: &str, project: &Project) -> anyhow::Result<Ways> {
    let lab = lab::access(testbed)?.unwrap_or_default();
    let left = read(testbed)?.into_iter().filter(|(name, _)| !project.inventory.hosts.contains_key(name));
    let way = |(name, met): (String, Met)| {
        let Met { host, port, user, keys, jump, known_hosts } = met;
        let target = Target { name: name.clone(), host, port, user, keys, jump, known_hosts, ..Target::default() };
        let target = match lab.iter().find(|(known, _)| *known == name) {
            Some((_, access)) => reach::in_lab(target, access),
            None => target,
        };
        (name, Way { target, become_password: None })
    };
    Ok(left.map(way).collect())
}
