//! The one tree of static values: what a YAML file says, each value with its place.
//!
//! Knows nothing of YAML's grammar (see `yaml`) nor of what the values mean.

use minijinja::value::{Value, ValueKind};

use crate::diag::Diagnostic;
use crate::diag::Span;
use crate::lang::scalar;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub span: Span,
    pub tree: Tree,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text),
    List(Vec<Node>),
    /// In the order written; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A scalar that is text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub text: String,
    /// Whether `{{ … }}` in it is a template. False for results of templates, outputs of hosts and `!unsafe`.
    pub live: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub span: Span,
    pub name: String,
}

impl Key {
    /// What the key is for templates: a number or a boolean where it was written as one, without quotes.
    pub fn tree(&self) -> Tree {
        match self.span.text() == self.name {
            true => scalar::plain(&self.name),
            false => Tree::Text(Text { text: self.name.clone(), live: false }),
        }
    }

    /// A key that is no text; see [`Key::tree`].
    pub fn plain(span: &Span, name: String) -> Key {
        Key { span: Span::synthetic(&span.source.name, &name), name }
    }

    fn from_value(span: &Span, value: &Value) -> Key {
        match (value.as_str(), value.kind()) {
            (Some(name), _) => Key { span: span.clone(), name: name.to_string() },
            (None, ValueKind::Number | ValueKind::Bool) => Key::plain(span, value.to_string()),
            (None, _) => Key { span: span.clone(), name: value.to_string() },
        }
    }

    fn to_value(&self) -> Value {
        match self.tree() {
            Tree::Int(value) => Value::from(value),
            Tree::Bool(value) => Value::from(value),
            Tree::Float(value) => Value::from(value),
            _ => Value::from(self.name.as_str()),
        }
    }
}

impl Node {
    pub fn new(span: &Span, tree: Tree) -> Node {
        Node { span: span.clone(), tree }
    }

    /// Text that is never a template.
    pub fn literal(span: &Span, text: impl Into<String>) -> Node {
        Node::new(span, Tree::Text(Text { text: text.into(), live: false }))
    }

    /// Text in which `{{ … }}` is a template.
    pub fn live(span: &Span, text: impl Into<String>) -> Node {
        Node::new(span, Tree::Text(Text { text: text.into(), live: true }))
    }

    pub fn map(span: &Span, entries: Vec<(Key, Node)>) -> Node {
        Node::new(span, Tree::Map(entries))
    }

    /// A computed value as a tree; every part gets the place of the text it came from.
    pub fn from_value(span: &Span, value: &Value) -> Result<Node, Diagnostic> {
        let fault = |error: minijinja::Error| Diagnostic::error(format!("{error:#}")).at(span);
        let tree = match value.kind() {
            ValueKind::Undefined | ValueKind::None => Tree::Null,
            ValueKind::Bool => Tree::Bool(value.is_true()),
            ValueKind::Number => match i64::try_from(value.clone()) {
                Ok(int) if value.is_integer() => Tree::Int(int),
                _ => Tree::Float(f64::try_from(value.clone()).map_err(fault)?),
            },
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter().map_err(fault)?;
                Tree::List(items.map(|item| Node::from_value(span, &item)).collect::<Result<_, _>>()?)
            }
            ValueKind::Map => {
                let mut entries = Vec::new();
                for key in value.try_iter().map_err(fault)? {
                    let item = value.get_item(&key).map_err(fault)?;
                    entries.push((Key::from_value(span, &key), Node::from_value(span, &item)?));
                }
                Tree::Map(entries)
            }
            // The error inside shows itself only when the value is used.
            ValueKind::Invalid => match serde_json::to_value(value) {
                Ok(_) => Tree::Null,
                Err(error) => return Err(Diagnostic::error(error.to_string()).at(span)),
            },
            _ => Tree::Text(Text { text: value.to_string(), live: false }),
        };
        Ok(Node::new(span, tree))
    }

    /// The value as it stands: templates stay text.
    pub fn to_value(&self) -> Value {
        match &self.tree {
            Tree::Null => Value::from(()),
            Tree::Bool(value) => Value::from(*value),
            Tree::Int(value) => Value::from(*value),
            Tree::Float(value) => Value::from(*value),
            Tree::Text(text) => Value::from(text.text.as_str()),
            Tree::List(items) => items.iter().map(Node::to_value).collect(),
            Tree::Map(entries) => {
                Value::from_pairs(entries.iter().map(|(key, node)| (key.to_value(), node.to_value())))
            }
        }
    }

    /// What kind of value this is, as said in messages.
    pub fn kind(&self) -> &'static str {
        match &self.tree {
            Tree::Null => "nothing",
            Tree::Bool(_) => "a boolean",
            Tree::Int(_) | Tree::Float(_) => "a number",
            Tree::Text(_) => "text",
            Tree::List(_) => "a list",
            Tree::Map(_) => "a mapping",
        }
    }

    pub fn is_null(&self) -> bool {
        self.tree == Tree::Null
    }

    /// Whether any text in the tree is a template.
    pub fn is_live(&self) -> bool {
        match &self.tree {
            Tree::Text(text) => text.live && ["{{", "{%", "{#"].iter().any(|mark| text.text.contains(mark)),
            Tree::List(items) => items.iter().any(Node::is_live),
            Tree::Map(entries) => entries.iter().any(|(_, node)| node.is_live()),
            Tree::Null | Tree::Bool(_) | Tree::Int(_) | Tree::Float(_) => false,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.tree {
            Tree::Text(text) => Some(&text.text),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.tree {
            Tree::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&[(Key, Node)]> {
        match &self.tree {
            Tree::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The entry of a mapping.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The scalar as text, as Ansible shows it: numbers and booleans included.
    pub fn scalar(&self) -> Option<String> {
        match &self.tree {
            Tree::Text(text) => Some(text.text.clone()),
            Tree::Int(value) => Some(value.to_string()),
            Tree::Float(value) => Some(value.to_string()),
            Tree::Bool(true) => Some("True".into()),
            Tree::Bool(false) => Some("False".into()),
            Tree::Null | Tree::List(_) | Tree::Map(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_type_on_the_way_there_and_back() {
        let span = Span::synthetic("test", "x");
        let value = Value::from(minijinja::value::Serde(
            serde_json::json!({"a": [1, 2.5, true, null, "t"], "b": {"c": "{{ d }}"}}),
        ));
        let node = Node::from_value(&span, &value).unwrap();
        assert_eq!(node.to_value(), value);
        assert!(!node.is_live(), "a computed value is never a template");
    }
}
