//! The links an inventory states, read and checked against the regions its hosts are in.

use std::sync::Arc;

use crate::cli::host_vars::HostVars;
use crate::cli::load::Loaded;
use crate::diag::Diagnostics;
use crate::lab::REGION;
use crate::lang::links;
use crate::lang::links::Link;
use crate::lang::links::VARIABLE;
use crate::lang::lookup::Fault;
use crate::lang::lookup::Lookup;
use crate::lang::project::Project;
use crate::lang::task::Vars;

/// All links of the testbed; none if the inventory does not state any. A `links` that is plainly something else is left alone.
pub(super) fn read(loaded: &Loaded) -> Result<Vec<Link>, Diagnostics> {
    if !are_stated(&loaded.project) {
        return Ok(Vec::new());
    }
    let project = Arc::new(loaded.project.clone());
    let mut regions: Vec<String> = Vec::new();
    let mut written = None;
    for host in project.inventory.hosts.keys() {
        let vars = HostVars { project: project.clone(), beside: Arc::default(), host: host.clone() };
        let scope: Arc<dyn Lookup> = Arc::new(vars.clone());
        let render = |name: &str| match vars.node(name).map(|node| (loaded.templates.render(&node, &scope), node)) {
            Some((Ok(value), _)) => Ok(Some(value)),
            Some((Err(Fault::Error(fault)), node)) => Err(fault.at(&node.span)),
            Some((Err(Fault::Unknown(_)), _)) | None => Ok(None),
        };
        let region = render("region")?.and_then(|node| node.scalar()).unwrap_or_else(|| REGION.to_owned());
        if !regions.contains(&region) {
            regions.push(region);
        }
        if written.is_none() {
            written = render(VARIABLE)?;
        }
    }
    let regions: Vec<&str> = regions.iter().map(String::as_str).collect();
    match written.filter(links::is_ours) {
        Some(node) => links::read(&node, &regions),
        None => Ok(Vec::new()),
    }
}

/// Whether the variable is anywhere: most inventories have none, and then nothing is to be rendered.
fn are_stated(project: &Project) -> bool {
    let inventory = &project.inventory;
    let has = |vars: &Vars| vars.iter().any(|(key, _)| key.name == VARIABLE);
    let beside = inventory.beside.groups.values().chain(inventory.beside.hosts.values());
    let groups = inventory.groups.values().map(|group| &group.vars);
    let hosts = inventory.hosts.values().map(|host| &host.vars);
    groups.chain(hosts).chain(beside).chain([&project.extra_vars]).any(has)
}
