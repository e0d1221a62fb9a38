//! The form of the answers that the library writes, for the description of the API.

#![allow(
    dead_code,
    reason = "only the description of the API reads these types"
)]

use serde_json::Value;
use utoipa::ToSchema;

/// A graph. Edges follow the data.
#[derive(ToSchema)]
pub(crate) struct GraphSchema {
    /// The nodes; no node is listed twice.
    nodes: Vec<NodeSchema>,
    /// The edges. Both ends of an edge are among the nodes.
    edges: Vec<EdgeSchema>,
    /// The limit that stopped the walk, and the node at which it stopped.
    #[schema(required)]
    truncated: Option<TruncatedSchema>,
}

/// A graph as pictures show it.
#[derive(ToSchema)]
pub(crate) struct PictureSchema {
    /// The nodes: `id`, `kind`, `name`, and what else is known.
    nodes: Vec<Value>,
    /// The edges, in the direction of the data.
    edges: Vec<Value>,
    /// Which limit cut the graph, in words.
    #[schema(required)]
    truncated: Option<String>,
}

/// A node. It may have more fields than these, by its kind: `run`, `version`, `logged_model`.
#[derive(ToSchema)]
pub(crate) struct NodeSchema {
    /// The text that names the node.
    #[schema(example = "model:churn:2")]
    id: String,
    /// The kind, such as `run`.
    kind: String,
    /// The distance from the start, counted in runs.
    depth: u32,
    /// Whether the mirror has the node.
    known: bool,
    /// Whether the walk began here.
    start: Option<bool>,
    /// Whether the node is deleted in MLflow.
    deleted: Option<bool>,
    /// How many edges of the node the graph leaves out.
    hidden: Option<HiddenSchema>,
    /// The page of the node in MLflow.
    url: Option<String>,
}

/// How many edges of a node the graph leaves out.
#[derive(ToSchema)]
pub(crate) struct HiddenSchema {
    /// Edges that lead to the node.
    up: CountSchema,
    /// Edges that lead from the node.
    down: CountSchema,
}

/// A count.
#[derive(ToSchema)]
pub(crate) struct CountSchema {
    /// The number.
    count: u64,
    /// Whether there are more, because counting stopped there.
    more: Option<bool>,
}

/// An edge, in the direction of the data.
#[derive(ToSchema)]
pub(crate) struct EdgeSchema {
    /// The node from which the data comes.
    from: String,
    /// The node to which the data goes.
    to: String,
    /// How the two are related, such as `read`.
    relation: String,
    /// Whether the edge is certain.
    certain: bool,
    /// Where the edge is known from, such as `tag`.
    origins: Option<Vec<String>>,
    /// Whether the version was created after the run that read it.
    made_anew: Option<bool>,
}

/// The limit that stopped a walk.
#[derive(ToSchema)]
pub(crate) struct TruncatedSchema {
    /// The limit: `nodes` or `edges`.
    limit: String,
    /// The node that the walk was expanding.
    at: String,
}

/// How many runs have a value.
#[derive(ToSchema)]
pub(crate) struct CountedSchema {
    /// The value; null for runs without the field.
    value: Value,
    /// How many runs have it.
    runs: u64,
}
