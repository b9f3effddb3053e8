//! The items of a loop, and what each of them sees. Knows nothing of what is done with an item.

use std::sync::Arc;

use minijinja::Value;

use crate::diag::Diagnostic;
use crate::engine::scope::Scope;
use crate::engine::state::Turned;
use crate::lang::decode::decode;
use crate::lang::fixed::whole;
use crate::lang::lookup::Fault;
use crate::lang::lookup::Files;
use crate::lang::loops;
use crate::lang::loops::Loop;
use crate::lang::loops::LoopKind;
use crate::lang::search::Search;

/// One item's turn; the only one, without a value, where there is no loop.
pub(super) struct Turn {
    pub(super) scope: Scope,
    pub(super) seen: Turned,
    /// The item as shown; empty without a loop.
    pub(super) label: String,
}

/// The items of a loop; `None` without one.
pub(super) fn items(scope: &Scope, over: Option<&Loop>, search: &Search) -> Result<Option<Vec<Value>>, Fault> {
    let Some(over) = over else { return Ok(None) };
    let value = scope.store.templates.value(&over.over, &scope.lookup())?;
    let fault = |why: String| Fault::from(Diagnostic::error(why).at(&over.over.span));
    let names = || loops::expand(LoopKind::Items, &value).map_err(fault);
    match over.kind {
        LoopKind::FileGlob => {
            let paths = names()?.into_iter().flat_map(|pattern| Files::glob(scope, &pattern.to_string()));
            Ok(Some(paths.map(|path| Value::from(path.display().to_string())).collect()))
        }
        LoopKind::FirstFound => {
            let names = loops::expand(LoopKind::FirstFound, &value).map_err(fault)?;
            let below =
                |name: &Value| ["files", "templates", "vars"].map(|kind| search.candidates(kind, &name.to_string()));
            let mut paths = names.iter().flat_map(below).flatten();
            match paths.find(|path| path.is_file()) {
                Some(path) => Ok(Some(vec![Value::from(whole(&path).display().to_string())])),
                None if loops::may_be_missing(&value) => Ok(Some(Vec::new())),
                None => Err(fault("none of these files exists".into())),
            }
        }
        kind => loops::expand(kind, &value).map(Some).map_err(fault),
    }
}

/// Each item with the scope that sees it.
pub(super) fn turns(scope: &Scope, over: Option<&Loop>, values: Option<Vec<Value>>) -> Vec<Turn> {
    let (Some(over), Some(values)) = (over, values) else {
        return vec![Turn { scope: scope.clone(), seen: None, label: String::new() }];
    };
    let turn = |index: usize| {
        let seen = seen(over, index, &values);
        let own = scope.with(seen.iter().cloned());
        let written = over.control.label.as_ref();
        let label = written.and_then(|label| own.store.templates.value(label, &own.lookup()).ok());
        // A label may have been written to hide the rest of the item.
        let label = match (label, written) {
            (Some(label), _) => label.to_string(),
            (None, Some(_)) => "(its label cannot be rendered)".to_string(),
            (None, None) => values[index].to_string(),
        };
        Turn { scope: own, seen: Some(Arc::new(seen)), label }
    };
    (0..values.len()).map(turn).collect()
}

/// The variables one item's turn sees: the item, its number, `ansible_loop`.
pub(super) fn seen(over: &Loop, index: usize, values: &[Value]) -> Vec<(String, Value)> {
    let control = &over.control;
    let name = control.variable.as_str();
    let mut seen = vec![(name.to_string(), values[index].clone()), ("ansible_loop_var".into(), Value::from(name))];
    if let Some(key) = &control.index_variable {
        seen.push((key.name.clone(), Value::from(index)));
        seen.push(("ansible_index_var".into(), Value::from(key.name.as_str())));
    }
    if control.extended.as_ref().is_some_and(|node| decode::<bool>(node).unwrap_or(false)) {
        let all = control.all_items.as_ref().is_none_or(|node| decode::<bool>(node).unwrap_or(true));
        seen.push(("ansible_loop".into(), extended(index, values, all)));
    }
    seen
}

/// `ansible_loop`, under Ansible's names.
fn extended(index: usize, values: &[Value], all_items: bool) -> Value {
    let count = values.len();
    let mut all = vec![
        ("index", Value::from(index + 1)),
        ("index0", Value::from(index)),
        ("revindex", Value::from(count - index)),
        ("revindex0", Value::from(count - index - 1)),
        ("first", Value::from(index == 0)),
        ("last", Value::from(index + 1 == count)),
        ("length", Value::from(count)),
    ];
    if all_items {
        all.push(("allitems", values.iter().cloned().collect()));
    }
    let other = |name, at: Option<usize>| Some((name, at.and_then(|at| values.get(at))?.clone()));
    all.extend(other("previtem", index.checked_sub(1)));
    all.extend(other("nextitem", Some(index + 1)));
    Value::from_pairs(all)
}
