//! `/api/v1/run`: the stored document of a run.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use bson::DateTime;
use runlineage::RunId;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::body::Answer;
use crate::format::{Format, OBJECTS};
use crate::mirror::{DELETED, Mirror, date, text};
use crate::params::Params;
use crate::problem::Problem;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunParams {
    /// The id of a run.
    #[param(example = "8f2c61d04a7b4f0e9d3c5b6a7e8f9012")]
    id: String,
}

/// Shows a run: its fields, lineage, tags, params, metrics and problems, as relaxed Extended JSON.
#[utoipa::path(
    get,
    path = "/api/v1/run",
    tag = "runs",
    operation_id = "run",
    params(RunParams),
    responses(
        (status = 200, description = "The run. `Runlineage-Deleted` tells when a run that was deleted in MLflow was found so.", body = Object),
        (status = 404, description = "The run is not mirrored.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn run(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Params(params): Params<RunParams>,
) -> Result<Answer, Problem> {
    let format = Format::of(None, &headers, &OBJECTS)?;
    let id: RunId = params
        .id
        .parse()
        .map_err(|error: runlineage::Error| error.of_argument("id"))?;
    let (found, mirror) = futures::try_join!(stored(&app, id.as_str()), Mirror::of(&app))?;
    let (mut line, deleted_at) = found.ok_or_else(|| {
        Problem::not_found(format!(
            "run {id} is not mirrored; if it is new in MLflow, run `runlineage sync` first"
        ))
    })?;
    line.push(b'\n');
    let mut answer = Answer::new(format, line, &mirror);
    let deleted_at = deleted_at.map(|at| (DELETED, text(&date(at).unwrap_or_default())));
    answer.headers.extend(deleted_at);
    Ok(answer)
}

/// The document of a run, and when it was found deleted if it was; `None` for a run that is not mirrored.
pub(super) async fn stored(
    app: &App,
    id: &str,
) -> Result<Option<(Vec<u8>, Option<DateTime>)>, Problem> {
    let mut json = Vec::new();
    if let Some(run) = app.store.get_run(id).await? {
        run.write_json(&mut json)?;
        return Ok(Some((json, None)));
    }
    let Some(deleted) = app.store.get_deleted_run(id).await? else {
        return Ok(None);
    };
    deleted.run.write_json(&mut json)?;
    // Another program may have removed the time.
    let deleted_at = deleted.deleted_at.unwrap_or(DateTime::from_millis(0));
    Ok(Some((json, Some(deleted_at))))
}
