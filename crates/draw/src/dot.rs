//! The graph as DOT, the language of Graphviz.

use std::fmt::Write as _;

use crate::attributes::{self, Value};
use crate::ids::unique_ids;
use crate::picture::{NodeKind, Picture, PictureEdge, PictureNode};
use crate::text::{cleaned, one_line, shortened};

/// The room for a line of a label, in pixels at a font size of 12.
const ROOM: f64 = 240.0;

/// Writes the graph as DOT, for `dot -Tsvg` and for programs that read DOT. A node has its id as its name; a backslash in it stands
/// twice. Uncertain edges are dashed. Attributes such as `certain`, `origins` and `hidden_up` hold what the picture does not show.
pub fn dot(picture: &Picture) -> String {
    let ids = unique_ids(picture);
    let mut dot = String::from("digraph lineage {\n");
    let mut graph = vec![("rankdir".to_owned(), "LR".to_owned())];
    graph.extend(texts(attributes::of_graph(picture)));
    if let Some(cut) = picture.truncation() {
        graph.push(("label".to_owned(), escaped(&one_line(cut))));
    }
    statement(&mut dot, "graph", &graph);
    statement(
        &mut dot,
        "node",
        &[("fontname".to_owned(), "sans-serif".to_owned())],
    );
    for (node, id) in picture.nodes().iter().zip(&ids) {
        statement(&mut dot, &quoted(&slashed(id)), &of_node(node));
    }
    for (edge, &(from, to)) in picture.edges().iter().zip(picture.ends()) {
        let ends = [from, to].map(|end| quoted(&slashed(&ids[end])));
        statement(&mut dot, &ends.join(" -> "), &of_edge(edge));
    }
    dot.push_str("}\n");
    dot
}

/// One line of attributes, whose values are escaped already.
fn statement(dot: &mut String, of: &str, attributes: &[(String, String)]) {
    let attributes = attributes
        .iter()
        .map(|(name, value)| format!("{name}={}", quoted(value)));
    let attributes = attributes.collect::<Vec<_>>().join(", ");
    let _ = writeln!(dot, "  {of} [{attributes}];");
}

fn of_node(node: &PictureNode) -> Vec<(String, String)> {
    let lines = [&node.name]
        .into_iter()
        .chain(&node.lines)
        .chain(&node.status);
    let lines = lines.map(|line| escaped(&shortened(&one_line(line), ROOM, 12.0)));
    // In a label, these two characters are a line break.
    let label = lines.collect::<Vec<_>>().join("\\n");
    let mut all = vec![
        ("label".to_owned(), label),
        ("tooltip".to_owned(), escaped(&one_line(&node.id))),
        ("shape".to_owned(), shape(node.kind).to_owned()),
    ];
    let styles = [
        (node.start, "bold"),
        (node.deleted || !node.known, "dashed"),
    ];
    let styles = styles
        .into_iter()
        .filter_map(|(applies, style)| applies.then_some(style));
    let style = styles.collect::<Vec<_>>().join(",");
    if !style.is_empty() {
        all.push(("style".to_owned(), style));
    }
    if let Some(link) = node.web_link() {
        all.push(("URL".to_owned(), slashed(&cleaned(link))));
    }
    all.extend(texts(attributes::of_node(node)));
    all
}

fn of_edge(edge: &PictureEdge) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let style = match (edge.certain, edge.overlap || edge.parent) {
        (false, _) => Some("dashed"),
        (true, true) => Some("dotted"),
        (true, false) => None,
    };
    all.extend(style.map(|style| ("style".to_owned(), style.to_owned())));
    if let Some(relation) = &edge.relation {
        all.push(("tooltip".to_owned(), escaped(&one_line(relation))));
    }
    all.extend(texts(attributes::of_edge(edge)));
    all
}

fn texts(attributes: Vec<(String, Value)>) -> impl Iterator<Item = (String, String)> {
    let attributes = attributes.into_iter();
    attributes.map(|(name, value)| {
        // Graphviz's own JSON has the id of a node as `name`.
        let name = if name == "name" {
            "full_name".to_owned()
        } else {
            name
        };
        (name, slashed(&cleaned(&value.to_string())))
    })
}

fn shape(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Run => "box",
        NodeKind::Model => "hexagon",
        NodeKind::Artifact => "note",
        NodeKind::Dataset => "cylinder",
        NodeKind::LoggedModel => "component",
        NodeKind::Prompt => "cds",
        NodeKind::Alias => "ellipse",
    }
}

/// A text that Graphviz shows. There, an ampersand would begin an entity.
fn escaped(text: &str) -> String {
    slashed(text).replace('&', "&amp;")
}

/// A backslash would escape the character behind it, or the quote at the end.
fn slashed(text: &str) -> String {
    text.replace('\\', "\\\\")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\\""))
}
