//! Each command that the server sends to MongoDB has a time limit. MongoDB's profiler tells which commands it got.

use std::collections::BTreeSet;

use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};

use super::DATA;
use crate::graph_commands::diffs;
use crate::support::served::{Served, encoded};

/// Further questions: each of them makes the server send a command that those of `DATA` do not need.
fn questions() -> Vec<String> {
    let search = |condition: &str| format!("/api/v1/search?where={}", encoded(condition));
    let node = |node: &str| format!("/api/v1/node?id={}", encoded(node));
    let graph = |rest: &str| format!("/api/v1/graph?select={}", encoded(rest));
    vec![
        search("exp = 'churn' and input.model = 'geo'"),
        search("params.rate = 'low'"),
        search("exp = 'unknown'"),
        "/api/v1/search?sort=-metrics.auc&limit=5".to_owned(),
        "/api/v1/search?limit=0&format=ndjson".to_owned(),
        "/api/v1/search?after=run000".to_owned(),
        "/api/v1/search?after=unknown".to_owned(),
        "/api/v1/facets?facet=input-model".to_owned(),
        "/api/v1/facets?facet=user&where=status%20%3D%20FINISHED".to_owned(),
        node("model:churn"),
        node("model:churn:7"),
        node("models:/churn@champion"),
        node("logged-model:m-1"),
        node("dataset:clicks@1111"),
        node("artifact:prep-a/data/train.csv"),
        node("artifact:unknown/x"),
        graph("models:/churn@champion"),
        graph("models:/churn/latest"),
        graph("model:churn and where(params.rate = 'low')"),
        format!("{}&parents=true&uncertain=true", graph("run:train-a")),
        "/api/v1/graph?select=run:unknown".to_owned(),
        "/api/v1/run?id=unknown".to_owned(),
        "/api/v1/diff?a=model:churn:7&b=model:churn:8".to_owned(),
        "/api/v1/diff?a=model:churn:7&b=model:unknown:8".to_owned(),
        "/api/v1/paths?from=dataset:clicks@1111&to=model:churn:7".to_owned(),
        "/ready".to_owned(),
        "/metrics".to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_has_a_time_limit() {
    let test = diffs::mirror().await;
    let logged = test.database.collection::<Document>("logged_models");
    let logged = logged.insert_one(doc! { "_id": "m-1" });
    let logged = logged.bypass_document_validation(true).await;
    logged.expect("a logged model");
    let served = Served::start(&test.uri, &["--rate", "0", "--max-time", "17"]);
    let profile = |level: i32| test.database.run_command(doc! { "profile": level });
    profile(2).await.expect("the profiler runs");
    for path in DATA.iter().map(ToString::to_string).chain(questions()) {
        let status = served.get(&path).status;
        assert!([200, 400, 404].contains(&status), "{path}: {status}");
    }
    profile(0).await.expect("the profiler stops");
    let commands = test.database.collection::<Document>("system.profile");
    let commands = commands.find(doc! { "appName": "runlineage" }).await;
    let commands: Vec<Document> = commands
        .expect("an answer")
        .try_collect()
        .await
        .expect("commands");
    let mut names = BTreeSet::new();
    let mut unbounded = Vec::new();
    for operation in &commands {
        let command = operation.get_document("command").expect("a command");
        let name = command.keys().next().cloned().unwrap_or_default();
        let limit = command
            .get("maxTimeMS")
            .and_then(|limit| limit.as_i64().or(limit.as_i32().map(i64::from)));
        // A count that helps to choose an index has less time.
        if !limit.is_some_and(|limit| (1..=17_000).contains(&limit)) {
            unbounded.push(command.clone());
        }
        names.insert(name);
    }
    assert_eq!(unbounded, Vec::<Document>::new());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(names, ["aggregate", "explain", "find", "listIndexes"]);
    assert!(commands.len() > 150, "{}", commands.len());
}
