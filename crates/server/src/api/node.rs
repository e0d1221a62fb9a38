//! `/api/v1/node`: what is known of a node, and how much lies up and down of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use runlineage::graph::Graph;
use runlineage::{Kind, Node};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::{IntoParams, ToSchema};

use super::run;
use crate::answer::{LinkedNode, ShownNode, json_line};
use crate::app::App;
use crate::body::Answer;
use crate::format::{Format, OBJECTS};
use crate::mirror::Mirror;
use crate::params::Params;
use crate::problem::Problem;
use crate::schema::NodeSchema;
use crate::walk;

/// So many versions of a name are listed with their counts.
const MAX_NODES: usize = 1_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct NodeParams {
    /// A node, as `select` of `/graph` takes it.
    #[param(example = "model:churn:2")]
    id: String,
    /// Whether to count the node's edges up and down: true by default. Without counts, the answer comes sooner.
    counts: Option<bool>,
}

/// A node.
#[derive(Serialize, ToSchema)]
pub(crate) struct NodeAnswer<'a> {
    /// The text that names the node.
    node: String,
    /// The node as in a graph of itself alone, so that `hidden` counts its edges up and down. A model or prompt without a version and a
    /// dataset without a digest are all of that name. Empty with `counts=false`.
    #[schema(value_type = Vec<NodeSchema>)]
    nodes: Vec<LinkedNode<'a>>,
    /// For a run, its document, as `/run` shows it. For others, what `runlineage show NODE --format json` prints: what the registry
    /// knows, and the newest runs that wrote and read it. Null for an artifact and for a run that is not mirrored.
    #[schema(value_type = Option<Object>, required)]
    details: Option<Box<RawValue>>,
}

/// Shows what is known of a node, and how many edges lead to it and from it.
#[utoipa::path(
    get,
    path = "/api/v1/node",
    tag = "lineage",
    operation_id = "node",
    params(NodeParams),
    responses(
        (status = 200, body = NodeAnswer),
        (status = 404, description = "The mirror has never seen the node.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn node(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Params(params): Params<NodeParams>,
) -> Result<Answer, Problem> {
    let format = Format::of(None, &headers, &OBJECTS)?;
    let node = walk::node(&app, "id", &params.id).await?;
    let graph = async {
        match params.counts.unwrap_or(true) {
            true => alone(&app, &node).await.map(Some),
            false => Ok(None),
        }
    };
    let (graph, details, mirror) =
        futures::try_join!(graph, details(&app, &node), Mirror::of(&app))?;
    match &graph {
        Some(graph) => walk::check_start(&app, graph, &node).await?,
        None if details.is_none() => walk::check_known(&app, &node).await?,
        None => {}
    }
    let shown = graph.iter().flat_map(|graph| &graph.nodes);
    let starts = shown.filter(|shown| shown.is_start);
    let pages = mirror.pages.as_ref();
    let answer = NodeAnswer {
        node: node.to_string(),
        nodes: starts.map(|shown| LinkedNode::of(shown, pages)).collect(),
        details,
    };
    let json = json_line(&answer).map_err(|_| Problem::unwritten())?;
    let truncated = graph.as_ref().and_then(|graph| graph.truncated.as_ref());
    Ok(Answer::new(format, json, &mirror).cut(walk::cut(truncated, MAX_NODES)))
}

/// The graph of the node alone.
async fn alone(app: &App, node: &Node) -> Result<Graph, Problem> {
    let graph = app.store.graph(node.clone()).upstream(0).downstream(0);
    let graph = graph.max_nodes(MAX_NODES).max_time(app.limits.max_time);
    Ok(graph.await?)
}

async fn details(app: &App, node: &Node) -> Result<Option<Box<RawValue>>, Problem> {
    if node.kind() == Kind::ARTIFACT {
        return Ok(None);
    }
    if node.kind() == Kind::RUN {
        let Some((json, _)) = run::stored(app, node.key()).await? else {
            return Ok(None);
        };
        let json = String::from_utf8(json).map_err(|_| Problem::unwritten())?;
        let json = RawValue::from_string(json).map_err(|_| Problem::unwritten())?;
        return Ok(Some(json));
    }
    let shown = ShownNode::of(&app.store, node, Some(app.limits.max_time)).await?;
    let shown = shown.as_ref().map(to_raw_value).transpose();
    shown.map_err(|_| Problem::unwritten())
}
