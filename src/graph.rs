//! The lineage of runs as a graph: the sources of a node, and everything derived from it.
//!
//! ```no_run
//! # async fn example(store: runlineage::MongoRunStore) -> runlineage::Result<()> {
//! use runlineage::Node;
//!
//! let graph = store
//!     .graph(Node::model("churn", "7")?)
//!     .upstream(2)
//!     .downstream(1)
//!     .await?;
//! for edge in &graph.edges {
//!     println!("{} → {}", edge.from, edge.to);
//! }
//! # Ok(()) }
//! ```
//!
//! Edges follow the data: from each input to the run, and from the run to each output. If one run wrote a folder and another
//! run read a file in it, an [overlap](Relation::Overlap) edge joins the two references. Overlap is not transitive, so no walk
//! follows two overlap edges in a row.

mod arena;
mod diff;
mod downstream;
mod facts;
mod fetch;
mod hidden;
mod impact;
mod json;
mod levels;
mod nodes;
mod overlap;
mod parents;
mod paths;
mod provenance;
mod request;
mod selection;
mod start;
mod trace;
mod upstream;
mod walk;

use bson::DateTime;
use serde::Serialize;

use crate::mongo::MongoRunStore;
use crate::node::{Node, Origin};

pub use diff::{
    Diff, DiffProgress, DiffRequest, Difference, DifferentInput, Ending, EqualInput, Followed,
    InputKey, NamedValues, Outcome, Pair, State, Unknown, Values,
};
pub use impact::{Aliased, CountOf, Impact, ImpactRequest, Reached};
pub use nodes::{NodeAt, Nodes, NodesRequest};
pub use paths::{Path, PathRequest, Paths};
pub use provenance::{
    Code, MirrorAge, Provenance, ProvenanceRequest, RunProvenance, UncertainFlow, Unresolved,
};
pub use request::{GraphRequest, WalkProgress};
pub use selection::{SelectRequest, Selection, Span};

/// The nodes and edges around a start node.
///
/// The order is deterministic: nodes by depth and then by node; edges by the positions of their ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Graph {
    /// The nodes; no node is listed twice.
    pub nodes: Vec<GraphNode>,
    /// The edges, at most one for each pair of nodes. Both ends of an edge are in `nodes`.
    pub edges: Vec<Edge>,
    /// The limit that stopped the walk early, and the node at which it stopped; `None` if only the depth bounds the graph.
    pub truncated: Option<Truncated>,
}

/// A node of a graph, with facts from the mirror.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GraphNode {
    /// The node. JSON has its text as `id`, and its kind as `kind`.
    #[serde(flatten, serialize_with = "json::id_and_kind")]
    pub node: Node,
    /// The distance from the start, counted in runs. A reference has the depth of its nearest run.
    pub depth: u32,
    /// Whether this is a start of the walk.
    #[serde(rename = "start", skip_serializing_if = "json::is_false")]
    pub is_start: bool,
    /// Whether the mirror has this node. Only the id is known of a run that is not mirrored.
    #[serde(rename = "known")]
    pub is_known: bool,
    /// Whether the node was deleted in MLflow.
    #[serde(rename = "deleted", skip_serializing_if = "json::is_false")]
    pub is_deleted: bool,
    /// Facts of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunFacts>,
    /// Facts of a version in MLflow's model registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionFacts>,
    /// Facts of a logged model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logged_model: Option<LoggedModelFacts>,
    /// How many edges of this node the graph leaves out; `None` if the walk did not count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Hidden>,
}

/// Facts of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunFacts {
    /// The run's name.
    pub name: Option<String>,
    /// The run's experiment.
    pub experiment: Option<ExperimentFacts>,
    /// The run's status, as MLflow spells it.
    pub status: Option<String>,
    /// When the run started.
    #[serde(serialize_with = "json::date")]
    pub start_time: Option<DateTime>,
    /// When the run ended.
    #[serde(serialize_with = "json::date")]
    pub end_time: Option<DateTime>,
    /// The user who started the run.
    pub user: Option<String>,
    /// Whether the run was purged from the mirror, so that only its id is left.
    #[serde(rename = "purged", skip_serializing_if = "json::is_false")]
    pub is_purged: bool,
}

/// The experiment of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct ExperimentFacts {
    /// MLflow's experiment id.
    pub id: String,
    /// The experiment's name when the run was last mirrored.
    pub name: Option<String>,
}

/// Facts of a logged model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LoggedModelFacts {
    /// The model's name.
    pub name: Option<String>,
    /// The id of the model's experiment.
    pub experiment: Option<String>,
}

/// Facts of a version of a registered model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VersionFacts {
    /// The aliases that point to this version now.
    pub aliases: Vec<String>,
    /// When the version was created.
    #[serde(serialize_with = "json::date")]
    pub created: Option<DateTime>,
    /// The stage of the version, if it has one.
    pub stage: Option<String>,
    /// The version of which this one is a copy.
    #[serde(serialize_with = "json::text_or_null")]
    pub copied_from: Option<Node>,
}

/// How many edges of a node the graph leaves out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Hidden {
    /// Edges that lead to the node.
    pub up: HiddenCount,
    /// Edges that lead from the node.
    pub down: HiddenCount,
}

/// A count with an upper bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HiddenCount {
    /// The number of edges, at most 10,000.
    pub count: u64,
    /// Whether there are more edges than `count`, because counting stopped there.
    #[serde(rename = "more", skip_serializing_if = "json::is_false")]
    pub is_more: bool,
}

/// An edge, in the direction of the data.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Edge {
    /// The node from which the data comes.
    #[serde(serialize_with = "json::text")]
    pub from: Node,
    /// The node to which the data goes.
    #[serde(serialize_with = "json::text")]
    pub to: Node,
    /// How the two nodes are related.
    pub relation: Relation,
    /// Whether the edge is certain. A reference without a version may mean any version.
    #[serde(rename = "certain")]
    pub is_certain: bool,
    /// The origins of the run's entry; empty if the edge follows from the names of the nodes.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "json::origins"
    )]
    pub origins: Vec<Origin>,
    /// Whether the version was created after the run that read it. The model was made anew since, with the same numbers.
    #[serde(rename = "made_anew", skip_serializing_if = "json::is_false")]
    pub is_made_anew: bool,
}

/// The relation between the ends of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Relation {
    /// The run read the reference.
    Read,
    /// The run wrote the reference.
    Wrote,
    /// The reference names artifacts of the run, so the run made them, declared or not.
    Made,
    /// The version was registered from the logged model.
    Registered,
    /// The second version is a copy of the first.
    Copied,
    /// The first reference was written, the second one was read, and they overlap.
    Overlap,
    /// The second run is a child of the first. No data flows along this edge.
    Parent,
}

impl Relation {
    /// The word for the relation, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Wrote => "wrote",
            Self::Made => "made",
            Self::Registered => "registered",
            Self::Copied => "copied",
            Self::Overlap => "overlap",
            Self::Parent => "parent",
        }
    }
}

/// The limit that stopped a walk early.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Truncated {
    /// The limit.
    pub limit: Limit,
    /// The node that the walk was expanding, or the first node that a selection leaves out. Edges of this node and of later nodes
    /// may be missing.
    #[serde(serialize_with = "json::text")]
    pub at: Node,
}

/// A limit of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// The number of nodes.
    Nodes,
    /// The number of edges.
    Edges,
}

impl Graph {
    /// The entry of this node; `None` if the graph does not show it.
    #[must_use]
    pub fn node(&self, node: &Node) -> Option<&GraphNode> {
        self.nodes.iter().find(|shown| shown.node == *node)
    }
}

impl MongoRunStore {
    /// Walks the graph around a node: one level of runs upstream and one downstream, unless the request says otherwise.
    ///
    /// A model or prompt without a version and a dataset without a digest select all of that name.
    pub fn graph(&self, start: Node) -> GraphRequest<'_> {
        GraphRequest::new(self, start)
    }

    /// Finds everything downstream of a node, to any depth.
    pub fn impact(&self, start: Node) -> ImpactRequest<'_> {
        ImpactRequest::new(self, start)
    }

    /// Finds everything upstream of a node, to any depth, and says how complete the answer is.
    pub fn provenance(&self, start: Node) -> ProvenanceRequest<'_> {
        ProvenanceRequest::new(self, start)
    }

    /// Finds the shortest lineage path from one node to another.
    pub fn paths(&self, from: Node, to: Node) -> PathRequest<'_> {
        PathRequest::new(self, from, to)
    }

    /// Compares the upstreams of two runs or versions of models. A version stands for the run that produced it.
    ///
    /// The answer is an [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a node of another kind, and for a version
    /// without a known producer or with several.
    pub fn diff(&self, a: Node, b: Node) -> DiffRequest<'_> {
        DiffRequest::new(self, a, b)
    }
}
