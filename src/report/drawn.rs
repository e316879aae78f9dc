//! A graph as text for Mermaid and Graphviz.

use crate::report::{Graph, Kind, Node};
use std::fmt::Write;

/// Renders a graph as a Mermaid flowchart, which GitHub and GitLab show in Markdown.
pub fn mermaid(graph: &Graph) -> String {
    let mut out = "flowchart LR\n".to_owned();
    for (at, node) in graph.nodes.iter().enumerate() {
        let (open, close) = match node.kind {
            Kind::Library => ("([", "])"),
            Kind::Layer | Kind::File => ("[", "]"),
            Kind::VarFile => ("[/", "/]"),
            Kind::Image => ("(", ")"),
            Kind::Matrix | Kind::Images => ("[[", "]]"),
        };
        let label = lines(node).map(mermaid_text).collect::<Vec<_>>();
        let label = label.join("<br/>");
        let _ = writeln!(out, "    n{at}{open}\"{label}\"{close}");
    }
    for (from, to) in &graph.edges {
        let _ = writeln!(out, "    n{from} --> n{to}");
    }
    out
}

/// Renders a graph for Graphviz.
pub fn dot(graph: &Graph) -> String {
    let mut out =
        "digraph imgspec {\n    rankdir = LR\n    node [fontname = \"monospace\", shape = box]\n"
            .to_owned();
    for (at, node) in graph.nodes.iter().enumerate() {
        let look = match node.kind {
            Kind::Library => ", style = dashed",
            Kind::Layer | Kind::File => "",
            Kind::VarFile => ", shape = note",
            Kind::Image => ", style = rounded",
            Kind::Matrix | Kind::Images => ", style = rounded, peripheries = 2",
        };
        let label = lines(node).map(dot_text).collect::<Vec<_>>().join("\\n");
        let _ = writeln!(out, "    n{at} [label = \"{label}\"{look}]");
    }
    for (from, to) in &graph.edges {
        let _ = writeln!(out, "    n{from} -> n{to}");
    }
    out.push_str("}\n");
    out
}

/// The lines of a node's label.
fn lines(node: &Node) -> impl Iterator<Item = &str> {
    [&node.name, &node.note]
        .into_iter()
        .map(String::as_str)
        .filter(|line| !line.is_empty())
}

/// Mermaid has a number for each character, and a meaning for most signs.
fn mermaid_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || "-_./:, …".contains(c) {
            out.push(c);
        } else {
            let _ = write!(out, "#{};", u32::from(c));
        }
    }
    out
}

/// Graphviz reads escapes and the entities of HTML in a label.
fn dot_text(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('&', "&amp;")
}
