//! Hosts, groups and their variables, kept apart by where they were written.
//!
//! Knows nothing of file formats (see `ini`, `inventory_yaml`) nor of connections.

use std::collections::HashMap;
use std::collections::HashSet;
use std::path::PathBuf;

use indexmap::IndexMap;
use indexmap::IndexSet;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Span;
use crate::lang::decode::decode;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::task::Vars;

/// The deepest nesting of groups.
const MAX_GROUP_DEPTH: usize = 64;

/// All inventories of one run, merged.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The name that keys store, lock and journal.
    pub testbed: String,
    /// In declaration order; `all` and `ungrouped` always exist.
    pub groups: IndexMap<String, Group>,
    /// In declaration order. The implicit `localhost` is not here, see [`Inventory::host`].
    pub hosts: IndexMap<String, Host>,
    /// group_vars and host_vars beside the inventories.
    pub beside: Beside,
    /// The directories of the inventory files.
    pub directories: Vec<PathBuf>,
    /// What was given to `-i`.
    pub sources: Vec<PathBuf>,
    /// The `localhost` that exists without being written down.
    pub localhost: Host,
}

#[derive(Debug, Clone, Default)]
pub struct Group {
    pub name: String,
    /// Where it was first written; `None` for `all` and `ungrouped` if they are implicit.
    pub span: Option<Span>,
    pub children: Vec<String>,
    pub parents: Vec<String>,
    /// Hosts written directly in it, in order.
    pub hosts: IndexSet<String>,
    /// Longest way down from `all`.
    pub depth: usize,
    /// `ansible_group_priority`, 1 by default.
    pub priority: i64,
    /// Variables of the inventory files.
    pub vars: Vars,
}

#[derive(Debug, Clone, Default)]
pub struct Host {
    pub name: String,
    pub span: Option<Span>,
    /// All groups it is in, `all` too, in the order in which their variables are laid over each other.
    pub groups: Vec<String>,
    /// Variables of the inventory files.
    pub vars: Vars,
}

/// Variables from `group_vars/` and `host_vars/` of one directory.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    pub groups: IndexMap<String, Vars>,
    pub hosts: IndexMap<String, Vars>,
}

/// A layer of a host's variables; the order of the variants is the order of strength, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    AllInventory,
    GroupInventory,
    AllBesideInventory,
    AllBesidePlaybook,
    GroupBesideInventory,
    GroupBesidePlaybook,
    HostInventory,
    HostBesideInventory,
    HostBesidePlaybook,
}

/// One layer with where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    pub level: Level,
    /// The group's or host's name.
    pub of: &'a str,
    pub vars: &'a Vars,
}

impl Inventory {
    pub fn new() -> Inventory {
        let span = Span::synthetic("implicit localhost", "localhost");
        let vars = vec![(Key { span: span.clone(), name: "ansible_connection".into() }, Node::literal(&span, "local"))];
        let localhost = Host { name: "localhost".into(), span: None, groups: vec!["all".into()], vars };
        let mut inventory = Inventory { localhost, ..Inventory::default() };
        for name in ["all", "ungrouped"] {
            inventory.groups.insert(name.into(), Group { name: name.into(), priority: 1, ..Group::default() });
        }
        inventory.groups["all"].children.push("ungrouped".into());
        inventory
    }

    /// A host by name; the implicit `localhost` too.
    pub fn host(&self, name: &str) -> Option<&Host> {
        let implicit = matches!(name, "localhost" | "127.0.0.1" | "::1").then_some(&self.localhost);
        self.hosts.get(name).or(implicit)
    }

    /// The hosts of a group and of all groups under it, in Ansible's order: its own first, then level by level.
    pub fn hosts_of(&self, group: &str) -> Vec<&str> {
        let mut groups: Vec<&str> = vec![group];
        let mut hosts: Vec<&str> = Vec::new();
        let mut seen: HashSet<&str> = HashSet::new();
        let mut at = 0;
        while let Some(name) = groups.get(at).copied() {
            at += 1;
            let Some(group) = self.groups.get(name) else { continue };
            hosts.extend(group.hosts.iter().map(String::as_str).filter(|host| seen.insert(host)));
            for child in &group.children {
                if !groups.contains(&child.as_str()) {
                    groups.push(child);
                }
            }
        }
        hosts
    }

    /// What `group_names` says for a host: sorted, without `all`.
    pub fn group_names(&self, host: &str) -> Vec<&str> {
        let groups = self.host(host).map(|host| host.groups.as_slice()).unwrap_or_default();
        let mut names: Vec<&str> = groups.iter().map(String::as_str).filter(|name| *name != "all").collect();
        names.sort_unstable();
        names
    }

    /// The layers of a host's variables, weakest first; `beside` is what lies beside the playbook.
    pub fn layers<'a>(&'a self, host: &'a str, beside: &'a Beside) -> Vec<Layer<'a>> {
        let Some(host) = self.host(host) else { return Vec::new() };
        let mut layers: Vec<Layer<'a>> = Vec::new();
        let mut add = |level, of: &'a str, vars: Option<&'a Vars>| {
            layers.extend(vars.filter(|vars| !vars.is_empty()).map(|vars| Layer { level, of, vars }));
        };
        for group in &host.groups {
            let all = group == "all";
            let of = group.as_str();
            let vars = self.groups.get(of).map(|group| &group.vars);
            add(if all { Level::AllInventory } else { Level::GroupInventory }, of, vars);
            let level = if all { Level::AllBesideInventory } else { Level::GroupBesideInventory };
            add(level, of, self.beside.groups.get(of));
            add(if all { Level::AllBesidePlaybook } else { Level::GroupBesidePlaybook }, of, beside.groups.get(of));
        }
        add(Level::HostInventory, &host.name, Some(&host.vars));
        add(Level::HostBesideInventory, &host.name, self.beside.hosts.get(&host.name));
        add(Level::HostBesidePlaybook, &host.name, beside.hosts.get(&host.name));
        // Stable: groups keep their order within a level.
        layers.sort_by_key(|layer| layer.level);
        layers
    }

    /// The group of that name, made if need be.
    pub(crate) fn group(&mut self, name: &str, span: &Span) -> &mut Group {
        let group = self.groups.entry(name.to_string()).or_insert_with(|| Group {
            name: name.to_string(),
            priority: 1,
            ..Group::default()
        });
        group.span.get_or_insert_with(|| span.clone());
        group
    }

    /// Puts a host into a group; makes both if need be.
    pub(crate) fn add_host(&mut self, group: &str, name: &str, span: &Span) -> &mut Host {
        self.group(group, span).hosts.insert(name.to_string());
        let host = self.hosts.entry(name.to_string()).or_default();
        host.name = name.to_string();
        host.span.get_or_insert_with(|| span.clone());
        host
    }

    /// The inventory file that names a host first; none for hosts of a list.
    pub fn file_of(&self, host: &str) -> Option<&std::path::Path> {
        let span = self.host(host)?.span.as_ref()?;
        let path = std::path::Path::new(&span.source.name);
        path.is_file().then_some(path)
    }

    pub(crate) fn add_child(&mut self, parent: &str, child: &str, span: &Span) {
        self.group(child, span);
        let parent = self.group(parent, span);
        if !parent.children.iter().any(|known| known == child) {
            parent.children.push(child.to_string());
        }
    }

    /// Works out what follows from what was written: parents, depths, `all`, `ungrouped`, the order of groups.
    pub(crate) fn finish(&mut self, faults: &mut Diagnostics) {
        self.cut_circles(faults);
        self.link();
        self.set_depths(faults);
        self.set_priorities(faults);
        self.place_hosts();
        for (name, host) in &self.hosts {
            if self.groups.contains_key(name) {
                let fault = Diagnostic::warning(format!("`{name}` is the name of a host and of a group"));
                let fault = fault.help("rename one of them; in `hosts:` the name means the host");
                faults.push(match &host.span {
                    Some(span) => fault.at(span),
                    None => fault,
                });
            }
        }
    }

    /// Reports groups that contain themselves, and takes the link that closes the circle away.
    fn cut_circles(&mut self, faults: &mut Diagnostics) {
        let names: Vec<String> = self.groups.keys().cloned().collect();
        let mut done: HashSet<String> = HashSet::new();
        for root in &names {
            // Depth first with a stack of (group, next child).
            let mut path: Vec<(String, usize)> = vec![(root.clone(), 0)];
            while let Some((name, next)) = path.last_mut() {
                let (name, at) = (name.clone(), *next);
                *next += 1;
                let Some(child) = self.groups.get(&name).and_then(|group| group.children.get(at)).cloned() else {
                    done.insert(name);
                    path.pop();
                    continue;
                };
                if let Some(from) = path.iter().position(|(known, _)| *known == child) {
                    let chain: Vec<&str> = path[from..].iter().map(|(name, _)| name.as_str()).collect();
                    let message = format!("the group `{child}` contains itself: {} → {child}", chain.join(" → "));
                    let fault = Diagnostic::error(message).help("remove one of these `children`");
                    let span = self.groups.get(&name).and_then(|group| group.span.clone());
                    faults.push(match span {
                        Some(span) => fault.at(&span),
                        None => fault,
                    });
                    self.group_children(&name).retain(|known| *known != child);
                    if let Some((_, next)) = path.last_mut() {
                        *next -= 1;
                    }
                } else if !done.contains(&child) {
                    path.push((child, 0));
                }
            }
        }
    }

    fn group_children(&mut self, name: &str) -> &mut Vec<String> {
        &mut self.groups.entry(name.to_string()).or_default().children
    }

    /// Groups without a parent belong to `all`; parents follow from children.
    fn link(&mut self) {
        let under: HashSet<String> = self.groups.values().flat_map(|group| group.children.iter().cloned()).collect();
        let tops: Vec<String> =
            self.groups.keys().filter(|name| *name != "all" && !under.contains(*name)).cloned().collect();
        self.group_children("all").extend(tops);
        let pairs: Vec<(String, String)> = self
            .groups
            .values()
            .flat_map(|group| group.children.iter().map(|child| (group.name.clone(), child.clone())))
            .collect();
        for (parent, child) in pairs {
            if let Some(group) = self.groups.get_mut(&child) {
                group.parents.push(parent);
            }
        }
    }

    /// The longest way from `all`. There are no circles any more, so each round settles one more level.
    fn set_depths(&mut self, faults: &mut Diagnostics) {
        for _ in 0..MAX_GROUP_DEPTH + 2 {
            let mut moved = false;
            for at in 0..self.groups.len() {
                let depth = self.groups[at].parents.iter().map(|name| self.groups[name.as_str()].depth + 1).max();
                let depth = depth.unwrap_or(0);
                moved |= self.groups[at].depth != depth;
                self.groups[at].depth = depth;
            }
            if !moved {
                break;
            }
        }
        if self.groups.values().all(|group| group.depth <= MAX_GROUP_DEPTH) {
            return;
        }
        let fault = Diagnostic::error(format!("groups are nested more than {MAX_GROUP_DEPTH} deep"));
        let span = self.groups.values().max_by_key(|group| group.depth).and_then(|group| group.span.clone());
        faults.push(match span {
            Some(span) => fault.at(&span),
            None => fault,
        });
        // Nothing below walks down so far.
        self.groups.values_mut().for_each(|group| group.children.clear());
    }

    fn set_priorities(&mut self, faults: &mut Diagnostics) {
        for group in self.groups.values_mut() {
            let is_priority = |entry: &(Key, Node)| entry.0.name == "ansible_group_priority";
            let Some(at) = group.vars.iter().position(is_priority) else { continue };
            // It speaks of the group and is no variable of its hosts.
            match decode::<i64>(&group.vars.remove(at).1) {
                Ok(priority) => group.priority = priority,
                Err(fault) => faults.push(fault),
            }
        }
    }

    fn place_hosts(&mut self) {
        let mut direct: HashMap<String, Vec<String>> = HashMap::new();
        for group in self.groups.values() {
            for host in &group.hosts {
                direct.entry(host.clone()).or_default().push(group.name.clone());
            }
        }
        let lone = |groups: &[String]| groups.iter().all(|name| name == "all" || name == "ungrouped");
        // Those written there come first.
        let mut ungrouped = self.groups["ungrouped"].hosts.clone();
        for (name, host) in &mut self.hosts {
            let mut groups = direct.remove(name).unwrap_or_default();
            let alone = lone(&groups);
            groups.retain(|name| name != "ungrouped");
            if alone {
                ungrouped.insert(name.clone());
                groups.push("ungrouped".into());
            } else {
                ungrouped.shift_remove(name);
            }
            host.groups = ancestors(&self.groups, groups);
        }
        self.groups["ungrouped"].hosts = ungrouped;
    }
}

/// The groups and all above them, in the order in which their variables are laid over each other.
fn ancestors(groups: &IndexMap<String, Group>, mut names: Vec<String>) -> Vec<String> {
    let mut seen: HashSet<String> = names.iter().cloned().collect();
    let mut at = 0;
    while let Some(group) = names.get(at).map(|name| groups.get(name)) {
        at += 1;
        let parents = group.map(|group| group.parents.as_slice()).unwrap_or_default();
        names.extend(parents.iter().filter(|name| seen.insert((*name).clone())).cloned());
    }
    names.extend(seen.insert("all".into()).then(|| "all".to_string()));
    names.sort_by_key(|name| groups.get(name).map(|group| (group.depth, group.priority, group.name.clone())));
    names
}

/// Sets variables over those that are there.
pub(crate) fn overlay(under: &mut Vars, over: Vars) {
    for (key, node) in over {
        match under.iter_mut().find(|(known, _)| known.name == key.name) {
            Some(entry) => *entry = (key, node),
            None => under.push((key, node)),
        }
    }
}
