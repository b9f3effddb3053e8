//! The graph as text, DOT, Mermaid and JSON.

use std::fmt::Write as _;

use crate::graph::Graph;
use crate::graph::Why;

/// Chains, one node a line, with what each waits for on other nodes.
pub fn text(graph: &Graph) -> String {
    let mut out = String::new();
    for (host, chain) in graph.hosts.iter().zip(&graph.chains) {
        let _ = writeln!(out, "{host}");
        for &id in chain {
            let place = graph.place(id);
            let mark = if place.handler { "handler " } else { "" };
            let _ = writeln!(out, "  {id:>4}  {mark}{} [{}]", place.task, place.kind);
            for edge in graph.edges.iter().filter(|edge| edge.to == id) {
                let _ = writeln!(out, "        after {} ({})", edge.from, why(&edge.why));
            }
        }
    }
    out
}

fn why(why: &Why) -> String {
    match why {
        Why::Data(name) => format!("reads {name}"),
        Why::Notify => "notified".into(),
        Why::Needs => "needs".into(),
    }
}

pub fn dot(graph: &Graph) -> String {
    let mut out = String::from("digraph tbctl {\n  rankdir=LR;\n  node [shape=box];\n");
    for (index, (host, chain)) in graph.hosts.iter().zip(&graph.chains).enumerate() {
        let _ = writeln!(out, "  subgraph cluster_{index} {{\n    label={};", quoted(host));
        for &id in chain {
            let _ = writeln!(out, "    n{id} [label={}];", quoted(&graph.place(id).task));
        }
        out.push_str("  }\n");
        for pair in chain.windows(2) {
            let _ = writeln!(out, "  n{} -> n{};", pair[0], pair[1]);
        }
    }
    for edge in &graph.edges {
        let label = quoted(&why(&edge.why));
        let _ = writeln!(out, "  n{} -> n{} [style=dashed, label={label}];", edge.from, edge.to);
    }
    out + "}\n"
}

pub fn mermaid(graph: &Graph) -> String {
    let mut out = String::from("flowchart LR\n");
    for (index, (host, chain)) in graph.hosts.iter().zip(&graph.chains).enumerate() {
        let _ = writeln!(out, "  subgraph h{index}[{}]", quoted(host));
        for &id in chain {
            let _ = writeln!(out, "    n{id}[{}]", quoted(&graph.place(id).task));
        }
        out.push_str("  end\n");
        for pair in chain.windows(2) {
            let _ = writeln!(out, "  n{} --> n{}", pair[0], pair[1]);
        }
    }
    for edge in &graph.edges {
        let _ = writeln!(out, "  n{} -.->|{}| n{}", edge.from, why(&edge.why), edge.to);
    }
    out
}

pub fn json(graph: &Graph) -> String {
    let nodes: Vec<_> = (0..graph.nodes.len() as u32)
        .map(|id| serde_json::json!({"id": id, "place": graph.place(id), "pos": graph.node(id).pos}))
        .collect();
    let edges: Vec<_> = graph
        .edges
        .iter()
        .map(|edge| serde_json::json!({"from": edge.from, "to": edge.to, "why": why(&edge.why)}))
        .collect();
    let whole = serde_json::json!({"hosts": graph.hosts, "chains": graph.chains, "nodes": nodes, "edges": edges});
    format!("{whole:#}\n")
}

/// Text in double quotes, for DOT and Mermaid alike.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "'").replace('\n', " "))
}
