//! Lists of tasks: from text to [`Entry`], keywords handed down, imports written out.
//!
//! Knows the forms of tasks, blocks and handlers; what an include brings is read by `include`.

use crate::diag::Diagnostic;
use crate::diag::Span;
use crate::lang::action;
use crate::lang::action::Found;
use crate::lang::include;
use crate::lang::inherit::Inherited;
use crate::lang::keyword;
use crate::lang::keyword::Keywords;
use crate::lang::keyword::On;
use crate::lang::loops;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::reader::MAX_BLOCKS;
use crate::lang::reader::Reader;
use crate::lang::task::Block;
use crate::lang::task::Context;
use crate::lang::task::Entry;
use crate::lang::task::Place;
use crate::lang::task::Task;
use crate::lang::word;

/// Reads a list of tasks.
pub(crate) fn list(node: &Node, context: &Context, reader: &mut Reader<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    match &node.tree {
        Tree::Null => {}
        Tree::List(items) => items.iter().for_each(|item| entry(item, context, reader, &mut entries)),
        _ => {
            let fault = Diagnostic::error(format!("tasks are a list, found {}", node.kind())).at(&node.span);
            reader.faults.push(fault.help("begin each task with `- `"));
        }
    }
    entries
}

fn entry(item: &Node, context: &Context, reader: &mut Reader<'_>, out: &mut Vec<Entry>) {
    if item.is_null() || !reader.count(&item.span) {
        return;
    }
    let Some(entries) = item.as_map() else {
        let fault = Diagnostic::error(format!("a task is a mapping, found {}", item.kind())).at(&item.span);
        reader.faults.push(fault.help("write `- name: …` and under it the action, such as `command: …`"));
        return;
    };
    let is_block = |name: &str| entries.iter().find(|(key, _)| key.name == name);
    match (is_block("block"), is_block("rescue").or_else(|| is_block("always"))) {
        (Some(_), _) => out.extend(block(item, entries, context, reader)),
        (None, Some((key, _))) => {
            let fault = Diagnostic::error(format!("`{}` without a `block`", key.name)).at(&key.span);
            reader.faults.push(fault.help("put the tasks it belongs to under `block:`"));
        }
        (None, None) => task_or_include(item, entries, context, reader, out),
    }
}

fn block(item: &Node, entries: &[(Key, Node)], context: &Context, reader: &mut Reader<'_>) -> Option<Entry> {
    if context.place == Place::Handlers {
        let fault = Diagnostic::error("a block as a handler is unsupported").at(&item.span.part(0, 1));
        reader.faults.push(fault.help("use several handlers that `listen` to one topic"));
        return None;
    }
    if context.depth >= MAX_BLOCKS {
        let fault = Diagnostic::error(format!("blocks are nested more than {MAX_BLOCKS} deep"));
        reader.faults.push(fault.at(&item.span.part(0, 1)));
        return None;
    }
    let words = keyword::sort(entries, On::Block, reader.faults);
    for (key, _) in &words.rest {
        let fault = keyword::unknown(key, On::Block, loops::with_names());
        reader.faults.push(match action::short(&key.name) {
            Ok(name) if context.kinds.iter().any(|kind| kind == name) => {
                let fault = Diagnostic::error(format!("a block has no action of its own, found `{}`", key.name));
                fault.at(&key.span).help("make it a task under `block:`")
            }
            _ => fault,
        });
    }
    if let Some(node) = words.get("block").filter(|node| node.is_null()) {
        let fault = Diagnostic::error("a block is a list of tasks, and this one is empty").at(&node.span);
        reader.faults.push(fault.help("put tasks under `block:`, or remove it"));
    }
    let inherited = handed_down(&context.inherited, &words, reader);
    let inside = Context { inherited: inherited.clone(), depth: context.depth + 1, ..context.clone() };
    let mut part = |name: &str| words.get(name).map(|node| list(node, &inside, reader)).unwrap_or_default();
    let (body, rescue, always) = (part("block"), part("rescue"), part("always"));
    let name = name(&words, reader);
    Some(Entry::Block(Box::new(Block { span: item.span.clone(), name, body, rescue, always, inherited })))
}

/// What reaches the inside of an entry with these keywords, its variables included; templates in it are checked.
pub(crate) fn handed_down(around: &Inherited, words: &Keywords<'_>, reader: &mut Reader<'_>) -> Inherited {
    let inherited = around.with(words, reader.faults);
    let vars = words.get("vars").map(|node| word::vars(node, reader.faults)).unwrap_or_default();
    vars.iter().for_each(|(_, node)| reader.check(node));
    reader.check_expressions(inherited.when.get(around.when.len()..).unwrap_or_default());
    for (key, node) in &words.found {
        let plain = !matches!(
            key.name.as_str(),
            "when"
                | "vars"
                | "block"
                | "rescue"
                | "always"
                | "tasks"
                | "pre_tasks"
                | "post_tasks"
                | "handlers"
                | "roles"
        );
        if plain {
            reader.check(node);
        }
    }
    inherited.with_vars(vars)
}

pub(crate) fn name(words: &Keywords<'_>, reader: &mut Reader<'_>) -> Option<Node> {
    words.get("name").and_then(|node| word::text(node, reader.faults))
}

fn task_or_include(
    item: &Node,
    entries: &[(Key, Node)],
    context: &Context,
    reader: &mut Reader<'_>,
    out: &mut Vec<Entry>,
) {
    let plain = if context.place == Place::Handlers { On::Handler } else { On::Task };
    let Some(found) = action::find(entries, &item.span, plain, &context.kinds, reader.faults) else {
        // Its keywords are checked all the same, so that all faults show at once.
        keyword::sort(entries, plain, reader.faults);
        return;
    };
    let on = match found.kind.name.as_str() {
        "include_tasks" | "include_role" => On::Include,
        "import_tasks" | "import_role" => On::Import,
        _ => plain,
    };
    let words = keyword::sort(entries, on, reader.faults);
    match on {
        On::Include => out.extend(include::include(&item.span, &found, &words, context, reader)),
        On::Import => out.extend(include::import(&found, &words, context, reader)),
        _ => out.extend(task(&item.span, &found, &words, context, reader)),
    }
}

fn task(span: &Span, found: &Found, words: &Keywords<'_>, context: &Context, reader: &mut Reader<'_>) -> Option<Entry> {
    let mut inherited = handed_down(&context.inherited, words, reader);
    if found.local {
        inherited.delegate_to = Some(Node::literal(&found.kind.span, "localhost"));
    }
    let action = action::read(found, words.get("args"), &inherited, reader.faults);
    if let Some(action) = &action {
        reader.check(&action.args);
        action.free_form.iter().for_each(|node| reader.check(node));
    }
    let loops = loops::read(words, reader.faults);
    loops.iter().for_each(|one| reader.check(&one.over));
    let mut conditions = |name: &str| {
        let list = words.get(name).map(|node| word::conditions(node, reader.faults));
        reader.check_expressions(list.as_deref().unwrap_or_default());
        list
    };
    let (changed_when, failed_when) = (conditions("changed_when"), conditions("failed_when"));
    let (until, undo_when) = (conditions("until"), conditions("undo_when").unwrap_or_default());
    let faults = &mut *reader.faults;
    let needs = words.get("needs").map(|node| word::texts(node, "the name of a task", faults)).unwrap_or_default();
    let listen = words.get("listen").map(|node| word::names(node, "a topic", faults)).unwrap_or_default();
    let task = Task {
        span: span.clone(),
        name: words.get("name").and_then(|node| word::text(node, faults)),
        action: action?,
        loops,
        register: words.get("register").and_then(|node| word::variable(node, faults)),
        listen,
        changed_when,
        failed_when,
        until,
        retries: words.get("retries").and_then(|node| word::count(node, faults)),
        delay: words.get("delay").and_then(|node| word::count(node, faults)),
        delegate_facts: words.get("delegate_facts").and_then(|node| word::flag(node, faults)),
        needs,
        undo: words.get("undo").and_then(|node| undo(node, faults)),
        undo_when,
        inherited,
        role: context.role.clone(),
        search: context.search.clone(),
    };
    if let (None, Some(_)) = (&task.undo, words.get("undo_when")) {
        let fault = Diagnostic::error("`undo_when` without an `undo`").at(span).help("write `undo:` with a command");
        reader.faults.push(fault);
    }
    Some(Entry::Task(Box::new(task)))
}

/// A command line, or a mapping like the arguments of `shell`.
fn undo(node: &Node, faults: &mut crate::diag::Diagnostics) -> Option<Node> {
    match &node.tree {
        Tree::Map(_) => Some(node.clone()),
        _ => word::text(node, faults),
    }
}
