//! Monitoring of a watch: Prometheus metrics and a health endpoint.

mod ages;
mod health;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ages::Ages;
use anyhow::Context;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use health::Health;
use metrics::{counter, gauge};
use metrics_exporter_prometheus::PrometheusBuilder;
use runlineage::MongoRunStore;
use runlineage::sync::{PassEnded, PassKind, Report};
use tokio::net::TcpListener;

use crate::pass_log;

/// The state of a watch, from its passes and from the mirror.
#[derive(Debug, Clone)]
pub(crate) struct Monitor {
    store: MongoRunStore,
    health: Arc<Health>,
    ages: Arc<Ages>,
}

impl Monitor {
    /// A monitor of a watch with this interval between passes.
    pub(crate) fn of(store: &MongoRunStore, every: Duration) -> Self {
        Self {
            store: store.clone(),
            health: Arc::new(Health::new(every)),
            ages: Arc::default(),
        }
    }

    /// Serves `/metrics` and `/health` for as long as the program runs.
    pub(crate) async fn serve(&self, address: SocketAddr) -> anyhow::Result<()> {
        let recorder = PrometheusBuilder::new().install_recorder()?;
        describe();
        count_from_zero();
        self.ages.renew(&self.store.freshness().await?);
        let listener = TcpListener::bind(address).await;
        let listener =
            listener.with_context(|| format!("cannot listen on {address} for --metrics-listen"))?;
        let health = Arc::clone(&self.health);
        let health = move || async move {
            match health.trouble(Instant::now()) {
                None => (StatusCode::OK, "the last pass succeeded\n".to_owned()),
                Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, trouble + "\n"),
            }
        };
        let ages = Arc::clone(&self.ages);
        let metrics = move || async move {
            ages.tell();
            recorder.render()
        };
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/health", get(health));
        tokio::spawn(server::serve(listener, router));
        Ok(())
    }

    /// Counts and logs a pass that ended.
    pub(crate) fn ended(&self, pass: &PassEnded<'_>) {
        let kind = pass_log::name(pass.kind);
        counter!("runlineage_passes_total", "kind" => kind).increment(1);
        gauge!("runlineage_pass_seconds", "kind" => kind).set(pass.took.as_secs_f64());
        self.health.ended(pass.result.is_ok(), pass.took);
        match pass.result {
            Ok(report) => {
                count(pass.kind, report);
                self.renew_ages();
                pass_log::ended(pass.kind, report);
            }
            Err(error) => {
                counter!("runlineage_errors_total").increment(1);
                pass_log::failed(pass.kind, pass.took, error);
            }
        }
    }

    /// Reads the ages from the mirror: a resumed pass is only as fresh as the beginning of the interrupted one.
    fn renew_ages(&self) {
        let Self { store, ages, .. } = self.clone();
        // In a task of its own, so that neither passes nor a stop wait for MongoDB.
        tokio::spawn(async move {
            match store.freshness().await {
                Ok(freshness) => ages.renew(&freshness),
                Err(error) => {
                    tracing::warn!(%error, "cannot read the times of the last passes, so the ages in /metrics are outdated")
                }
            }
        });
    }
}

fn count(kind: PassKind, report: &Report) {
    counter!("runlineage_runs_seen_total").increment(report.seen);
    counter!("runlineage_runs_written_total").increment(report.written);
    counter!("runlineage_runs_deleted_total").increment(report.deleted);
    gauge!("runlineage_runs_with_problems").set(report.problems as f64);
    if kind == PassKind::Full {
        gauge!("runlineage_incomplete").set(report.incomplete.len() as f64);
    }
}

/// Registers the counters at 0. Otherwise `rate()` would not see their first increase.
fn count_from_zero() {
    for kind in [PassKind::Full, PassKind::Quick] {
        counter!("runlineage_passes_total", "kind" => pass_log::name(kind)).increment(0);
    }
    counter!("runlineage_errors_total").increment(0);
    counter!("runlineage_runs_seen_total").increment(0);
    counter!("runlineage_runs_written_total").increment(0);
    counter!("runlineage_runs_deleted_total").increment(0);
}

fn describe() {
    ages::describe();
    metrics::describe_gauge!(
        "runlineage_pass_seconds",
        "Duration of the last pass of this kind"
    );
    metrics::describe_gauge!(
        "runlineage_runs_with_problems",
        "Mirrored runs with a recorded problem"
    );
    metrics::describe_gauge!(
        "runlineage_incomplete",
        "Experiments that the last full pass could not complete, such as those that MLflow no longer lists; the log names each"
    );
    metrics::describe_counter!("runlineage_passes_total", "Passes that ended");
    metrics::describe_counter!("runlineage_errors_total", "Passes that failed");
    metrics::describe_counter!("runlineage_runs_seen_total", "Runs read from MLflow");
    metrics::describe_counter!(
        "runlineage_runs_written_total",
        "Runs written to the mirror"
    );
    metrics::describe_counter!(
        "runlineage_runs_deleted_total",
        "Runs removed from the mirror"
    );
}
