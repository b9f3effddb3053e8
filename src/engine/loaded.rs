//! `include_vars`: what its files hold, read when its turn comes or, where their names are known, before the run.

use std::path::PathBuf;

use minijinja::Value;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::engine::scope::Scope;
use crate::lang::files;
use crate::lang::fixed::whole;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::task::Vars;
use crate::modules::Fields;

/// What was read, and what `register` sees of it.
pub(super) struct Loaded {
    pub(super) vars: Vars,
    pub(super) fields: Fields,
}

/// Reads what a task's arguments name, which are rendered already. Values may be templates, which are left as they are.
pub(super) fn read(scope: &Scope, args: &Node) -> Result<Loaded, Diagnostic> {
    let paths = paths(scope, args)?;
    let mut faults = Diagnostics::default();
    let mut vars = Vars::new();
    for path in &paths {
        if !scope.store.before {
            // A task may have written it since.
            scope.store.files.forget(path);
        }
        for (key, node) in scope.store.files.vars(path, Some(&args.span), &mut faults) {
            vars.retain(|(known, _)| known.name != key.name);
            vars.push((key, node));
        }
    }
    if let Some(fault) = faults.list.into_iter().next() {
        return Err(fault);
    }
    if let Some(name) = args.get("name").and_then(Node::scalar) {
        let all = Node::map(&args.span, vars);
        vars = vec![(Key { span: args.span.clone(), name }, all)];
    }
    let names = paths.iter().map(|path| Value::from(whole(path).display().to_string())).collect::<Value>();
    let facts = Value::from_pairs(vars.iter().map(|(key, node)| (key.name.clone(), node.to_value())));
    let fields =
        Fields::from([("ansible_facts".to_string(), facts), ("ansible_included_var_files".to_string(), names)]);
    Ok(Loaded { vars, fields })
}

fn paths(scope: &Scope, args: &Node) -> Result<Vec<PathBuf>, Diagnostic> {
    let search = scope.search();
    let missing = |what: &str, node: &Node, tried: &[PathBuf]| {
        files::missing(what, &node.scalar().unwrap_or_default(), tried).at(&node.span)
    };
    if let Some(node) = args.get("file") {
        let tried = search.candidates("vars", &node.scalar().unwrap_or_default());
        return match files::first_file(&tried) {
            Some(path) => Ok(vec![path]),
            None => Err(missing("file", node, &tried)),
        };
    }
    let Some(node) = args.get("dir") else { return Ok(Vec::new()) };
    let tried = search.candidates("vars", &node.scalar().unwrap_or_default());
    let Some(directory) = tried.iter().find(|path| path.is_dir()) else {
        return Err(missing("directory", node, &tried));
    };
    let mut found = files::walk(directory);
    found
        .retain(|path| path.extension().is_some_and(|kind| ["yml", "yaml", "json"].iter().any(|known| kind == *known)));
    Ok(found)
}
