//! From a node to what is asked of its host: conditions, loops, arguments, files, user. What is not known yet stops deciding,
//! never probing.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use minijinja::Value;
use sha2::Digest;

use crate::change::Look;
use crate::change::Probe;
use crate::diag::Diagnostic;
use crate::diag::Source;
use crate::diag::Span;
use crate::engine::keys;
use crate::engine::lockout::Door;
use crate::engine::looping;
use crate::engine::measured;
use crate::engine::scope::Scope;
use crate::engine::state::CONDITION;
use crate::engine::state::Turned;
use crate::engine::store::AFTER;
use crate::lang::decode::decode;
use crate::lang::files;
use crate::lang::lookup::Fault;
use crate::lang::lookup::Pending;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::task::Task;
use crate::lang::within;
use crate::modules::FileArg;
use crate::modules::Kind;
use crate::modules::Nature;
use crate::modules::Resource;
use crate::modules::setup::Group;
use crate::remote::order::As;
use crate::remote::order::Confirm;

/// Largest content that travels inside a script, in bytes.
const INLINE: usize = 64 * 1024;

/// Directories of the controller may be nested so deep.
const DEEPEST: usize = 40;

/// What is known of a node now.
pub enum Ready {
    Skipped(String),
    /// Needs values that are not there yet; these questions can be asked meanwhile.
    Waits {
        on: Vec<Pending>,
        looks: Vec<(As, Look)>,
    },
    Fault(Box<Diagnostic>),
    /// One item for a task without a loop.
    Go {
        items: Vec<Item>,
        looped: bool,
    },
}

pub struct Item {
    /// The loop's item as shown; empty without a loop.
    pub label: String,
    pub turn: Turned,
    pub scope: Scope,
    pub state: State,
}

pub enum State {
    Skipped(String),
    Go(Box<Action>),
}

/// One thing to do, all its arguments known.
pub struct Action {
    pub user: As,
    pub probe: Probe,
    pub resource: Box<dyn Resource>,
    pub environment: Vec<(String, String)>,
    pub timeout: Option<Duration>,
    /// A time of zero says that there is to be none.
    pub confirm: Option<Confirm>,
    /// `set_fact`'s values, `meta`'s word: what the engine itself acts on.
    pub args: Node,
}

/// How users are become when nothing in the playbook says so: the command line's `-b`, and who logs in where.
#[derive(Debug, Clone, Default)]
pub struct Users {
    pub escalate: bool,
    pub become_user: Option<String>,
    /// The login user of each host, if known.
    pub login: Vec<Option<String>>,
    /// Where tbctl comes in on each host, if known.
    pub doors: Vec<Door>,
}

/// Groups of facts that nobody wrote a task for.
pub fn facts(scope: &Scope, kind: &'static Kind, groups: &[Group]) -> Ready {
    let span = Span::synthetic("setup", "setup");
    let only = (!groups.contains(&Group::Min)).then_some("!min");
    let words = groups.iter().map(|group| group.name()).chain(only).map(|word| Node::literal(&span, word));
    let subset = Node::new(&span, Tree::List(words.collect()));
    let args = Node::map(&span, vec![(Key { span: span.clone(), name: "gather_subset".into() }, subset)]);
    let action = (kind.probe)(&args).and_then(|probe| {
        let resource = (kind.decode)(&args)?;
        Ok(Action { user: None, probe, resource, environment: Vec::new(), timeout: None, confirm: None, args })
    });
    match action {
        Ok(action) => {
            let state = State::Go(Box::new(action));
            let item = Item { label: String::new(), turn: None, scope: scope.clone(), state };
            Ready::Go { items: vec![item], looped: false }
        }
        Err(fault) => Ready::Fault(Box::new(fault)),
    }
}

/// Whether a task turns out to have nothing to do on its host.
pub fn is_skipped(ready: &Ready) -> bool {
    match ready {
        Ready::Skipped(_) => true,
        Ready::Go { items, .. } => items.iter().all(|item| matches!(item.state, State::Skipped(_))),
        Ready::Waits { .. } | Ready::Fault(_) => false,
    }
}

/// Everything that can be said of a task now.
pub fn prepare(scope: &Scope, task: &Arc<Task>, kind: &'static Kind, users: &Users) -> Ready {
    let over = task.loops.as_ref();
    let values = match looping::items(scope, over, &task.search) {
        Ok(values) => values,
        // A false `when` skips the task even if its loop has no meaning.
        Err(fault) => match scope.store.templates.condition(&task.inherited.when, &scope.lookup()) {
            Ok(false) => return Ready::Skipped(CONDITION.into()),
            _ => return not_ready(fault, Vec::new()),
        },
    };
    let looped = values.is_some();
    let mut found = Vec::new();
    let (mut on, mut looks) = (Vec::new(), Vec::new());
    let mut carried: Vec<(String, Value)> = Vec::new();
    for turn in looping::turns(scope, over, values) {
        let looping::Turn { scope: own, seen, label } = turn;
        // What one item of `set_fact` sets is seen by the next.
        let own = if carried.is_empty() { own } else { own.with(carried.clone()) };
        let mut asked = Vec::new();
        match one(&own, task, kind, users, &mut asked) {
            Ok(state) => {
                if let (State::Go(action), "set_fact") = (&state, kind.name) {
                    let entries = action.args.as_map().unwrap_or_default();
                    carried.extend(entries.iter().map(|(key, value)| (key.name.clone(), value.to_value())));
                }
                found.push(Item { label, turn: seen, scope: own, state });
            }
            Err(Fault::Unknown(pending)) => on.extend(pending),
            Err(Fault::Error(fault)) => return Ready::Fault(fault),
        }
        looks.extend(asked);
    }
    if on.is_empty() { Ready::Go { items: found, looped } } else { Ready::Waits { on, looks } }
}

fn not_ready(fault: Fault, looks: Vec<(As, Look)>) -> Ready {
    match fault {
        Fault::Unknown(on) => Ready::Waits { on, looks },
        Fault::Error(fault) => Ready::Fault(fault),
    }
}

/// One item: its condition, then its arguments. What can be asked already goes to `asked`, also when something is unknown.
fn one(
    scope: &Scope,
    task: &Arc<Task>,
    kind: &'static Kind,
    users: &Users,
    asked: &mut Vec<(As, Look)>,
) -> Result<State, Fault> {
    let templates = &scope.store.templates;
    let lookup = scope.lookup();
    let mut unknown = Vec::new();
    match templates.condition(&task.inherited.when, &lookup) {
        Ok(true) => {}
        Ok(false) => return Ok(State::Skipped(CONDITION.into())),
        Err(Fault::Unknown(on)) => unknown.extend(on),
        Err(fault) => return Err(fault),
    }
    let maybe_skipped = !unknown.is_empty();
    let rendered = user(scope, task, users).and_then(|user| Ok((user, arguments(scope, task, kind)?)));
    let (user, (args, more)) = match rendered {
        Ok(rendered) => rendered,
        // The task may be skipped yet, and then nothing is wrong with it.
        Err(Fault::Error(_)) if maybe_skipped => return Err(Fault::Unknown(unknown)),
        Err(fault) => return Err(fault),
    };
    let complete = more.is_empty();
    let probe = match (kind.probe)(&args) {
        Ok(probe) => probe,
        // Something that names the thing is not known yet.
        Err(_) if !complete || maybe_skipped => {
            unknown.extend(more);
            return Err(Fault::Unknown(unknown));
        }
        Err(fault) => return Err(fault.at(&task.action.kind.span).into()),
    };
    unknown.extend(more);
    asked.extend(probe.looks.iter().map(|(_, look)| (user.clone(), look.clone())));
    if !unknown.is_empty() {
        return Err(Fault::Unknown(unknown));
    }
    let resource = (kind.decode)(&args).map_err(|fault| fault.at(&task.action.kind.span))?;
    let loud = args.get("verbosity").and_then(|node| decode::<u8>(node).ok()).unwrap_or_default();
    if kind.name == "debug" && loud > scope.store.verbosity {
        return Ok(State::Skipped(format!("it speaks only with -{}", "v".repeat(loud.min(6).into()))));
    }
    let environment = environment(scope, task)?;
    let timeout = match &task.inherited.timeout {
        Some(node) => Some(Duration::from_secs(decode::<u64>(&templates.render(node, &lookup)?)?)),
        None => None,
    };
    let confirm = confirm(scope, task)?;
    Ok(State::Go(Box::new(Action { user, probe, resource, environment, timeout, confirm, args })))
}

/// What the task says about being confirmed. What stands under one keyword is taken back together.
pub fn confirm(scope: &Scope, task: &Task) -> Result<Option<Confirm>, Fault> {
    let Some(node) = &task.inherited.confirm else { return Ok(None) };
    let within = within::read(&scope.store.templates.render(node, &scope.lookup())?)?;
    Ok(Some(Confirm { within, with: vec![node.span.to_string()] }))
}

/// The arguments rendered, and what those that are missing wait for.
fn arguments(scope: &Scope, task: &Task, kind: &'static Kind) -> Result<(Node, Vec<Pending>), Fault> {
    let templates = &scope.store.templates;
    let lookup = scope.lookup();
    let mut raw: Vec<(Key, Node)> = task.action.args.as_map().unwrap_or_default().to_vec();
    if let Some(free) = &task.action.free_form {
        let name = kind.free.unwrap_or("free_form").to_string();
        raw.retain(|(key, _)| key.name != name);
        raw.push((Key { span: free.span.clone(), name }, free.clone()));
    }
    let (mut done, mut unknown): (Vec<(Key, Node)>, Vec<Pending>) = (Vec::new(), Vec::new());
    for (key, node) in raw {
        // Only `set_fact` gives names of its own.
        let key = match kind.name == "set_fact" && key.name.contains("{{") {
            true => match templates.render(&Node::live(&key.span, &key.name), &lookup) {
                Ok(name) => Key { name: name.scalar().unwrap_or_default(), ..key },
                Err(Fault::Unknown(on)) => {
                    unknown.extend(on);
                    continue;
                }
                Err(fault) => return Err(fault),
            },
            false => key,
        };
        let rendered = match (kind.name, key.name.as_str()) {
            ("assert", "that") => assertions(scope, &node).map(|entries| {
                done.extend(entries);
                None
            }),
            ("debug", "var") => variable(scope, &node).map(|value| {
                done.push((Key { span: key.span.clone(), name: "value_".into() }, value));
                Some(node.clone())
            }),
            _ => templates.render_unless_omitted(&node, &lookup),
        };
        match rendered {
            Ok(Some(node)) => done.push((key, node)),
            Ok(None) => {}
            Err(Fault::Unknown(on)) => unknown.extend(on),
            Err(fault) => return Err(fault),
        }
    }
    let args = Node::map(&task.action.args.span, done);
    let mut extra = Vec::new();
    if let Some(file) = kind.file {
        match source(scope, task, file, &args) {
            Ok(found) => extra.extend(found),
            Err(Fault::Unknown(on)) => unknown.extend(on),
            Err(fault) => return Err(fault),
        }
    }
    if kind.name == "wireguard_key" {
        match keys::argument(scope, &args) {
            Ok(found) => extra.extend(found),
            Err(Fault::Unknown(on)) => unknown.extend(on),
            Err(fault) => return Err(fault),
        }
    }
    if kind.name == "http_benchmark" {
        extra.push(measured::argument(scope, &args)?);
    }
    let mut entries = args.as_map().unwrap_or_default().to_vec();
    entries.extend(extra);
    Ok((Node::map(&args.span, entries), unknown))
}

/// `assert`'s expressions as booleans, and as the text they were.
fn assertions(scope: &Scope, node: &Node) -> Result<Vec<(Key, Node)>, Fault> {
    let lookup = scope.lookup();
    let list = node.as_list().unwrap_or(std::slice::from_ref(node));
    let (mut truths, mut texts) = (Vec::new(), Vec::new());
    for one in list {
        let truth = scope.store.templates.condition(std::slice::from_ref(one), &lookup)?;
        truths.push(Node::new(&one.span, Tree::Bool(truth)));
        texts.push(Node::literal(&one.span, one.scalar().unwrap_or_default()));
    }
    let key = |name: &str| Key { span: node.span.clone(), name: name.into() };
    Ok(vec![
        (key("that"), Node::new(&node.span, Tree::List(truths))),
        (key("that_text_"), Node::new(&node.span, Tree::List(texts))),
    ])
}

/// The value `debug: var=` names.
fn variable(scope: &Scope, node: &Node) -> Result<Node, Fault> {
    let value = match scope.store.templates.expression(node, &scope.lookup()) {
        Ok(value) => value,
        Err(Fault::Error(_)) => Value::from("VARIABLE IS NOT DEFINED!"),
        Err(fault) => return Err(fault),
    };
    Ok(Node::from_value(&node.span, &value)?)
}

/// Finds and reads the controller's file an argument names.
fn source(scope: &Scope, task: &Task, file: FileArg, args: &Node) -> Result<Option<(Key, Node)>, Fault> {
    let Some(node) = args.get(file.name) else { return Ok(None) };
    let remote = args.get("remote_src").is_some_and(|node| decode::<bool>(node).unwrap_or(false));
    let (Some(name), false) = (node.scalar(), remote) else { return Ok(None) };
    let candidates = task.search.candidates(file.directory, &name);
    let Some(path) = candidates.iter().find(|path| path.exists()) else {
        return Err(files::missing("file", &name, &candidates).at(&node.span).into());
    };
    let json = match file.template {
        true => template(scope, path, &node.span)?,
        false => read(scope, path, &node.span)?,
    };
    let value = Node::from_value(&node.span, &Value::from(minijinja::value::Serde(json)))?;
    Ok(Some((Key { span: node.span.clone(), name: "source_".into() }, value)))
}

fn template(scope: &Scope, path: &Path, span: &Span) -> Result<serde_json::Value, Fault> {
    let text = scope.store.files.read(path).map_err(|fault| fault.at(span))?;
    let source: Arc<Source> = text;
    let text = scope.store.templates.file(&source, &scope.lookup())?;
    let sha256 = hex(&sha2::Sha256::digest(text.as_bytes()));
    Ok(serde_json::json!({"path": path, "sha256": sha256, "mode": mode(path), "text": text}))
}

/// A file, or a directory with all that is in it.
fn read(scope: &Scope, path: &Path, span: &Span) -> Result<serde_json::Value, Diagnostic> {
    let fault = |error: std::io::Error| Diagnostic::error(format!("cannot read {}: {error}", path.display())).at(span);
    if path.is_dir() {
        let mut tree = Vec::new();
        for inner in inside(path, 0).map_err(fault)? {
            let below = inner.strip_prefix(path).ok().and_then(Path::to_str);
            let below = below.ok_or_else(|| fault(std::io::Error::other("a name in it is not UTF-8 text")))?;
            let own = if inner.is_dir() { serde_json::Value::Null } else { read(scope, &inner, span)? };
            tree.push(serde_json::json!([below, own]));
        }
        return Ok(serde_json::json!({"path": path, "sha256": "", "mode": mode(path), "tree": tree}));
    }
    if !path.metadata().map_err(fault)?.is_file() {
        return Err(fault(std::io::Error::other("it is no regular file")));
    }
    let bytes = std::fs::read(path).map_err(fault)?;
    let sha256 = hex(&sha2::Sha256::digest(&bytes));
    scope.store.files.note(path, &sha256);
    let small = bytes.len() <= INLINE && !bytes.contains(&0);
    let text = small.then(|| String::from_utf8(bytes).ok()).flatten();
    Ok(serde_json::json!({"path": path, "sha256": sha256, "mode": mode(path), "text": text}))
}

/// Everything in a directory, sorted; each directory comes before what is in it.
fn inside(directory: &Path, depth: usize) -> std::io::Result<Vec<PathBuf>> {
    if depth > DEEPEST {
        return Err(std::io::Error::other("its directories are nested too deep, or links lead around in a circle"));
    }
    let mut paths =
        std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let more = if path.is_dir() { inside(&path, depth + 1)? } else { Vec::new() };
        found.push(path);
        found.extend(more);
    }
    Ok(found)
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().map_or(0o644, |meta| meta.permissions().mode() & 0o7777)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A keyword or a variable that is a boolean.
pub fn flag(scope: &Scope, node: Option<&Node>) -> Result<Option<bool>, Fault> {
    let Some(node) = node else { return Ok(None) };
    let rendered = scope.store.templates.render(node, &scope.lookup())?;
    Ok(Some(decode::<bool>(&rendered)?))
}

pub(super) fn var(scope: &Scope, name: &str) -> Result<Option<Node>, Fault> {
    use crate::lang::lookup::Found;
    use crate::lang::lookup::Lookup as _;
    match scope.get(name) {
        Found::Node(node) => Ok(Some(scope.store.templates.render(&node, &scope.lookup())?)),
        Found::Value(value) => Ok(Some(Node::from_value(&Span::synthetic(name, name), &value)?)),
        Found::Unknown(pending) => Err(Fault::Unknown(vec![pending])),
        Found::Missing | Found::Scope(_) => Ok(None),
    }
}

/// Whom a task runs as. Variables beat keywords, keywords beat the command line.
fn user(scope: &Scope, task: &Task, users: &Users) -> Result<As, Fault> {
    let escalate = &task.inherited.escalate;
    let on = match var(scope, "ansible_become")? {
        Some(node) => Some(decode::<bool>(&node)?),
        None => flag(scope, escalate.on.as_ref())?,
    };
    if !on.unwrap_or(users.escalate) {
        return Ok(None);
    }
    if let Some(method) = &escalate.method {
        let method = scope.store.templates.render(method, &scope.lookup())?;
        if method.scalar().is_some_and(|method| method != "sudo") {
            let fault = Diagnostic::error("this way to become another user is unsupported").at(&method.span);
            return Err(fault.help("tbctl knows `become_method: sudo`").into());
        }
    }
    let named = match var(scope, "ansible_become_user")? {
        Some(node) => node.scalar(),
        None => match &escalate.user {
            Some(node) => scope.store.templates.render(node, &scope.lookup())?.scalar(),
            None => users.become_user.clone(),
        },
    };
    let name = named.unwrap_or_else(|| "root".into());
    let login = users.login.get(scope.host).and_then(Option::as_ref);
    Ok((login != Some(&name)).then_some(name))
}

/// The task's environment, the inner levels over the outer.
fn environment(scope: &Scope, task: &Task) -> Result<Vec<(String, String)>, Fault> {
    let mut all: indexmap::IndexMap<String, String> = indexmap::IndexMap::new();
    for layer in &task.inherited.environment {
        let rendered = scope.store.templates.render(layer, &scope.lookup())?;
        let maps = rendered.as_list().unwrap_or(std::slice::from_ref(&rendered));
        for (key, node) in maps.iter().flat_map(|map| map.as_map().unwrap_or_default()) {
            let name_is_fine = key.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !name_is_fine || key.name.starts_with(|first: char| first.is_ascii_digit()) || key.name.is_empty() {
                let message = format!("`{}` cannot be the name of an environment variable", key.name);
                return Err(Diagnostic::error(message).at(&key.span).into());
            }
            all.insert(key.name.clone(), node.scalar().unwrap_or_default());
        }
    }
    Ok(all.into_iter().collect())
}

/// Whether a kind runs on the controller alone.
pub fn is_here(kind: &Kind) -> bool {
    kind.nature == Nature::Here
}

/// What a plan cannot know, as said to people: the tasks that would tell.
pub fn after(on: &[Pending]) -> Option<String> {
    let names: Vec<&str> = on.iter().filter_map(|pending| pending.0.strip_prefix(AFTER)).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
