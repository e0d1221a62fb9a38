//! [`SelectRequest`]: the parameters of the walks of a selection.

use std::fmt;
use std::time::Duration;

use super::{Selection, Span};
use crate::error::{Error, Result};
use crate::graph::walk::Limits;
use crate::graph::{GraphRequest, WalkProgress};
use crate::mongo::MongoRunStore;
use crate::node::{Node, NodeArg};
use crate::query::Query;

/// A request for the graph of a selection. Awaiting it runs the walks; dropping the future cancels them.
#[must_use = "the walks run when the request is awaited"]
pub struct SelectRequest<'a> {
    pub(super) store: &'a MongoRunStore,
    pub(super) selection: Selection,
    uncertain: bool,
    query: Option<Query>,
    pub(super) limits: Limits,
    pub(super) facts: bool,
    pub(super) hidden: bool,
    pub(super) parents: bool,
    pub(super) max_time: Option<Duration>,
    progress: Option<Box<dyn FnMut(WalkProgress) + Send + 'a>>,
}

impl MongoRunStore {
    /// Selects the graph of an expression such as `2+model:churn:7+1 and where(status = 'FINISHED')`.
    ///
    /// The graph has the selected nodes, and the edges between them that the walks found. A node has its smallest depth in the
    /// walks. A node with levels alone gives the same graph as [`graph`](Self::graph) with these levels. An alias means the version
    /// that it points to in the mirror.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an alias of which the mirror knows no version.
    pub fn select(&self, selection: &Selection) -> SelectRequest<'_> {
        SelectRequest::new(self, selection.clone())
    }
}

impl<'a> SelectRequest<'a> {
    fn new(store: &'a MongoRunStore, selection: Selection) -> Self {
        Self {
            store,
            selection,
            uncertain: false,
            query: None,
            limits: Limits::of_nodes(GraphRequest::MAX_NODES),
            facts: true,
            hidden: true,
            parents: false,
            max_time: None,
            progress: None,
        }
    }

    /// Also follows uncertain edges. A reference without a version may mean any version.
    pub fn uncertain(self, is_walked: bool) -> Self {
        Self {
            uncertain: is_walked,
            ..self
        }
    }

    /// Walks only through runs that match the query. A node of the selection does not have to match. `where(…)` in the selection
    /// takes runs out after the walks, and so what is behind them stays.
    pub fn matching(self, query: impl Into<Query>) -> Self {
        Self {
            query: Some(query.into()),
            ..self
        }
    }

    /// Limits each walk and the whole graph to this many nodes and ten times as many edges; 1,000 nodes by default. If a walk
    /// behind `not` is cut, nodes that it did not reach stay in the graph.
    pub fn max_nodes(self, nodes: usize) -> Self {
        Self {
            limits: Limits::of_nodes(nodes),
            ..self
        }
    }

    /// Whether to read facts of runs and versions; true by default.
    pub fn facts(self, are_wanted: bool) -> Self {
        Self {
            facts: are_wanted,
            ..self
        }
    }

    /// Whether to count the edges that the graph leaves out; true by default.
    pub fn hidden(self, is_wanted: bool) -> Self {
        Self {
            hidden: is_wanted,
            ..self
        }
    }

    /// Whether to show the parents and children of the selected runs, too; false by default.
    pub fn parents(self, are_wanted: bool) -> Self {
        Self {
            parents: are_wanted,
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

    /// Reports the progress after each level of each walk.
    pub fn on_progress(self, tell: impl FnMut(WalkProgress) + Send + 'a) -> Self {
        Self {
            progress: Some(Box::new(tell)),
            ..self
        }
    }

    /// The walk around a node of the selection.
    pub(super) async fn walk(&mut self, span: &Span) -> Result<GraphRequest<'_>> {
        let start = resolved(self.store, &span.node).await?;
        let mut walk = GraphRequest::new(self.store, start)
            .upstream(span.upstream.unwrap_or_default())
            .downstream(span.downstream.unwrap_or_default())
            .uncertain(self.uncertain)
            .max_nodes(self.limits.nodes);
        if let Some(query) = &self.query {
            walk = walk.matching(query.clone());
        }
        if let Some(time) = self.max_time {
            walk = walk.max_time(time);
        }
        if let Some(tell) = &mut self.progress {
            walk = walk.on_progress(tell);
        }
        Ok(walk)
    }
}

async fn resolved(store: &MongoRunStore, node: &NodeArg) -> Result<Node> {
    match node {
        NodeArg::Node(node) => Ok(node.clone()),
        NodeArg::Pointer(pointer) => match store.resolve_version(pointer).await? {
            Some(version) => Node::model(&pointer.name, version.as_str()),
            None => Err(Error::invalid_argument(
                "selection",
                format!("the mirror knows no version for {pointer}; sync it, or name a version"),
            )),
        },
    }
}

impl fmt::Debug for SelectRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectRequest")
            .field("selection", &self.selection)
            .finish_non_exhaustive()
    }
}
