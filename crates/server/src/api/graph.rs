//! `/api/v1/graph`: what a node came from, and what used it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use runlineage::graph::Graph;
use runlineage_draw::{SvgOptions, Theme};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::body::Answer;
use crate::format::{Format, GRAPHS};
use crate::mirror::Mirror;
use crate::params::Params;
use crate::problem::Problem;
use crate::schema::GraphSchema;
use crate::selection::{Reach, Selection};
use crate::unfold::{self, Unfolded};
use crate::walk::{self, Look};

/// Unless a parameter says otherwise, the graph has this many levels of runs in each direction.
const LEVELS: u32 = 2;
const MAX_NODES: usize = 1_000;
/// Unless a parameter says otherwise, so many siblings of one kind are shown before the rest is folded.
pub(super) const FOLD: u32 = 5;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GraphParams {
    /// A node, such as `run:ID`, `model:NAME:VERSION`, `artifact:RUN_ID/PATH` or `models:/NAME@ALIAS`; a text without a kind is the id of a run.
    /// Or a selection of nodes, such as `2+model:churn:2+1 and where(status = FINISHED)`, as the program's `graph` takes it.
    #[param(example = "model:churn:2")]
    select: String,
    /// Levels of runs upstream, or `all`. Without it: 2, or 0 if only `downstream` is given.
    #[param(pattern = "^(all|[0-9]{1,9})$")]
    upstream: Option<String>,
    /// Levels of runs downstream, or `all`. Without it: 2, or 0 if only `upstream` is given.
    #[param(pattern = "^(all|[0-9]{1,9})$")]
    downstream: Option<String>,
    /// Whether to show the parents and children of the runs, too.
    parents: Option<bool>,
    /// Walk only through runs that match this condition, in the language of `/search`.
    r#where: Option<String>,
    /// Whether to walk through uncertain edges, too.
    uncertain: Option<bool>,
    /// Stop the walk at this many nodes: 1,000 by default. The server has a limit of its own.
    #[param(minimum = 1)]
    max_nodes: Option<u32>,
    /// In pictures, fold more than this many siblings of one kind into one node: 5 by default; 0 folds none.
    fold: Option<u32>,
    /// Nodes, as a JSON array of texts, of which one more level of runs upstream is shown.
    #[param(example = "[\"model:churn:2\"]")]
    unfold_up: Option<String>,
    /// Nodes, as a JSON array of texts, of which one more level of runs downstream is shown.
    #[param(example = "[\"model:churn:2\"]")]
    unfold_down: Option<String>,
    /// Nodes, as a JSON array of texts, that pictures never fold.
    #[param(example = "[\"model:churn:2\"]")]
    keep: Option<String>,
    /// The colours of an SVG.
    theme: Option<ThemeName>,
    /// Whether an SVG has a legend: true by default.
    legend: Option<bool>,
    /// Whether the nodes of an SVG link to MLflow: true by default.
    links: Option<bool>,
    /// The format of the answer, instead of `Accept`.
    #[param(pattern = "^(json|csv|svg|png|html|dot|mermaid|graphml|openlineage)$")]
    format: Option<String>,
}

impl GraphParams {
    /// The name of the format that the request asks for.
    pub(super) fn format(&self) -> Option<&str> {
        self.format.as_deref()
    }
}

#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ThemeName {
    Auto,
    Light,
    Dark,
}

/// Walks from a node to what it came from and to what used it.
#[utoipa::path(
    get,
    path = "/api/v1/graph",
    tag = "lineage",
    operation_id = "graph",
    params(GraphParams),
    responses(
        (status = 200, description = "The graph. `Runlineage-Truncated` names the limit that cut it.", content(
            (GraphSchema = "application/json"),
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
pub(crate) async fn graph(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Params(params): Params<GraphParams>,
) -> Result<Answer, Problem> {
    let format = Format::of(params.format.as_deref(), &headers, &GRAPHS)?;
    let look = look(&params)?;
    let Walked { graph, mirror, cut } = walked(&app, &params, format).await?;
    let answer = walk::drawn(&app, graph, &mirror, format, look).await?;
    Ok(answer.cut(cut))
}

/// A graph, what is mirrored, and the limit that cut the graph.
pub(super) struct Walked {
    pub(super) graph: Graph,
    pub(super) mirror: Mirror,
    pub(super) cut: Option<String>,
}

/// Walks the graph for an answer in this format.
pub(super) async fn walked(
    app: &App,
    params: &GraphParams,
    format: Format,
) -> Result<Walked, Problem> {
    let (up, down) = (params.upstream.as_deref(), params.downstream.as_deref());
    // To ask for one direction alone leaves the other out.
    let default = match (up, down) {
        (None, None) => LEVELS,
        _ => 0,
    };
    let max_nodes = walk::max_nodes(app, params.max_nodes, MAX_NODES, format);
    let reach = Reach {
        upstream: walk::levels("upstream", up, default)?,
        downstream: walk::levels("downstream", down, default)?,
        uncertain: params.uncertain.unwrap_or_default(),
        parents: params.parents.unwrap_or_default(),
        matching: walk::condition(params.r#where.as_deref())?,
        max_nodes,
    };
    let unfolded = Unfolded::parse(params.unfold_up.as_deref(), params.unfold_down.as_deref())?;
    let selection = Selection::parse(app, &params.select).await?;
    let levels = [("upstream", up), ("downstream", down)];
    if let (true, Some((parameter, _))) = (
        selection.has_levels(),
        levels.iter().find(|(_, levels)| levels.is_some()),
    ) {
        let reason = "the selection says the levels of each node; write 2+NODE+1 for two levels upstream and one downstream";
        return Err(Problem::parameter(*parameter, reason));
    }
    let (graph, mirror) = futures::try_join!(selection.graph(app, &reach), Mirror::of(app))?;
    selection.check(app, &graph).await?;
    let graph = unfolded.add(app, graph, &reach).await?;
    let cut = walk::cut(graph.truncated.as_ref(), max_nodes);
    Ok(Walked { graph, mirror, cut })
}

/// How the graph is drawn.
pub(super) fn look(params: &GraphParams) -> Result<Look, Problem> {
    Ok(Look {
        fold: fold(params.fold),
        kept: unfold::texts("keep", params.keep.as_deref())?,
        svg: svg_options(params.theme, params.legend, params.links),
    })
}

pub(super) fn fold(fold: Option<u32>) -> usize {
    usize::try_from(fold.unwrap_or(FOLD)).unwrap_or(usize::MAX)
}

fn svg_options(theme: Option<ThemeName>, legend: Option<bool>, links: Option<bool>) -> SvgOptions {
    let mut options = SvgOptions::default();
    options.theme = match theme {
        Some(ThemeName::Light) => Theme::Light,
        Some(ThemeName::Dark) => Theme::Dark,
        Some(ThemeName::Auto) | None => Theme::Auto,
    };
    options.legend = legend.unwrap_or(true);
    options.links = links.unwrap_or(true);
    options
}
