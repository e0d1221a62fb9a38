//! `/api/v1/provenance`: where a node came from, and how complete that is.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;

use super::graph::fold;
use crate::answer::{ProvenanceFile, has_flow};
use crate::app::App;
use crate::body::Answer;
use crate::format::{Format, GRAPHS};
use crate::mirror::Mirror;
use crate::params::Params;
use crate::problem::Problem;
use crate::walk::{self, Look};

const MAX_NODES: usize = 10_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProvenanceParams {
    /// The node whose origin is in question, as `select` of `/graph` takes it.
    #[param(example = "model:churn:2")]
    node: String,
    /// Levels of runs upstream, or `all`, which is the default.
    #[param(pattern = "^(all|[0-9]{1,9})$")]
    upstream: Option<String>,
    /// Walk only through runs that match this condition, in the language of `/search`. The answer is then never complete.
    r#where: Option<String>,
    /// Whether to walk through uncertain edges, too.
    uncertain: Option<bool>,
    /// Stop the walk at this many nodes: 10,000 by default. The server has a limit of its own.
    #[param(minimum = 1)]
    max_nodes: Option<u32>,
    /// In pictures, fold more than this many siblings of one kind into one node: 5 by default; 0 folds none.
    fold: Option<u32>,
    /// The format of the answer, instead of `Accept`. Other formats than JSON show the graph upstream.
    #[param(pattern = "^(json|csv|svg|png|html|dot|mermaid|graphml|openlineage)$")]
    format: Option<String>,
}

/// Tells where a run or version came from: data, code, params, people, times, and what is unresolved.
#[utoipa::path(
    get,
    path = "/api/v1/provenance",
    tag = "lineage",
    operation_id = "provenance",
    params(ProvenanceParams),
    responses(
        (status = 200, description = "The provenance. `Runlineage-Truncated` names the limit that cut it.", content(
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
        (status = 404, description = "The mirror has never seen the node.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn provenance(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Params(params): Params<ProvenanceParams>,
) -> Result<Answer, Problem> {
    let format = Format::of(params.format.as_deref(), &headers, &GRAPHS)?;
    let upstream = walk::levels("upstream", params.upstream.as_deref(), u32::MAX)?;
    let max_nodes = walk::max_nodes(&app, params.max_nodes, MAX_NODES, format);
    let matching = walk::condition(params.r#where.as_deref())?;
    let is_whole = upstream == u32::MAX && matching.is_none();
    let start = walk::node(&app, "node", &params.node).await?;
    let mut request = app
        .store
        .provenance(start.clone())
        .depth(upstream)
        .uncertain(params.uncertain.unwrap_or_default())
        .max_nodes(max_nodes)
        .max_time(app.limits.max_time);
    if let Some(query) = matching {
        request = request.matching(query);
    }
    let provenance = async { request.await.map_err(Problem::from) };
    let (provenance, mirror) = futures::try_join!(provenance, Mirror::of(&app))?;
    if !has_flow(&provenance.graph) {
        walk::check_known(&app, &start).await?;
    }
    let cut = walk::cut(provenance.unresolved.truncated.as_ref(), max_nodes);
    if format != Format::Json {
        let look = Look {
            fold: fold(params.fold),
            ..Look::default()
        };
        let graph = provenance.graph;
        let answer = walk::drawn(&app, graph, &mirror, format, look).await?;
        return Ok(answer.cut(cut));
    }
    let file = ProvenanceFile::of(&provenance, is_whole);
    let mut json = serde_json::to_vec_pretty(&file).map_err(|_| Problem::unwritten())?;
    json.push(b'\n');
    Ok(Answer::new(format, json, &mirror).cut(cut))
}
