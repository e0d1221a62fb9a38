//! `/health`, `/ready` and `/metrics`.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, UNIX_EPOCH};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bson::DateTime;
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::time::timeout;

use crate::access::reader;
use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;

const REQUESTS: &str = "runlineage_http_requests_total";
const SECONDS: &str = "runlineage_http_request_seconds";
const FULL_AGE: &str = "runlineage_last_full_pass_age_seconds";
const LAG: &str = "runlineage_lag_seconds";

/// Upper bounds of the durations that are counted, in seconds.
const BUCKETS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// How long MongoDB may take to show that it answers.
const READY_TIME: Duration = Duration::from_secs(2);

/// The metrics of this process.
pub(crate) fn metrics() -> Result<PrometheusHandle, Error> {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(metrics) = METRICS.get() {
        return Ok(metrics.clone());
    }
    let failed = |error: &dyn std::fmt::Display| Error::Metrics {
        reason: error.to_string(),
    };
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS);
    let metrics = builder
        .map_err(|error| failed(&error))?
        .install_recorder()
        .map_err(|error| failed(&error))?;
    metrics::describe_counter!(REQUESTS, "Requests that were answered");
    metrics::describe_histogram!(
        SECONDS,
        "Time from the head of a request to the head of its answer"
    );
    metrics::describe_gauge!(
        FULL_AGE,
        "Seconds since the last complete full pass began; later edits of old runs may not be mirrored yet"
    );
    metrics::describe_gauge!(
        LAG,
        "Seconds since the last complete pass of either kind began; new and running runs may lag by as much"
    );
    Ok(METRICS.get_or_init(|| metrics).clone())
}

/// Counts and logs an answer. Neither holds a query, because queries hold names.
pub(crate) async fn count(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map_or("none", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let (took, status) = (began.elapsed(), response.status().as_u16().to_string());
    histogram!(SECONDS, "path" => path.clone()).record(took.as_secs_f64());
    counter!(REQUESTS, "path" => path.clone(), "status" => status.clone()).increment(1);
    tracing::debug!(%method, path, status, milliseconds = took.as_millis() as u64, "answered");
    response
}

/// The process runs.
pub(crate) async fn health() -> &'static str {
    "the server runs\n"
}

/// MongoDB answers, so questions can be answered.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    match timeout(READY_TIME, app.store.freshness()).await {
        Ok(Ok(_)) => "MongoDB answers\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "MongoDB does not answer\n").into_response(),
    }
}

/// The metrics in the text format of Prometheus. Other computers need a token.
pub(crate) async fn show(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if !app.is_private && reader(&app, &headers).is_none() {
        return Problem::unauthorized().into_response();
    }
    if let Ok(Ok(freshness)) = timeout(READY_TIME, app.store.freshness()).await {
        gauge!(FULL_AGE).set(age(freshness.full_pass));
        gauge!(LAG).set(age(freshness.full_pass.max(freshness.quick_pass)));
    }
    app.metrics.run_upkeep();
    app.metrics.render().into_response()
}

/// Infinity if there was no pass, so that an alert on a high age fires.
fn age(at: Option<DateTime>) -> f64 {
    let Some(at) = at else {
        return f64::INFINITY;
    };
    let now = UNIX_EPOCH.elapsed().map_or(0.0, |now| now.as_secs_f64());
    (now - at.timestamp_millis() as f64 / 1_000.0).max(0.0)
}
