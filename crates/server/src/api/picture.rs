//! `/api/v1/picture`: a graph as SVG, together with the data of its nodes and edges.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use runlineage_draw::Picture;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::graph::{GraphParams, Walked, look, walked};
use crate::answer::{json_line, masked_picture};
use crate::app::App;
use crate::body::Answer;
use crate::format::{Format, OBJECTS};
use crate::params::Params;
use crate::problem::Problem;
use crate::schema::PictureSchema;
use crate::walk::{self, Look};

/// A picture with its data.
#[derive(Serialize, ToSchema)]
pub(crate) struct PictureAnswer {
    /// The picture. Each group of class `node` has the attribute `data-node`, the position of its node in `drawn`; each group of class
    /// `edge` has `data-edge` alike.
    svg: String,
    /// The graph.
    #[schema(value_type = PictureSchema)]
    graph: Box<RawValue>,
    /// The graph as it is drawn: a node that stands for several has their ids in `folded`.
    #[schema(value_type = PictureSchema)]
    drawn: Box<RawValue>,
}

/// Draws a graph, and gives its data in the same answer.
#[utoipa::path(
    get,
    path = "/api/v1/picture",
    tag = "lineage",
    operation_id = "picture",
    params(GraphParams),
    responses(
        (status = 200, description = "The picture. `Runlineage-Truncated` names the limit that cut it.", body = PictureAnswer),
        (status = 404, description = "The mirror has never seen the node.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn picture(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Params(params): Params<GraphParams>,
) -> Result<Answer, Problem> {
    let format = Format::of(params.format(), &headers, &OBJECTS)?;
    let Look { fold, kept, svg } = look(&params)?;
    let drawn = Format::Drawn(runlineage_draw::Format::Svg);
    let Walked { graph, mirror, cut } = walked(&app, &params, drawn).await?;
    let pages = mirror.pages.clone();
    let draw = move || {
        let picture = Picture::from_graph(&graph, |shown| pages.as_ref()?.node(shown))?;
        let picture = picture.keep(&kept);
        let folded = picture.fold(fold);
        let shown = masked_picture(&folded)?;
        let data = |picture| RawValue::from_string(runlineage_draw::json(picture));
        let svg = runlineage_draw::svg(&shown, &svg);
        Ok((svg, data(&picture), data(&folded)))
    };
    let (svg, graph, drawn) = walk::in_place(&app, 1, draw).await?;
    let answer = PictureAnswer {
        svg,
        graph: graph.map_err(|_| Problem::unwritten())?,
        drawn: drawn.map_err(|_| Problem::unwritten())?,
    };
    let json = json_line(&answer).map_err(|_| Problem::unwritten())?;
    Ok(Answer::new(format, json, &mirror).cut(cut))
}
