//! Inventories in INI form: `[group]`, `[group:vars]`, `[group:children]`.
//!
//! Knows the lines; what they add up to is `inventory`'s.

use std::ops::Range;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Source;
use crate::diag::Span;
use crate::lang::hostname;
use crate::lang::inventory::Inventory;
use crate::lang::inventory::overlay;
use crate::lang::literal;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::task::Vars;

enum Section {
    Hosts(String),
    Vars(String),
    Children(String),
    /// Its head was faulty; the lines are passed over.
    Unknown,
}

/// Adds what the text says to the inventory.
pub fn read(source: &Arc<Source>, inventory: &mut Inventory, faults: &mut Diagnostics) {
    let mut said = Said::default();
    let mut section = Section::Hosts("ungrouped".into());
    let mut start = 0;
    for raw in source.text.split_inclusive('\n') {
        let line = raw.trim();
        let at = start + (raw.len() - raw.trim_start().len());
        start += raw.len();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let span = Span::new(source, at, at + line.len());
        if line.starts_with('[') && !is_host_line(line) {
            section = faults.take(head(&span, inventory, &mut said)).unwrap_or(Section::Unknown);
        } else {
            faults.take(body(&span, &section, inventory, &mut said));
        }
    }
    apply(said, inventory, faults);
}

/// What sections say of groups that may come later in the text.
#[derive(Default)]
struct Said {
    /// Sections of variables and children name groups that must exist in the end.
    of: Vec<Key>,
    vars: Vec<(String, (Key, Node))>,
    children: Vec<(String, Key)>,
}

fn apply(said: Said, inventory: &mut Inventory, faults: &mut Diagnostics) {
    let mut unknown: Vec<String> = Vec::new();
    for key in said.of.iter().chain(said.children.iter().map(|(_, child)| child)) {
        if !inventory.groups.contains_key(&key.name) && !unknown.contains(&key.name) {
            let fault = Diagnostic::error(format!("there is no group `{}`", key.name)).at(&key.span);
            let fault = fault.suggest(&key.name, inventory.groups.keys().map(String::as_str));
            let help = format!("write a section `[{}]`", key.name);
            faults.push(if fault.help.is_none() { fault.help(help) } else { fault });
            unknown.push(key.name.clone());
        }
    }
    for (group, child) in said.children.into_iter().filter(|(_, child)| !unknown.contains(&child.name)) {
        inventory.add_child(&group, &child.name, &child.span);
    }
    for (group, entry) in said.vars {
        if let Some(group) = inventory.groups.get_mut(&group) {
            overlay(&mut group.vars, vec![entry]);
        }
    }
}

/// `[2001:db8::1]:22 …` begins with a bracket and is a host.
fn is_host_line(line: &str) -> bool {
    line.split_once(']').is_some_and(|(inside, _)| inside[1..].parse::<std::net::Ipv6Addr>().is_ok())
}

fn head(span: &Span, inventory: &mut Inventory, said: &mut Said) -> Result<Section, Diagnostic> {
    let wrong = || {
        Diagnostic::error("this is not the head of a section")
            .at(span)
            .help("write `[group]`, `[group:vars]` or `[group:children]`")
    };
    let (inside, rest) = span.text()[1..].split_once(']').ok_or_else(wrong)?;
    let rest = rest.trim_start();
    if !(rest.is_empty() || rest.starts_with(['#', ';'])) || inside.contains(char::is_whitespace) || inside.is_empty() {
        return Err(wrong());
    }
    let (name, kind) = inside.split_once(':').unwrap_or((inside, "hosts"));
    let place = span.part(1, 1 + name.len());
    match kind {
        "hosts" => {
            inventory.group(name, &place);
            Ok(Section::Hosts(name.into()))
        }
        "children" => {
            inventory.group(name, &place);
            Ok(Section::Children(name.into()))
        }
        "vars" => {
            said.of.push(Key { span: place, name: name.into() });
            Ok(Section::Vars(name.into()))
        }
        other => Err(Diagnostic::error(format!("`{other}` is no kind of section"))
            .at(span)
            .suggest(other, ["vars", "children", "hosts"])),
    }
}

fn body(span: &Span, section: &Section, inventory: &mut Inventory, said: &mut Said) -> Result<(), Diagnostic> {
    match section {
        Section::Unknown => Ok(()),
        Section::Hosts(group) => host(span, group, inventory),
        Section::Vars(group) => {
            said.vars.push((group.clone(), variable(span)?));
            Ok(())
        }
        Section::Children(group) => {
            let name = span.text().split('#').next().unwrap_or_default().trim();
            if name.contains(char::is_whitespace) || name.contains('=') {
                let fault = Diagnostic::error(format!("`{name}` is not the name of a group")).at(span);
                return Err(fault.help("write one group a line; variables belong into `[group:vars]`"));
            }
            said.children.push((group.clone(), Key { span: span.part(0, name.len()), name: name.into() }));
            Ok(())
        }
    }
}

/// `name = value`, the value a Python literal or text.
fn variable(span: &Span) -> Result<(Key, Node), Diagnostic> {
    let Some((name, value)) = span.text().split_once('=') else {
        return Err(Diagnostic::error("a line of variables needs a `=`").at(span).help("write `name=value`"));
    };
    let at = span.text().len() - value.trim_start().len();
    let key = Key { span: span.part(0, name.trim_end().len()), name: name.trim().into() };
    Ok((key, literal::value(&span.part(at, span.text().len()), value.trim())))
}

/// `name[01:10]:22 key=value …  # comment`.
fn host(span: &Span, group: &str, inventory: &mut Inventory) -> Result<(), Diagnostic> {
    let words = words(span.text()).map_err(|why| Diagnostic::error(why).at(span))?;
    let Some(((range, first), rest)) = words.split_first() else { return Ok(()) };
    let place = span.part(range.start, range.end);
    let hosts = hostname::expand(first).map_err(|why| Diagnostic::error(why).at(&place))?;
    let mut vars: Vars = Vec::new();
    for (range, word) in rest {
        let place = span.part(range.start, range.end);
        let Some((name, value)) = word.split_once('=') else {
            return Err(Diagnostic::error(format!("`{word}` is not a variable of the host"))
                .at(&place)
                .help("write `name=value`; each host has a line of its own"));
        };
        let key = Key { span: place.part(0, name.len()), name: name.into() };
        overlay(&mut vars, vec![(key, literal::value(&place.part(name.len() + 1, place.text().len()), value))]);
    }
    for name in hosts.names {
        let host = inventory.add_host(group, &name, &place);
        overlay(&mut host.vars, port_var(hosts.port, &place));
        overlay(&mut host.vars, vars.clone());
    }
    Ok(())
}

/// The variable a port behind a name stands for.
pub(crate) fn port_var(port: Option<u16>, span: &Span) -> Vars {
    let node = |port: u16| Node::new(span, Tree::Int(port.into()));
    port.map(|port| (Key { span: span.clone(), name: "ansible_port".into() }, node(port))).into_iter().collect()
}

/// Words as a shell sees them, with their places; a `#` outside of quotes ends the line.
fn words(text: &str) -> Result<Vec<(Range<usize>, String)>, String> {
    let mut words: Vec<(Range<usize>, String)> = Vec::new();
    let mut open = false;
    let mut chars = text.char_indices();
    while let Some((at, one)) = chars.next() {
        if one == '#' {
            break;
        }
        if one.is_whitespace() {
            open = false;
            continue;
        }
        if !open {
            words.push((at..at, String::new()));
            open = true;
        }
        let Some((range, word)) = words.last_mut() else { break };
        match one {
            '\\' => word.extend(chars.next().map(|(_, next)| next)),
            '"' | '\'' => loop {
                match chars.next() {
                    None => return Err("a quote is opened in this line and never closed".into()),
                    Some((_, next)) if next == one => break,
                    Some((_, '\\')) if one == '"' => match chars.next() {
                        Some((_, next @ ('"' | '\\'))) => word.push(next),
                        Some((_, next)) => word.extend(['\\', next]),
                        None => {}
                    },
                    Some((_, next)) => word.push(next),
                }
            },
            _ => word.push(one),
        }
        range.end = chars.offset();
    }
    Ok(words)
}
