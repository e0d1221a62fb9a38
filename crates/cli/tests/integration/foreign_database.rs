//! Databases that mirror another source, or that another program wrote to.

use bson::{Document, doc};
use serde_json::json;

use crate::support::failing::{fails, with_secret};
use crate::support::fake_mlflow::{experiment, run as fake_run, with_runs};
use crate::support::mongodb::TestDatabase;
use crate::support::program::{run, runlineage};

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_refuses_a_mirror_of_another_source() {
    let test = TestDatabase::new().await;
    let server = |id: &'static str| with_runs(experiment("1"), vec![fake_run(id, "1", json!({}))]);
    let (first, second) = (server("first").await, server("second").await);
    run(&mut runlineage([
        "sync",
        "--mongodb-uri",
        &test.uri,
        "--tracking-uri",
        &with_secret(&first.uri()),
    ]))
    .success();
    let words = [first.uri(), second.uri(), "--source".to_owned()];
    let words = [words[0].as_str(), words[1].as_str(), words[2].as_str()];
    fails(
        [
            "sync",
            "--mongodb-uri",
            &test.uri,
            "--tracking-uri",
            &second.uri(),
        ],
        1,
        &words,
    );
    let runs = test.database.collection::<Document>("runs");
    assert_eq!(
        runs.count_documents(doc! { "_id": "second" }).await.ok(),
        Some(0)
    );
    // The same server under another address.
    let args = [
        "sync",
        "--mongodb-uri",
        &test.uri,
        "--tracking-uri",
        &second.uri(),
        "--source",
        &first.uri(),
        "--format",
        "json",
    ];
    let finished = run(&mut runlineage(args));
    assert!(!finished.stderr.contains("mirrors"), "{}", finished.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_documents_in_runs_are_reported() {
    let server = with_runs(experiment("1"), vec![fake_run("mine", "1", json!({}))]).await;
    // The collection of another program stays untouched.
    let test = TestDatabase::new().await;
    let runs = test.database.collection::<Document>("runs");
    runs.insert_one(doc! { "_id": 1 })
        .await
        .expect("MongoDB answers");
    fails(
        [
            "sync",
            "--mongodb-uri",
            &test.uri,
            "--tracking-uri",
            &server.uri(),
        ],
        1,
        &["that this program did not make"],
    );
    assert_eq!(runs.count_documents(doc! {}).await.ok(), Some(1));

    // Documents that slipped past the validator do not stop a sync. A search reports the document that it met.
    let test = TestDatabase::new().await;
    run(&mut runlineage(["migrate", "--mongodb-uri", &test.uri])).success();
    let runs = test.database.collection::<Document>("runs");
    for foreign in [
        doc! { "_id": 1 },
        doc! { "_id": "foreign", "inputs": 3, "start_time": [1] },
    ] {
        runs.insert_one(foreign)
            .bypass_document_validation(true)
            .await
            .expect("MongoDB answers");
    }
    let (mongodb, tracking) = (&test.uri, &server.uri());
    let sync = ["sync", "--mongodb-uri", mongodb, "--tracking-uri", tracking];
    let synced = run(&mut runlineage(sync));
    assert_eq!(synced.code, Some(1), "{}", synced.stderr);
    let expected = "whose `_id` is not a string (1 of them)";
    assert!(synced.stderr.contains(expected), "{}", synced.stderr);
    fails(
        ["find", "--mongodb-uri", &test.uri],
        1,
        &["document 1 of collection `runs`", "not a string"],
    );
    run(&mut runlineage([
        "find",
        "--mongodb-uri",
        &test.uri,
        "--exp",
        "1",
    ]))
    .success();
    fails(
        [
            "show",
            "foreign",
            "--format",
            "table",
            "--mongodb-uri",
            &test.uri,
        ],
        1,
        &["document foreign", "not a document"],
    );
}
