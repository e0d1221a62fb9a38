//! The node at which a walk starts: its text, and whether the mirror has met it.

use std::str::FromStr;

use runlineage::graph::{Graph, Hidden, Relation};
use runlineage::lineage::NodeArg;
use runlineage::{Error, Kind, MongoRunStore, Node, RunId};

/// Parses a node, or a model by what points at one of its versions. A text without a kind is the id of a run.
///
/// # Errors
/// What to write instead.
pub fn parse_start(text: &str) -> Result<NodeArg, String> {
    // `models:/m-…` is a logged model.
    if text.starts_with("models:/") && parse_as::<Node>(text).is_err() {
        return Kind::MODEL.read(text);
    }
    let is_node = text.contains(':') && !text.starts_with("runs:/");
    let node = match text.parse::<RunId>() {
        Ok(id) if !is_node => parse_as(&format!("run:{id}")),
        _ => parse_as(text),
    };
    node.map(NodeArg::Node)
}

/// Parses a number of levels of runs, or `all`.
///
/// # Errors
/// What to write instead.
pub fn parse_levels(text: &str) -> Result<u32, String> {
    match text {
        "all" => Ok(u32::MAX),
        _ => text
            .parse()
            .map_err(|_| "write a number, such as 3, or all".to_owned()),
    }
}

/// Parses a type of the library. Drops the argument's name from the error, since the caller names it.
fn parse_as<T: FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| match error {
        Error::InvalidArgument { reason, .. } => reason,
        error => error.to_string(),
    })
}

/// Whether the mirror has met the start of this graph, or a run names it.
///
/// # Errors
/// [`Error::Mongo`] if MongoDB does not answer.
pub async fn is_met(store: &MongoRunStore, graph: &Graph, start: &Node) -> Result<bool, Error> {
    if has_flow(graph) {
        return Ok(true);
    }
    if start.kind() != Kind::ARTIFACT {
        return Ok(is_known(graph));
    }
    let counted = graph.node(start).filter(|shown| shown.hidden.is_some());
    if counted.is_some_and(|shown| shown.is_known) {
        return Ok(true);
    }
    // Every artifact has an edge from its run, even if the mirror has met neither.
    let run = store.graph(Node::run(start.key())?);
    Ok(is_known(&run.upstream(0).downstream(0).await?))
}

/// Whether a run, or the registry, names a node of the graph.
#[must_use]
pub fn has_flow(graph: &Graph) -> bool {
    let mut edges = graph.edges.iter();
    edges.any(|edge| edge.relation != Relation::Made)
}

fn is_known(graph: &Graph) -> bool {
    let mut nodes = graph.nodes.iter();
    nodes.any(|shown| {
        shown.is_known
            || shown
                .hidden
                .is_some_and(|hidden| hidden != Hidden::default())
    })
}
