//! `/api/v1/impact`: everything that a node reached.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;

use super::graph::fold;
use crate::answer::{impact_csv, json_line};
use crate::app::App;
use crate::body::Answer;
use crate::format::{Format, GRAPHS};
use crate::mirror::Mirror;
use crate::params::Params;
use crate::problem::Problem;
use crate::selection::{Reach, Selection};
use crate::walk::{self, Look};

const MAX_NODES: usize = 100_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImpactParams {
    /// The node whose use is in question, as `select` of `/graph` takes it.
    #[param(example = "model:churn:2")]
    node: String,
    /// Levels of runs downstream, or `all`, which is the default.
    #[param(pattern = "^(all|[0-9]{1,9})$")]
    downstream: Option<String>,
    /// Walk only through runs that match this condition, in the language of `/search`.
    r#where: Option<String>,
    /// Whether to walk through uncertain edges, too.
    uncertain: Option<bool>,
    /// Stop the walk at this many nodes. The server has a limit of its own.
    #[param(minimum = 1)]
    max_nodes: Option<u32>,
    /// In pictures, fold more than this many siblings of one kind into one node: 5 by default; 0 folds none.
    fold: Option<u32>,
    /// The format of the answer, instead of `Accept`. All formats but JSON and CSV show the graph downstream.
    #[param(pattern = "^(json|csv|svg|png|html|dot|mermaid|graphml|openlineage)$")]
    format: Option<String>,
}

/// Lists all that a node reached: runs, versions and the aliases that point to them now, per experiment and user.
#[utoipa::path(
    get,
    path = "/api/v1/impact",
    tag = "lineage",
    operation_id = "impact",
    params(ImpactParams),
    responses(
        (status = 200, description = "What the node reached. `Runlineage-Truncated` names the limit that cut it.", content(
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
pub(crate) async fn impact(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Params(params): Params<ImpactParams>,
) -> Result<Answer, Problem> {
    let format = Format::of(params.format.as_deref(), &headers, &GRAPHS)?;
    let downstream = walk::levels("downstream", params.downstream.as_deref(), u32::MAX)?;
    let matching = walk::condition(params.r#where.as_deref())?;
    let max_nodes = walk::max_nodes(&app, params.max_nodes, MAX_NODES, format);
    let uncertain = params.uncertain.unwrap_or_default();
    let start = walk::node(&app, "node", &params.node).await?;
    if format != Format::Json && format != Format::CSV {
        let selection = Selection::Around(start);
        let reach = Reach {
            upstream: 0,
            downstream,
            uncertain,
            parents: false,
            matching,
            max_nodes,
        };
        let (graph, mirror) = futures::try_join!(selection.graph(&app, &reach), Mirror::of(&app))?;
        selection.check(&app, &graph).await?;
        let cut = walk::cut(graph.truncated.as_ref(), max_nodes);
        let look = Look {
            fold: fold(params.fold),
            ..Look::default()
        };
        let answer = walk::drawn(&app, graph, &mirror, format, look).await?;
        return Ok(answer.cut(cut));
    }
    let mut request = app
        .store
        .impact(start.clone())
        .depth(downstream)
        .uncertain(uncertain)
        .max_nodes(max_nodes)
        .max_time(app.limits.max_time);
    if let Some(query) = matching {
        request = request.matching(query);
    }
    let impact = async { request.await.map_err(Problem::from) };
    let (impact, mirror) = futures::try_join!(impact, Mirror::of(&app))?;
    if impact.reached.is_empty() {
        walk::check_known(&app, &start).await?;
    }
    let bytes = match format {
        Format::Json => json_line(&impact).map_err(|_| Problem::unwritten())?,
        _ => impact_csv(&impact).map_err(|_| Problem::unwritten())?,
    };
    let cut = walk::cut(impact.truncated.as_ref(), max_nodes);
    Ok(Answer::new(format, bytes, &mirror).cut(cut))
}
