//! What the registry and logged models add to a pass, beside the same pass without them.

use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use runlineage::sync::{Report, SyncJob};
use runlineage::{MlflowClient, MongoRunStore};
use serde_json::json;

use crate::support::sql::Sql;
use crate::{Bench, CONCURRENCY, ROUNDS, median, ratio, row, secs, writes_to};

const VERSIONS_PER_MODEL: usize = 10;
const METRICS_PER_LOGGED_MODEL: usize = 12;
const CREATED: i64 = 1_700_000_000_000;

impl Bench {
    /// Two versions for five runs, ten versions a model; then one logged model a run.
    pub(crate) async fn registry(&self) {
        let runs = self.run_ids("round0").await;
        let versions = self.insert_versions(&runs);
        let name = format!(
            "{versions} versions of {} models",
            versions / VERSIONS_PER_MODEL
        );
        let (with_versions, without_versions) = self
            .compare("versions", &name, &["models", "model_versions"])
            .await;
        let made = self.insert_logged_models(&runs);
        let name = format!("these and {made} logged models");
        let (with, without) = self.compare("logged", &name, &["logged_models"]).await;
        let with_versions = without * with_versions / without_versions;
        let (one, run) = (
            (with - with_versions) / made as f64,
            without / self.runs as f64,
        );
        row(
            "one logged model with 12 metrics / one run",
            &format!("{:.2} ms", one * 1e3),
            &format!("{:.2} ms", run * 1e3),
            &ratio(one, run),
        );
    }

    /// Prints an unchanged full pass with and without the registry, and what it wrote. Returns the seconds of both.
    async fn compare(&self, database: &str, name: &str, collections: &[&str]) -> (f64, f64) {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        let stores = [
            (self.store(&format!("{database}_with")).await, true),
            (self.store(&format!("{database}_without")).await, false),
        ];
        for (store, registry) in &stores {
            self.pass(store, *registry).await;
        }
        let count = async || {
            let mut writes = 0;
            for collection in ["runs"].iter().chain(collections) {
                writes += writes_to(&stores[0].0, collection).await;
            }
            writes
        };
        let before = count().await;
        for _ in 0..ROUNDS {
            for (store, registry) in &stores {
                let report = self.pass(store, *registry).await;
                let times = if *registry { &mut with } else { &mut without };
                times.push(report.took.as_secs_f64());
            }
        }
        let writes = count().await - before;
        let (with, without) = (median(with), median(without));
        let what = format!("unchanged full pass with {name}");
        row(&what, &secs(with), &secs(without), &ratio(with, without));
        row("writes in these passes", &writes.to_string(), "0", "");
        (with, without)
    }

    async fn pass(&self, store: &MongoRunStore, registry: bool) -> Report {
        let client = MlflowClient::builder(&self.mlflow.uri()).concurrency(CONCURRENCY);
        let client = client.source("bench").build().expect("a client");
        let job = SyncJob::new(&client, store).concurrency(CONCURRENCY);
        let report = job.registry(registry).run(|_| {}).await.expect("a pass");
        assert_eq!(report.incomplete, []);
        report
    }

    /// The ids of the mirrored runs and of their experiments.
    async fn run_ids(&self, mirrored: &str) -> Vec<(String, String)> {
        let store = self.store(mirrored).await;
        let runs = store.database().collection::<Document>("runs");
        let found = runs.find(doc! {}).projection(doc! { "exp.id": 1 });
        let found: Vec<Document> = found
            .await
            .expect("a find")
            .try_collect()
            .await
            .expect("a cursor");
        let ids = found.iter().map(|run| {
            let exp = run.get_document("exp").expect("an experiment");
            let text =
                |document: &Document, field| document.get_str(field).expect("a text").to_owned();
            (text(run, "_id"), text(exp, "id"))
        });
        ids.collect()
    }

    fn insert_versions(&self, runs: &[(String, String)]) -> usize {
        let mut sql = Sql::open(&self.mlflow);
        let versions = runs.len() * 2 / 5 / VERSIONS_PER_MODEL * VERSIONS_PER_MODEL;
        for model in 0..versions / VERSIONS_PER_MODEL {
            sql.add(
                "INSERT INTO registered_models (name, creation_time, last_updated_time, description) VALUES (?, ?, ?, '')",
                json!([format!("model {model}"), CREATED + model as i64, CREATED]),
            );
        }
        for (version, (run, _)) in runs.iter().enumerate().take(versions) {
            let (model, number) = (
                version / VERSIONS_PER_MODEL,
                version % VERSIONS_PER_MODEL + 1,
            );
            let source = format!("s3://bucket/{run}/artifacts/model");
            sql.add(
                "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, current_stage, source, run_id, status, run_link) VALUES (?, ?, ?, ?, '', 'None', ?, ?, 'READY', '')",
                json!([format!("model {model}"), number, CREATED + version as i64, CREATED, source, run]),
            );
        }
        sql.write();
        versions
    }

    fn insert_logged_models(&self, runs: &[(String, String)]) -> usize {
        let mut sql = Sql::open(&self.mlflow);
        let mut time = CREATED;
        for part in runs.chunks(1_000) {
            for (run, exp) in part {
                time += 1;
                sql.add(
                    "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id) VALUES (?, ?, 'model', ?, ?, ?, 2, 'active', '', ?)",
                    json!([format!("m-{run}"), exp.parse::<i64>().expect("a number"), format!("s3://bucket/m-{run}"), time, time, run]),
                );
            }
            for (run, exp) in part {
                for metric in 0..METRICS_PER_LOGGED_MODEL {
                    sql.add(
                        "INSERT INTO logged_model_metrics (model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, experiment_id, run_id) VALUES (?, ?, ?, 0, 0.5, ?, ?)",
                        json!([format!("m-{run}"), format!("metric {metric}"), CREATED, exp.parse::<i64>().expect("a number"), run]),
                    );
                }
            }
            sql.write();
        }
        runs.len()
    }
}
