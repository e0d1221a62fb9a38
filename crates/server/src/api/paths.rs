//! `/api/v1/paths`: the shortest lineage path between two nodes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use runlineage::graph::Graph;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::answer::json_line;
use crate::app::App;
use crate::body::Answer;
use crate::format::{Format, GRAPHS};
use crate::mirror::Mirror;
use crate::params::Params;
use crate::problem::Problem;
use crate::walk::{self, Look};

const MAX_NODES: usize = 100_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PathsParams {
    /// One end of the path, as `select` of `/graph` takes it.
    #[param(example = "model:churn:2")]
    from: String,
    /// The other end of the path.
    #[param(example = "model:churn:2")]
    to: String,
    /// Follow only paths whose inner runs match this condition, in the language of `/search`.
    r#where: Option<String>,
    /// Whether to walk through uncertain edges, too.
    uncertain: Option<bool>,
    /// Stop each walk at this many nodes. The server has a limit of its own.
    #[param(minimum = 1)]
    max_nodes: Option<u32>,
    /// The format of the answer, instead of `Accept`.
    #[param(pattern = "^(json|csv|svg|png|html|dot|mermaid|graphml|openlineage)$")]
    format: Option<String>,
}

/// Shows the shortest lineage path between two nodes, in whichever direction the data went.
#[utoipa::path(
    get,
    path = "/api/v1/paths",
    tag = "lineage",
    operation_id = "paths",
    params(PathsParams),
    responses(
        (status = 200, description = "The path; none is an answer too. `Runlineage-Truncated` names the limit that cut the search.", content(
            (Object = "application/json"),
            (String = "text/csv"),
            (String = "image/svg+xml"),
            (String = "image/png"),
            (String = "text/html"),
            (String = "text/vnd.graphviz"),
            (String = "text/vnd.mermaid"),
            (String = "application/graphml+xml"),
            (String = "application/x-ndjson"),
        )),
        (status = 404, description = "The mirror has never seen one of the nodes.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn paths(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Params(params): Params<PathsParams>,
) -> Result<Answer, Problem> {
    let format = Format::of(params.format.as_deref(), &headers, &GRAPHS)?;
    // The searched nodes, not the drawn ones, are limited here.
    let max_nodes = walk::max_nodes(&app, params.max_nodes, MAX_NODES, Format::Json);
    let matching = walk::condition(params.r#where.as_deref())?;
    let from = walk::node(&app, "from", &params.from).await?;
    let to = walk::node(&app, "to", &params.to).await?;
    let mut request = app
        .store
        .paths(from.clone(), to.clone())
        .uncertain(params.uncertain.unwrap_or_default())
        .max_nodes(max_nodes)
        .max_time(app.limits.max_time);
    if let Some(query) = matching {
        request = request.matching(query);
    }
    let paths = async { request.await.map_err(Problem::from) };
    let (paths, mirror) = futures::try_join!(paths, Mirror::of(&app))?;
    if paths.shortest.is_none() {
        walk::check_known(&app, &from).await?;
        walk::check_known(&app, &to).await?;
    }
    let cut = walk::cut(paths.truncated.as_ref(), max_nodes);
    if format == Format::Json {
        let json = json_line(&paths).map_err(|_| Problem::unwritten())?;
        return Ok(Answer::new(format, json, &mirror).cut(cut));
    }
    let mut graph = Graph::default();
    if let Some(path) = paths.shortest {
        (graph.nodes, graph.edges) = (path.nodes, path.edges);
    }
    let answer = walk::drawn(&app, graph, &mirror, format, Look::default()).await?;
    Ok(answer.cut(cut))
}
