//! The page in a real browser, over a real mirror. `RUNLINEAGE_TEST_SCREENSHOTS` names a folder for pictures of what it shows.

use std::path::Path;

use mongodb::bson::{DateTime, Document, doc};
use runlineage_test_servers::browser::drive;
use serde_json::json;

use super::hostile::{mirror, names};
use crate::graph_commands::{Pipeline, diffs};
use crate::support::program::{run, runlineage};
use crate::support::served::Served;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");

/// A run that read the version. Its id comes after those of MLflow, so that a fold takes these runs first.
fn reader(n: usize, model: &str) -> Document {
    let user = ["ana", "ben", "chris"][n % 3];
    doc! {
        "_id": format!("zz{n:030}"),
        "name": format!("fan-{n}"),
        "exp": { "id": "77", "name": "fan" },
        "status": if n % 7 == 3 { "FAILED" } else { "FINISHED" },
        "user": user,
        "start_time": DateTime::now(),
        "inputs": { "models": [{ "name": model, "version": "1", "from": "tag" }], "runs": [] },
        "outputs": { "models": [], "runs": [] },
        "tags": {}, "params": { "lr": 0.1 * n as f64 }, "metrics": {},
        "mirror": { "ticket": 1_i64, "changed_at": DateTime::from_millis(0), "fingerprint": "-" },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_goes_from_a_name_to_its_lineage_and_takes_it_home() {
    let pipeline = Pipeline::new().await;
    let database = &pipeline.scene.test.database;
    let runs = (0..42).map(|n| reader(n, &pipeline.model));
    let runs: Vec<Document> = runs.collect();
    let deleted = runs[0].clone();
    let deleted_id = format!("run:{}", deleted.get_str("_id").expect("an id"));
    let collection = |name: &str| database.collection::<Document>(name);
    collection("runs")
        .insert_many(&runs[1..])
        .await
        .expect("runs");
    collection("deleted_runs")
        .insert_one(deleted)
        .await
        .expect("a tombstone");
    let served = Served::start(&pipeline.scene.test.uri, &["--rate", "0"]);
    let status = served.get("/api/v1/status").ok().json();
    let told = drive(
        &Path::new(SCRIPTS).join("walk.mjs"),
        &json!({
            "url": format!("http://{}/#token={}", served.address, served.token),
            "source": status["source"],
            "model": pipeline.model,
            "train": format!("run:{}", pipeline.id("train")),
            "score": format!("run:{}", pipeline.id("score")),
            "deleted": deleted_id,
        }),
    );
    println!("{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_text_in_the_page() {
    let (names, source) = (names(), "http://mlflow.example:5000");
    let test = mirror(&names, source).await;
    let served = Served::start(&test.uri, &["--rate", "0"]);
    let url = format!("http://{}/#token={}", served.address, served.token);
    let input = json!({ "url": url, "source": source, "names": names });
    drive(&Path::new(SCRIPTS).join("hostile.mjs"), &input);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_compares_two_runs_and_two_versions() {
    let test = diffs::mirror().await;
    let served = Served::start(&test.uri, &["--rate", "0"]);
    let url = format!("http://{}/#token={}", served.address, served.token);
    drive(&Path::new(SCRIPTS).join("diff.mjs"), &json!({ "url": url }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_on_a_name_is_never_read_as_a_selection() {
    let names = [
        "a and b",
        "x or dataset:y",
        "c++",
        "q\"t and model:z",
        "2+run:run000+1",
        "roots(run:run000)",
        "not run:run000",
    ];
    let names = names.map(str::to_owned);
    let test = mirror(&names, "http://mlflow.example:5000").await;
    let served = Served::start(&test.uri, &["--rate", "0"]);
    let url = format!("http://{}/#token={}", served.address, served.token);
    let input = json!({ "url": url, "names": names });
    drive(&Path::new(SCRIPTS).join("names.mjs"), &input);
}

#[tokio::test(flavor = "multi_thread")]
async fn html_files_are_accessible_too() {
    let test = diffs::mirror().await;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, args: &[&str]| {
        let file = folder.path().join(name).display().to_string();
        let connection = ["--mongodb-uri", &test.uri, "--out", &file];
        run(&mut runlineage(args.iter().chain(&connection))).success();
        file
    };
    let files = [
        write("graph.html", &["graph", "model:churn:7", "--fold", "1"]),
        write("diff.html", &["diff", "score-a", "score-b"]),
    ];
    let input = json!({ "url": "file:///", "files": files });
    drive(&Path::new(SCRIPTS).join("file.mjs"), &input);
}
