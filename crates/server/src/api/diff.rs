//! `/api/v1/diff`: why two runs or versions differ.

pub(super) mod picture;

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use runlineage::graph::{Diff, Unknown};
use runlineage::{Error, Node};
use runlineage_draw::{Picture, SvgOptions};
use serde::Deserialize;
use utoipa::IntoParams;

use super::graph::fold;
use crate::answer::{diff_csv, diff_title, json_line, picture_file};
use crate::app::App;
use crate::body::Answer;
use crate::format::{DIFFS, Format};
use crate::mirror::Mirror;
use crate::params::Params;
use crate::problem::Problem;
use crate::walk;

const MAX_PAIRS: usize = 1_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DiffParams {
    /// The first side: a run, or a version of a model.
    #[param(example = "model:churn:2")]
    a: String,
    /// The other side: a run, or a version of a model.
    #[param(example = "model:churn:1")]
    b: String,
    /// Levels of runs upstream, or `all`, which is the default.
    #[param(pattern = "^(all|[0-9]{1,9})$")]
    upstream: Option<String>,
    /// Compare at most this many pairs of runs: 1,000 by default. The server has a limit of its own.
    #[param(minimum = 1)]
    max_pairs: Option<u32>,
    /// In pictures, fold more than this many equal inputs of one kind into one node: 5 by default; 0 folds none.
    fold: Option<u32>,
    /// The format of the answer, instead of `Accept`.
    #[param(pattern = "^(json|csv|svg|png|html)$")]
    format: Option<String>,
}

/// Compares the upstreams of two runs or versions: the first points where they diverge, what follows from these, and what is unknown.
#[utoipa::path(
    get,
    path = "/api/v1/diff",
    tag = "lineage",
    operation_id = "diff",
    params(DiffParams),
    responses(
        (status = 200, description = "The differences; none is an answer too. `Runlineage-Truncated` names the limit that cut it.", content(
            (Object = "application/json"),
            (String = "text/csv"),
            (String = "image/svg+xml"),
            (String = "image/png"),
            (String = "text/html"),
        )),
        (status = 404, description = "The mirror has never seen one of the nodes.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The picture would be too large.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn diff(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Params(params): Params<DiffParams>,
) -> Result<Answer, Problem> {
    let format = Format::of(params.format.as_deref(), &headers, &DIFFS)?;
    let Compared { diff, mirror, cut } = compared(&app, &params).await?;
    let bytes = match format {
        Format::Drawn(drawn) if format != Format::CSV => {
            let title = diff_title(&diff);
            let draw = move |picture: &Picture, fold| {
                let svg = SvgOptions::default();
                let drawn = picture_file(picture, drawn, fold, &svg, Some(title))?;
                Ok(drawn.bytes)
            };
            in_place(&app, diff, &mirror, params.fold, walk::places(drawn), draw).await?
        }
        Format::Json => json_line(&diff).map_err(|_| Problem::unwritten())?,
        _ => diff_csv(&diff).map_err(|_| Problem::unwritten())?,
    };
    Ok(Answer::new(format, bytes, &mirror).cut(cut))
}

/// A diff, what is mirrored, and the limit that cut the diff.
struct Compared {
    diff: Diff,
    mirror: Mirror,
    cut: Option<String>,
}

async fn compared(app: &App, params: &DiffParams) -> Result<Compared, Problem> {
    let upstream = walk::levels("upstream", params.upstream.as_deref(), u32::MAX)?;
    // Each pair is two runs.
    let most = app.limits.max_nodes.div_ceil(2);
    let asked = params.max_pairs.map_or(MAX_PAIRS, |pairs| {
        usize::try_from(pairs).unwrap_or(usize::MAX)
    });
    let max_pairs = asked.clamp(1, most);
    let a = start(app, "a", &params.a).await?;
    let b = start(app, "b", &params.b).await?;
    let request = app
        .store
        .diff(a.clone(), b.clone())
        .depth(upstream)
        .max_pairs(max_pairs)
        .max_time(app.limits.max_time);
    let diff = async { Ok(request.await) };
    let (diff, mirror) = futures::try_join!(diff, Mirror::of(app))?;
    let has_met_both = match &diff {
        Ok(diff) => {
            let mut pairs = diff.pairs.iter();
            pairs
                .next()
                .is_some_and(|pair| pair.a.is_known && pair.b.is_known)
        }
        Err(error) => !matches!(error, Error::InvalidArgument { .. }),
    };
    if !has_met_both {
        walk::check_known(app, &a).await?;
        walk::check_known(app, &b).await?;
    }
    let diff = diff.map_err(|error| {
        let is_of = |node: &Node| error.to_string().contains(&node.to_string());
        let parameter = if is_of(&a) { "a" } else { "b" };
        error.of_argument(parameter)
    })?;
    let cut = cut(&diff, upstream, max_pairs);
    Ok(Compared { diff, mirror, cut })
}

async fn start(app: &App, parameter: &'static str, text: &str) -> Result<Node, Problem> {
    let node = walk::node(app, parameter, text).await?;
    Diff::check_start(&node).map_err(|error| error.of_argument(parameter))?;
    Ok(node)
}

/// Which limits cut the diff.
fn cut(diff: &Diff, upstream: u32, max_pairs: usize) -> Option<String> {
    let is_cut = |limit| diff.unknown().any(|pair| pair.unknown == Some(limit));
    let limits = [
        (Unknown::Depth, format!("{upstream} levels upstream")),
        (Unknown::Pairs, format!("{max_pairs} pairs of runs")),
    ];
    let cut = limits.into_iter().filter(|(limit, _)| is_cut(*limit));
    let cut: Vec<String> = cut.map(|(_, text)| text).collect();
    (!cut.is_empty()).then(|| cut.join(", "))
}

/// Draws a diff when so many places for drawings are free. A picture of too many nodes is refused.
async fn in_place<T: Send + 'static>(
    app: &Arc<App>,
    diff: Diff,
    mirror: &Mirror,
    shown: Option<u32>,
    places: u32,
    draw: impl FnOnce(&Picture, usize) -> runlineage_draw::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let pages = mirror.pages.clone();
    let fold = fold(shown);
    let draw = move || {
        let picture = Picture::from_diff(&diff, |shown| pages.as_ref()?.node(shown))?;
        match picture.fold(fold).nodes().len() <= walk::MAX_DRAWN {
            true => draw(&picture, fold).map(Some),
            false => Ok(None),
        }
    };
    let drawn = walk::in_place(app, places, draw).await?;
    drawn.ok_or_else(|| {
        let detail = format!(
            "the picture would have more than {} nodes; ask for fewer pairs with max_pairs, fold more, or take json or csv",
            walk::MAX_DRAWN
        );
        Problem::undrawn(detail)
    })
}
