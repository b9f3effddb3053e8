//! Variables and a controller for tests.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use crate::diag::Source;
use crate::diag::Span;
use crate::lang::lookup::Files;
use crate::lang::lookup::Found;
use crate::lang::lookup::Lookup;
use crate::lang::lookup::PathKind;
use crate::lang::lookup::Search;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::node::Tree;

/// Variables of a test: a live tree, values, scopes and things not known yet.
#[derive(Debug, Default)]
pub(super) struct Vars {
    pub(super) entries: Vec<(String, Found)>,
    pub(super) files: Option<Fixed>,
}

impl Lookup for Vars {
    fn get(&self, name: &str) -> Found {
        self.entries.iter().find(|(one, _)| one == name).map_or(Found::Missing, |(_, found)| found.clone())
    }

    fn names(&self) -> Vec<String> {
        self.entries.iter().map(|(name, _)| name.clone()).collect()
    }

    fn files(&self) -> Option<&dyn Files> {
        self.files.as_ref().map(|files| files as &dyn Files)
    }
}

/// A controller with these files.
#[derive(Debug, Default)]
pub(super) struct Fixed(pub(super) Vec<(&'static str, &'static str)>);

impl Files for Fixed {
    fn find(&self, _: Search, name: &str) -> Option<PathBuf> {
        self.0.iter().find(|(one, _)| *one == name).map(|(one, _)| PathBuf::from(one))
    }

    fn read(&self, path: &Path) -> Result<Arc<Source>, String> {
        let found = self.0.iter().find(|(one, _)| Path::new(one) == path);
        found.map(|(name, text)| Source::new(*name, *text)).ok_or_else(|| "gone".into())
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        let start = pattern.trim_end_matches('*');
        self.0.iter().filter(|(one, _)| one.starts_with(start)).map(|(one, _)| PathBuf::from(one)).collect()
    }

    fn kind(&self, path: &Path) -> Option<PathKind> {
        let found = self.0.iter().any(|(one, _)| Path::new(one) == path);
        let parent = self.0.iter().any(|(one, _)| Path::new(one).starts_with(path));
        if found { Some(PathKind::File) } else { parent.then_some(PathKind::Directory) }
    }

    fn is_link(&self, _: &Path) -> bool {
        false
    }

    fn env(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/me".to_string())
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
    }
}

/// JSON as it would be written in a vars file: all text live.
pub(super) fn tree(json: &serde_json::Value) -> Node {
    let span = Span::synthetic("vars", &json.to_string());
    use serde_json::Value as Json;
    match json {
        Json::Null => Node::new(&span, Tree::Null),
        Json::Bool(value) => Node::new(&span, Tree::Bool(*value)),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Node::new(&span, Tree::Int(int)),
            None => Node::new(&span, Tree::Float(number.as_f64().unwrap())),
        },
        Json::String(text) => Node::live(&Span::synthetic("vars", text), text),
        Json::Array(items) => Node::new(&span, Tree::List(items.iter().map(tree).collect())),
        Json::Object(entries) => {
            let entries =
                entries.iter().map(|(name, value)| (Key { span: span.clone(), name: name.clone() }, tree(value)));
            Node::map(&span, entries.collect())
        }
    }
}

pub(super) fn vars(json: &str) -> Vars {
    let json: serde_json::Value =
        if json.is_empty() { serde_json::json!({}) } else { serde_json::from_str(json).unwrap() };
    let entries = json.as_object().unwrap().iter();
    Vars {
        entries: entries.map(|(name, value)| (name.clone(), Found::Node(Arc::new(tree(value))))).collect(),
        files: None,
    }
}

pub(super) fn scope(vars: Vars) -> Arc<dyn Lookup> {
    Arc::new(vars)
}
