//! An inventory as text: as `ansible-inventory` lists it (JSON, YAML) and as a tree of groups.
//!
//! Pure. Values are shown as written, templates unrendered; passwords never.

use std::collections::HashSet;
use std::fmt::Write;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::lang::inventory::Beside;
use crate::lang::inventory::Inventory;
use crate::lang::inventory::overlay;
use crate::lang::task::Vars;

/// What stands in the place of a password.
const HIDDEN: &str = "********";

/// The longest graph, in bytes: groups under several parents are repeated, and that multiplies.
const MAX_GRAPH: usize = 16 << 20;

/// Whether the graph shows variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShowVars {
    #[default]
    No,
    Yes,
}

/// A host's variables, all layers laid over each other.
pub fn host_vars(inventory: &Inventory, beside: &Beside, host: &str) -> Value {
    let mut all = Vars::new();
    for layer in inventory.layers(host, beside) {
        overlay(&mut all, layer.vars.clone());
    }
    values(&all)
}

fn values(vars: &Vars) -> Value {
    let value = |name: &str, node: &crate::lang::node::Node| match is_secret(name) && !node.is_null() {
        true => json!(HIDDEN),
        false => serde_json::to_value(node.to_value()).unwrap_or(Value::Null),
    };
    let entries = vars.iter().map(|(key, node)| (key.name.clone(), value(&key.name, node)));
    Value::Object(entries.collect::<Map<_, _>>())
}

/// Names whose values are passwords by their meaning to connections.
fn is_secret(name: &str) -> bool {
    name.starts_with("ansible_")
        && (name.ends_with("_pass") || name.ends_with("_password") || name.ends_with("_passphrase"))
}

/// The list as `ansible-inventory --list` gives it: groups by name, variables of hosts under `_meta`.
pub fn list(inventory: &Inventory, beside: &Beside) -> Value {
    let mut all = Map::new();
    let hosts = inventory.hosts.keys().map(|host| (host.clone(), host_vars(inventory, beside, host)));
    let hosts: Map<String, Value> =
        hosts.filter(|(_, vars)| vars.as_object().is_some_and(|vars| !vars.is_empty())).collect();
    all.insert("_meta".into(), json!({ "hostvars": hosts }));
    for group in inventory.groups.values() {
        let mut entry = Map::new();
        if !group.children.is_empty() {
            entry.insert("children".into(), json!(group.children));
        }
        if !group.hosts.is_empty() && group.name != "all" {
            entry.insert("hosts".into(), json!(group.hosts.iter().collect::<Vec<_>>()));
        }
        if !entry.is_empty() {
            all.insert(group.name.clone(), Value::Object(entry));
        }
    }
    Value::Object(all)
}

/// The list as one YAML inventory that can be read again: each host has all its variables at its first place.
pub fn tree(inventory: &Inventory, beside: &Beside) -> Value {
    let (mut shown, mut groups) = (HashSet::new(), HashSet::new());
    json!({ "testbed": inventory.testbed, "all": group(inventory, beside, "all", &mut shown, &mut groups) })
}

fn group<'a>(
    inventory: &'a Inventory,
    beside: &Beside,
    name: &str,
    shown: &mut HashSet<&'a str>,
    groups: &mut HashSet<&'a str>,
) -> Value {
    let Some(group_of) = inventory.groups.get(name) else { return json!({}) };
    // A group under several parents is written out under the first.
    if !groups.insert(&group_of.name) {
        return json!({});
    }
    let mut entry = Map::new();
    let mut hosts = Map::new();
    for host in group_of.hosts.iter().filter(|_| name != "all") {
        let vars = if shown.insert(host) { host_vars(inventory, beside, host) } else { json!({}) };
        hosts.insert(host.clone(), vars);
    }
    if !hosts.is_empty() {
        entry.insert("hosts".into(), Value::Object(hosts));
    }
    let mut children = Map::new();
    for child in &group_of.children {
        let inside = group(inventory, beside, child, shown, groups);
        if child != "ungrouped" || inside.as_object().is_some_and(|inside| !inside.is_empty()) {
            children.insert(child.clone(), inside);
        }
    }
    if !children.is_empty() {
        entry.insert("children".into(), Value::Object(children));
    }
    Value::Object(entry)
}

/// The tree of groups under `root` as lines.
pub fn graph(inventory: &Inventory, beside: &Beside, root: &str, vars: ShowVars) -> String {
    let mut out = String::new();
    graph_group(inventory, beside, root, 0, vars, &mut out);
    out
}

fn indent(depth: usize) -> String {
    match depth {
        0 => String::new(),
        _ => format!("  {}|--", "|  ".repeat(depth - 1)),
    }
}

fn graph_group(inventory: &Inventory, beside: &Beside, name: &str, depth: usize, vars: ShowVars, out: &mut String) {
    let Some(group) = inventory.groups.get(name).filter(|_| out.len() < MAX_GRAPH) else { return };
    line(out, depth, &format!("@{name}:"));
    for child in &group.children {
        graph_group(inventory, beside, child, depth + 1, vars, out);
    }
    for host in group.hosts.iter().filter(|_| name != "all") {
        line(out, depth + 1, host);
        if vars == ShowVars::Yes {
            show(&host_vars(inventory, beside, host), depth + 2, out);
        }
    }
    if vars == ShowVars::Yes {
        let mut own = group.vars.clone();
        for beside in [&inventory.beside, beside] {
            overlay(&mut own, beside.groups.get(name).cloned().unwrap_or_default());
        }
        show(&values(&own), depth + 1, out);
    }
}

fn line(out: &mut String, depth: usize, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}{text}", indent(depth));
}

fn show(vars: &Value, depth: usize, out: &mut String) {
    for (name, value) in vars.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        line(out, depth, &format!("{{{name} = {value}}}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Diagnostics;
    use crate::diag::Source;
    use crate::lang::ini;

    fn inventory() -> Inventory {
        let text = "lone\n[web]\nw1 x=1 ansible_password=geheim\n[web:vars]\ng=2\n[site:children]\nweb\n";
        let mut inventory = Inventory::new();
        let mut faults = Diagnostics::default();
        ini::read(&Source::new("hosts", text), &mut inventory, &mut faults);
        inventory.finish(&mut faults);
        inventory
    }

    #[test]
    fn as_json() {
        let found = list(&inventory(), &Beside::default());
        let expected = json!({
            "_meta": {"hostvars": {"w1": {"g": 2, "x": 1, "ansible_password": HIDDEN}}},
            "all": {"children": ["ungrouped", "site"]},
            "ungrouped": {"hosts": ["lone"]},
            "web": {"hosts": ["w1"]},
            "site": {"children": ["web"]},
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn as_an_inventory() {
        let found = tree(&inventory(), &Beside::default());
        let children = json!({
            "ungrouped": {"hosts": {"lone": {}}},
            "site": {"children": {"web": {"hosts": {"w1": {"g": 2, "x": 1, "ansible_password": HIDDEN}}}}},
        });
        assert_eq!(found, json!({"testbed": "", "all": {"children": children}}));
    }

    #[test]
    fn as_a_graph() {
        let inventory = inventory();
        let expected = "@all:\n  |--@ungrouped:\n  |  |--lone\n  |--@site:\n  |  |--@web:\n  |  |  |--w1\n";
        assert_eq!(graph(&inventory, &Beside::default(), "all", ShowVars::No), expected);
        let expected =
            "@web:\n  |--w1\n  |  |--{g = 2}\n  |  |--{x = 1}\n  |  |--{ansible_password = ********}\n  |--{g = 2}\n";
        assert_eq!(graph(&inventory, &Beside::default(), "web", ShowVars::Yes), expected);
    }
}
