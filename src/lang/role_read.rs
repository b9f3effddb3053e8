//! Finds roles on disk and reads their parts, dependencies first.
//!
//! Knows the directories of a role; its tasks are read by `entries`.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Span;
use crate::lang::beside;
use crate::lang::entries;
use crate::lang::files;
use crate::lang::keyword;
use crate::lang::keyword::On;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::reader::Name;
use crate::lang::reader::Reader;
use crate::lang::role::Duplicates;
use crate::lang::role::Role;
use crate::lang::role::RoleUse;
use crate::lang::search::Search;
use crate::lang::task::Body;
use crate::lang::task::Context;
use crate::lang::task::Link;
use crate::lang::task::Place;
use crate::lang::task::Vars;
use crate::lang::word;

/// One use of a role, all its names known.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: Key,
    pub(crate) tasks_from: Option<String>,
    pub(crate) handlers_from: Option<String>,
    pub(crate) vars_from: Option<String>,
    pub(crate) defaults_from: Option<String>,
    pub(crate) params: Vars,
    pub(crate) given: Vars,
    pub(crate) public: bool,
    /// `None`: the role's own word counts.
    pub(crate) duplicates: Option<Duplicates>,
    /// What makes two uses the same: parameters and keywords. Empty for uses that are never passed over.
    pub(crate) identity: String,
}

/// A role with its dependencies, in running order.
pub(crate) struct Loaded {
    pub(crate) uses: Vec<RoleUse>,
    pub(crate) handlers: Vec<crate::lang::task::Entry>,
    pub(crate) role: Arc<Role>,
}

/// A call of `include_role` or `import_role`: the entries of the role and before them those of its dependencies.
pub(crate) fn load(call: &Call, context: &Context, reader: &mut Reader<'_>) -> Option<Body> {
    let mut parents = Vec::new();
    if let Some(role) = &context.role {
        parents.extend(role.parents.iter().cloned());
        parents.push(role.clone());
    }
    let loaded = read(call, context, &parents, Way::Call, reader)?;
    let entries = loaded.uses.into_iter().flat_map(|one| one.entries).collect();
    Some(Body { entries, handlers: loaded.handlers, role: Some(loaded.role), ..Body::default() })
}

/// The file of tasks a call leads to, if the role and the file exist. Reports nothing.
pub(crate) fn tasks_file(call: &Call, context: &Context) -> Option<PathBuf> {
    let role = places(&call.name.name, context).into_iter().find(|path| path.is_dir())?;
    part(&role.join("tasks"), call.tasks_from.as_deref().unwrap_or("main"))
}

/// The uses of an entry of `roles:` or `dependencies:`: dependencies first, then the role.
pub(crate) fn entry(node: &Node, context: &Context, parents: &[Arc<Role>], reader: &mut Reader<'_>) -> Option<Loaded> {
    let name_node = |node: &Node| Node::live(&node.span, node.scalar().unwrap_or_default());
    let (name, entries) = match &node.tree {
        Tree::Text(_) => (node.clone(), Vec::new()),
        Tree::Map(entries) => {
            let Some(name) = node.get("role").or_else(|| node.get("name")).filter(|name| name.scalar().is_some())
            else {
                let fault = Diagnostic::error("this does not say which role").at(&node.span);
                reader.faults.push(fault.help("write `- role: name`"));
                return None;
            };
            (name_node(name), entries.clone())
        }
        _ => {
            let fault = Diagnostic::error(format!("expected the name of a role, found {}", node.kind())).at(&node.span);
            reader.faults.push(fault.help("write `- name`, or `- role: name` with more under it"));
            return None;
        }
    };
    let words = keyword::sort(&entries, On::Role, reader.faults);
    let inherited = context.inherited.with(&words, reader.faults);
    // Keys of a requirements file may stand in dependencies; they say where to get the role from.
    let params: Vars = words
        .rest
        .iter()
        .filter(|(key, _)| !matches!(key.name.as_str(), "src" | "scm" | "version"))
        .map(|(key, node)| ((*key).clone(), (*node).clone()))
        .collect();
    for (key, node) in &params {
        word::variable(&Node::literal(&key.span, key.name.clone()), reader.faults);
        reader.check(node);
    }
    let given = words.get("vars").map(|node| word::vars(node, reader.faults)).unwrap_or_default();
    let name = match reader.name(&name, &context.fixed_for_imports) {
        Name::Known(key) => key,
        Name::Later => {
            let fault = Diagnostic::error("the name of a role must be known before the run").at(&name.span);
            reader.faults.push(fault.help("use `include_role` in a task"));
            return None;
        }
        Name::Wrong => return None,
    };
    let said = entries.iter().filter(|(key, _)| key.name != "role" && key.name != "name").cloned().collect();
    let identity = format!("{} {}", name.name, Node::map(&node.span, said).to_value());
    let call = Call {
        name,
        tasks_from: None,
        handlers_from: None,
        vars_from: None,
        defaults_from: None,
        params,
        given,
        public: true,
        duplicates: None,
        identity,
    };
    let context = Context { inherited, ..context.clone() };
    read(&call, &context, parents, Way::Entry, reader)
}

/// How a role comes to be used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By a task; a role may call another part of itself.
    Call,
    /// By `roles:` or `dependencies:`.
    Entry,
}

fn read(call: &Call, context: &Context, parents: &[Arc<Role>], way: Way, reader: &mut Reader<'_>) -> Option<Loaded> {
    let path = find(&call.name, context, reader)?;
    if let Some(at) = parents.iter().position(|role| role.path == path && way == Way::Entry) {
        let names: Vec<&str> = parents[at..].iter().map(|role| role.name.as_str()).collect();
        let message = format!("the role `{0}` depends on itself: {1} → {0}", call.name.name, names.join(" → "));
        let fault = Diagnostic::error(message).at(&call.name.span);
        reader.faults.push(fault.help("remove one of these `dependencies` in meta/main.yml"));
        return None;
    }
    let tasks = role_part(&path, "tasks", call.tasks_from.as_deref(), &call.name.span, reader);
    let link = Link { file: tasks.clone().unwrap_or_else(|| path.clone()), span: call.name.span.clone() };
    let mut inside = reader.deeper(context, link)?;
    let meta = meta(&path, reader);
    let mut role = describe(call, &path, meta.duplicates, parents, reader);
    let mut chain = parents.to_vec();
    chain.push(Arc::new(role.clone()));
    let mut roles = vec![path.clone()];
    roles.extend(parents.iter().rev().map(|role| role.path.clone()));
    inside.search = Arc::new(Search { here: path.join("tasks"), roles, playbook: context.search.playbook.clone() });
    inside.fixed = Arc::new(inside.fixed.path("role_path", &path));
    inside.fixed_for_imports = Arc::new(inside.fixed_for_imports.path("role_path", &path));
    let (mut uses, mut handlers) = (Vec::new(), Vec::new());
    for node in &meta.dependencies {
        if let Some(loaded) = entry(node, &inside, &chain, reader) {
            uses.extend(loaded.uses);
            handlers.extend(loaded.handlers);
            role.dependencies.push(loaded.role);
        }
    }
    let role = Arc::new(role);
    inside.role = Some(role.clone());
    let once = (!call.identity.is_empty() && role.duplicates == Duplicates::Once).then(|| call.identity.clone());
    // The same use again in a play is passed over.
    if once.as_ref().is_none_or(|once| reader.first_use(once, &inside.inherited)) {
        let entries = tasks.map(|path| file(&path, &inside, Place::Tasks, reader)).unwrap_or_default();
        let from = role_part(&path, "handlers", call.handlers_from.as_deref(), &call.name.span, reader);
        handlers.extend(from.map(|path| file(&path, &inside, Place::Handlers, reader)).unwrap_or_default());
        let (inherited, name) = (inside.inherited.clone(), call.name.clone());
        uses.push(RoleUse { role: role.clone(), entries, inherited, once, name });
    }
    Some(Loaded { uses, handlers, role })
}

/// The role without its dependencies.
fn describe(call: &Call, path: &Path, duplicates: Duplicates, parents: &[Arc<Role>], reader: &mut Reader<'_>) -> Role {
    let vars = |kind: &str, from: Option<&str>, reader: &mut Reader<'_>| {
        let found = role_part(path, kind, from, &call.name.span, reader);
        let vars = found.map(|path| beside::read_path(reader.files, &path, reader.faults)).unwrap_or_default();
        vars.iter().for_each(|(_, node)| reader.check(node));
        vars
    };
    Role {
        name: call.name.name.clone(),
        span: call.name.span.clone(),
        path: path.to_path_buf(),
        defaults: vars("defaults", call.defaults_from.as_deref(), reader),
        vars: vars("vars", call.vars_from.as_deref(), reader),
        params: call.params.clone(),
        given: call.given.clone(),
        dependencies: Vec::new(),
        parents: parents.to_vec(),
        public: call.public,
        duplicates: call.duplicates.unwrap_or(duplicates),
    }
}

fn file(path: &Path, context: &Context, place: Place, reader: &mut Reader<'_>) -> Vec<crate::lang::task::Entry> {
    let here = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let search = Arc::new(Search { here, ..(*context.search).clone() });
    let inside = Context { place, search, ..context.clone() };
    let root = reader.files.yaml(path, None, reader.faults);
    root.map(|root| entries::list(&root, &inside, reader)).unwrap_or_default()
}

/// The directory of a role.
fn find(name: &Key, context: &Context, reader: &mut Reader<'_>) -> Option<PathBuf> {
    if name.name.matches('.').count() >= 2 && !name.name.contains('/') {
        let fault =
            Diagnostic::error(format!("the role `{}` of a collection is unsupported", name.name)).at(&name.span);
        reader.faults.push(fault.help("put the role into `roles/` and use its last name"));
        return None;
    }
    let tried = places(&name.name, context);
    match tried.iter().find(|path| path.is_dir()) {
        Some(path) => Some(path.clone()),
        None => {
            reader.faults.push(files::missing("role", &name.name, &tried).at(&name.span));
            None
        }
    }
}

/// Directories a role's name may mean, in order.
fn places(name: &str, context: &Context) -> Vec<PathBuf> {
    let playbook = &context.search.playbook;
    let mut places = vec![playbook.join("roles").join(name)];
    // The layout `playbooks/` beside `roles/`.
    places.push(playbook.join("..").join("roles").join(name));
    // A role finds its siblings.
    places.extend(context.search.roles.iter().filter_map(|role| Some(role.parent()?.join(name))));
    places.extend(context.roles_path.iter().map(|path| path.join(name)));
    places.push(playbook.join(name));
    let mut unique: Vec<PathBuf> = Vec::new();
    for place in places.iter().map(|path| files::tidy(path)) {
        if !unique.contains(&place) {
            unique.push(place);
        }
    }
    unique
}

/// `stem`, with or without an ending, as a file; a directory of that name counts too.
fn part(directory: &Path, stem: &str) -> Option<PathBuf> {
    let names = [format!("{stem}.yml"), format!("{stem}.yaml"), format!("{stem}.json"), stem.to_string()];
    names.iter().map(|name| directory.join(name)).find(|path| path.exists())
}

/// A part of a role. Reports one that was asked for by name and is not there.
fn role_part(role: &Path, kind: &str, from: Option<&str>, asked: &Span, reader: &mut Reader<'_>) -> Option<PathBuf> {
    let directory = role.join(kind);
    let found = part(&directory, from.unwrap_or("main"));
    if let (None, Some(from)) = (&found, from) {
        let tried = [directory.join(format!("{from}.yml")), directory.join(from)];
        reader.faults.push(files::missing(&format!("part of {kind}"), from, &tried).at(asked));
    }
    found.filter(|path| kind == "vars" || kind == "defaults" || path.is_file())
}

#[derive(Default)]
struct Meta {
    dependencies: Vec<Node>,
    duplicates: Duplicates,
}

fn meta(role: &Path, reader: &mut Reader<'_>) -> Meta {
    let mut meta = Meta::default();
    let specs = part(&role.join("meta"), "argument_specs").filter(|path| reader.warned.insert(path.clone()));
    if let Some(path) = specs {
        let message = format!("`{}` is not checked: argument specs are unsupported", files::shown(&path));
        reader.faults.push(Diagnostic::warning(message));
    }
    let Some(path) = part(&role.join("meta"), "main").filter(|path| path.is_file()) else { return meta };
    let Some(root) = reader.files.yaml(&path, None, reader.faults) else { return meta };
    for (key, node) in word::mapping(&root, reader.faults) {
        match key.name.as_str() {
            "dependencies" => match &node.tree {
                Tree::List(items) => meta.dependencies = items.clone(),
                Tree::Null => {}
                _ => {
                    let fault = Diagnostic::error(format!("dependencies are a list, found {}", node.kind()));
                    reader.faults.push(fault.at(&node.span).help("write `- role: name`, one a line"));
                }
            },
            "allow_duplicates" => {
                if word::fixed_flag(&node, reader.faults) == Some(true) {
                    meta.duplicates = Duplicates::Allowed;
                }
            }
            "argument_specs" => {
                if reader.warned.insert(path.clone()) {
                    let fault = Diagnostic::warning("argument specs are not checked: they are unsupported");
                    reader.faults.push(fault.at(&key.span));
                }
            }
            "galaxy_info" | "collections" | "standalone" => {}
            other => {
                let known = ["dependencies", "allow_duplicates", "argument_specs", "galaxy_info", "collections"];
                let fault = Diagnostic::warning(format!("unknown key `{other}` in a role's meta")).at(&key.span);
                reader.faults.push(fault.suggest(other, known));
            }
        }
    }
    meta
}
