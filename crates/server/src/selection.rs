//! [`Selection`]: the graph that `/graph?select=` asks for.
//!
//! A selection is a node, from which the graph goes so many levels up and down. Another form of selection is another variant here.

use runlineage::Node;
use runlineage::graph::Graph;

use crate::app::App;
use crate::problem::Problem;
use crate::walk;

/// What is selected.
#[derive(Debug)]
pub(crate) enum Selection {
    /// A node, and what lies around it.
    Around(Node),
}

/// How far a graph goes, and through which runs.
#[derive(Debug)]
pub(crate) struct Reach {
    pub(crate) upstream: u32,
    pub(crate) downstream: u32,
    pub(crate) uncertain: bool,
    pub(crate) parents: bool,
    pub(crate) matching: Option<runlineage::Query>,
    pub(crate) max_nodes: usize,
}

impl Selection {
    /// Parses the text of a selection.
    pub(crate) async fn parse(app: &App, text: &str) -> Result<Self, Problem> {
        walk::node(app, "select", text).await.map(Self::Around)
    }

    /// Walks the graph.
    pub(crate) async fn graph(&self, app: &App, reach: &Reach) -> Result<Graph, Problem> {
        let Self::Around(node) = self;
        let mut request = app
            .store
            .graph(node.clone())
            .upstream(reach.upstream)
            .downstream(reach.downstream)
            .uncertain(reach.uncertain)
            .parents(reach.parents)
            .max_nodes(reach.max_nodes)
            .max_time(app.limits.max_time);
        if let Some(query) = &reach.matching {
            request = request.matching(query.clone());
        }
        Ok(request.await?)
    }

    /// Fails if the mirror has never met what is selected.
    pub(crate) async fn check(&self, app: &App, graph: &Graph) -> Result<(), Problem> {
        let Self::Around(node) = self;
        walk::check_start(app, graph, node).await
    }
}
