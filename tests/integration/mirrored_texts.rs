//! Texts of tags and params survive the way from MLflow's JSON through a real MongoDB exactly.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use runlineage::{MlflowClient, Run, Texts};
use serde_json::{Value, json};

use crate::support::fake_mlflow;
use crate::support::mirror::mirror;
use crate::support::mongodb::TestDatabase;

type Map = BTreeMap<String, String>;

const TEXTS: [&str; 22] = [
    "",
    "adam",
    "1.10",
    "1e-3",
    "NaN",
    "12345678901234567890",
    "9223372036854775807",
    "true",
    "null",
    r#""abc""#,
    "3\n",
    "[1, 2]",
    r#"{"a": {"b": [1, {"c": null}]}}"#,
    r#"{"a":1}"#,
    r#"{"$oid": "507f1f77bcf86cd799439011"}"#,
    r#"{"$date": 0}"#,
    r#"{"a.b": 1}"#,
    r#"{"": 1}"#,
    "it''s",
    r#"["it''s"]"#,
    "a\u{0}b",
    r#""\ud83d\ude00""#,
];

fn map() -> impl Strategy<Value = Map> {
    let segment = prop_oneof![5 => "[ab]", 1 => select(&["", "$x", " ", "é", "mlflow", "_id", "__proto__"][..]).prop_map(str::to_owned)];
    let key = proptest::collection::vec(segment, 1..4).prop_map(|segments| segments.join("."));
    let deep =
        (0..100_usize).prop_map(|depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let text = prop_oneof![8 => select(&TEXTS[..]).prop_map(str::to_owned), 1 => deep, 1 => any::<String>()];
    proptest::collection::btree_map(key, text, 0..8)
}

fn pairs(map: &Map) -> Vec<Value> {
    map.iter()
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect()
}

#[tokio::test]
async fn every_text_in_mlflow_comes_back_exactly_from_mongodb() {
    let mut runner = TestRunner::deterministic();
    let mut drawn = BTreeMap::new();
    for number in 0..200 {
        let mut draw = || {
            map()
                .new_tree(&mut runner)
                .expect("the strategy rejects nothing")
                .current()
        };
        drawn.insert(format!("run{number}"), (draw(), draw()));
    }
    let longest = vec!["a"; 30].join(".");
    let deepest = format!("{}1{}", "[".repeat(50), "]".repeat(50));
    let deep = Map::from([(longest, deepest.clone()), ("a..b".to_owned(), deepest)]);
    drawn.insert("deepest".to_owned(), (deep.clone(), deep));
    let runs = drawn.iter().map(|(id, (tags, params))| {
        let metrics =
            json!([{ "key": "loss", "value": "NaN" }, { "key": "loss.val", "value": 1e308 }]);
        fake_mlflow::run(
            id,
            "1",
            json!({ "tags": pairs(tags), "params": pairs(params), "metrics": metrics }),
        )
    });
    let server = fake_mlflow::with_runs(fake_mlflow::experiment("1"), runs.collect()).await;
    let mlflow = MlflowClient::builder(&server.uri())
        .build()
        .expect("the server's URI is valid");
    let test = TestDatabase::new().await;
    let store = mirror(&test).await;

    let ticket = store.draw_ticket().await.expect("MongoDB answers");
    let experiments = mlflow
        .experiments()
        .try_concat()
        .await
        .expect("the server answers");
    let page: Vec<Run> = mlflow
        .runs(&experiments[0])
        .try_concat()
        .await
        .expect("the server answers");
    let saved = store
        .save_runs(page.clone(), ticket)
        .await
        .expect("MongoDB takes the runs");
    assert_eq!((saved.written, saved.quarantined), (drawn.len() as u64, 0));

    for (id, (tags, params)) in drawn {
        let stored = store
            .get_run(&id)
            .await
            .expect("MongoDB answers")
            .expect("the run is stored");
        let texts = Texts::of(&stored).expect("it has the shape of a mirrored run");
        assert_eq!((texts.tags, texts.params), (tags, params), "{id}");
        let mapped = page
            .iter()
            .find(|run| run.id() == id)
            .expect("the page has the run");
        assert_eq!(stored.tags().ok(), mapped.tags().ok());
        assert_eq!(stored.params().ok(), mapped.params().ok());
        let metrics = stored.metrics().expect("metrics are a document");
        assert_eq!(
            metrics
                .get_document("loss")
                .and_then(|loss| loss.get_f64("val"))
                .ok(),
            Some(1e308)
        );
    }
}
