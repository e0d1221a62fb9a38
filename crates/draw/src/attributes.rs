//! What pictures show by colours and marks, as names and values for the formats of other programs.

use crate::picture::{Hidden, Picture, PictureEdge, PictureNode};

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(u64),
    Truth(bool),
}

/// The attributes of nodes that are no facts.
const OWN: [&str; 13] = [
    "kind",
    "name",
    "depth",
    "start",
    "known",
    "deleted",
    "status",
    "hidden_up",
    "hidden_up_or_more",
    "hidden_down",
    "hidden_down_or_more",
    "link",
    "folded",
];

/// The attributes of a node, each with a name of letters and underscores.
pub(crate) fn of_node(node: &PictureNode) -> Vec<(String, Value)> {
    let mut attributes = vec![
        ("kind".to_owned(), text(node.kind.name())),
        ("name".to_owned(), text(&node.name)),
        ("depth".to_owned(), Value::Number(node.depth.into())),
        ("start".to_owned(), Value::Truth(node.start)),
        ("known".to_owned(), Value::Truth(node.known)),
        ("deleted".to_owned(), Value::Truth(node.deleted)),
    ];
    let mut add = |name: &str, value: Option<Value>| {
        attributes.extend(value.map(|value| (name.to_owned(), value)));
    };
    add("status", node.status.as_deref().map(text));
    for (name, hidden) in [
        ("hidden_up", node.hidden_up),
        ("hidden_down", node.hidden_down),
    ] {
        add(name, count(hidden));
        add(
            &format!("{name}_or_more"),
            hidden.or_more.then_some(Value::Truth(true)),
        );
    }
    add("link", node.web_link().map(text));
    for (name, value) in &node.facts {
        add(&name_of_fact(name), Some(text(value)));
    }
    add(
        "folded",
        (!node.folded.is_empty()).then(|| text(&node.folded.join("\n"))),
    );
    attributes
}

/// The name of a fact as an attribute, which no other attribute has.
fn name_of_fact(fact: &str) -> String {
    let name = fact.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic());
    match is_word && !OWN.contains(&name.as_str()) {
        true => name,
        false => format!("fact_{name}"),
    }
}

/// The attributes of an edge.
pub(crate) fn of_edge(edge: &PictureEdge) -> Vec<(String, Value)> {
    let mut attributes = vec![
        ("certain".to_owned(), Value::Truth(edge.certain)),
        ("overlap".to_owned(), Value::Truth(edge.overlap)),
        ("parent".to_owned(), Value::Truth(edge.parent)),
    ];
    let origins = edge.origins.join(" ");
    let origins = (!origins.is_empty()).then_some(origins);
    for (name, value) in [
        ("relation", edge.relation.as_deref()),
        ("origins", origins.as_deref()),
        ("note", edge.note.as_deref()),
    ] {
        attributes.extend(value.map(|value| (name.to_owned(), text(value))));
    }
    attributes
}

/// The attributes of the graph.
pub(crate) fn of_graph(picture: &Picture) -> Vec<(String, Value)> {
    let cut = picture.truncation().map(text);
    cut.map(|cut| ("truncated".to_owned(), cut))
        .into_iter()
        .collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn count(hidden: Hidden) -> Option<Value> {
    (!hidden.is_none()).then_some(Value::Number(hidden.count))
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Truth(truth) => write!(f, "{truth}"),
        }
    }
}
