//! The graph as a Mermaid flowchart, for Markdown pages.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use crate::attributes::{self, Value};
use crate::picture::{NodeKind, Picture, PictureEdge, PictureNode};
use crate::text::{one_line, shortened};

/// Mermaid refuses charts with more edges, unless the page that shows them sets another limit.
const MAX_EDGES: usize = 500;
/// Mermaid refuses longer texts.
const MAX_CHARACTERS: usize = 50_000;
/// The room for a line of a label, in pixels at a font size of 12.
const ROOM: f64 = 240.0;
/// The longest value in a comment.
const MAX_VALUE: usize = 200;

/// How a chart is drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MermaidOptions {
    /// The number of siblings of one kind above which the others become one node; `None` folds only a chart that is too large.
    pub fold: Option<usize>,
}

/// Writes the graph as a Mermaid flowchart of at most 500 edges and 50,000 characters, which is what Mermaid draws. A larger graph is
/// folded, and then its farthest nodes are left out; a node of the chart says how many. Comments hold the ids of the nodes, and what
/// the picture does not show.
pub fn mermaid(picture: &Picture, options: &MermaidOptions) -> String {
    let more = [5, 3, 2, 1].into_iter().map(Some);
    let more = more.filter(|shown| options.fold.is_none_or(|fold| *shown < Some(fold)));
    for shown in [options.fold].into_iter().chain(more) {
        let folded = match shown {
            Some(shown) => picture.fold(shown),
            None => picture.clone(),
        };
        let text = chart(&folded, None);
        if fits(&folded, &text) {
            return text;
        }
    }
    nearest(&picture.fold(1))
}

fn fits(picture: &Picture, text: &str) -> bool {
    picture.edges().len() <= MAX_EDGES && text.encode_utf16().count() <= MAX_CHARACTERS
}

/// The chart of the nodes nearest to the start: as many as Mermaid draws.
fn nearest(picture: &Picture) -> String {
    let (mut fit, mut too_many) = (0, picture.nodes().len());
    let mut text = String::new();
    while fit + 1 < too_many {
        let count = fit.midpoint(too_many);
        let part = first(picture, count);
        let left_out = (
            picture.nodes().len() - count,
            picture.edges().len() - part.edges().len(),
        );
        let chart = chart(&part, Some(left_out));
        if fits(&part, &chart) {
            (fit, text) = (count, chart);
        } else {
            too_many = count;
        }
    }
    text
}

/// The first nodes in the order of their depth, with the edges between them.
fn first(picture: &Picture, count: usize) -> Picture {
    let mut order: Vec<usize> = (0..picture.nodes().len()).collect();
    order.sort_by_key(|&node| picture.nodes()[node].depth);
    let kept: HashSet<usize> = order.into_iter().take(count).collect();
    let nodes = picture.nodes().iter().enumerate();
    let nodes = nodes
        .filter(|(place, _)| kept.contains(place))
        .map(|(_, node)| node.clone());
    let edges = picture.edges().iter().zip(picture.ends());
    let edges = edges.filter(|(_, (from, to))| kept.contains(from) && kept.contains(to));
    let part = Picture::new(
        nodes.collect(),
        edges.map(|(edge, _)| edge.clone()).collect(),
    );
    // Every edge has both of its nodes, and no node is there twice, because the whole picture was so.
    part.map(|part| part.truncated(picture.truncation().map(str::to_owned)))
        .unwrap_or_else(|_| picture.clone())
}

fn chart(picture: &Picture, left_out: Option<(usize, usize)>) -> String {
    let mut chart = String::from("flowchart LR\n");
    for (name, value) in attributes::of_graph(picture) {
        let _ = writeln!(chart, "  %% {name}: {}", comment(&value));
    }
    if let Some(cut) = picture.truncation() {
        let _ = writeln!(chart, "  cut[\"{}\"]", label(cut));
    }
    if let Some((nodes, edges)) = left_out {
        let _ = writeln!(
            chart,
            "  rest[\"{nodes} more nodes and {edges} more edges are left out\"]"
        );
    }
    for (place, node) in picture.nodes().iter().enumerate() {
        write_node(&mut chart, place, node);
    }
    for (edge, ends) in picture.edges().iter().zip(picture.ends()) {
        write_edge(&mut chart, edge, *ends);
    }
    chart
}

fn write_node(chart: &mut String, place: usize, node: &PictureNode) {
    let lines = [&node.name]
        .into_iter()
        .chain(&node.lines)
        .chain(&node.status);
    let text = lines
        .map(|line| label(line))
        .collect::<Vec<_>>()
        .join("<br/>");
    // Mermaid refuses an empty label.
    let text = if text.is_empty() {
        label(&node.id)
    } else {
        text
    };
    let (open, close) = shape(node.kind);
    let _ = writeln!(chart, "  n{place}{open}\"{text}\"{close}");
    // The kind and the name are in the picture, and defaults need no comment.
    let usual: HashMap<&str, Value> = HashMap::from([
        ("start", Value::Truth(false)),
        ("known", Value::Truth(true)),
        ("deleted", Value::Truth(false)),
    ]);
    let mut line = format!(
        "  %% n{place} id: {}",
        comment(&Value::Text(node.id.clone()))
    );
    for (name, value) in attributes::of_node(node) {
        let is_seen = ["kind", "name", "status"].contains(&name.as_str());
        if !is_seen && usual.get(name.as_str()) != Some(&value) {
            let _ = write!(line, "; {name}: {}", comment(&value));
        }
    }
    let _ = writeln!(chart, "{line}");
}

fn write_edge(chart: &mut String, edge: &PictureEdge, (from, to): (usize, usize)) {
    let arrow = match (edge.certain, edge.overlap || edge.parent) {
        (false, _) | (true, true) => "-.->",
        (true, false) => "-->",
    };
    let relation = edge
        .relation
        .as_deref()
        .filter(|relation| !relation.is_empty());
    let mut words: Vec<String> = relation.map(label).into_iter().collect();
    if !edge.certain {
        words.push("uncertain".to_owned());
    }
    if !edge.origins.is_empty() {
        words.push(format!("from {}", label(&edge.origins.join(" "))));
    }
    let text = match words.is_empty() {
        true => String::new(),
        false => format!("|\"{}\"|", words.join(", ")),
    };
    let _ = writeln!(chart, "  n{from} {arrow}{text} n{to}");
    if let Some(note) = &edge.note {
        let _ = writeln!(
            chart,
            "  %% n{from} to n{to}: {}",
            comment(&Value::Text(note.clone()))
        );
    }
}

fn shape(kind: NodeKind) -> (&'static str, &'static str) {
    match kind {
        NodeKind::Run => ("(", ")"),
        NodeKind::Model => ("{{", "}}"),
        NodeKind::Artifact => ("[/", "/]"),
        NodeKind::Dataset => ("[(", ")]"),
        NodeKind::LoggedModel => ("[[", "]]"),
        NodeKind::Prompt => (">", "]"),
        NodeKind::Alias => ("([", "])"),
    }
}

/// A text inside the quotes of a label. Everything that Mermaid, or the Markdown and HTML inside its labels, may read as more than a
/// character is an entity.
fn label(text: &str) -> String {
    let text = one_line(text);
    let mut label = String::new();
    for c in shortened(&text, ROOM, 12.0).chars() {
        // At the beginning, these would make a list.
        let is_list =
            label.bytes().all(|byte| byte.is_ascii_digit()) && matches!(c, '-' | '.' | '+');
        let is_plain = c.is_alphanumeric() || matches!(c, ' ' | '-' | '.' | ',' | '@' | '/' | '+');
        if is_plain && !is_list {
            label.push(c);
        } else {
            let _ = write!(label, "#{};", u32::from(c));
        }
    }
    label
}

/// A value in a comment. A directive of Mermaid begins with two percent signs and a brace, in comments too, so the brace is replaced.
fn comment(value: &Value) -> String {
    let text = value.to_string();
    let short: String = text.chars().take(MAX_VALUE).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    let clean = one_line(&short).replace('{', "(").replace('}', ")");
    format!("{clean}{more}")
}
