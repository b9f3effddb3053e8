//! Puts what an include brings into the graph during the run: on one host, behind the include.
//!
//! Chains stay in the order of places, so that what is put in is seen by exactly what comes behind it.

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::event::NodeId;
use crate::graph::Graph;
use crate::graph::HostId;
use crate::graph::Work;
use crate::graph::build::At;
use crate::graph::build::Builder;
use crate::graph::build::kind_of;
use crate::graph::build::needs_edges;
use crate::graph::build::notify_edges;
use crate::lang::config::Config;
use crate::lang::task::Body;

/// The graph with the bodies behind an include, one for each item of its loop. Faults: as of a graph that is built.
pub fn splice(graph: &Graph, include: NodeId, bodies: Vec<Body>) -> Result<Graph, Diagnostics> {
    let own = graph.node(include).clone();
    let (first, choice) = (graph.nodes.len(), graph.choice.clone());
    let config = Config::default();
    let mut builder = Builder::over(graph.clone(), &choice, &config);
    for (item, body) in bodies.into_iter().enumerate() {
        let mut prefix = own.pos.clone();
        prefix.push(item as u32);
        let at = At {
            play: own.play,
            hosts: vec![own.host],
            block: own.block.clone(),
            // The include itself holds; whether those around it do may not be known yet.
            gates: own.gate.map(|gate| (own.host, gate)).into_iter().collect(),
            prefix,
            once: own.once,
        };
        builder.entries(&body.entries, &at, &mut 0);
        builder.see_roles(own.play, &body);
        builder.add_handlers(&at, &body, &own.pos);
    }
    let Builder { mut graph, mut faults, .. } = builder;
    in_order(&mut graph, own.host);
    refuse_once(&graph, first, &mut faults);
    notify_edges(&mut graph, first, &mut faults);
    needs_edges(&mut graph, first, &mut faults);
    faults.check(graph)
}

impl Builder<'_> {
    /// The rest of the play sees the variables of public roles.
    fn see_roles(&mut self, play: usize, body: &Body) {
        let public = body.role.iter().filter(|role| role.public).chain(&body.imported).cloned();
        let mut new: Vec<_> = public.collect();
        if !new.is_empty() {
            let mut changed = (*self.graph.plays[play]).clone();
            changed.public_roles.append(&mut new);
            self.graph.plays[play] = changed.into();
        }
    }

    /// Handlers of an included role join those of the play, at every flush that is still to come.
    fn add_handlers(&mut self, at: &At, body: &Body, behind: &[u32]) {
        for task in self.handlers(&body.handlers) {
            let known = &self.graph.handlers[at.play];
            let same = |other: &std::sync::Arc<crate::lang::task::Task>| other.span == task.span;
            let index = known.iter().position(same).unwrap_or(known.len());
            if index == known.len() {
                self.graph.handlers[at.play].push(task.clone());
            }
            let Some(kind) = self.faults.take(kind_of(&task)) else { continue };
            let later = |(play, place): &&(usize, Vec<u32>)| *play == at.play && place.as_slice() > behind;
            let places: Vec<Vec<u32>> =
                self.graph.flushes.iter().filter(later).map(|(_, place)| place.clone()).collect();
            for prefix in places {
                let here = |id: &NodeId| {
                    let node = self.graph.node(*id);
                    node.handler == Some(index) && node.pos.starts_with(&prefix)
                };
                if !self.graph.chains[at.hosts[0]].iter().any(here) {
                    let work = Work::Task { task: task.clone(), kind };
                    self.push(&At { prefix, block: None, ..at.clone() }, &mut (index as u32), work, Some(index));
                }
            }
        }
    }
}

/// New nodes were put at the end of their host's chain.
fn in_order(graph: &mut Graph, host: HostId) {
    let Graph { nodes, chains, .. } = graph;
    chains[host].sort_by(|a, b| nodes[*a as usize].pos.cmp(&nodes[*b as usize].pos));
}

/// Each host reads such an include for itself: there is no first one.
fn refuse_once(graph: &Graph, first: usize, faults: &mut Diagnostics) {
    for task in graph.nodes.iter().skip(first).filter_map(|node| node.task()) {
        if let Some(node) = &task.inherited.run_once {
            let fault = Diagnostic::error("`run_once` inside of an include that only the run can read is unsupported");
            faults.push(fault.at(&node.span).help("name the file without values of the run, and without a loop"));
        }
    }
}
