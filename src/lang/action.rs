//! The action of a task: which kind, and its arguments in all the ways they can be written.
//!
//! Knows the forms, and which kinds take free words; the arguments' meaning is the kind's own.

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Span;
use crate::diag::nearest;
use crate::lang::inherit::Inherited;
use crate::lang::inventory::overlay;
use crate::lang::keyvalue;
use crate::lang::keyvalue::Pick;
use crate::lang::keyword;
use crate::lang::keyword::On;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::task::Action;
use crate::lang::task::Vars;
use crate::lang::word;

/// Kinds whose line is a command with options in it.
const COMMANDS: [&str; 4] = ["command", "shell", "script", "raw"];

/// Kinds whose line may have words that are no options.
const FREE: [&str; 9] = [
    "meta",
    "include_tasks",
    "import_tasks",
    "include_role",
    "import_role",
    "include_vars",
    "set_fact",
    "add_host",
    "group_by",
];

/// Kinds that are part of the language.
const LANGUAGE_KINDS: [&str; 5] = ["include_tasks", "import_tasks", "include_role", "import_role", "meta"];

/// Kinds that Ansible has, and what to write instead of them.
const UNSUPPORTED: [(&str, &str); 15] = [
    ("add_host", "write the host into the inventory"),
    ("group_by", "write the groups into the inventory"),
    ("uri", "use `command: curl …`, or `wait_for` and `get_url`"),
    ("unarchive", "use `get_url` and `command: tar …` with `creates`"),
    ("fetch", "use `slurp`"),
    ("script", "use `copy` and `command`"),
    ("pause", "use `wait_for`"),
    ("reboot", "use `command` and `wait_for_connection`"),
    ("find", "use `command: find …` and register its result"),
    ("git", "use `command: git …` with `creates`"),
    ("cron", "put a file into /etc/cron.d with `copy`"),
    ("pip", "use `command: pip …` with `creates`"),
    ("package_facts", "use `command: dpkg-query …`"),
    ("service_facts", "use `command: systemctl …`"),
    ("async_status", "tasks do not run in the background"),
];

/// Collections whose kinds are known by their last name.
const COLLECTIONS: [&str; 10] = [
    "ansible.builtin",
    "ansible.legacy",
    "ansible.posix",
    "ansible.utils",
    "ansible.netcommon",
    "community.general",
    "community.crypto",
    "community.docker",
    "community.kubernetes",
    "kubernetes.core",
];

/// The words of `meta`, or why they are refused.
const META: [(&str, Result<(), &str>); 10] = [
    ("flush_handlers", Ok(())),
    ("noop", Ok(())),
    ("end_host", Ok(())),
    ("end_play", Ok(())),
    ("end_batch", Ok(())),
    ("end_role", Ok(())),
    ("clear_host_errors", Ok(())),
    ("clear_facts", Err("facts are asked for when something reads them")),
    ("reset_connection", Ok(())),
    ("refresh_inventory", Err("the inventory is read once, before the run")),
];

/// An action as it was found in a task.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The short name, at its place.
    pub(crate) kind: Key,
    pub(crate) full: String,
    pub(crate) value: Node,
    /// Written as `local_action`.
    pub(crate) local: bool,
}

/// The one action among a task's entries. Reports entries that are nothing at all.
pub(crate) fn find(
    entries: &[(Key, Node)],
    span: &Span,
    on: On,
    kinds: &[String],
    faults: &mut Diagnostics,
) -> Option<Found> {
    let known = |key: &Key| short(&key.name).is_ok_and(|name| is_kind(name, kinds));
    let mut found: Vec<Found> = Vec::new();
    let mut strange: Vec<&Key> = Vec::new();
    for (key, value) in entries {
        match key.name.as_str() {
            "action" | "local_action" => found.push(named(key, value, faults)?),
            // A play among tasks: the keyword is reported as out of place, and that says it all.
            "hosts" | "import_playbook" if entries.iter().all(|(key, _)| keyword::find(&key.name).is_some()) => {
                return None;
            }
            name if keyword::find(name).is_some() || name.starts_with("with_") => {}
            _ if known(key) => {
                let kind = short(&key.name).unwrap_or(&key.name).to_string();
                let kind = Key { span: key.span.clone(), name: kind };
                found.push(Found { kind, full: key.name.clone(), value: value.clone(), local: false });
            }
            _ => strange.push(key),
        }
    }
    if let [first, second, ..] = found.as_slice() {
        let message = format!("a task has one action, found `{}` and `{}`", first.full, second.full);
        let fault = Diagnostic::error(message).at(&second.kind.span).note(&first.kind.span, "the other one");
        faults.push(fault.help("make two tasks of them: begin the second with `- `"));
        return None;
    }
    match found.pop() {
        Some(one) if !is_kind(&one.kind.name, kinds) => {
            faults.push(no_kind(&one.kind, &one.full, kinds));
            None
        }
        Some(one) => {
            for key in strange {
                faults.push(keyword::unknown(key, on, kinds.iter().map(String::as_str)));
            }
            Some(one)
        }
        None => {
            faults.push(no_action(&strange, span, kinds));
            None
        }
    }
}

fn is_kind(name: &str, kinds: &[String]) -> bool {
    LANGUAGE_KINDS.contains(&name) || kinds.iter().any(|kind| kind == name)
}

fn no_action(strange: &[&Key], span: &Span, kinds: &[String]) -> Diagnostic {
    match strange {
        [] => Diagnostic::error("this task has no action")
            .at(&span.part(0, 1))
            .help("write what it does, such as `command: …` or `copy: …`"),
        [only] => no_kind(only, &only.name, kinds),
        // The one that looks most like a kind.
        [first, ..] => {
            let names = kinds.iter().map(String::as_str);
            let near = strange.iter().find(|key| nearest(&key.name, names.clone()).is_some());
            let key = near.unwrap_or(first);
            no_kind(key, &key.name, kinds)
        }
    }
}

/// A name that is neither a kind nor a keyword.
fn no_kind(key: &Key, full: &str, kinds: &[String]) -> Diagnostic {
    let name = match short(full) {
        Ok(name) => name,
        Err(collection) => {
            let fault = Diagnostic::error(format!("the collection `{collection}` is unsupported")).at(&key.span);
            return fault.help("use a kind of `ansible.builtin`, or run the tool itself with `command:`");
        }
    };
    if name == "include" {
        let fault = Diagnostic::error("`include` is unsupported: Ansible removed it").at(&key.span);
        return fault.help("use `include_tasks` or `import_tasks`");
    }
    if name == "import_playbook" {
        let fault = Diagnostic::error("`import_playbook` has no place among tasks").at(&key.span);
        return fault.help("write it beside the plays");
    }
    if let Some((_, instead)) = UNSUPPORTED.iter().find(|(kind, _)| *kind == name) {
        return Diagnostic::error(format!("`{full}` is unsupported")).at(&key.span).help(*instead);
    }
    let mut all: Vec<&str> = kinds.iter().map(String::as_str).collect();
    LANGUAGE_KINDS.into_iter().for_each(|name| all.push(name));
    keyword::names(On::Task).for_each(|name| all.push(name));
    let fault = Diagnostic::error(format!("`{full}` is neither a kind of task nor a keyword")).at(&key.span);
    match near(name, all.into_iter()).as_slice() {
        [] => fault.help("`tbctl doc` lists all kinds; other modules are unsupported"),
        near => fault.help(format!("did you mean {}?", near.join(" or "))),
    }
}

/// Up to three candidates that look like the word, in quotes.
fn near<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut pool: Vec<&str> = candidates.collect();
    let mut found = Vec::new();
    while let Some(one) = nearest(word, pool.iter().copied()).filter(|_| found.len() < 3) {
        found.push(format!("`{one}`"));
        pool.retain(|name| *name != one);
    }
    found
}

/// The last part of a name; the collection if it is not one whose kinds are known.
pub(crate) fn short(name: &str) -> Result<&str, &str> {
    match name.rsplit_once('.') {
        None => Ok(name),
        Some((collection, last)) if COLLECTIONS.contains(&collection) => Ok(last),
        Some((collection, _)) => Err(collection),
    }
}

/// `action: copy src=a`, `action: {module: copy, src: a}`, and `local_action` likewise.
fn named(key: &Key, value: &Node, faults: &mut Diagnostics) -> Option<Found> {
    let local = key.name == "local_action";
    let wrong = |span: &Span| {
        let fault = Diagnostic::error(format!("`{}` does not say which kind of task", key.name)).at(span);
        fault.help(format!("write `{}: {{module: copy, src: …}}`, or just `copy:`", key.name))
    };
    let make = |span: Span, full: &str, value: Node| {
        let name = short(full).unwrap_or(full).to_string();
        Found { kind: Key { span, name }, full: full.to_string(), value, local }
    };
    match &value.tree {
        Tree::Map(entries) => {
            let module = entries.iter().find(|(key, _)| key.name == "module");
            let Some((name, node)) = module.and_then(|(_, node)| Some((node.scalar()?, node))) else {
                faults.push(wrong(&value.span));
                return None;
            };
            let rest = entries.iter().filter(|(key, _)| key.name != "module").cloned().collect();
            Some(make(node.span.clone(), &name, Node::map(&value.span, rest)))
        }
        Tree::Text(text) if !text.text.trim().is_empty() => {
            let all = &text.text;
            let start = all.len() - all.trim_start().len();
            let end = all[start..].find(char::is_whitespace).map_or(all.len(), |at| start + at);
            let exact = value.span.text() == all;
            let place = |from: usize, to: usize| if exact { value.span.part(from, to) } else { value.span.clone() };
            let rest = Node { tree: Node::live(&value.span, &all[end..]).tree, span: place(end, all.len()) };
            Some(make(place(start, end), &all[start..end], rest))
        }
        _ => {
            faults.push(wrong(&value.span));
            None
        }
    }
}

/// The arguments of an action: module defaults, then `args:`, then its own.
pub(crate) fn read(
    found: &Found,
    args: Option<&Node>,
    inherited: &Inherited,
    faults: &mut Diagnostics,
) -> Option<Action> {
    let kind = found.kind.name.as_str();
    let mut all = Vars::new();
    for defaults in &inherited.module_defaults {
        for (_, node) in defaults.iter().filter(|(key, _)| key.name == kind) {
            overlay(&mut all, node.as_map().unwrap_or_default().to_vec());
        }
    }
    if let Some(node) = args {
        match node.is_live() && node.as_text().is_some() {
            true => {
                let fault = Diagnostic::error("a template for all arguments at once is unsupported").at(&node.span);
                faults.push(fault.help("write the arguments one by one"));
            }
            false => overlay(&mut all, word::mapping(node, faults)),
        }
    }
    let (own, free_form) = own(kind, found, faults)?;
    overlay(&mut all, own);
    if kind == "meta" {
        faults.extend(check_meta(found, free_form.as_ref()));
    }
    let args = Node::map(&found.value.span, all);
    Some(Action { kind: found.kind.clone(), full: found.full.clone(), args, free_form })
}

/// What is written at the action itself.
fn own(kind: &str, found: &Found, faults: &mut Diagnostics) -> Option<(Vars, Option<Node>)> {
    let node = &found.value;
    let free = COMMANDS.contains(&kind) || FREE.contains(&kind);
    match &node.tree {
        Tree::Null => Some((Vars::new(), None)),
        Tree::Map(entries) => Some((entries.clone(), None)),
        Tree::List(_) => {
            let fault = Diagnostic::error(format!("`{}` takes a mapping of arguments, found a list", found.full));
            faults.push(fault.at(&node.span).help("write `name: value` lines without dashes"));
            None
        }
        Tree::Text(_) => {
            let pick = if COMMANDS.contains(&kind) { Pick::CommandOptions } else { Pick::All };
            let line = faults.take(keyvalue::split(node, pick))?;
            if let Some(word) = line.free.as_ref().filter(|_| !free) {
                faults.push(stray(found, word));
                return None;
            }
            Some((line.options, line.free))
        }
        _ if free => Some((Vars::new(), Some(Node::live(&node.span, node.span.text())))),
        _ => {
            faults.push(stray(found, node));
            None
        }
    }
}

fn stray(found: &Found, word: &Node) -> Diagnostic {
    let text = word.scalar().unwrap_or_default();
    if word.is_live() && text.trim().starts_with("{{") && text.trim().ends_with("}}") {
        let fault = Diagnostic::error("a template for all arguments at once is unsupported").at(&word.span);
        return fault.help("write the arguments one by one");
    }
    let shown: String = text.chars().take(40).collect();
    let fault = Diagnostic::error(format!("`{}` takes `key=value` words, found `{shown}`", found.full)).at(&word.span);
    fault.help("write the arguments as a mapping, one a line")
}

fn check_meta(found: &Found, word: Option<&Node>) -> Diagnostics {
    let words = META.iter().filter(|(_, status)| status.is_ok()).map(|(name, _)| *name);
    let text = word.and_then(Node::scalar).unwrap_or_default();
    let span = word.map_or(&found.value.span, |node| &node.span);
    let fault = match META.iter().find(|(name, _)| *name == text) {
        Some((_, Ok(()))) => return Diagnostics::default(),
        Some((_, Err(why))) => Diagnostic::error(format!("`meta: {text}` is unsupported")).help(*why),
        None if text.is_empty() => Diagnostic::error("`meta` does not say what to do"),
        None => Diagnostic::error(format!("`{text}` is no word of `meta`")).suggest(&text, words.clone()),
    };
    let help = format!("write one of: {}", words.collect::<Vec<_>>().join(", "));
    let fault = if fault.help.is_none() { fault.help(help) } else { fault };
    fault.at(span).into()
}
