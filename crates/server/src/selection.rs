//! [`Selection`]: the graph that `/graph?select=` asks for.

use runlineage::graph::{Graph, Selection as Expression};
use runlineage::lineage::NodeArg;
use runlineage::{Error, Node};

use crate::answer::parse_start;
use crate::app::App;
use crate::problem::Problem;
use crate::walk;

/// What is selected.
#[derive(Debug)]
pub(crate) enum Selection {
    /// A node, and what lies around it.
    Around(Node),
    /// A node whose text is no selection, because it lacks quotes. The error counts if the mirror has never met the node.
    Unquoted(Node, Error),
    /// The nodes of an expression, which says the levels of each.
    Several {
        expression: Expression,
        nodes: Vec<Node>,
    },
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
    /// Parses the text of a selection, and resolves its aliases by the mirror.
    pub(crate) async fn parse(app: &App, text: &str) -> Result<Self, Problem> {
        let mut expression = match text.parse::<Expression>() {
            Ok(expression) => expression,
            Err(error) => {
                let error = error.of_argument("select");
                return match parse_start(text) {
                    // Programs and pages have the texts of nodes from other answers, which quote none.
                    Ok(NodeArg::Node(node)) => Ok(Self::Unquoted(node, error)),
                    _ => Err(error.into()),
                };
            }
        };
        if let Some(span) = expression.as_span()
            && (span.upstream, span.downstream) == (None, None)
        {
            return walk::resolved(app, span.node.clone())
                .await
                .map(Self::Around);
        }
        let mut nodes = Vec::new();
        for span in expression.spans_mut() {
            let node = walk::resolved(app, span.node.clone()).await?;
            span.node = NodeArg::Node(node.clone());
            nodes.push(node);
        }
        Ok(Self::Several { expression, nodes })
    }

    /// Whether the selection says the levels of its nodes.
    pub(crate) fn has_levels(&self) -> bool {
        matches!(self, Self::Several { .. })
    }

    /// Walks the graph.
    pub(crate) async fn graph(&self, app: &App, reach: &Reach) -> Result<Graph, Problem> {
        let around;
        let expression = match self {
            Self::Around(node) | Self::Unquoted(node, _) => {
                let node = NodeArg::Node(node.clone());
                around = Expression::around(node, reach.upstream, reach.downstream);
                &around
            }
            Self::Several { expression, .. } => expression,
        };
        let mut request = app
            .store
            .select(expression)
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
    pub(crate) async fn check(self, app: &App, graph: &Graph) -> Result<(), Problem> {
        match self {
            Self::Around(node) => walk::check_start(app, graph, &node).await,
            Self::Unquoted(node, error) => {
                let met = walk::check_start(app, graph, &node).await;
                met.map_err(|_| error.into())
            }
            Self::Several { nodes, .. } => {
                for node in nodes {
                    walk::check_known(app, &node).await?;
                }
                Ok(())
            }
        }
    }
}
