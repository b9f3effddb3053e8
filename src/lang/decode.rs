//! From a [`Node`] to a typed value, by serde, with the place of every fault.
//!
//! Lenient where Ansible is: `"yes"` is a boolean where one is wanted, `80` is text where text is wanted, `a,b` or a single
//! value is a list where a list is wanted. Knows nothing of the types it fills.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use crate::diag::Diagnostic;
use crate::diag::Span;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::node::Tree;

/// Decodes a tree whose templates are already rendered.
pub fn decode<T: DeserializeOwned>(node: &Node) -> Result<T, Diagnostic> {
    T::deserialize(node).map_err(|fault| fault.0.at(&node.span))
}

/// Words Ansible takes for true and false.
pub fn truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "yes" | "on" | "true" | "1" | "y" | "t" => Some(true),
        "no" | "off" | "false" | "0" | "n" | "f" => Some(false),
        _ => None,
    }
}

/// A diagnostic on its way through serde.
#[derive(Debug)]
pub struct Fault(Diagnostic);

impl Fault {
    fn at(self, span: &Span) -> Fault {
        Fault(self.0.at(span))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Fault {}

/// Numbers that do not fit their type, without the type's name.
fn in_words(message: &str) -> String {
    let limits = [("u8", "255"), ("u16", "65535"), ("u32", "4294967295"), ("u64", "18446744073709551615")];
    let Some((found, kind)) =
        message.strip_prefix("invalid value: integer ").and_then(|rest| rest.split_once(", expected "))
    else {
        return message.to_string();
    };
    match limits.iter().find(|(name, _)| *name == kind) {
        Some((_, most)) => format!("expected a whole number from 0 to {most}, found {found}"),
        None => message.to_string(),
    }
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Fault {
        Fault(Diagnostic::error(in_words(&message.to_string())))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Fault {
        // Arguments the engine fills in end in `_`; nobody writes them.
        let known: Vec<&str> = expected.iter().copied().filter(|name| !name.ends_with('_')).collect();
        let fault = Diagnostic::error(format!("unknown argument `{field}`")).suggest(field, known.iter().copied());
        match fault.help {
            Some(_) => Fault(fault),
            None => Fault(fault.help(format!("known arguments: {}", known.join(", ")))),
        }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Fault {
        let fault = Diagnostic::error(format!("`{variant}` is not a value this takes"));
        Fault(fault.help(format!("write one of: {}", expected.join(", "))))
    }

    fn missing_field(field: &'static str) -> Fault {
        Fault(Diagnostic::error(format!("missing argument `{field}`")))
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Fault {
        Fault(Diagnostic::error(format!("expected {expected}, found {found}")))
    }
}

fn wrong<T>(node: &Node, wanted: &str) -> Result<T, Fault> {
    let found = match node.scalar() {
        Some(scalar) if scalar.len() <= 40 => format!("{} `{scalar}`", node.kind()),
        _ => node.kind().to_string(),
    };
    Err(Fault(Diagnostic::error(format!("expected {wanted}, found {found}")).at(&node.span)))
}

/// Integers of any width: the visitor checks the range.
macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let number = match &self.tree {
                Tree::Int(int) => Some(*int),
                Tree::Float(float) if float.fract() == 0.0 && float.abs() < 9e15 => Some(*float as i64),
                Tree::Text(text) => text.text.trim().parse().ok(),
                _ => None,
            };
            match number {
                Some(int) => visitor.visit_i64(int).map_err(|fault: Fault| fault.at(&self.span)),
                None => wrong(self, "a whole number"),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.tree {
            Tree::Null => visitor.visit_unit(),
            Tree::Bool(value) => visitor.visit_bool(*value),
            Tree::Int(value) => visitor.visit_i64(*value),
            Tree::Float(value) => visitor.visit_f64(*value),
            Tree::Text(text) => visitor.visit_str(&text.text),
            Tree::List(items) => visitor.visit_seq(Items(items.iter())),
            Tree::Map(entries) => visitor.visit_map(Entries { entries: entries.iter(), value: None }),
        };
        result.map_err(|fault| fault.at(&self.span))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = match &self.tree {
            Tree::Bool(value) => Some(*value),
            Tree::Int(0) => Some(false),
            Tree::Int(1) => Some(true),
            Tree::Text(text) => truth(&text.text),
            _ => None,
        };
        match value {
            Some(value) => visitor.visit_bool(value),
            None => wrong(self, "a boolean (true or false)"),
        }
    }

    integers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let number = match &self.tree {
            Tree::Int(int) => Some(*int as f64),
            Tree::Float(float) => Some(*float),
            Tree::Text(text) => text.text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) => visitor.visit_f64(number),
            None => wrong(self, "a number"),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.scalar() {
            Some(scalar) => visitor.visit_string(scalar).map_err(|fault: Fault| fault.at(&self.span)),
            None => wrong(self, "text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.is_null() { visitor.visit_unit() } else { wrong(self, "nothing") }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self).map_err(|fault: Fault| fault.at(&self.span))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let single;
        let items: &[Node] = match &self.tree {
            Tree::List(items) => items,
            Tree::Null => &[],
            Tree::Text(text) => {
                let parts = text.text.split(',').map(str::trim).filter(|part| !part.is_empty());
                single = parts.map(|part| Node::literal(&self.span, part)).collect::<Vec<_>>();
                &single
            }
            Tree::Map(_) => return wrong(self, "a list"),
            _ => std::slice::from_ref(self),
        };
        visitor.visit_seq(Items(items.iter())).map_err(|fault| fault.at(&self.span))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.tree {
            Tree::Map(entries) => {
                let entries = Entries { entries: entries.iter(), value: None };
                visitor.visit_map(entries).map_err(|fault| fault.at(&self.span))
            }
            Tree::Null => visitor.visit_map(Entries { entries: [].iter(), value: None }),
            _ => wrong(self, "a mapping"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        // A word of YAML 1.1 that reads as a boolean may be a variant: `state: no`.
        let word = match &self.tree {
            Tree::Text(text) => text.text.clone(),
            Tree::Bool(value) => {
                let words: &[&str] = if *value { &["yes", "on", "true"] } else { &["no", "off", "false"] };
                match words.iter().find(|word| variants.contains(word)) {
                    Some(word) => (*word).to_string(),
                    None => return wrong(self, &format!("one of: {}", variants.join(", "))),
                }
            }
            _ => return wrong(self, &format!("one of: {}", variants.join(", "))),
        };
        let deserializer: de::value::StringDeserializer<Fault> = word.into_deserializer();
        visitor.visit_enum(deserializer).map_err(|fault| fault.at(&self.span))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 }
}

struct Items<'a>(std::slice::Iter<'a, Node>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.0.next().map(|node| seed.deserialize(node).map_err(|fault| fault.at(&node.span))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, (Key, Node)>,
    value: Option<&'a Node>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((key, node)) = self.entries.next() else { return Ok(None) };
        self.value = Some(node);
        let name: StrDeserializer<'_, Fault> = key.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|fault| fault.at(&key.span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        match self.value.take() {
            Some(node) => seed.deserialize(node).map_err(|fault| fault.at(&node.span)),
            None => Err(de::Error::custom("a mapping's value was asked for before its key")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::Value;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Args {
        path: String,
        #[serde(default)]
        port: Option<u16>,
        #[serde(default)]
        force: bool,
        #[serde(default)]
        names: Vec<String>,
        #[serde(default)]
        state: Option<State>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum State {
        Present,
        No,
    }

    fn check(json: serde_json::Value) -> Result<Args, String> {
        let span = Span::synthetic("args", "x");
        let node = Node::from_value(&span, &Value::from(minijinja::value::Serde(json))).unwrap();
        decode(&node).map_err(|fault| format!("{} / {}", fault.message, fault.help.unwrap_or_default()))
    }

    #[test]
    fn lenient_where_ansible_is() {
        let args =
            check(serde_json::json!({"path": 80, "port": "22", "force": "yes", "names": "a, b", "state": false}));
        let names = vec!["a".to_string(), "b".to_string()];
        assert_eq!(args, Ok(Args { path: "80".into(), port: Some(22), force: true, names, state: Some(State::No) }));
    }

    #[test]
    fn faults_are_sentences() {
        for (json, expected) in [
            (serde_json::json!({"paht": "x"}), "unknown argument `paht` / did you mean `path`?"),
            (serde_json::json!({}), "missing argument `path` / "),
            (
                serde_json::json!({"path": "x", "force": "maybe"}),
                "expected a boolean (true or false), found text `maybe` / ",
            ),
            (serde_json::json!({"path": "x", "port": [1]}), "expected a whole number, found a list / "),
            (
                serde_json::json!({"path": "x", "port": 99999}),
                "expected a whole number from 0 to 65535, found `99999` / ",
            ),
            (
                serde_json::json!({"path": "x", "state": "gone"}),
                "`gone` is not a value this takes / write one of: present, no",
            ),
            (serde_json::json!(["path"]), "expected a mapping, found a list / "),
        ] {
            assert_eq!(check(json), Err(expected.to_string()));
        }
    }
}
