//! The values templates compute with: Python's types, two markers, and containers that are opened only as far as touched.
//!
//! Knows nothing of how expressions are evaluated; `python` says how values compare and print.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::Value;
use minijinja::value::ValueKind;

use crate::diag::Diagnostic;
use crate::diag::Lacking;
use crate::lang::filters::time::Moment;
use crate::lang::lookup::Lookup;
use crate::lang::lookup::Pending;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::template::call::Callable;
use crate::lang::template::stmt::LoopState;

/// A computed value. Cheap to clone; lists and maps are shared and mutable, as in Python.
#[derive(Clone)]
pub(crate) enum Val {
    /// Nothing is there. An error only when used (see [`Stop::Undefined`]).
    Undefined(Rc<Absent>),
    /// Something will be there.
    Unknown(Rc<Vec<Pending>>),
    Omit,
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Arc<str>),
    List(Rc<List>),
    Tuple(Rc<Vec<Val>>),
    Map(Rc<Map>),
    Lazy(Rc<Lazy>),
    Moment(Moment),
    /// A difference of times, in microseconds.
    Duration(i128),
    Callable(Rc<Callable>),
    Loop(Rc<LoopState>),
    /// What `{% import %}` and `namespace()` give: attributes that can be set from inner blocks.
    Namespace(Rc<Map>),
}

/// What is said when a missing value is used.
pub(crate) struct Absent {
    pub(crate) fault: Diagnostic,
    /// The word that was not found, and where a similar one may be.
    pub(crate) near: Option<(String, Near)>,
    /// Whether it prints as nothing: an inline `if` without `else`.
    pub(crate) blank: bool,
}

pub(crate) enum Near {
    Scope(Arc<dyn Lookup>),
    Keys(Val),
}

impl Absent {
    pub(crate) fn new(fault: Diagnostic) -> Absent {
        Absent { fault, near: None, blank: false }
    }

    /// The diagnostic with «did you mean».
    pub(crate) fn diagnostic(&self) -> Diagnostic {
        let Some((word, near)) = &self.near else { return self.fault.clone() };
        let names = match near {
            Near::Scope(scope) => scope.names(),
            Near::Keys(value) => value.key_names(),
        };
        self.fault.clone().suggest(word, names.iter().map(String::as_str)).lacks(Lacking::Name(word.clone()))
    }
}

/// Why an evaluation stopped.
pub(crate) enum Stop {
    /// A missing value was used; at the border of a variable this becomes [`Val::Undefined`] again.
    Undefined(Rc<Absent>),
    Unknown(Rc<Vec<Pending>>),
    Error(Box<Diagnostic>),
    Break,
    Continue,
}

pub(crate) type Res<T = Val> = Result<T, Stop>;

/// An error without a place; whoever knows the place adds it.
pub(crate) fn fail<T>(message: impl Into<String>) -> Res<T> {
    Err(Diagnostic::error(message).into())
}

impl From<Diagnostic> for Stop {
    fn from(diagnostic: Diagnostic) -> Stop {
        Stop::Error(Box::new(diagnostic))
    }
}

/// A list. Dropped without recursion, so that no nesting can exhaust the stack.
#[derive(Default)]
pub(crate) struct List(pub(crate) RefCell<Vec<Val>>);

/// A mapping in order of insertion.
#[derive(Default)]
pub(crate) struct Map(pub(crate) RefCell<IndexMap<Key, Val>>);

impl Drop for List {
    fn drop(&mut self) {
        unravel(std::mem::take(self.0.get_mut()));
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        unravel(std::mem::take(self.0.get_mut()).into_values().collect());
    }
}

/// Takes containers apart level by level.
fn unravel(mut rest: Vec<Val>) {
    while let Some(one) = rest.pop() {
        match one {
            Val::List(list) => {
                if let Some(mut list) = Rc::into_inner(list) {
                    rest.append(list.0.get_mut());
                }
            }
            Val::Map(map) | Val::Namespace(map) => {
                if let Some(mut map) = Rc::into_inner(map) {
                    rest.extend(std::mem::take(map.0.get_mut()).into_values());
                }
            }
            Val::Tuple(items) => rest.extend(Rc::into_inner(items).unwrap_or_default()),
            _ => {}
        }
    }
}

/// What may be the key of a mapping.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    None,
    Bool(bool),
    Int(i128),
    Float(u64),
    Str(Arc<str>),
    Tuple(Vec<Key>),
}

impl Key {
    pub(crate) fn from(value: &Val) -> Res<Key> {
        Ok(match value {
            Val::None => Key::None,
            Val::Bool(value) => Key::Bool(*value),
            Val::Int(value) => Key::Int(*value),
            Val::Float(value) => Key::Float(value.to_bits()),
            Val::Str(text) => Key::Str(text.clone()),
            Val::Tuple(items) => Key::Tuple(items.iter().map(Key::from).collect::<Res<_>>()?),
            Val::Undefined(what) => return Err(Stop::Undefined(what.clone())),
            Val::Unknown(what) => return Err(Stop::Unknown(what.clone())),
            other => return fail(format!("{} cannot be a key of a mapping", other.a_type())),
        })
    }

    /// A key as it was written.
    pub(crate) fn written(key: &crate::lang::node::Key) -> Key {
        match key.tree() {
            Tree::Int(value) => Key::Int(i128::from(value)),
            Tree::Bool(value) => Key::Bool(value),
            Tree::Float(value) => Key::Float(value.to_bits()),
            Tree::Null => Key::None,
            Tree::Text(_) | Tree::List(_) | Tree::Map(_) => Key::Str(Arc::from(key.name.as_str())),
        }
    }

    pub(crate) fn val(&self) -> Val {
        match self {
            Key::None => Val::None,
            Key::Bool(value) => Val::Bool(*value),
            Key::Int(value) => Val::Int(*value),
            Key::Float(bits) => Val::Float(f64::from_bits(*bits)),
            Key::Str(text) => Val::Str(text.clone()),
            Key::Tuple(items) => Val::tuple(items.iter().map(Key::val).collect()),
        }
    }

    /// The key as the name of a YAML or JSON entry.
    pub(crate) fn name(&self) -> String {
        match self {
            Key::Str(text) => text.to_string(),
            other => other.val().to_text(),
        }
    }
}

/// A container whose parts are made when touched, and then kept.
pub(crate) struct Lazy {
    pub(crate) source: Source,
    /// How the text calls it: `x`, `x.y`; for messages about loops.
    pub(crate) label: Arc<str>,
    /// The parts made so far.
    pub(crate) parts: RefCell<HashMap<Key, Val>>,
    /// The whole, once all parts were wanted; from then on the truth, since it can be changed.
    pub(crate) whole: RefCell<Option<Val>>,
}

#[derive(Clone)]
pub(crate) enum Source {
    /// A list or mapping as written, with the scope its templates are rendered in.
    Node(Arc<Node>, Arc<dyn Lookup>),
    /// A list or mapping that is ready.
    Value(Value),
    Scope(Arc<dyn Lookup>),
}

impl Val {
    pub(crate) fn str(text: impl AsRef<str>) -> Val {
        Val::Str(Arc::from(text.as_ref()))
    }

    pub(crate) fn list(items: Vec<Val>) -> Val {
        Val::List(Rc::new(List(RefCell::new(items))))
    }

    pub(crate) fn tuple(items: Vec<Val>) -> Val {
        Val::Tuple(Rc::new(items))
    }

    pub(crate) fn map(entries: impl IntoIterator<Item = (Key, Val)>) -> Val {
        Val::Map(Rc::new(Map(RefCell::new(entries.into_iter().collect()))))
    }

    pub(crate) fn record<const N: usize>(entries: [(&str, Val); N]) -> Val {
        Val::map(entries.map(|(name, value)| (Key::Str(Arc::from(name)), value)))
    }

    pub(crate) fn lazy(source: Source, label: &str) -> Val {
        let label = Arc::from(label);
        Val::Lazy(Rc::new(Lazy { source, label, parts: RefCell::default(), whole: RefCell::default() }))
    }

    /// A ready value; containers stay unopened.
    pub(crate) fn from_value(value: &Value, label: &str) -> Res {
        Ok(match value.kind() {
            ValueKind::Undefined | ValueKind::None => Val::None,
            ValueKind::Bool => Val::Bool(value.is_true()),
            ValueKind::Number if value.is_integer() => match i128::try_from(value.clone()) {
                Ok(int) => Val::Int(int),
                Err(error) => return fail(error.to_string()),
            },
            ValueKind::Number => match f64::try_from(value.clone()) {
                Ok(float) => Val::Float(float),
                Err(error) => return fail(error.to_string()),
            },
            ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => Val::lazy(Source::Value(value.clone()), label),
            _ => match value.as_str() {
                Some(text) => Val::str(text),
                None => Val::str(value.to_string()),
            },
        })
    }

    /// The names of a mapping's entries, for messages; nothing is rendered.
    pub(crate) fn key_names(&self) -> Vec<String> {
        match self {
            Val::Map(map) | Val::Namespace(map) => map.0.borrow().keys().map(Key::name).collect(),
            Val::Lazy(lazy) => match &lazy.source {
                Source::Node(node, _) => {
                    node.as_map().unwrap_or_default().iter().map(|(key, _)| key.name.clone()).collect()
                }
                Source::Value(value) if !lazy.is_list() => {
                    value.try_iter().into_iter().flatten().filter_map(|key| key.as_str().map(str::to_string)).collect()
                }
                Source::Value(_) => Vec::new(),
                Source::Scope(scope) => scope.names(),
            },
            _ => Vec::new(),
        }
    }

    /// The name Python has for the type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Val::Undefined(_) => "UndefinedMarker",
            Val::Unknown(_) => "Unknown",
            Val::Omit => "Omit",
            Val::None => "NoneType",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::Float(_) => "float",
            Val::Str(_) => "str",
            Val::List(_) => "list",
            Val::Tuple(_) => "tuple",
            Val::Map(_) => "dict",
            Val::Lazy(lazy) if lazy.is_list() => "list",
            Val::Lazy(_) => "dict",
            Val::Moment(_) => "datetime",
            Val::Duration(_) => "timedelta",
            Val::Callable(_) => "function",
            Val::Loop(_) => "LoopContext",
            Val::Namespace(_) => "Namespace",
        }
    }

    /// The type as said in messages.
    pub(crate) fn a_type(&self) -> &'static str {
        match self.type_name() {
            "NoneType" => "nothing (None)",
            "bool" => "a boolean",
            "int" => "an integer",
            "float" => "a float",
            "str" => "text",
            "list" => "a list",
            "tuple" => "a tuple",
            "dict" => "a mapping",
            "datetime" => "a time",
            "timedelta" => "a duration",
            "function" => "a function",
            "UndefinedMarker" => "an undefined value",
            other => other,
        }
    }
}

impl Lazy {
    pub(crate) fn is_list(&self) -> bool {
        match &self.source {
            Source::Node(node, _) => node.as_list().is_some(),
            Source::Value(value) => value.kind() != ValueKind::Map,
            Source::Scope(_) => false,
        }
    }
}

impl fmt::Debug for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.type_name())
    }
}
