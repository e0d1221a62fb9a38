//! The JSON form of a graph: nodes as their texts, dates as RFC 3339.

use bson::DateTime;
use serde::{Serialize, Serializer};

use crate::node::{Node, Origin};

pub(super) fn id_and_kind<S: Serializer>(node: &Node, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct IdAndKind {
        id: String,
        kind: &'static str,
    }
    let id_and_kind = IdAndKind {
        id: node.to_string(),
        kind: node.kind().spec().noun,
    };
    id_and_kind.serialize(serializer)
}

pub(super) fn text<S: Serializer>(node: &Node, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(node)
}

pub(super) fn texts<S: Serializer>(nodes: &[Node], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(nodes.iter().map(Node::to_string))
}

pub(super) fn text_or_null<S: Serializer>(
    node: &Option<Node>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    node.as_ref().map(Node::to_string).serialize(serializer)
}

pub(super) fn origins<S: Serializer>(origins: &[Origin], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(origins.iter().map(|origin| origin.as_str()))
}

pub(super) fn date<S: Serializer>(
    date: &Option<DateTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = date.and_then(|date| date.try_to_rfc3339_string().ok());
    text.serialize(serializer)
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
pub(super) fn is_false(value: &bool) -> bool {
    !value
}
