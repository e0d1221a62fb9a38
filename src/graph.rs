//! The lineage of runs as a graph: where something came from, and what it reached.
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
//! Edges follow the data: from what a run read to the run, and from the run to what it wrote. Where a run wrote something and
//! another one read a part of it, such as a folder and a file in it, an [overlap](Relation::Overlap) joins the two references.
//! Such an edge joins these two alone: two overlaps in a row are no way of data, and no walk takes them so.

mod arena;
mod downstream;
mod facts;
mod fetch;
mod hidden;
mod impact;
mod json;
mod overlap;
mod paths;
mod provenance;
mod request;
mod start;
mod trace;
mod upstream;
mod walk;

use bson::DateTime;
use serde::Serialize;

use crate::mongo::MongoRunStore;
use crate::node::{Node, Origin};

pub use impact::{Aliased, CountOf, Impact, ImpactRequest, Reached};
pub use paths::{Path, PathRequest, Paths};
pub use provenance::{
    Code, MirrorAge, Provenance, ProvenanceRequest, RunProvenance, UncertainFlow, Unresolved,
};
pub use request::{GraphRequest, WalkProgress};

/// Nodes and edges around a start.
///
/// The order of nodes and edges is the same for the same mirror: by depth, then by kind, then by text.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Graph {
    /// Each node once.
    pub nodes: Vec<GraphNode>,
    /// Each pair of nodes once; both ends are among the nodes.
    pub edges: Vec<Edge>,
    /// The limit that cut the graph short, and where; `None`: nothing was cut but by depth.
    pub truncated: Option<Truncated>,
}

/// A node of a graph, and what the mirror knows of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GraphNode {
    /// What it is. In JSON: `id`, its text, and `kind`.
    #[serde(flatten, serialize_with = "json::id_and_kind")]
    pub node: Node,
    /// How many runs lie between it and the start, a run itself included.
    pub depth: u32,
    /// Whether the graph was asked for around it.
    #[serde(rename = "start", skip_serializing_if = "json::is_false")]
    pub is_start: bool,
    /// Whether the mirror has it. Of an unknown run, only its id is known.
    #[serde(rename = "known")]
    pub is_known: bool,
    /// Whether it was deleted in MLflow.
    #[serde(rename = "deleted", skip_serializing_if = "json::is_false")]
    pub is_deleted: bool,
    /// Of a run: its facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunFacts>,
    /// Of a version in MLflow's registry: its facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionFacts>,
    /// How many edges it has that are not shown; `None` where they were not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Hidden>,
}

/// What a graph tells of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunFacts {
    /// Its name.
    pub name: Option<String>,
    /// Its experiment.
    pub experiment: Option<ExperimentFacts>,
    /// MLflow's word for its state.
    pub status: Option<String>,
    /// When it started.
    #[serde(serialize_with = "json::date")]
    pub start_time: Option<DateTime>,
    /// When it ended.
    #[serde(serialize_with = "json::date")]
    pub end_time: Option<DateTime>,
    /// Who started it.
    pub user: Option<String>,
    /// Whether it was purged: only its id is left.
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

/// What a graph tells of a version of a registered model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VersionFacts {
    /// The aliases that point to it now.
    pub aliases: Vec<String>,
    /// When it was registered.
    #[serde(serialize_with = "json::date")]
    pub created: Option<DateTime>,
    /// Its stage, where it has one.
    pub stage: Option<String>,
    /// The version that it is a copy of.
    #[serde(serialize_with = "json::text_or_null")]
    pub copied_from: Option<Node>,
}

/// How many edges of a node are not shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Hidden {
    /// Of those that lead to it.
    pub up: HiddenCount,
    /// Of those that lead from it.
    pub down: HiddenCount,
}

/// A count, or that there are more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HiddenCount {
    /// How many.
    pub count: u64,
    /// Whether there are more: counting ended there.
    #[serde(rename = "more", skip_serializing_if = "json::is_false")]
    pub is_more: bool,
}

/// An edge, in the direction of the data.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Edge {
    /// Where it comes from.
    #[serde(serialize_with = "json::text")]
    pub from: Node,
    /// Where it leads.
    #[serde(serialize_with = "json::text")]
    pub to: Node,
    /// How they are related.
    pub relation: Relation,
    /// Whether it is certain. A reference without a version may mean each version.
    #[serde(rename = "certain")]
    pub is_certain: bool,
    /// Where it is known from; empty where it follows from the names alone.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "json::origins"
    )]
    pub origins: Vec<Origin>,
    /// Whether the version that the run read was registered only after the run: another one of this number was there before.
    #[serde(rename = "made_anew", skip_serializing_if = "json::is_false")]
    pub is_made_anew: bool,
}

/// How the ends of an edge are related.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Relation {
    /// The run read the reference.
    Read,
    /// The run wrote the reference.
    Wrote,
    /// The reference names artifacts of the run, which the run itself made.
    Made,
    /// The version was registered from the logged model.
    Registered,
    /// The second version is a copy of the first.
    Copied,
    /// What the one reference names was written, what the other one names was read, and they have something in common.
    Overlap,
}

/// A limit that cut a graph short.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Truncated {
    /// Which limit.
    pub limit: Limit,
    /// The node that was being expanded. Its edges are not all shown, nor are those of nodes that would have come after it.
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
    /// The node's entry, where it is shown.
    #[must_use]
    pub fn node(&self, node: &Node) -> Option<&GraphNode> {
        self.nodes.iter().find(|shown| shown.node == *node)
    }
}

impl MongoRunStore {
    /// The graph around a node: one level of runs upstream and one downstream, unless the request says otherwise.
    ///
    /// A model, prompt or dataset without a version or digest stands for all of them. Await the request to walk.
    pub fn graph(&self, start: Node) -> GraphRequest<'_> {
        GraphRequest::new(self, start)
    }

    /// All that a node reached: what is downstream of it, to any depth.
    pub fn impact(&self, start: Node) -> ImpactRequest<'_> {
        ImpactRequest::new(self, start)
    }

    /// All that a node came from: what is upstream of it, to any depth, and how complete that is.
    pub fn provenance(&self, start: Node) -> ProvenanceRequest<'_> {
        ProvenanceRequest::new(self, start)
    }

    /// The shortest way of data from one node to another.
    pub fn paths(&self, from: Node, to: Node) -> PathRequest<'_> {
        PathRequest::new(self, from, to)
    }
}
