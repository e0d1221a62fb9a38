//! [`Paths`]: the lineage path between two nodes.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::Serialize;

use super::arena::At;
use super::trace::Trace;
use super::walk::Walk;
use super::{Edge, GraphNode, GraphRequest, Truncated};
use crate::error::Result;
use crate::mongo::MongoRunStore;
use crate::node::Node;
use crate::query::Query;

/// The shortest lineage path between two nodes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Paths {
    /// The path with the fewest runs; `None` if the walk found no path.
    pub shortest: Option<Path>,
    /// The limit that stopped the walk before it found a path; `None` if the answer is final.
    pub truncated: Option<Truncated>,
}

/// A lineage path, in the direction of the data.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Path {
    /// The nodes of the path, both ends included.
    pub nodes: Vec<GraphNode>,
    /// The edges between consecutive nodes.
    pub edges: Vec<Edge>,
}

/// A request for the shortest lineage path between two nodes. It looks downstream from the first node to the second, and then
/// the other way around. Awaiting it runs the walk; dropping the future cancels the walk.
#[must_use = "the walk runs when the request is awaited"]
pub struct PathRequest<'a> {
    store: &'a MongoRunStore,
    from: Node,
    to: Node,
    uncertain: bool,
    query: Option<Query>,
    max_nodes: usize,
    max_time: Option<Duration>,
}

impl<'a> PathRequest<'a> {
    const MAX_NODES: usize = 100_000;

    pub(super) fn new(store: &'a MongoRunStore, from: Node, to: Node) -> Self {
        Self {
            store,
            from,
            to,
            uncertain: false,
            query: None,
            max_nodes: Self::MAX_NODES,
            max_time: None,
        }
    }

    /// Also follows uncertain edges. A reference without a version may mean any version.
    pub fn uncertain(self, is_walked: bool) -> Self {
        Self {
            uncertain: is_walked,
            ..self
        }
    }

    /// Follows only paths whose inner runs match the query. The ends do not have to match.
    pub fn matching(self, query: impl Into<Query>) -> Self {
        Self {
            query: Some(query.into()),
            ..self
        }
    }

    /// Limits each walk to this many nodes; 100,000 by default.
    pub fn max_nodes(self, nodes: usize) -> Self {
        Self {
            max_nodes: nodes,
            ..self
        }
    }

    /// Limits the time that the server may spend on each query; unlimited by default.
    pub fn max_time(self, time: Duration) -> Self {
        Self {
            max_time: Some(time),
            ..self
        }
    }

    async fn search(self) -> Result<Paths> {
        let there = self.one_way(&self.from, &self.to).await?;
        if there.shortest.is_some() {
            return Ok(there);
        }
        let back = self.one_way(&self.to, &self.from).await?;
        Ok(Paths {
            truncated: back.truncated.or(there.truncated),
            shortest: back.shortest,
        })
    }

    async fn one_way(&self, from: &Node, to: &Node) -> Result<Paths> {
        let request = GraphRequest::new(self.store, from.clone())
            .upstream(0)
            .downstream(u32::MAX)
            .uncertain(self.uncertain)
            .max_nodes(self.max_nodes)
            .until(to.clone());
        let request = match self.max_time {
            Some(time) => request.max_time(time),
            None => request,
        };
        let request = match &self.query {
            Some(query) => request.matching(query.clone()),
            None => request,
        };
        let mut walk = request.walk().await?;
        walk.learn_facts().await?;
        Ok(walk.found_path(self.uncertain))
    }
}

impl Walk<'_> {
    fn found_path(&self, takes_uncertain: bool) -> Paths {
        let trace = Trace::of(&self.arena, &self.start_nodes(), takes_uncertain);
        let paths = self.targets.iter().map(|target| trace.path(*target));
        let paths = paths.filter(|path| !path.is_empty());
        let runs = |path: &Vec<At>| path.iter().filter(|at| self.is_run(**at)).count();
        let shortest = paths.min_by_key(|path| (runs(path), path.len()));
        let is_found = shortest.is_some();
        Paths {
            shortest: shortest.map(|path| self.path(&path)),
            // Each level is complete before the next one begins, so a path that was found is a shortest one.
            truncated: self.truncated.clone().filter(|_| !is_found),
        }
    }

    fn path(&self, path: &[At]) -> Path {
        let nodes = path.iter().map(|at| {
            let (node, met) = (self.arena.node(*at), self.arena.met(*at));
            self.graph_node(node, met, true, None)
        });
        let edges = path.windows(2).filter_map(|ends| {
            let link = self.arena.link(ends[0], ends[1])?;
            Some(self.edge(ends[0], ends[1], link))
        });
        Path {
            nodes: nodes.collect(),
            edges: edges.collect(),
        }
    }
}

impl<'a> IntoFuture for PathRequest<'a> {
    type Output = Result<Paths>;
    type IntoFuture = BoxFuture<'a, Result<Paths>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.search())
    }
}

impl fmt::Debug for PathRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PathRequest")
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}
