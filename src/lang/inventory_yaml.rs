//! Inventories in YAML form: groups with `hosts`, `vars` and `children`, and the name of the testbed.
//!
//! Knows the tree's shape; what it adds up to is `inventory`'s.

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Span;
use crate::lang::hostname;
use crate::lang::ini::port_var;
use crate::lang::inventory::Inventory;
use crate::lang::inventory::overlay;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::task::Vars;

const GROUP_KEYS: [&str; 3] = ["hosts", "vars", "children"];

/// Adds what the tree says to the inventory; gives the value of `testbed:` if it is there.
pub fn read(root: &Node, inventory: &mut Inventory, faults: &mut Diagnostics) -> Option<Node> {
    let Some(entries) = root.as_map() else {
        let fault = Diagnostic::error(format!("an inventory is a mapping of groups, found {}", root.kind()));
        faults.push(fault.at(&root.span).help("write `all:` with `hosts:` under it"));
        return None;
    };
    if let Some(fault) = foreign(entries) {
        faults.push(fault);
        return None;
    }
    let mut testbed = None;
    for (key, node) in entries {
        match key.name.as_str() {
            "testbed" if node.scalar().is_some() => testbed = Some(node.clone()),
            "hosts" | "vars" | "children"
                if node.as_map().is_some() && !entries.iter().any(|(key, _)| key.name == "all") =>
            {
                let fault = Diagnostic::error(format!("`{}` stands outside of any group", key.name)).at(&key.span);
                faults.push(fault.help("put it under `all:`"));
            }
            _ => group(key, node, inventory, faults),
        }
    }
    testbed
}

/// What is YAML and an inventory, but not one that is written by hand.
fn foreign(entries: &[(Key, Node)]) -> Option<Diagnostic> {
    let (key, fault) = entries.iter().find_map(|(key, node)| match key.name.as_str() {
        "plugin" if node.scalar().is_some() => Some((key, "inventory plugins are unsupported")),
        "_meta" => Some((key, "the output of an inventory script is unsupported")),
        _ => None,
    })?;
    Some(
        Diagnostic::error(fault)
            .at(&key.span)
            .help("write the hosts down: `ansible-inventory --list --yaml` shows them"),
    )
}

fn group(key: &Key, node: &Node, inventory: &mut Inventory, faults: &mut Diagnostics) {
    inventory.group(&key.name, &key.span);
    if node.is_null() {
        return;
    }
    let Some(entries) = node.as_map() else {
        let fault = Diagnostic::error(format!("the group `{}` is a mapping, found {}", key.name, node.kind()));
        faults.push(fault.at(&node.span).help("write `hosts:`, `vars:` or `children:` under it"));
        return;
    };
    for (part, value) in entries {
        match part.name.as_str() {
            "hosts" => members(value, "host", faults).into_iter().for_each(|(name, vars)| {
                host(&key.name, &name, &vars, inventory, faults);
            }),
            "vars" => {
                if let Some(vars) = variables(value, faults) {
                    let group = inventory.group(&key.name, &key.span);
                    overlay(&mut group.vars, vars);
                }
            }
            "children" => members(value, "group", faults).into_iter().for_each(|(name, value)| {
                inventory.add_child(&key.name, &name.name, &name.span);
                group(&name, &value, inventory, faults);
            }),
            other => {
                let fault = Diagnostic::error(format!("unknown key `{other}` in the group `{}`", key.name));
                let fault = fault.at(&part.span).suggest(other, GROUP_KEYS);
                let help = match value.as_map() {
                    Some(_) => format!(
                        "a group has hosts, vars and children; a group under it goes under `children: {other}:`"
                    ),
                    None => format!("a group has hosts, vars and children; a variable goes under `vars: {other}:`"),
                };
                faults.push(if fault.help.is_none() { fault.help(help) } else { fault });
            }
        }
    }
}

/// The entries of `hosts:` or `children:`; a lone name stands for itself.
fn members(node: &Node, what: &str, faults: &mut Diagnostics) -> Vars {
    match &node.tree {
        Tree::Null => Vec::new(),
        Tree::Map(entries) => entries.clone(),
        Tree::Text(text) => {
            let nothing = Node::new(&node.span, Tree::Null);
            vec![(Key { span: node.span.clone(), name: text.text.clone() }, nothing)]
        }
        _ => {
            let fault = Diagnostic::error(format!("each {what} is a key of a mapping, found {}", node.kind()));
            faults.push(fault.at(&node.span).help("write `name:` with a colon, and no dash before it"));
            Vec::new()
        }
    }
}

fn host(group: &str, key: &Key, value: &Node, inventory: &mut Inventory, faults: &mut Diagnostics) {
    let vars = variables(value, faults).unwrap_or_default();
    match hostname::expand(&key.name) {
        Ok(hosts) => {
            for name in hosts.names {
                let host = inventory.add_host(group, &name, &key.span);
                overlay(&mut host.vars, port_var(hosts.port, &key.span));
                overlay(&mut host.vars, vars.clone());
            }
        }
        Err(why) => faults.push(Diagnostic::error(why).at(&key.span)),
    }
}

/// A mapping of variables, each name checked.
pub(crate) fn variables(node: &Node, faults: &mut Diagnostics) -> Option<Vars> {
    match &node.tree {
        Tree::Null => Some(Vec::new()),
        Tree::Map(entries) => {
            for (key, _) in entries {
                check_name(&key.name, &key.span, faults);
            }
            Some(entries.clone())
        }
        _ => {
            let fault = Diagnostic::error(format!("variables are a mapping, found {}", node.kind())).at(&node.span);
            faults.push(fault.help("write `name: value`, one a line"));
            None
        }
    }
}

/// Names with other characters exist only in `vars['…']`; Ansible warns of them in some places and refuses in others.
fn check_name(name: &str, span: &Span, faults: &mut Diagnostics) {
    let legal =
        name.chars().enumerate().all(|(at, one)| one == '_' || one.is_alphabetic() || (at > 0 && one.is_numeric()));
    if !legal || name.is_empty() {
        let fault = Diagnostic::warning(format!("`{name}` cannot be used as a variable in templates")).at(span);
        faults.push(fault.help("use letters, digits and `_`, with no digit first"));
    }
}
