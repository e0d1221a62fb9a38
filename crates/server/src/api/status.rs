//! `/api/v1/status`: what the mirror holds, and how fresh it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bson::DateTime;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::problem::Problem;

/// The source of the mirror, and when its last passes began.
#[derive(Serialize, ToSchema)]
pub(crate) struct Status {
    /// The tracking server that is mirrored; null before the first sync.
    source: Option<String>,
    /// When the last complete full pass began. Everything in MLflow at that time is mirrored.
    full_pass: Option<String>,
    /// When the last complete quick pass began.
    quick_pass: Option<String>,
    /// How many migrations are pending. Until they are applied, searches may be slow.
    pending_migrations: usize,
    /// The version of this program.
    version: &'static str,
}

/// Tells what is mirrored, and how fresh it is.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "mirror",
    operation_id = "status",
    responses((status = 200, body = Status), (status = 401, body = Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn status(State(app): State<Arc<App>>) -> Result<Json<Status>, Problem> {
    let freshness = app.store.freshness().await?;
    let date = |date: Option<DateTime>| date?.try_to_rfc3339_string().ok();
    Ok(Json(Status {
        source: freshness.source,
        full_pass: date(freshness.full_pass),
        quick_pass: date(freshness.quick_pass),
        pending_migrations: freshness.pending_migrations,
        version: env!("CARGO_PKG_VERSION"),
    }))
}
