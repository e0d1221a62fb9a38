//! What a watch tells those who monitor it: metrics for Prometheus, and whether it is healthy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics::{counter, gauge};
use metrics_exporter_prometheus::PrometheusBuilder;
use runlineage::sync::{PassEnded, PassKind};
use tokio::net::TcpListener;

/// The state of a watch, as its passes tell it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Monitor {
    healthy: Arc<AtomicBool>,
}

impl Monitor {
    /// Serves `/metrics` and `/health` for as long as the program runs.
    pub(crate) async fn serve(&self, address: SocketAddr) -> anyhow::Result<()> {
        let recorder = PrometheusBuilder::new().install_recorder()?;
        describe();
        let listener = TcpListener::bind(address).await;
        let listener =
            listener.with_context(|| format!("cannot listen on {address} for --metrics-listen"))?;
        let healthy = Arc::clone(&self.healthy);
        let health = move || async move {
            if healthy.load(Ordering::Relaxed) {
                (StatusCode::OK, "the last pass succeeded\n")
            } else {
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "no pass has succeeded yet, or the last one failed; see the log\n",
                )
            }
        };
        let router = Router::new()
            .route("/metrics", get(move || async move { recorder.render() }))
            .route("/health", get(health));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(())
    }

    /// Counts a pass, and logs it in one line.
    pub(crate) fn ended(&self, pass: &PassEnded<'_>) {
        let kind = match pass.kind {
            PassKind::Full => "full",
            PassKind::Quick => "quick",
        };
        let seconds = pass.took.as_secs_f64();
        counter!("runlineage_passes_total", "kind" => kind).increment(1);
        gauge!("runlineage_pass_seconds", "kind" => kind).set(seconds);
        let complete = pass.result.is_ok_and(|report| report.incomplete.is_empty());
        self.healthy.store(complete, Ordering::Relaxed);
        match pass.result {
            Ok(report) => {
                counter!("runlineage_runs_seen_total").increment(report.seen);
                counter!("runlineage_runs_written_total").increment(report.written);
                counter!("runlineage_runs_deleted_total").increment(report.deleted);
                gauge!("runlineage_runs_with_problems").set(report.problems as f64);
                if complete {
                    let began = SystemTime::now() - pass.took;
                    let began = began.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
                    gauge!("runlineage_last_pass_timestamp_seconds", "kind" => kind)
                        .set(began.as_secs_f64());
                } else {
                    counter!("runlineage_errors_total").increment(1);
                }
                tracing::info!(
                    kind,
                    seconds,
                    seen = report.seen,
                    written = report.written,
                    unchanged = report.unchanged,
                    deleted = report.deleted,
                    quarantined = report.quarantined,
                    problems = report.problems,
                    incomplete = report.incomplete.len(),
                    "pass"
                );
            }
            Err(error) => {
                counter!("runlineage_errors_total").increment(1);
                let causes: Vec<String> =
                    std::iter::successors(std::error::Error::source(error), |error| error.source())
                        .map(ToString::to_string)
                        .collect();
                tracing::error!(kind, seconds, %error, causes = causes.join("; "), "pass failed");
            }
        }
    }
}

fn describe() {
    metrics::describe_gauge!(
        "runlineage_last_pass_timestamp_seconds",
        "When the last complete pass of this kind began; the mirror lags no further behind than that"
    );
    metrics::describe_gauge!(
        "runlineage_pass_seconds",
        "How long the last pass of this kind took"
    );
    metrics::describe_gauge!(
        "runlineage_runs_with_problems",
        "Mirrored runs with a recorded problem"
    );
    metrics::describe_counter!("runlineage_passes_total", "Passes that ended");
    metrics::describe_counter!(
        "runlineage_errors_total",
        "Passes that failed or were not complete"
    );
    metrics::describe_counter!("runlineage_runs_seen_total", "Runs that MLflow showed");
    metrics::describe_counter!("runlineage_runs_written_total", "Runs that were written");
    metrics::describe_counter!("runlineage_runs_deleted_total", "Runs that left the mirror");
}
