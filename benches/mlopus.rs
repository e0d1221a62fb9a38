//! Compares one search in mlopus and in runlineage, over the same runs of a real MLflow server:
//! `cargo bench --package runlineage-cli --bench mlopus -- 10000`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure ends"
)]

#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the fixtures of the tests; a benchmark needs a few of them"
)]
#[path = "../crates/cli/tests/integration/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use runlineage::sync::SyncJob;
use runlineage::{MlflowClient, MongoRunStore, Query};
use serde_json::json;

use support::keeper::KeptFolder;
use support::lab::run_id;
use support::mlflow::{MlflowServer, Setup};
use support::mlopus::mlopus;
use support::mongodb::Mongod;
use support::rest;
use support::sql::{NewRun, Sql};

/// Every fifth run reads the model that the search names.
const EVERY: usize = 5;
const ROUNDS: usize = 21;

/// Reads every hit in full, because mlopus decodes a run before it checks whether the run matches.
const SEARCH: &str = r"
import time
exp = api.get_exp(input['exp'])
start = time.perf_counter()
runs = list(exp.find_runs(input['query']))
output = {'seconds': time.perf_counter() - start, 'runs': len(runs)}
";

#[tokio::main]
async fn main() {
    let asked = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let runs: usize = asked.unwrap_or(10_000);
    let mlflow = MlflowServer::start(Setup::default());
    let folder = KeptFolder::new();
    let mongod = Mongod::start(folder.path(), &[]).expect("mongod starts");
    let exp = fill(&mlflow, runs);
    let uri = format!("mongodb://127.0.0.1:{}/bench", mongod.port);
    let store = MongoRunStore::connect(&uri).await.expect("mongod answers");
    let client = MlflowClient::new(&mlflow.uri()).expect("a client");
    let report = SyncJob::new(&client, &store).run(|_| {}).await;
    assert_eq!(report.expect("a pass").seen as usize, runs);

    let query = Query::new().with_input_model("churn", "7");
    let mut ours = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut found = store.find_runs(&query).await.expect("a search");
        let mut read = 0;
        while let Some(run) = found.try_next().await.expect("a run") {
            read += usize::from(!run.to_document().expect("BSON").is_empty());
        }
        ours.push(start.elapsed());
        assert_eq!(read, runs / EVERY);
    }
    ours.sort();
    let ours = ours[ROUNDS / 2];

    let tags = query.render_tags().expect("mlopus can express it");
    let tags = mongodb::bson::Bson::Document(tags).into_relaxed_extjson();
    let theirs = mlopus(&mlflow, json!({ "exp": exp, "query": tags }), SEARCH);
    assert_eq!(theirs["runs"], runs / EVERY);
    let theirs = Duration::from_secs_f64(theirs["seconds"].as_f64().expect("a number"));
    println!(
        "{runs} runs, {} hits read in full: mlopus {:.1} s, find_runs {:.1} ms (median of {ROUNDS}): {:.0} times",
        runs / EVERY,
        theirs.as_secs_f64(),
        ours.as_secs_f64() * 1e3,
        theirs.as_secs_f64() / ours.as_secs_f64()
    );
}

fn fill(mlflow: &MlflowServer, runs: usize) -> String {
    let exp = rest::create_experiment(&mlflow.uri(), "bench");
    let text = |key: &str, value: String| (key.to_owned(), value);
    let made: Vec<NewRun> = (0..runs)
        .map(|index| {
            let mut run = NewRun::new(run_id(), &exp, 1_700_000_000_000 + 1_000 * index as i64);
            let version = if index % EVERY == 0 { 7 } else { 8 };
            run.tags = vec![
                text("mlflow.runName", format!("train-{index}")),
                text("mlflow.user", "ana".into()),
                text("team", "risk".into()),
                text("lineage.inputs.models.churn", format!("[\"{version}\"]")),
                text(
                    &format!("lineage.inputs.runs.{}", run_id()),
                    "[\"data/train.parquet\"]".into(),
                ),
            ];
            run.params = (0..10)
                .map(|param| text(&format!("param_{param}"), format!("0.{param}{index}")))
                .collect();
            run.metrics = (0..10)
                .map(|metric| (format!("metric_{metric}"), index as f64 / 7.0))
                .collect();
            run
        })
        .collect();
    let mut sql = Sql::open(mlflow);
    for part in made.chunks(2_000) {
        sql.insert(part);
    }
    exp
}
