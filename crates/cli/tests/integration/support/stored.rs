//! Runs that a test inserts into MongoDB directly, without an MLflow.

use mongodb::bson::{DateTime, Document, doc};
use runlineage::MongoRunStore;
use serde_json::Value;

use super::mongodb::TestDatabase;
use super::program::{Finished, run, runlineage};

pub(crate) fn document(n: i64) -> Document {
    doc! {
        "_id": format!("run{n:03}"),
        "name": format!("train-{n}"),
        "exp": { "id": (n % 3).to_string(), "name": "churn" },
        "status": if n % 2 == 0 { "FINISHED" } else { "FAILED" },
        "start_time": DateTime::from_millis(1_700_000_000_000 + n),
        "inputs": { "models": [{ "name": "churn", "version": (n % 4).to_string(), "from": "tag" }], "runs": [{ "id": "r", "path": "data/x", "from": "tag" }] },
        "outputs": { "models": [], "runs": [] },
        "tags": { "team": "risk", "mlflow": { "parentRunId": "run000" } },
        "params": { "lr": 0.1, "optimizer": "adam" },
        "metrics": { "auc": 0.01 * n as f64, "nan": f64::NAN },
        "mirror": { "ticket": 1_i64, "changed_at": DateTime::from_millis(0), "fingerprint": "-" },
    }
}

pub(crate) async fn mirror_of(count: i64) -> TestDatabase {
    let test = TestDatabase::new().await;
    let store = MongoRunStore::from_database(test.database.clone());
    store.migrate().await.expect("a new database is migrated");
    let state = test.database.collection::<Document>("sync_state");
    let source = doc! { "_id": "source", "name": "http://mlflow.example:5000/base", "full_pass": DateTime::now() };
    state
        .insert_one(source)
        .await
        .expect("MongoDB stores the document");
    let runs = test.database.collection("runs");
    runs.insert_many((0..count).map(document))
        .await
        .expect("MongoDB stores the documents");
    test
}

pub(crate) fn find(test: &TestDatabase, args: &[&str]) -> Finished {
    let common = ["find", "--mongodb-uri", &test.uri];
    run(&mut runlineage(common.iter().chain(args)))
}

pub(crate) fn lines(out: &str) -> Vec<Value> {
    out.lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}
