//! The graph as JSON.

use serde::Serialize;

use crate::change::Change;
use crate::picture::{Hidden, Picture, PictureEdge, PictureNode};

/// The graph: `{"nodes": […], "edges": […], "truncated": null}`.
#[derive(Serialize)]
pub(crate) struct GraphJson<'a> {
    nodes: Vec<NodeJson<'a>>,
    edges: Vec<EdgeJson<'a>>,
    truncated: Option<&'a str>,
}

#[derive(Serialize)]
struct NodeJson<'a> {
    id: &'a str,
    kind: &'static str,
    name: &'a str,
    depth: u32,
    known: bool,
    #[serde(skip_serializing_if = "is_false")]
    deleted: bool,
    #[serde(skip_serializing_if = "is_false")]
    start: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden_up: Option<HiddenJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden_down: Option<HiddenJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    facts: &'a [(String, String)],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    folded: &'a [String],
}

#[derive(Serialize)]
struct EdgeJson<'a> {
    from: &'a str,
    to: &'a str,
    certain: bool,
    #[serde(skip_serializing_if = "is_false")]
    overlap: bool,
    #[serde(skip_serializing_if = "is_false")]
    parent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    relation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    origins: &'a [String],
}

#[derive(Serialize)]
struct HiddenJson {
    count: u64,
    #[serde(skip_serializing_if = "is_false")]
    or_more: bool,
}

/// Writes the graph as one JSON object on one line. Ids and names are not cleaned: a program reads them.
pub fn json(picture: &Picture) -> String {
    // Serialization of these types, whose keys are texts, cannot fail.
    serde_json::to_string(&GraphJson::from(picture)).unwrap_or_default()
}

impl<'a> From<&'a Picture> for GraphJson<'a> {
    fn from(picture: &'a Picture) -> Self {
        Self {
            nodes: picture.nodes().iter().map(NodeJson::from).collect(),
            edges: picture.edges().iter().map(EdgeJson::from).collect(),
            truncated: picture.truncation(),
        }
    }
}

impl<'a> From<&'a PictureNode> for NodeJson<'a> {
    fn from(node: &'a PictureNode) -> Self {
        Self {
            id: &node.id,
            kind: node.kind.name(),
            name: &node.name,
            depth: node.depth,
            known: node.known,
            deleted: node.deleted,
            start: node.start,
            status: node.status.as_deref(),
            hidden_up: HiddenJson::of(node.hidden_up),
            hidden_down: HiddenJson::of(node.hidden_down),
            link: node.web_link(),
            change: node.change.map(Change::label),
            facts: &node.facts,
            folded: &node.folded,
        }
    }
}

impl<'a> From<&'a PictureEdge> for EdgeJson<'a> {
    fn from(edge: &'a PictureEdge) -> Self {
        Self {
            from: &edge.from,
            to: &edge.to,
            certain: edge.certain,
            overlap: edge.overlap,
            parent: edge.parent,
            relation: edge.relation.as_deref(),
            note: edge.note.as_deref(),
            origins: &edge.origins,
        }
    }
}

impl HiddenJson {
    fn of(hidden: Hidden) -> Option<Self> {
        (!hidden.is_none()).then_some(Self {
            count: hidden.count,
            or_more: hidden.or_more,
        })
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
