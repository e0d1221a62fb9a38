//! [`Nodes`]: the nodes of a graph without its edges.

use std::fmt;
use std::future::IntoFuture;

use futures::future::BoxFuture;
use serde::Serialize;

use super::walk::Walk;
use super::{GraphRequest, Truncated, json};
use crate::error::Result;
use crate::node::{Kind, Node};

/// The nodes that a walk reaches, without edges and facts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Nodes {
    /// The nodes, ordered by depth and then by node; no node is listed twice.
    pub nodes: Vec<NodeAt>,
    /// The limit that stopped the walk early; `None` if only the depth bounds the answer.
    pub truncated: Option<Truncated>,
}

/// A node and its depth.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct NodeAt {
    /// The distance from the start, counted in runs. A reference has the depth of its nearest run.
    pub depth: u32,
    /// The node. JSON has its text as `id`, and its kind as `kind`.
    #[serde(flatten, serialize_with = "json::id_and_kind")]
    pub node: Node,
}

impl Nodes {
    /// The ids of the runs, the nearest first.
    pub fn runs(&self) -> impl Iterator<Item = &str> {
        let nodes = self.nodes.iter().map(|at| &at.node);
        let runs = nodes.filter(|node| node.kind() == Kind::RUN);
        runs.map(Node::key)
    }
}

impl<'a> GraphRequest<'a> {
    /// Asks for the nodes alone: without edges, facts and hidden counts, and therefore faster. The limit on edges does not apply.
    ///
    /// ```no_run
    /// # async fn example(store: runlineage::MongoRunStore) -> runlineage::Result<()> {
    /// use runlineage::Node;
    ///
    /// let request = store.graph(Node::model("churn", "7")?).upstream(0).downstream(u32::MAX);
    /// let reached = request.max_nodes(1_000_000).nodes().await?;
    /// println!("{} runs depend on it", reached.runs().count());
    /// # Ok(()) }
    /// ```
    pub fn nodes(self) -> NodesRequest<'a> {
        NodesRequest { walk: self }
    }
}

impl Walk<'_> {
    /// The nodes alone, in their deterministic order.
    fn into_nodes(self) -> Nodes {
        let nodes = self.order().into_iter().map(|at| NodeAt {
            depth: self.arena.met(at).depth.unwrap_or_default(),
            node: self.arena.node(at).clone(),
        });
        let nodes = nodes.collect();
        Nodes {
            nodes,
            truncated: self.truncated,
        }
    }
}

/// A request for the nodes of a graph. Awaiting it runs the walk; dropping the future cancels the walk.
#[must_use = "the walk runs when the request is awaited"]
pub struct NodesRequest<'a> {
    walk: GraphRequest<'a>,
}

impl<'a> IntoFuture for NodesRequest<'a> {
    type Output = Result<Nodes>;
    type IntoFuture = BoxFuture<'a, Result<Nodes>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let parents = self.walk.parents;
            let mut walk = self.walk.facts(false).without_edges().walk().await?;
            if parents && walk.truncated.is_none() {
                walk.show_families().await?;
            }
            Ok(walk.into_nodes())
        })
    }
}

impl fmt::Debug for NodesRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NodesRequest").field(&self.walk).finish()
    }
}
