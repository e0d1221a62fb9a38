//! `graph`: what a node came from, and what used it.

use rmcp::schemars::{self, JsonSchema};
use runlineage::graph::{Graph, Selection};
use runlineage::lineage::NodeArg;
use runlineage::{Error, Node};
use runlineage_answer::{LinkedGraph, parse_start};
use serde::Deserialize;
use serde_json::json;

use crate::answer::Found;
use crate::mirror::{Mirror, State};
use crate::refusal::Refusal;
use crate::tool::Question;
use crate::walk::{Levels, beyond_levels, beyond_limit, condition};

const LEVELS: u32 = 2;
const NODES: u32 = 100;
const MAX_NODES: u32 = 1_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "select": "model:churn:2", "upstream": 3, "downstream": 1 }))]
pub(crate) struct ShowGraph {
    /// A node, or a selection: 2+NODE+1 (levels up and down), +NODE, NODE+, A+ and +B (all between), A or B, A and not B, A and
    /// where(CONDITION), roots(A), sinks(A). In a selection, a node that holds white space or one of + ( ) " stands in double quotes.
    #[schemars(example = "2+model:churn:2+1 and where(status = FINISHED)")]
    select: String,
    /// Levels of runs upstream, or "all": 2 by default, or 0 if only `downstream` is given. Not for a selection with levels.
    upstream: Option<Levels>,
    /// Levels of runs downstream, or "all": 2 by default, or 0 if only `upstream` is given.
    downstream: Option<Levels>,
    /// Whether to walk through references without a version or digest too, which may mean any.
    uncertain: Option<bool>,
    /// Whether to show the parents and children of the runs too.
    parents: Option<bool>,
    /// Walk only through runs that match this condition, in the language of `find`.
    r#where: Option<String>,
    /// The most nodes to show, the nearest first: 100 by default.
    #[schemars(range(min = 1, max = 1000))]
    max_nodes: Option<u32>,
}

impl Question for ShowGraph {
    const NAME: &'static str = "graph";
    const TITLE: &'static str = "Show a lineage graph";
    const DESCRIPTION: &'static str = "Shows the nodes and edges around a node, the nearest first: what it came from and what used it. Edges follow the data. \
        `depth` counts runs from the start, and `hidden` counts the edges of a node that are not shown.";

    async fn ask(self, mirror: &Mirror, state: &State) -> Result<Found, Refusal> {
        let max_nodes = self.max_nodes.unwrap_or(NODES).clamp(1, MAX_NODES) as usize;
        let matching = condition(self.r#where.as_deref())?;
        let selected = self.selected(mirror).await?;
        let mut request = mirror
            .store
            .select(&selected.selection)
            .uncertain(self.uncertain.unwrap_or_default())
            .parents(self.parents.unwrap_or_default())
            .max_nodes(max_nodes);
        if let Some(query) = matching {
            request = request.matching(query);
        }
        let graph = request.await?;
        selected.check(mirror, &graph).await?;
        let pages = mirror.pages(state);
        let data = serde_json::to_value(LinkedGraph::of(&graph, pages.as_ref()))?;
        let limit = beyond_limit(graph.truncated.as_ref(), max_nodes);
        let left_out = limit.into_iter().chain(beyond_levels(&graph)).collect();
        Ok(Found { data, left_out })
    }
}

/// What is selected.
struct Selected {
    selection: Selection,
    nodes: Vec<Node>,
    /// Why the text is no selection. It counts only if the mirror has never met a node of that text.
    error: Option<Error>,
}

impl Selected {
    /// Fails if the mirror has never met what is selected.
    async fn check(self, mirror: &Mirror, graph: &Graph) -> Result<(), Refusal> {
        if let [start] = &self.nodes[..]
            && self.selection.as_span().is_some()
        {
            let met = mirror.check_start("select", graph, start).await;
            return match self.error {
                Some(error) => met.map_err(|_| error.into()),
                None => met,
            };
        }
        for node in &self.nodes {
            mirror.check_known("select", node).await?;
        }
        Ok(())
    }
}

impl ShowGraph {
    /// The selection with its levels. Aliases are resolved by the mirror.
    async fn selected(&self, mirror: &Mirror) -> Result<Selected, Refusal> {
        let parsed = self.select.parse::<Selection>();
        let parsed = parsed.map_err(|error| error.of_argument("select"));
        let alone = match &parsed {
            Ok(selection) => selection
                .as_span()
                .filter(|span| (span.upstream, span.downstream) == (None, None))
                .map(|span| span.node.clone()),
            // Assistants have the texts of nodes from other answers, which quote none.
            Err(_) => parse_start(&self.select).ok(),
        };
        let (mut selection, error) = match (alone, parsed) {
            (Some(node), parsed) => (self.around(node)?, parsed.err()),
            (None, parsed) => (self.without_levels(parsed?)?, None),
        };
        let mut nodes = Vec::new();
        for span in selection.spans_mut() {
            let node = mirror.resolved("select", span.node.clone()).await?;
            span.node = NodeArg::Node(node.clone());
            nodes.push(node);
        }
        Ok(Selected {
            selection,
            nodes,
            error,
        })
    }

    fn around(&self, node: NodeArg) -> Result<Selection, Refusal> {
        let (up, down) = (self.upstream.as_ref(), self.downstream.as_ref());
        // To ask for one direction alone leaves the other out.
        let default = match (up, down) {
            (None, None) => LEVELS,
            _ => 0,
        };
        Ok(Selection::around(
            node,
            Levels::of("upstream", up, default)?,
            Levels::of("downstream", down, default)?,
        ))
    }

    fn without_levels(&self, selection: Selection) -> Result<Selection, Refusal> {
        let argument = match (&self.upstream, &self.downstream) {
            (None, None) => return Ok(selection),
            (Some(_), _) => "upstream",
            (None, Some(_)) => "downstream",
        };
        let reason = "the selection says the levels of each node; write 2+NODE+1 for two levels upstream and one downstream";
        Err(Refusal::argument(argument, reason))
    }
}
