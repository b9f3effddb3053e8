//! Names and lazy containers: what stands behind a name is made when it is touched, once, and loops are found.
//!
//! Knows nothing of expressions; a variable that is a template is handed back to `eval`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use minijinja::value::Value;

use crate::diag::Diagnostic;
use crate::diag::Span;
use crate::lang::filters;
use crate::lang::lookup::Found;
use crate::lang::lookup::Lookup;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::template::Templates;
use crate::lang::template::call::Callable;
use crate::lang::template::place::Place;
use crate::lang::template::stmt::Blocks;
use crate::lang::template::val::*;

/// Steps one rendering may take before it counts as endless.
const FUEL: u64 = 10_000_000;
/// The longest text a template may make, in bytes.
pub(crate) const LONGEST: usize = 64 << 20;
/// Variables in variables, macros in macros, includes in includes; and containers in containers.
const DEEPEST: usize = 200;

pub(crate) type Frame = Rc<RefCell<HashMap<Arc<str>, Val>>>;

/// Where evaluation stands: swapped as a whole when a variable, a macro or another file is entered.
#[derive(Clone)]
pub(crate) struct Env {
    pub(crate) scope: Arc<dyn Lookup>,
    /// Names set by the template itself, innermost last.
    pub(crate) frames: Vec<Frame>,
    pub(crate) place: Rc<Place>,
    pub(crate) blocks: Rc<Blocks>,
    /// Whether text constants may be templates themselves, as conditions of old allow.
    pub(crate) nested: bool,
}

impl Env {
    pub(crate) fn new(scope: &Arc<dyn Lookup>, place: Place) -> Env {
        Env {
            scope: scope.clone(),
            frames: vec![Frame::default()],
            place: Rc::new(place),
            blocks: Rc::default(),
            nested: false,
        }
    }
}

/// Frames that macros hold: a macro in a frame it holds would keep itself alive for ever, so they are emptied at the end.
#[derive(Default)]
struct Kept(Vec<Frame>);

impl Drop for Kept {
    fn drop(&mut self) {
        for frame in &self.0 {
            let emptied = frame.take();
            drop(emptied);
        }
    }
}

/// A variable and the scope it was made in.
type Made = (Arc<dyn Lookup>, Val);

/// A variable being made: its identity, and what the text calls it.
type Making = ((usize, Key), Arc<str>);

/// One rendering.
pub(crate) struct Cx<'t> {
    pub(crate) templates: &'t Templates,
    pub(crate) env: Env,
    /// Variables made so far, by scope and name; the scope is kept, so that its address stays its own.
    memo: HashMap<(usize, Arc<str>), Made>,
    /// The variables being made, outermost first: their identity and what the text calls them.
    active: Vec<Making>,
    fuel: u64,
    depth: usize,
    /// What a `{% filter %}` block is applied to.
    pub(crate) block_input: Option<Val>,
    kept: Kept,
}

fn address(scope: &Arc<dyn Lookup>) -> usize {
    Arc::as_ptr(scope).cast::<()>().addr()
}

impl<'t> Cx<'t> {
    pub(crate) fn new(templates: &'t Templates, scope: &Arc<dyn Lookup>, place: Place) -> Cx<'t> {
        Cx {
            templates,
            env: Env::new(scope, place),
            memo: HashMap::new(),
            active: Vec::new(),
            fuel: FUEL,
            depth: 0,
            block_input: None,
            kept: Kept::default(),
        }
    }

    /// Remembers that a macro holds the frames of now.
    pub(crate) fn keep_frames(&mut self) {
        self.kept.0.extend(self.env.frames.iter().cloned());
    }

    /// Spends steps; an error when there are none left.
    pub(crate) fn burn(&mut self, steps: usize) -> Res<()> {
        match self.fuel.checked_sub(steps as u64) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => fail("the template takes too many steps: does it loop, or build something huge?"),
        }
    }

    /// Spends steps for a text about to be made.
    pub(crate) fn burn_text(&mut self, bytes: usize) -> Res<()> {
        if bytes > LONGEST {
            return fail(format!("the template makes a text longer than {} MiB", LONGEST >> 20));
        }
        self.burn(bytes / 16)
    }

    /// Runs something one level deeper, on more stack if needed.
    pub(crate) fn deeper<T>(&mut self, work: impl FnOnce(&mut Cx<'t>) -> Res<T>) -> Res<T> {
        if self.depth >= DEEPEST {
            return fail(format!("templates are nested deeper than {DEEPEST} levels"));
        }
        self.depth += 1;
        let done = stacker::maybe_grow(256 << 10, 2 << 20, || work(self));
        self.depth -= 1;
        done
    }

    /// Runs something in another environment.
    pub(crate) fn within<T>(&mut self, env: Env, work: impl FnOnce(&mut Cx<'t>) -> Res<T>) -> Res<T> {
        let before = std::mem::replace(&mut self.env, env);
        let done = self.deeper(work);
        self.env = before;
        done
    }

    /// Runs something with a new innermost frame.
    pub(crate) fn framed<T>(&mut self, work: impl FnOnce(&mut Cx<'t>) -> Res<T>) -> Res<T> {
        self.env.frames.push(Frame::default());
        let done = work(self);
        self.env.frames.pop();
        done
    }

    pub(crate) fn set(&mut self, name: &Arc<str>, value: Val) {
        if let Some(frame) = self.env.frames.last() {
            frame.borrow_mut().insert(name.clone(), value);
        }
    }

    /// A name of the template, a variable, or a function.
    pub(crate) fn name(&mut self, name: &Arc<str>, at: &Range<usize>) -> Res {
        let local = self.env.frames.iter().rev().find_map(|frame| frame.borrow().get(name).cloned());
        if let Some(value) = local {
            return Ok(value);
        }
        let scope = self.env.scope.clone();
        if let Some(value) = self.variable(&scope, name, Some(at))? {
            return Ok(value);
        }
        if &**name == "omit" {
            return Ok(Val::Omit);
        }
        if let Some(function) = filters::function(name) {
            return Ok(Val::Callable(Rc::new(Callable::Function(function))));
        }
        let fault = Diagnostic::error(format!("'{name}' is undefined")).at(&self.env.place.span(at));
        let near = Some((name.to_string(), Near::Scope(scope)));
        Ok(Val::Undefined(Rc::new(Absent { fault, near, blank: false })))
    }

    /// A variable of a scope, if it has it; with the place where the text uses it.
    pub(crate) fn variable(
        &mut self,
        scope: &Arc<dyn Lookup>,
        name: &Arc<str>,
        at: Option<&Range<usize>>,
    ) -> Res<Option<Val>> {
        let key = (address(scope), name.clone());
        if let Some((_, value)) = self.memo.get(&key) {
            return Ok(Some(value.clone()));
        }
        self.burn(1)?;
        let value = match scope.get(name) {
            Found::Missing => return Ok(None),
            Found::Unknown(pending) => Val::Unknown(Rc::new(vec![pending])),
            Found::Value(value) if value.is_undefined() => return Ok(None),
            Found::Value(value) => Val::from_value(&value, name)?,
            Found::Scope(inner) => Val::lazy(Source::Scope(inner), name),
            Found::Node(node) => {
                let used = at.map(|at| self.env.place.span(at));
                let identity = (key.0, Key::Str(name.clone()));
                self.written(&node, scope, (identity, name.clone()), used.as_ref())?
            }
        };
        self.memo.insert(key, (scope.clone(), value.clone()));
        Ok(Some(value))
    }

    /// The value of something as written. A missing or unknown part makes the whole missing or unknown.
    fn written(
        &mut self,
        node: &Arc<Node>,
        scope: &Arc<dyn Lookup>,
        (identity, label): Making,
        used: Option<&Span>,
    ) -> Res {
        if !node.is_live() {
            return self.literal(node);
        }
        let Tree::Text(text) = &node.tree else {
            return Ok(Val::lazy(Source::Node(node.clone(), scope.clone()), &label));
        };
        if let Some(start) = self.active.iter().position(|(one, _)| *one == identity) {
            let names: Vec<&str> = self.active[start..].iter().map(|(_, name)| &**name).chain([&*label]).collect();
            let message = format!("variables are defined by each other: {}", names.join(" → "));
            return Err(Diagnostic::error(message).at(&node.span).into());
        }
        self.active.push((identity, label.clone()));
        let made = self.inline(&node.span, &text.text, scope);
        self.active.pop();
        match made {
            Err(Stop::Undefined(absent)) => Ok(Val::Undefined(noted(&absent, used, &label))),
            Ok(Val::Undefined(absent)) => Ok(Val::Undefined(noted(&absent, used, &label))),
            Err(Stop::Unknown(pending)) => Ok(Val::Unknown(pending)),
            Err(Stop::Error(fault)) => Err(Stop::Error(Box::new(with_note(*fault, used, &label)))),
            other => other,
        }
    }

    /// A tree as it stands: what looks like a template stays text.
    pub(crate) fn literal(&mut self, node: &Node) -> Res {
        self.burn(1)?;
        Ok(match &node.tree {
            Tree::Null => Val::None,
            Tree::Bool(value) => Val::Bool(*value),
            Tree::Int(value) => Val::Int(i128::from(*value)),
            Tree::Float(value) => Val::Float(*value),
            Tree::Text(text) => Val::str(&text.text),
            Tree::List(items) => {
                let items = items.iter().map(|item| self.deeper(|cx| cx.literal(item))).collect::<Res<_>>()?;
                Val::list(items)
            }
            Tree::Map(entries) => {
                let mut made = Vec::with_capacity(entries.len());
                for (key, item) in entries {
                    made.push((Key::written(key), self.deeper(|cx| cx.literal(item))?));
                }
                Val::map(made)
            }
        })
    }

    /// One part of a lazy container; `None` when it has no such part.
    pub(crate) fn part(&mut self, lazy: &Rc<Lazy>, key: &Key) -> Res<Option<Val>> {
        let whole = lazy.whole.borrow().clone();
        if let Some(whole) = whole {
            return Ok(entry(&whole, key));
        }
        let known = lazy.parts.borrow().get(key).cloned();
        if known.is_some() {
            return Ok(known);
        }
        self.burn(1)?;
        let label: Arc<str> = match key {
            Key::Str(name) => Arc::from(format!("{}.{name}", lazy.label)),
            other => Arc::from(format!("{}[{}]", lazy.label, other.name())),
        };
        let made = match &lazy.source {
            Source::Scope(scope) => match key {
                Key::Str(name) => {
                    let scope = scope.clone();
                    self.deeper(|cx| cx.variable(&scope, name, None))?
                }
                _ => None,
            },
            Source::Value(value) => match value_part(value, key) {
                Some(part) => Some(Val::from_value(&part, &label)?),
                None => None,
            },
            Source::Node(node, scope) => match node_part(node, key).cloned() {
                Some(part) => {
                    let identity = (Rc::as_ptr(lazy).addr(), key.clone());
                    let scope = scope.clone();
                    Some(self.deeper(|cx| cx.written(&Arc::new(part), &scope, (identity, label), None))?)
                }
                None => None,
            },
        };
        if let Some(value) = &made {
            lazy.parts.borrow_mut().insert(key.clone(), value.clone());
        }
        Ok(made)
    }

    /// A lazy container as a list or mapping, whose parts may be lazy again. Other values as they are.
    pub(crate) fn open(&mut self, value: &Val) -> Res {
        let Val::Lazy(lazy) = value else { return Ok(value.clone()) };
        let whole = lazy.whole.borrow().clone();
        if let Some(whole) = whole {
            return Ok(whole);
        }
        let keys = self.keys(lazy)?;
        let mut parts = Vec::with_capacity(keys.len());
        for key in keys {
            match self.part(lazy, &key)? {
                Some(Val::Omit) | None => {}
                Some(part) => parts.push((key, part)),
            }
        }
        let whole =
            if lazy.is_list() { Val::list(parts.into_iter().map(|(_, part)| part).collect()) } else { Val::map(parts) };
        *lazy.whole.borrow_mut() = Some(whole.clone());
        Ok(whole)
    }

    /// The keys of a lazy mapping, the positions of a lazy list.
    pub(crate) fn keys(&mut self, lazy: &Lazy) -> Res<Vec<Key>> {
        let positions = |count: usize| (0..count as i128).map(Key::Int).collect();
        let keys: Vec<Key> = match &lazy.source {
            Source::Scope(scope) => scope.names().into_iter().map(|name| Key::Str(Arc::from(name))).collect(),
            Source::Node(node, _) => match &node.tree {
                Tree::Map(entries) => entries.iter().map(|(key, _)| Key::written(key)).collect(),
                Tree::List(items) => positions(items.len()),
                _ => Vec::new(),
            },
            Source::Value(value) if lazy.is_list() => match value.len() {
                Some(count) => positions(count),
                None => positions(value.try_iter().map_or(0, Iterator::count)),
            },
            Source::Value(value) => {
                let mut keys = Vec::new();
                for key in value.try_iter().into_iter().flatten() {
                    keys.push(Key::from(&Val::from_value(&key, "")?)?);
                }
                keys
            }
        };
        self.burn(keys.len())?;
        Ok(keys)
    }
}

fn node_part<'n>(node: &'n Node, key: &Key) -> Option<&'n Node> {
    if let (Key::Int(index), Some(items)) = (key, node.as_list()) {
        return items.get(usize::try_from(*index).ok()?);
    }
    let named = |name: &str| match key {
        Key::Str(text) => **text == *name,
        // Whatever the number or word is written like.
        _ => true,
    };
    let mut entries = node.as_map()?.iter().filter(|(own, _)| named(&own.name));
    entries.find(|(own, _)| Key::written(own) == *key).map(|(_, node)| node)
}

fn value_part(value: &Value, key: &Key) -> Option<Value> {
    let part = match key {
        Key::Str(name) => value.get_item(&Value::from(&**name)),
        Key::Int(index) if value.len().is_some() => value.get_item(&Value::from(i64::try_from(*index).ok()?)),
        Key::Int(index) => return value.try_iter().ok()?.nth(usize::try_from(*index).ok()?),
        Key::Bool(key) => value.get_item(&Value::from(*key)),
        Key::Float(bits) => value.get_item(&Value::from(f64::from_bits(*bits))),
        _ => return None,
    };
    part.ok().filter(|part| !part.is_undefined())
}

/// The entry of an opened container: by key, or by position from the front.
pub(crate) fn entry(container: &Val, key: &Key) -> Option<Val> {
    match container {
        Val::Map(map) | Val::Namespace(map) => {
            let map = map.0.borrow();
            map.get(key).cloned()
        }
        Val::List(list) => match key {
            Key::Int(index) => list.0.borrow().get(usize::try_from(*index).ok()?).cloned(),
            _ => None,
        },
        _ => None,
    }
}

fn noted(absent: &Rc<Absent>, used: Option<&Span>, label: &str) -> Rc<Absent> {
    // The word to look for is only known here; resolve it before the scope is out of reach.
    let fault = absent.diagnostic();
    Rc::new(Absent { fault: with_note(fault, used, label), near: None, blank: false })
}

/// At most this many steps of the way from use to definition are told.
const NOTES: usize = 3;

fn with_note(fault: Diagnostic, used: Option<&Span>, label: &str) -> Diagnostic {
    match used {
        Some(used) if fault.notes.len() < NOTES && fault.span.as_ref() != Some(used) => {
            fault.note(used, format!("`{label}` is used here"))
        }
        _ => fault,
    }
}
