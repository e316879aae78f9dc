//! A graph as SVG.

use crate::report::layout::{HEIGHT, lay_out};
use crate::report::{Graph, Kind, Node};
use std::fmt::Write;

/// How many characters of a name a node shows.
const SHOWN: usize = 48;
/// The width of a character in the font of names, in pixels.
const LETTER: f64 = 7.3;
/// The width of a character in the font of notes.
const SMALL_LETTER: f64 = 6.1;

/// Where a picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// In a file of its own, with its own colors, light or dark as the reader's system.
    Alone,
    /// In a page that has colors for it. Nodes are links to `#NAME` with the fragment of the node.
    Inside,
}

const STYLE: &str = "
    .back { fill: #fdfdfc; stroke: none } rect { fill: #f4f4f1; stroke: #8a9096 } path { fill: none; stroke: #8a9096 }
    .image rect, .images rect, .matrix rect { stroke: #0a56b3 } .library rect { stroke-dasharray: 4 3 }
    text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #23272b } .note { font-size: 10px; fill: #5b636b }
    @media (prefers-color-scheme: dark) {
      .back { fill: #16191c } rect { fill: #1f2428; stroke: #77808a } path { stroke: #77808a }
      .image rect, .images rect, .matrix rect { stroke: #82b6ff } text { fill: #dce1e6 } .note { fill: #a0a9b2 }
    }
";

/// Renders a graph as SVG.
pub fn svg(graph: &Graph, look: Look) -> String {
    let widths: Vec<f64> = graph.nodes.iter().map(width).collect();
    let layout = lay_out(graph, &widths);
    let (w, h) = (layout.width, layout.height);
    let mut out = String::new();
    let name = "The layers and images of the project";
    match look {
        Look::Alone => {
            let _ = writeln!(
                out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w:.0}\" height=\"{h:.0}\" viewBox=\"0 0 {w:.0} {h:.0}\">\n  <style>{STYLE}  </style>\n  <rect class=\"back\" width=\"100%\" height=\"100%\"/>"
            );
        }
        Look::Inside => {
            let _ = writeln!(
                out,
                "<svg class=\"graph\" role=\"group\" aria-label=\"{name}\" width=\"{w:.0}\" height=\"{h:.0}\" viewBox=\"0 0 {w:.0} {h:.0}\">"
            );
        }
    }
    for points in &layout.edges {
        let _ = writeln!(out, "  <path d=\"{}\"></path>", way(points));
    }
    for ((node, width), (x, y)) in graph.nodes.iter().zip(&widths).zip(&layout.nodes) {
        draw(&mut out, node, look, (*x, y - HEIGHT / 2.0, *width));
    }
    out.push_str("</svg>\n");
    out
}

/// The fragment of the page that tells about a node: an image, or the settings of a layer.
fn fragment(node: &Node) -> String {
    let name = match (node.kind, node.images.first()) {
        (Kind::Images, Some(first)) => first,
        _ => &node.name,
    };
    let what = match node.kind {
        Kind::Image => "image",
        Kind::Images => "images",
        _ => "layer",
    };
    let mut out = format!("#{what}=");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn draw(out: &mut String, node: &Node, look: Look, (x, y, width): (f64, f64, f64)) {
    let class = match node.kind {
        Kind::Library => "library",
        Kind::Layer => "layer",
        Kind::VarFile => "var-file",
        Kind::Matrix => "matrix",
        Kind::Image => "image",
        Kind::Images => "images",
        Kind::File => "file",
    };
    let round = match node.kind {
        Kind::Image | Kind::Images | Kind::Matrix => 12,
        _ => 3,
    };
    let (open, close) = match look {
        Look::Alone => ("<g".to_owned(), "</g>"),
        Look::Inside => (format!("<a href=\"{}\"", fragment(node)), "</a>"),
    };
    let title = match node.kind {
        Kind::Images => node.name.clone(),
        kind => format!("{} {}", kind.word(), node.name),
    };
    let gap = if node.note.is_empty() { "" } else { ", " };
    let title = escape(&format!("{title}{gap}{}", node.note));
    let _ = writeln!(out, "  {open} class=\"{class}\"><title>{title}</title>");
    // Several images are a pile.
    if matches!(node.kind, Kind::Matrix | Kind::Images) {
        let _ = writeln!(
            out,
            "    <rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" rx=\"{round}\"></rect>",
            x + 3.0,
            y + 3.0
        );
    }
    let _ = writeln!(
        out,
        "    <rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" rx=\"{round}\"></rect>"
    );
    let line = if node.note.is_empty() { 24.0 } else { 17.0 };
    let (left, name) = (x + 10.0, escape(&short(&node.name)));
    let _ = writeln!(
        out,
        "    <text x=\"{left:.1}\" y=\"{:.1}\">{name}</text>",
        y + line
    );
    if !node.note.is_empty() {
        let note = escape(&short(&node.note));
        let _ = writeln!(
            out,
            "    <text class=\"note\" x=\"{left:.1}\" y=\"{:.1}\">{note}</text>",
            y + 32.0
        );
    }
    let _ = writeln!(out, "  {close}");
}

fn width(node: &Node) -> f64 {
    let name = LETTER * letters(&short(&node.name));
    let note = SMALL_LETTER * letters(&short(&node.note));
    name.max(note) + 20.0
}

/// The width of a text, in letters: those of East Asia are two wide.
fn letters(text: &str) -> f64 {
    let wide = |c: char| if u32::from(c) < 0x1100 { 1.0 } else { 2.0 };
    text.chars().map(wide).sum()
}

/// A text without its middle, if it is long.
fn short(text: &str) -> String {
    let count = text.chars().count();
    if count <= SHOWN {
        return text.to_owned();
    }
    let half = SHOWN / 2;
    let start: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(count - half + 1).collect();
    format!("{start}…{end}")
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

/// The way of an arrow: straight through a column, and curved between two.
fn way(points: &[(f64, f64)]) -> String {
    let mut out = String::new();
    let mut last: Option<(f64, f64)> = None;
    for (x, y) in points {
        match last {
            None => {
                let _ = write!(out, "M{x:.1} {y:.1}");
            }
            Some((from, before)) if (before - y).abs() < 0.05 => {
                if from < *x {
                    let _ = write!(out, "H{x:.1}");
                }
            }
            Some((from, before)) => {
                let middle = f64::midpoint(from, *x);
                let _ = write!(
                    out,
                    "C{middle:.1} {before:.1} {middle:.1} {y:.1} {x:.1} {y:.1}"
                );
            }
        }
        last = Some((*x, *y));
    }
    out
}
