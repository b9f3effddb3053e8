//! `import_tasks`, `include_tasks`, `import_role`, `include_role`: what they bring, now or when its name is known.
//!
//! Knows files of tasks and calls of roles; the roles themselves are read by `role_read`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Span;
use crate::lang::action;
use crate::lang::action::Found;
use crate::lang::entries;
use crate::lang::files;
use crate::lang::files::Files;
use crate::lang::keyword;
use crate::lang::keyword::Keywords;
use crate::lang::keyword::On;
use crate::lang::loops;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::reader::MAX_CHAIN;
use crate::lang::reader::Name;
use crate::lang::reader::Reader;
use crate::lang::role_read;
use crate::lang::role_read::Call;
use crate::lang::search::Search;
use crate::lang::task::Body;
use crate::lang::task::Context;
use crate::lang::task::Entry;
use crate::lang::task::Include;
use crate::lang::task::Included;
use crate::lang::task::Link;
use crate::lang::task::RoleCall;
use crate::lang::task::Vars;
use crate::lang::template::Templates;
use crate::lang::word;

/// Reads what an include brings, once its names are known: `what` is [`Include::what`] with all templates rendered.
///
/// For [`Include::body`] that is `None`. Faults have the places of the files that were read.
pub fn load(files: &Files, templates: &Templates, include: &Include, what: &Included) -> Result<Body, Diagnostics> {
    let mut faults = Diagnostics::default();
    let mut reader = Reader::new(files, templates, &mut faults);
    let mut context = (*include.context).clone();
    if context.chain.len() >= MAX_CHAIN {
        let message = format!("includes are nested more than {MAX_CHAIN} deep");
        return Err(Diagnostic::error(message)
            .at(&include.span)
            .help("an include inside of itself needs a `when` that ends it")
            .into());
    }
    let name = match what {
        Included::Tasks { file } => file,
        Included::Role(call) => &call.name,
    };
    let Some(text) = name.scalar() else {
        return Err(Diagnostic::error(format!("expected a name, found {}", name.kind())).at(&name.span).into());
    };
    let key = Key { span: name.span.clone(), name: text };
    // Inside of itself is allowed here: the run decides when it ends.
    let known = std::mem::take(&mut context.chain);
    let mut body = body(&key, what, &context, &mut reader, Circle::Refuse).unwrap_or_default();
    body.handlers.append(&mut reader.handlers);
    body.imported = std::mem::take(&mut reader.public_roles);
    relink(&mut body.entries, &known);
    faults.check(body)
}

/// Puts the chain so far in front of that of later includes, so that their nesting stays bounded.
fn relink(entries: &mut [Entry], known: &[Link]) {
    for entry in entries {
        match entry {
            Entry::Task(_) => {}
            Entry::Block(block) => {
                for part in [&mut block.body, &mut block.rescue, &mut block.always] {
                    relink(part, known);
                }
            }
            Entry::Include(include) => {
                let mut context = (*include.context).clone();
                context.chain.splice(0..0, known.iter().cloned());
                include.context = Arc::new(context);
                if let Some(body) = &mut include.body {
                    relink(&mut body.entries, known);
                }
            }
        }
    }
}

/// What to do with a file that is inside of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Circle {
    /// A fault: an import would never end.
    Refuse,
    /// Read it later, if the run gets there.
    Later,
}

/// `import_…`: the entries that stand in its place.
pub(crate) fn import(found: &Found, words: &Keywords<'_>, context: &Context, reader: &mut Reader<'_>) -> Vec<Entry> {
    refuse_strangers(words, On::Import, reader);
    let inherited = entries::handed_down(&context.inherited, words, reader);
    let Some((what, _)) = arguments(found, words, On::Import, reader) else { return Vec::new() };
    let inside = Context { inherited, ..context.clone() };
    let fixed = context.fixed_for_imports.clone();
    let name = match &what {
        Included::Tasks { file } => file,
        Included::Role(call) => &call.name,
    };
    match reader.name(name, &fixed) {
        Name::Known(key) => {
            let body = body(&key, &what, &inside, reader, Circle::Refuse).unwrap_or_default();
            reader.handlers.extend(body.handlers);
            reader.public_roles.extend(body.role);
            body.entries
        }
        Name::Later => {
            let fault = Diagnostic::error("the name of an import must be known before the run").at(&name.span);
            let instead = found.full.replace("import_", "include_");
            reader.faults.push(fault.help(format!("use `{instead}`, which reads the name when its turn comes")));
            Vec::new()
        }
        Name::Wrong => Vec::new(),
    }
}

/// `include_…`: a node of its own, with its entries if the name is known.
pub(crate) fn include(
    span: &Span,
    found: &Found,
    words: &Keywords<'_>,
    context: &Context,
    reader: &mut Reader<'_>,
) -> Option<Entry> {
    refuse_strangers(words, On::Include, reader);
    let inherited = entries::handed_down(&context.inherited, words, reader);
    let (what, apply) = arguments(found, words, On::Include, reader)?;
    let mut inside = context.clone();
    if let Some(node) = apply {
        let entries = word::mapping(&node, reader.faults);
        let words = keyword::sort(&entries, On::Block, reader.faults);
        for (key, _) in &words.rest {
            reader.faults.push(keyword::unknown(key, On::Block, []));
        }
        inside.inherited = entries::handed_down(&inside.inherited, &words, reader);
    }
    if let Some(vars) = words.get("vars").map(|node| word::vars(node, &mut Diagnostics::default())) {
        inside.inherited.params.push(Arc::new(vars));
    }
    let name = match &what {
        Included::Tasks { file } => file,
        Included::Role(call) => &call.name,
    };
    let body = match reader.name(name, &context.fixed) {
        Name::Known(key) => body(&key, &what, &inside, reader, Circle::Later),
        Name::Later | Name::Wrong => None,
    };
    // Handlers of a role are the play's, whoever brings it; what is read during the run joins them then.
    if let Some(body) = &body {
        reader.handlers.extend(body.handlers.iter().cloned());
        reader.public_roles.extend(body.role.iter().filter(|role| role.public).cloned());
    }
    let loops = loops::read(words, reader.faults);
    loops.iter().for_each(|one| reader.check(&one.over));
    Some(Entry::Include(Box::new(Include {
        span: span.clone(),
        name: entries::name(words, reader),
        what,
        loops,
        register: words.get("register").and_then(|node| word::variable(node, reader.faults)),
        listen: words.get("listen").map(|node| word::names(node, "a topic", reader.faults)).unwrap_or_default(),
        inherited,
        body,
        role: context.role.clone(),
        search: context.search.clone(),
        context: Arc::new(inside),
    })))
}

fn refuse_strangers(words: &Keywords<'_>, on: On, reader: &mut Reader<'_>) {
    for (key, _) in words.rest.iter().filter(|(key, _)| key.name.starts_with("with_") && on == On::Import) {
        let fault = Diagnostic::error(format!("the keyword `{}` has no place on an import", key.name)).at(&key.span);
        reader.faults.push(fault.help("use `include_tasks`, which runs each time"));
    }
}

/// The arguments of an include or import, and its `apply`.
fn arguments(found: &Found, words: &Keywords<'_>, on: On, reader: &mut Reader<'_>) -> Option<(Included, Option<Node>)> {
    let action = action::read(found, words.get("args"), &Default::default(), reader.faults)?;
    let role = found.kind.name.ends_with("_role");
    let mut known: Vec<&str> = match role {
        true => vec![
            "name",
            "role",
            "tasks_from",
            "handlers_from",
            "vars_from",
            "defaults_from",
            "allow_duplicates",
            "rolespec_validate",
        ],
        false => vec!["file"],
    };
    if on == On::Include {
        known.push("apply");
    }
    if on == On::Include && role {
        known.push("public");
    }
    for (key, _) in action.args.as_map().unwrap_or_default() {
        if !known.contains(&key.name.as_str()) {
            let fault = Diagnostic::error(format!("unknown argument `{}` of `{}`", key.name, found.full)).at(&key.span);
            let fault = fault.suggest(&key.name, known.iter().copied());
            let help = "variables for the tasks go under `vars:` of the include";
            reader.faults.push(if fault.help.is_none() { fault.help(help) } else { fault });
        }
    }
    let get = |name: &str| action.args.get(name).filter(|node| !node.is_null()).cloned();
    let name = if role { get("name").or_else(|| get("role")) } else { get("file") };
    let Some(name) = name.or_else(|| action.free_form.clone()) else {
        let wanted = if role { "the name of a role" } else { "a file" };
        reader.faults.push(Diagnostic::error(format!("`{}` does not say {wanted}", found.full)).at(&found.kind.span));
        return None;
    };
    reader.check(&action.args);
    let what = match role {
        false => Included::Tasks { file: name },
        true => Included::Role(Box::new(RoleCall {
            name,
            tasks_from: get("tasks_from"),
            handlers_from: get("handlers_from"),
            vars_from: get("vars_from"),
            defaults_from: get("defaults_from"),
            public: on == On::Import
                || get("public").and_then(|node| word::fixed_flag(&node, reader.faults)) == Some(true),
            allow_duplicates: get("allow_duplicates").and_then(|node| word::fixed_flag(&node, reader.faults))
                != Some(false),
        })),
    };
    Some((what, get("apply")))
}

/// The entries behind a known name. `None` if they cannot be read, or not now.
fn body(key: &Key, what: &Included, context: &Context, reader: &mut Reader<'_>, circle: Circle) -> Option<Body> {
    match what {
        Included::Tasks { .. } => {
            let tried = context.search.task_files(&key.name);
            let Some(path) = files::first_file(&tried) else {
                reader.faults.push(files::missing("file of tasks", &key.name, &tried).at(&key.span));
                return None;
            };
            let entries = tasks_file(&path, &key.span, context, reader, circle)?;
            Some(Body { entries, ..Body::default() })
        }
        Included::Role(call) => {
            let role = role_call(key, call, context, reader)?;
            let path = role_read::tasks_file(&role, context);
            if circle == Circle::Later && path.is_some_and(|path| is_inside(&path, context)) {
                return None;
            }
            role_read::load(&role, context, reader)
        }
    }
}

fn is_inside(path: &std::path::Path, context: &Context) -> bool {
    context.chain.iter().any(|link| link.file == path)
}

/// Reads a file of tasks.
fn tasks_file(
    path: &std::path::Path,
    asked: &Span,
    context: &Context,
    reader: &mut Reader<'_>,
    circle: Circle,
) -> Option<Vec<Entry>> {
    let path: PathBuf = files::tidy(path);
    if circle == Circle::Later && is_inside(&path, context) {
        return None;
    }
    let mut inside = reader.deeper(context, Link { file: path.clone(), span: asked.clone() })?;
    let here = path.parent().unwrap_or(std::path::Path::new("")).to_path_buf();
    inside.search = Arc::new(Search { here, ..(*context.search).clone() });
    match reader.files.yaml(&path, Some(asked), reader.faults) {
        Some(root) => Some(entries::list(&root, &inside, reader)),
        None => Some(Vec::new()),
    }
}

/// A call with all its names known.
fn role_call(key: &Key, call: &RoleCall, context: &Context, reader: &mut Reader<'_>) -> Option<Call> {
    let mut part = |node: &Option<Node>| -> Option<Option<String>> {
        let Some(node) = node else { return Some(None) };
        match reader.name(node, &context.fixed_for_imports) {
            Name::Known(key) => Some(Some(key.name)),
            Name::Later | Name::Wrong => None,
        }
    };
    let (tasks_from, handlers_from) = (part(&call.tasks_from)?, part(&call.handlers_from)?);
    let (vars_from, defaults_from) = (part(&call.vars_from)?, part(&call.defaults_from)?);
    let duplicates = match call.allow_duplicates {
        true => crate::lang::role::Duplicates::Allowed,
        false => crate::lang::role::Duplicates::Once,
    };
    Some(Call {
        name: key.clone(),
        tasks_from,
        handlers_from,
        vars_from,
        defaults_from,
        params: Vars::new(),
        given: Vars::new(),
        public: call.public,
        duplicates: Some(duplicates),
        identity: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::project;
    use crate::lang::project::Request;

    /// Loads an include that holds itself, again and again as the run would.
    #[test]
    fn an_include_inside_of_itself_is_read_later_and_ends_in_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("site.yml"), "- hosts: localhost\n  tasks:\n    - include_tasks: again.yml\n").unwrap();
        std::fs::write(path("again.yml"), "- command: id\n- include_tasks: again.yml\n").unwrap();
        let request = Request { playbooks: vec![path("site.yml")], kinds: &["command"], ..Request::default() };
        let (files, templates) = (Files::new(), Templates::new());
        let project = project::load(&request, &files, &templates).unwrap();
        let Entry::Include(mut include) = project.plays[0].tasks[0].clone() else { panic!("no include") };
        let mut rounds = 0;
        let fault = loop {
            let body = match include.body.clone() {
                Some(body) => body,
                None => match load(&files, &templates, &include, &include.what) {
                    Ok(body) => body,
                    Err(faults) => break faults,
                },
            };
            let Entry::Include(next) = body.entries[1].clone() else { panic!("no include") };
            include = next;
            rounds += 1;
        };
        assert!(rounds > 10, "{rounds}");
        assert_eq!(fault.list[0].message, "includes are nested more than 32 deep");
    }
}
