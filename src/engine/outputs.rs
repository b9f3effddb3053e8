//! What nodes have left behind, by node. A copy costs little however many there are: every scope that is still about holds one.

use std::sync::Arc;

use crate::engine::store::Output;
use crate::event::NodeId;

/// So many outputs are copied when one of them changes while somebody holds the old ones.
const CHUNK: usize = 256;

#[derive(Debug, Clone, Default)]
pub(super) struct Outputs {
    chunks: Vec<Arc<Vec<Option<Arc<Output>>>>>,
    count: usize,
}

impl Outputs {
    pub(super) fn get(&self, node: NodeId) -> Option<&Output> {
        self.chunks.get(node as usize / CHUNK)?.get(node as usize % CHUNK)?.as_deref()
    }

    pub(super) fn insert(&mut self, node: NodeId, output: Output) {
        let place = self.place(node);
        let new = place.replace(Arc::new(output)).is_none();
        self.count += usize::from(new);
    }

    pub(super) fn remove(&mut self, node: NodeId) {
        let known = self.place(node).take().is_some();
        self.count -= usize::from(known);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    fn place(&mut self, node: NodeId) -> &mut Option<Arc<Output>> {
        let (chunk, at) = (node as usize / CHUNK, node as usize % CHUNK);
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, || Arc::new(vec![None; CHUNK]));
        }
        &mut Arc::make_mut(&mut self.chunks[chunk])[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_stay_as_they_are() {
        let mut outputs = Outputs::default();
        outputs.insert(700, Output::After("a".into()));
        let copy = outputs.clone();
        outputs.insert(700, Output::After("b".into()));
        outputs.insert(3, Output::After("c".into()));
        outputs.remove(4);
        let name = |outputs: &Outputs, node| match outputs.get(node) {
            Some(Output::After(name)) => name.clone(),
            _ => String::new(),
        };
        assert_eq!((name(&outputs, 700), name(&outputs, 3), outputs.len()), ("b".into(), "c".into(), 2));
        assert_eq!((name(&copy, 700), name(&copy, 3), copy.len()), ("a".into(), String::new(), 1));
        outputs.remove(700);
        assert_eq!((name(&outputs, 700), outputs.len()), (String::new(), 1));
    }
}
