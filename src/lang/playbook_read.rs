//! Reads playbooks: plays in order, those of imported playbooks in their place.
//!
//! Knows the keywords of plays; which hosts a play has is found by `project`.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Span;
use crate::lang::entries;
use crate::lang::files;
use crate::lang::fixed::Fixed;
use crate::lang::inherit::Inherited;
use crate::lang::inventory::overlay;
use crate::lang::keyword;
use crate::lang::keyword::Keywords;
use crate::lang::keyword::On;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::playbook::Order;
use crate::lang::playbook::Play;
use crate::lang::playbook::Strategy;
use crate::lang::playbook::VarsFile;
use crate::lang::reader::Name;
use crate::lang::reader::Reader;
use crate::lang::role::RoleUse;
use crate::lang::role_read;
use crate::lang::search::Search;
use crate::lang::task::Context;
use crate::lang::task::Link;
use crate::lang::task::Place;
use crate::lang::task::Vars;
use crate::lang::word;

/// What all playbooks of a run have in common.
pub(crate) struct Around {
    pub(crate) kinds: Arc<[String]>,
    pub(crate) roles_path: Arc<[PathBuf]>,
    pub(crate) extra_vars: Vars,
}

/// Reads a playbook and those it imports.
pub(crate) fn read(path: &Path, around: &Around, reader: &mut Reader<'_>) -> Vec<Play> {
    let span = Span::synthetic("the command line", &path.display().to_string());
    let mut plays = Vec::new();
    file(path, &span, &Import::default(), around, reader, &mut plays);
    plays
}

/// What `import_playbook` hands to the plays.
#[derive(Clone, Default)]
struct Import {
    inherited: Inherited,
    vars: Vars,
    chain: Vec<Link>,
}

fn file(path: &Path, asked: &Span, import: &Import, around: &Around, reader: &mut Reader<'_>, plays: &mut Vec<Play>) {
    let path = files::tidy(path);
    let directory = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let search = Arc::new(Search { here: directory.clone(), roles: Vec::new(), playbook: directory.clone() });
    let fixed = Fixed::default().with(&around.extra_vars).path("playbook_dir", &directory);
    let fixed_for_imports =
        Fixed::default().with(&import.vars).with(&around.extra_vars).path("playbook_dir", &directory);
    let context = Context {
        inherited: import.inherited.clone(),
        role: None,
        search,
        kinds: around.kinds.clone(),
        roles_path: around.roles_path.clone(),
        chain: import.chain.clone(),
        depth: 0,
        place: Place::Tasks,
        fixed: Arc::new(fixed),
        fixed_for_imports: Arc::new(fixed_for_imports),
    };
    let Some(context) = reader.deeper(&context, Link { file: path.clone(), span: asked.clone() }) else { return };
    let before = reader.faults.list.len();
    let Some(root) = reader.files.yaml(&path, Some(asked), reader.faults) else {
        if reader.faults.list.len() == before {
            reader.faults.push(nothing_in(&path, asked));
        }
        return;
    };
    let Some(items) = root.as_list() else {
        let fault = Diagnostic::error(format!("a playbook is a list of plays, found {}", root.kind())).at(&root.span);
        reader.faults.push(fault.help("begin each play with `- hosts: …`"));
        return;
    };
    if items.is_empty() {
        reader.faults.push(nothing_in(&path, &root.span));
    }
    for item in items {
        let Some(entries) = item.as_map() else {
            let fault = Diagnostic::error(format!("a play is a mapping, found {}", item.kind())).at(&item.span);
            reader.faults.push(fault.help("write `- hosts: …` and under it `tasks:`"));
            continue;
        };
        let imported = |key: &Key| matches!(key.name.as_str(), "import_playbook" | "ansible.builtin.import_playbook");
        match entries.iter().find(|(key, _)| imported(key)) {
            Some((_, node)) => import_playbook(node, entries, import, &context, around, reader, plays),
            None => plays.extend(play(item, entries, import, &context, around, reader)),
        }
    }
}

fn nothing_in(path: &Path, at: &Span) -> Diagnostic {
    let fault = Diagnostic::error(format!("there is no play in the playbook `{}`", path.display())).at(at);
    fault.help("begin each play with `- hosts: …`")
}

fn import_playbook(
    node: &Node,
    entries: &[(Key, Node)],
    import: &Import,
    context: &Context,
    around: &Around,
    reader: &mut Reader<'_>,
    plays: &mut Vec<Play>,
) {
    let own: Vec<(Key, Node)> =
        entries.iter().filter(|(key, _)| key.name != "ansible.builtin.import_playbook").cloned().collect();
    let words = keyword::sort(&own, On::ImportPlaybook, reader.faults);
    for (key, _) in &words.rest {
        reader.faults.push(keyword::unknown(key, On::ImportPlaybook, []));
    }
    let mut import = import.clone();
    import.inherited = import.inherited.with(&words, reader.faults);
    import.chain.clone_from(&context.chain);
    if let Some(node) = words.get("vars") {
        overlay(&mut import.vars, word::vars(node, reader.faults));
    }
    match reader.name(node, &context.fixed_for_imports) {
        Name::Known(key) => {
            let path = context.search.here.join(&key.name);
            if !path.is_file() {
                reader.faults.push(files::missing("playbook", &key.name, &[path]).at(&key.span));
                return;
            }
            file(&path, &key.span, &import, around, reader, plays);
        }
        Name::Later => {
            let fault = Diagnostic::error("the name of an imported playbook must be known before the run");
            reader.faults.push(fault.at(&node.span).help("write it out, or give its variables with `-e`"));
        }
        Name::Wrong => {}
    }
}

fn play(
    item: &Node,
    entries: &[(Key, Node)],
    import: &Import,
    context: &Context,
    around: &Around,
    reader: &mut Reader<'_>,
) -> Option<Play> {
    let words = keyword::sort(entries, On::Play, reader.faults);
    for (key, _) in &words.rest {
        let fault = keyword::unknown(key, On::Play, []);
        reader.faults.push(match crate::lang::action::short(&key.name) {
            Ok(name) if context.kinds.iter().any(|kind| kind == name) => {
                Diagnostic::error(format!("a play has no action of its own, found `{}`", key.name))
                    .at(&key.span)
                    .help("put it under `tasks:`")
            }
            _ => fault,
        });
    }
    let Some(hosts) = words.get("hosts") else {
        let fault = Diagnostic::error("a play needs `hosts`").at(&item.span.part(0, 1));
        reader.faults.push(fault.help("write `hosts: all`, or the name of a group"));
        return None;
    };
    let pattern = word::texts(hosts, "a host pattern", reader.faults);
    if pattern.is_empty() {
        reader.faults.push(
            Diagnostic::error("`hosts` names nothing")
                .at(&hosts.span)
                .help("write `hosts: all`, or the name of a group"),
        );
    }
    let inherited = entries::handed_down(&context.inherited, &without_vars(&words), reader);
    let mut vars = words.get("vars").map(|node| word::vars(node, reader.faults)).unwrap_or_default();
    vars.iter().for_each(|(_, node)| reader.check(node));
    overlay(&mut vars, import.vars.clone());
    let fixed_for_imports =
        Fixed::default().with(&vars).with(&around.extra_vars).path("playbook_dir", &context.search.playbook);
    let inside =
        Context { inherited: inherited.clone(), fixed_for_imports: Arc::new(fixed_for_imports), ..context.clone() };
    let mut play = empty(item, pattern, inherited, vars, &inside);
    keywords(&mut play, &words, reader);
    if let Some(node) = words.get("vars_files") {
        play.vars_files = vars_files(node, &inside, reader);
    }
    sections(&mut play, &words, &inside, reader);
    Some(play)
}

/// Variables of a play are a layer of their own.
fn without_vars<'a>(words: &Keywords<'a>) -> Keywords<'a> {
    let found = words.found.iter().filter(|(key, _)| key.name != "vars").copied().collect();
    Keywords { found, rest: Vec::new() }
}

fn empty(item: &Node, pattern: Vec<Node>, inherited: Inherited, vars: Vars, context: &Context) -> Play {
    Play {
        span: item.span.clone(),
        name: None,
        pattern,
        hosts: Vec::new(),
        all_hosts: Vec::new(),
        gather_facts: None,
        gather_subset: None,
        strategy: Strategy::default(),
        order: Order::default(),
        force_handlers: None,
        vars,
        vars_files: Vec::new(),
        pre_tasks: Vec::new(),
        roles: Vec::new(),
        tasks: Vec::new(),
        post_tasks: Vec::new(),
        public_roles: Vec::new(),
        handlers: Vec::new(),
        inherited,
        directory: context.search.playbook.clone(),
        beside: Arc::default(),
        search: context.search.clone(),
    }
}

fn keywords(play: &mut Play, words: &Keywords<'_>, reader: &mut Reader<'_>) {
    play.name = entries::name(words, reader);
    let faults = &mut *reader.faults;
    play.gather_facts = words.get("gather_facts").and_then(|node| word::flag(node, faults));
    play.gather_subset = words.get("gather_subset").cloned();
    play.force_handlers = words.get("force_handlers").and_then(|node| word::flag(node, faults));
    let strategies = [
        ("linear", Strategy::Linear),
        ("free", Strategy::Free),
        ("default", Strategy::Default),
        ("ansible.builtin.linear", Strategy::Linear),
        ("ansible.builtin.free", Strategy::Free),
    ];
    if let Some(node) = words.get("strategy") {
        play.strategy = word::choice(node, &strategies[..], faults).unwrap_or_default();
    }
    let orders = [
        ("inventory", Order::Inventory),
        ("reverse_inventory", Order::ReverseInventory),
        ("sorted", Order::Sorted),
        ("reverse_sorted", Order::ReverseSorted),
    ];
    if let Some(node) = words.get("order") {
        if node.as_text() == Some("shuffle") {
            let fault = Diagnostic::error("the order `shuffle` is unsupported: runs are the same each time");
            faults.push(fault.at(&node.span));
        } else {
            play.order = word::choice(node, &orders, faults).unwrap_or_default();
        }
    }
}

/// Files of variables: read now if their names are known, noted for later if not.
fn vars_files(node: &Node, context: &Context, reader: &mut Reader<'_>) -> Vec<VarsFile> {
    let items = match &node.tree {
        Tree::List(items) => items.clone(),
        Tree::Null => Vec::new(),
        _ => vec![node.clone()],
    };
    let mut all = Vec::new();
    for item in items {
        let names = word::texts(&item, "the name of a file", reader.faults);
        let fixed = context.fixed_for_imports.clone();
        let known: Vec<Name> = names.iter().map(|name| reader.name(name, &fixed)).collect();
        if known.iter().any(|name| matches!(name, Name::Wrong)) {
            continue;
        }
        let mut keys: Vec<Key> = Vec::new();
        for name in known {
            if let Name::Known(key) = name {
                keys.push(key);
            }
        }
        if keys.len() < names.len() || names.is_empty() {
            all.push(VarsFile::Later(names));
            continue;
        }
        let tried: Vec<PathBuf> = keys.iter().flat_map(|key| context.search.candidates("vars", &key.name)).collect();
        match files::first_file(&tried) {
            Some(path) => {
                let root = reader.files.yaml(&path, keys.first().map(|key| &key.span), reader.faults);
                let vars = root.map(|root| word::vars(&root, reader.faults)).unwrap_or_default();
                vars.iter().for_each(|(_, node)| reader.check(node));
                all.push(VarsFile::Loaded { path, vars });
            }
            None => {
                let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
                reader.faults.push(files::missing("file of variables", &names.join("` or `"), &tried).at(&item.span));
            }
        }
    }
    all
}

fn sections(play: &mut Play, words: &Keywords<'_>, context: &Context, reader: &mut Reader<'_>) {
    reader.handlers.clear();
    reader.public_roles.clear();
    reader.uses.clear();
    let section = |name: &str, reader: &mut Reader<'_>| {
        words.get(name).map(|node| entries::list(node, context, reader)).unwrap_or_default()
    };
    play.pre_tasks = section("pre_tasks", reader);
    let mut handlers = Vec::new();
    if let Some(node) = words.get("roles") {
        let brought = std::mem::take(&mut reader.handlers);
        play.roles = roles(node, context, reader);
        handlers = std::mem::replace(&mut reader.handlers, brought);
    }
    play.tasks = section("tasks", reader);
    play.post_tasks = section("post_tasks", reader);
    let own = Context { place: Place::Handlers, ..context.clone() };
    // Those of the roles come first, those of roles that tasks bring come last.
    handlers.extend(words.get("handlers").map(|node| entries::list(node, &own, reader)).unwrap_or_default());
    handlers.append(&mut reader.handlers);
    play.handlers = handlers;
    play.public_roles = std::mem::take(&mut reader.public_roles);
}

fn roles(node: &Node, context: &Context, reader: &mut Reader<'_>) -> Vec<RoleUse> {
    let Some(items) = node.as_list() else {
        if !node.is_null() {
            let fault = Diagnostic::error(format!("roles are a list, found {}", node.kind())).at(&node.span);
            reader.faults.push(fault.help("write `- name`, one a line"));
        }
        return Vec::new();
    };
    let mut uses: Vec<RoleUse> = Vec::new();
    for item in items {
        if let Some(loaded) = role_read::entry(item, context, &[], reader) {
            reader.public_roles.extend(loaded.uses.iter().map(|one| one.role.clone()));
            reader.handlers.extend(loaded.handlers);
            uses.extend(loaded.uses);
        }
    }
    uses
}
