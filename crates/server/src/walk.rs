//! What the endpoints that walk through lineage share: the start, the limits, the drawing.

use std::sync::Arc;

use runlineage::graph::{Graph, Limit, Truncated};
use runlineage::lineage::NodeArg;
use runlineage::{Node, Query};
use runlineage_draw::{Picture, SvgOptions};

use crate::answer::{
    LinkedGraph, graph_file, is_met, json_line, parse_levels, parse_start, picture_file,
};
use crate::app::App;
use crate::body::Answer;
use crate::format::Format;
use crate::mirror::Mirror;
use crate::problem::Problem;

/// A picture of more nodes helps nobody, and takes seconds.
pub(crate) const MAX_DRAWN: usize = 2_000;

/// Parses a node. A model may be named by an alias, a stage or `latest`, which the mirror resolves.
pub(crate) async fn node(app: &App, parameter: &'static str, text: &str) -> Result<Node, Problem> {
    let node = parse_start(text).map_err(|reason| Problem::parameter(parameter, reason))?;
    resolved(app, node).await
}

/// The node; for a pointer to a version, the version that the mirror knows.
pub(crate) async fn resolved(app: &App, node: NodeArg) -> Result<Node, Problem> {
    match node {
        NodeArg::Node(node) => Ok(node),
        NodeArg::Pointer(pointer) => {
            let version = app.store.resolve_version(&pointer).await?;
            let version = version.ok_or_else(|| {
                Problem::not_found(format!("the mirror knows no version for {pointer}"))
            })?;
            Ok(Node::model(&pointer.name, version.as_str())?)
        }
    }
}

/// Parses a number of levels of runs, or `all`.
pub(crate) fn levels(
    parameter: &'static str,
    text: Option<&str>,
    default: u32,
) -> Result<u32, Problem> {
    let levels = text.map_or(Ok(default), parse_levels);
    levels.map_err(|reason| Problem::parameter(parameter, reason))
}

/// Parses the condition of the runs that a walk goes through.
pub(crate) fn condition(text: Option<&str>) -> Result<Option<Query>, Problem> {
    let Some(text) = text else { return Ok(None) };
    if text.trim_start().starts_with(['{', '[']) {
        let reason = "a walk takes no MongoDB filter; write the condition as a text, such as \"exp = 'churn'\"";
        return Err(Problem::parameter("where", reason));
    }
    if text.trim().is_empty() {
        let reason = "the condition is empty; write one such as \"exp = 'churn'\"";
        return Err(Problem::parameter("where", reason));
    }
    let query = text.parse::<Query>();
    Ok(Some(query.map_err(|error| error.of_argument("where"))?))
}

/// The limit of nodes: what the request asks for, within the limit of the server and of the format.
pub(crate) fn max_nodes(app: &App, asked: Option<u32>, default: usize, format: Format) -> usize {
    let asked = asked.map_or(default, |nodes| {
        usize::try_from(nodes).unwrap_or(usize::MAX)
    });
    let most = match format.is_picture() {
        true => MAX_DRAWN,
        false => usize::MAX,
    };
    asked.clamp(1, app.limits.max_nodes.min(most))
}

/// Fails if the mirror has never met the start of this graph.
pub(crate) async fn check_start(app: &App, graph: &Graph, start: &Node) -> Result<(), Problem> {
    match is_met(&app.store, graph, start).await? {
        true => Ok(()),
        false => Err(Problem::not_found(format!(
            "the mirror has never seen {start}, and no mirrored run names it"
        ))),
    }
}

/// Fails if the mirror has never met the node.
pub(crate) async fn check_known(app: &App, node: &Node) -> Result<(), Problem> {
    let graph = app.store.graph(node.clone()).upstream(0).downstream(0);
    let graph = graph.max_time(app.limits.max_time).await?;
    check_start(app, &graph, node).await
}

/// Which limit cut the walk, and where.
pub(crate) fn cut(truncated: Option<&Truncated>, max_nodes: usize) -> Option<String> {
    let cut = truncated?;
    Some(match cut.limit {
        Limit::Edges => format!("{} edges, at {}", max_nodes.saturating_mul(10), cut.at),
        _ => format!("{max_nodes} nodes, at {}", cut.at),
    })
}

/// How a graph is drawn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// More siblings of one kind than this become one node; 0 folds none.
    pub(crate) fold: usize,
    /// The ids of nodes that are never folded.
    pub(crate) kept: Vec<String>,
    pub(crate) svg: SvgOptions,
}

/// The graph in a format.
pub(crate) async fn drawn(
    app: &App,
    graph: Graph,
    mirror: &Mirror,
    format: Format,
    look: Look,
) -> Result<Answer, Problem> {
    let Format::Drawn(drawn) = format else {
        let json = json_line(&LinkedGraph::of(&graph, mirror.pages.as_ref()));
        return Ok(Answer::new(
            format,
            json.map_err(|_| Problem::unwritten())?,
            mirror,
        ));
    };
    let (pages, source) = (mirror.pages.clone(), mirror.source().map(str::to_owned));
    let draw = move || {
        if drawn == runlineage_draw::Format::OpenLineage {
            return Ok(graph_file(&graph, None, source.as_deref(), drawn, 0)?.bytes);
        }
        let Look { fold, kept, svg } = look;
        let picture = Picture::from_graph(&graph, |shown| pages.as_ref()?.node(shown))?;
        let drawn = picture_file(&picture.keep(&kept), drawn, fold, &svg, None)?;
        Ok(drawn.bytes)
    };
    let bytes = in_place(app, places(drawn), draw).await?;
    Ok(Answer::new(format, bytes, mirror))
}

/// How many places a drawing in this format takes.
pub(crate) fn places(format: runlineage_draw::Format) -> u32 {
    match format {
        // Its pixels take much memory.
        runlineage_draw::Format::Png => App::DRAWINGS,
        runlineage_draw::Format::Svg | runlineage_draw::Format::Html => 1,
        _ => 0,
    }
}

/// Draws when so many places for drawings are free.
pub(crate) async fn in_place<T: Send + 'static>(
    app: &App,
    places: u32,
    draw: impl FnOnce() -> runlineage_draw::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let place = Arc::clone(&app.drawings).acquire_many_owned(places).await;
    let draw = move || {
        let drawn = draw();
        drop(place);
        drawn
    };
    let drawn = tokio::task::spawn_blocking(draw).await;
    let drawn = drawn.map_err(|_| Problem::unwritten())?;
    drawn.map_err(|error| Problem::undrawn(error.to_string()))
}
