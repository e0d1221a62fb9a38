//! The graph as GraphML, for NetworkX, Gephi, yEd and other programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::attributes::{self, Value};
use crate::ids::unique_ids;
use crate::picture::Picture;
use crate::text::escaped;

/// What a `<key>` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Graph,
    Node,
    Edge,
}

type Attributes = Vec<(String, Value)>;

/// Writes the graph as GraphML. A node has its id as its `id`, and everything else as typed data: whether an edge is certain, its
/// origins, and how many edges the graph leaves out.
pub fn graphml(picture: &Picture) -> String {
    let ids = unique_ids(picture);
    let graph = attributes::of_graph(picture);
    let nodes: Vec<Attributes> = picture.nodes().iter().map(attributes::of_node).collect();
    let edges: Vec<Attributes> = picture.edges().iter().map(attributes::of_edge).collect();
    let mut keys: BTreeMap<(Of, &str), &'static str> = BTreeMap::new();
    for (of, attributes) in [
        (Of::Graph, std::slice::from_ref(&graph)),
        (Of::Node, &nodes),
        (Of::Edge, &edges),
    ] {
        for (name, value) in attributes.iter().flatten() {
            keys.insert((of, name), type_of(value));
        }
    }
    let mut xml = String::from(concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n",
    ));
    for ((of, name), of_type) in &keys {
        let id = key(*of, name);
        let of = of.name();
        let _ = writeln!(
            xml,
            "  <key id=\"{id}\" for=\"{of}\" attr.name=\"{name}\" attr.type=\"{of_type}\"/>"
        );
    }
    xml.push_str("  <graph id=\"lineage\" edgedefault=\"directed\">\n");
    data(&mut xml, Of::Graph, &graph);
    for (id, attributes) in ids.iter().zip(&nodes) {
        let _ = writeln!(xml, "    <node id=\"{}\">", escaped(id));
        data(&mut xml, Of::Node, attributes);
        xml.push_str("    </node>\n");
    }
    for (&(from, to), attributes) in picture.ends().iter().zip(&edges) {
        let (from, to) = (escaped(&ids[from]), escaped(&ids[to]));
        let _ = writeln!(xml, "    <edge source=\"{from}\" target=\"{to}\">");
        data(&mut xml, Of::Edge, attributes);
        xml.push_str("    </edge>\n");
    }
    xml.push_str("  </graph>\n</graphml>\n");
    xml
}

fn data(xml: &mut String, of: Of, attributes: &Attributes) {
    for (name, value) in attributes {
        let (key, value) = (key(of, name), escaped(&value.to_string()));
        let _ = writeln!(xml, "      <data key=\"{key}\">{value}</data>");
    }
}

fn key(of: Of, name: &str) -> String {
    format!("{}.{name}", of.name())
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "string",
        Value::Number(_) => "long",
        Value::Truth(_) => "boolean",
    }
}

impl Of {
    fn name(self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::Node => "node",
            Self::Edge => "edge",
        }
    }
}
