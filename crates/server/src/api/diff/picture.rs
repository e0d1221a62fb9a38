//! `/api/v1/diff/picture`: a diff as SVG, together with its data.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use runlineage_draw::{Picture, SvgOptions};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;

use super::{Compared, DiffParams, compared, in_place};
use crate::answer::{json_line, masked_picture};
use crate::app::App;
use crate::body::Answer;
use crate::format::{Format, OBJECTS};
use crate::params::Params;
use crate::problem::Problem;
use crate::schema::PictureSchema;

/// A diff with its picture.
#[derive(Serialize, ToSchema)]
pub(crate) struct DiffPictureAnswer {
    /// The picture of both upstreams laid over each other, as in `/picture`.
    svg: String,
    /// The nodes and edges as they are drawn.
    #[schema(value_type = PictureSchema)]
    drawn: Box<RawValue>,
    /// The diff, as `/diff` gives it.
    #[schema(value_type = Object)]
    diff: Box<RawValue>,
}

/// Compares two runs or versions, and gives the picture and the data in one answer.
#[utoipa::path(
    get,
    path = "/api/v1/diff/picture",
    tag = "lineage",
    operation_id = "diff_picture",
    params(DiffParams),
    responses(
        (status = 200, description = "The picture. `Runlineage-Truncated` names the limit that cut it.", body = DiffPictureAnswer),
        (status = 404, description = "The mirror has never seen one of the nodes.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The picture would be too large.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn diff_picture(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Params(params): Params<DiffParams>,
) -> Result<Answer, Problem> {
    let format = Format::of(params.format.as_deref(), &headers, &OBJECTS)?;
    let Compared { diff, mirror, cut } = compared(&app, &params).await?;
    let data = to_raw_value(&diff).map_err(|_| Problem::unwritten())?;
    let draw = |picture: &Picture, fold| {
        let folded = picture.fold(fold);
        let mut svg = SvgOptions::default();
        // A click chooses a node; what the page tells of the node has the links.
        svg.links = false;
        let shown = masked_picture(&folded)?;
        Ok((
            runlineage_draw::svg(&shown, &svg),
            runlineage_draw::json(&folded),
        ))
    };
    let (svg, drawn) = in_place(&app, diff, &mirror, params.fold, 1, draw).await?;
    let answer = DiffPictureAnswer {
        svg,
        drawn: RawValue::from_string(drawn).map_err(|_| Problem::unwritten())?,
        diff: data,
    };
    let json = json_line(&answer).map_err(|_| Problem::unwritten())?;
    Ok(Answer::new(format, json, &mirror).cut(cut))
}
