//! Measurements on their way through the engine: what is kept already goes into a task's arguments, what was measured comes
//! out of its result. Knows nothing of files.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Value;

use crate::engine::scope::Scope;
use crate::engine::state::ItemResult;
use crate::event::What;
use crate::lang::lookup::Fault;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::modules::http_benchmark::Handover;
use crate::modules::http_benchmark::TAKEN;

/// What the controller keeps of earlier measurements of the testbed.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Whether what was measured is to be measured again.
    pub rerun: bool,
    /// The begin of this run of tbctl, as part of a name.
    pub begun: String,
    /// By the name of the run, oldest first: a digest of what it was measured with, and whether all of it is there.
    pub runs: BTreeMap<String, (String, bool)>,
}

/// The argument `known_` of the kind `http_benchmark`.
pub fn argument(scope: &Scope, args: &Node) -> Result<(Key, Node), Fault> {
    let measured = &scope.store.measured;
    let kept = |(run, (inputs, whole)): (&String, &(String, bool))| {
        Value::from_pairs([
            ("run", Value::from(run.as_str())),
            ("inputs", Value::from(inputs.as_str())),
            ("whole", Value::from(*whole)),
        ])
    };
    let known = Value::from_pairs([
        ("testbed", Value::from(scope.store.project.inventory.testbed.as_str())),
        ("host", Value::from(scope.store.graph.hosts[scope.host].as_str())),
        ("begun", Value::from(measured.begun.as_str())),
        ("rerun", Value::from(measured.rerun)),
        ("runs", measured.runs.iter().map(kept).collect()),
    ]);
    let node = Node::from_value(&args.span, &known)?;
    Ok((Key { span: args.span.clone(), name: "known_".into() }, node))
}

/// Takes out of results what was measured: it is told once, and registered nowhere.
pub fn told(items: &mut [ItemResult], host: &str) -> Vec<What> {
    let take = |item: &mut ItemResult| {
        let value = item.fields.shift_remove(TAKEN)?;
        let taken = value.downcast_object::<Handover>()?.0.clone();
        let samples = taken.samples.as_ref();
        Some(What::Measured {
            host: host.to_string(),
            run: taken.record.run.clone(),
            samples: samples.map(Vec::len),
            failed: samples.map_or(0, |samples| samples.iter().filter(|sample| sample.failed()).count()),
            taken: Some(Arc::clone(&taken)),
        })
    };
    items.iter_mut().filter_map(take).collect()
}
