//! [`Unfolded`]: a graph with more than its walk shows, because a reader unfolded some of its nodes.

use std::collections::{HashMap, HashSet};

use runlineage::Node;
use runlineage::graph::{Edge, Graph, GraphNode, Hidden, Relation};

use crate::app::App;
use crate::problem::Problem;
use crate::selection::{Reach, Selection};

/// Each unfolded node is a walk of its own.
const MAX_WALKS: usize = 100;

/// The nodes that a reader unfolded: one more level of runs is shown on this side of each.
#[derive(Debug, Default)]
pub(crate) struct Unfolded {
    upstream: Vec<Node>,
    downstream: Vec<Node>,
}

impl Unfolded {
    /// Parses two JSON arrays of nodes.
    pub(crate) fn parse(upstream: Option<&str>, downstream: Option<&str>) -> Result<Self, Problem> {
        let unfolded = Self {
            upstream: nodes("unfold_up", upstream)?,
            downstream: nodes("unfold_down", downstream)?,
        };
        match unfolded.upstream.len() + unfolded.downstream.len() {
            0..=MAX_WALKS => Ok(unfolded),
            _ => {
                let reason = format!("at most {MAX_WALKS} nodes can be unfolded");
                Err(Problem::parameter("unfold_up", reason))
            }
        }
    }

    /// Adds what lies beyond the unfolded nodes, within the limit of nodes for the whole graph.
    pub(crate) async fn add(
        self,
        app: &App,
        graph: Graph,
        reach: &Reach,
    ) -> Result<Graph, Problem> {
        let mut union = Union::of(graph);
        let upstream = self.upstream.into_iter().map(|node| (node, 1, 0));
        let downstream = self.downstream.into_iter().map(|node| (node, 0, 1));
        let mut steps: Vec<(Node, u32, u32)> = upstream.chain(downstream).collect();
        // A node may be there only once another one is unfolded.
        while let Some(next) = steps.iter().position(|(node, ..)| union.shows(node)) {
            let (node, upstream, downstream) = steps.remove(next);
            let step = Reach {
                upstream,
                downstream,
                uncertain: reach.uncertain,
                parents: false,
                matching: reach.matching.clone(),
                // The start of this walk is in the graph already.
                max_nodes: (reach.max_nodes + 1)
                    .saturating_sub(union.graph.nodes.len())
                    .max(1),
            };
            let around = Selection::Around(node.clone());
            union.add(&node, around.graph(app, &step).await?);
        }
        Ok(union.graph)
    }
}

fn nodes(parameter: &'static str, text: Option<&str>) -> Result<Vec<Node>, Problem> {
    let texts = texts(parameter, text)?;
    let nodes = texts.iter().map(|text| text.parse::<Node>());
    let nodes: Result<Vec<Node>, _> = nodes.collect();
    nodes.map_err(|error| error.of_argument(parameter).into())
}

/// Parses a JSON array of texts.
pub(crate) fn texts(parameter: &'static str, text: Option<&str>) -> Result<Vec<String>, Problem> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    serde_json::from_str(text).map_err(|_| {
        let reason = "write the nodes as a JSON array of texts, such as [\"model:churn:2\"]";
        Problem::parameter(parameter, reason)
    })
}

/// A graph that grows by further walks.
struct Union {
    graph: Graph,
    places: HashMap<Node, usize>,
    edges: HashSet<(Node, Node)>,
}

impl Union {
    fn of(graph: Graph) -> Self {
        let places = graph.nodes.iter().enumerate();
        Self {
            places: places
                .map(|(place, shown)| (shown.node.clone(), place))
                .collect(),
            edges: graph.edges.iter().map(ends).collect(),
            graph,
        }
    }

    fn shows(&self, node: &Node) -> bool {
        self.places.contains_key(node)
    }

    /// Adds a walk that began at this node, which the graph shows.
    fn add(&mut self, start: &Node, walk: Graph) {
        let Some(&place) = self.places.get(start) else {
            return;
        };
        let depth = self.graph.nodes[place].depth;
        let mut all = totals(&walk);
        all.extend(totals(&self.graph));
        for mut shown in walk.nodes {
            if !self.places.contains_key(&shown.node) {
                shown.is_start = false;
                shown.depth = shown.depth.saturating_add(depth);
                self.places
                    .insert(shown.node.clone(), self.graph.nodes.len());
                self.graph.nodes.push(shown);
            }
        }
        for edge in walk.edges {
            if self.edges.insert(ends(&edge)) {
                self.graph.edges.push(edge);
            }
        }
        self.graph.truncated = self.graph.truncated.take().or(walk.truncated);
        let counts = shown(&self.graph.edges);
        for node in &mut self.graph.nodes {
            if let Some(total) = all.get(&node.node) {
                let (up, down) = counts.get(&node.node).copied().unwrap_or_default();
                let (up, down) = (
                    total.up.count.saturating_sub(up),
                    total.down.count.saturating_sub(down),
                );
                node.hidden = Some(with_counts(*total, up, down));
            }
        }
    }
}

fn ends(edge: &Edge) -> (Node, Node) {
    (edge.from.clone(), edge.to.clone())
}

/// How many edges lead to each node and from it.
fn shown(edges: &[Edge]) -> HashMap<Node, (u64, u64)> {
    let mut counts: HashMap<Node, (u64, u64)> = HashMap::new();
    let flows = edges
        .iter()
        .filter(|edge| edge.relation != Relation::Parent);
    for edge in flows {
        counts.entry(edge.to.clone()).or_default().0 += 1;
        counts.entry(edge.from.clone()).or_default().1 += 1;
    }
    counts
}

/// How many edges each node has in the full graph, where the walk counted the hidden ones.
fn totals(graph: &Graph) -> HashMap<Node, Hidden> {
    let counts = shown(&graph.edges);
    let total = |node: &GraphNode| {
        let (up, down) = counts.get(&node.node).copied().unwrap_or_default();
        let hidden = node.hidden?;
        let total = with_counts(hidden, hidden.up.count + up, hidden.down.count + down);
        Some((node.node.clone(), total))
    };
    graph.nodes.iter().filter_map(total).collect()
}

fn with_counts(hidden: Hidden, up: u64, down: u64) -> Hidden {
    let mut counted = hidden;
    counted.up.count = up;
    counted.down.count = down;
    counted
}
