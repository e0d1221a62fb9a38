//! The output of `find`: documents, columns, links and facets.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use mongodb::bson::{Bson, Document};
use serde_json::{Value, json};

use crate::support::program::runlineage;
use crate::support::stored::{document, find, lines, mirror_of};

#[tokio::test]
async fn json_is_the_document_with_a_link_on_request() {
    let test = mirror_of(3).await;
    let listed = find(
        &test,
        &["--where", "run_id = 'run002'", "--format", "ndjson"],
    )
    .success();
    assert_eq!(
        lines(&listed),
        [Bson::Document(document(2)).into_relaxed_extjson()]
    );
    assert!(
        listed.starts_with(r#"{"_id":"run002","name":"train-2","exp":{"id":"2","#),
        "{listed}"
    );

    for (args, base) in [
        (vec!["--ui-url"], "http://mlflow.example:5000/base"),
        (vec!["--ui-url", "https://ui/"], "https://ui"),
    ] {
        let listed = find(
            &test,
            &[
                &["--where", "run_id = 'run002'", "--format", "json"],
                &args[..],
            ]
            .concat(),
        )
        .success();
        let listed: Value = serde_json::from_str(&listed).expect("the output is JSON");
        assert_eq!(
            listed[0]["url"],
            json!(format!("{base}/#/experiments/2/runs/run002"))
        );
        let rows = find(
            &test,
            &[
                &[
                    "--where",
                    "run_id = 'run002'",
                    "--format",
                    "csv",
                    "--columns",
                    "_id",
                ],
                &args[..],
            ]
            .concat(),
        )
        .success();
        assert_eq!(
            rows,
            format!("_id,url\nrun002,{base}/#/experiments/2/runs/run002\n")
        );
    }
}

#[tokio::test]
async fn json_has_the_requested_columns() {
    let test = mirror_of(3).await;
    let columns = ["--columns", "name,params.lr,exp.name,tags.nothing"];
    let found = find(&test, &[&columns[..], &["--format", "ndjson"]].concat()).success();
    let found = lines(&found);
    assert_eq!(found.len(), 3);
    let mut first = found[0].clone();
    let first = first.as_object_mut().expect("a document");
    first
        .remove("start_time")
        .expect("start_time is part of every projection");
    let number = first["_id"]
        .as_str()
        .and_then(|id| id.strip_prefix("run00"));
    let name = format!("train-{}", number.expect("a short id"));
    let id = first["_id"].clone();
    assert_eq!(
        Value::from(first.clone()),
        json!({ "_id": id, "name": name, "exp": { "name": "churn" }, "params": { "lr": 0.1 }, "tags": {} })
    );
    let linked = ["--columns", "exp.name", "--ui-url", "--format", "json"];
    let linked: Value = serde_json::from_str(&find(&test, &linked).success()).expect("JSON");
    assert_eq!(linked[0]["exp"]["name"], "churn");
    assert!(
        linked[0]["url"]
            .as_str()
            .is_some_and(|url| url.contains("/runs/run")),
        "{linked}"
    );
}

#[tokio::test]
async fn facets_are_counted_by_the_database() {
    let test = mirror_of(90).await;
    let counted = find(
        &test,
        &[
            "--facet",
            "exp",
            "--format",
            "ndjson",
            "--input-model",
            "churn",
        ],
    )
    .success();
    let expected = |id: &str| json!({ "value": { "id": id, "name": "churn" }, "runs": 30 });
    assert_eq!(
        lines(&counted),
        [expected("0"), expected("1"), expected("2")]
    );
    let counted = find(
        &test,
        &["--facet", "input-model", "--format", "csv", "--limit", "1"],
    )
    .success();
    assert_eq!(counted, "runs,name,version\n23,churn,0\n");
    let explained = find(&test, &["--input-model", "churn:3", "--explain"]).success();
    assert!(explained.contains("input_models"), "{explained}");
}

#[tokio::test]
async fn a_reader_that_pauses_gets_all_runs() {
    let test = mirror_of(1).await;
    let runs = test.database.collection::<Document>("runs");
    for first in (1..15_000).step_by(1_000) {
        let wide = (first..first + 1_000).map(|n| {
            let mut run = document(n);
            run.insert("repo", "x".repeat(8_000));
            run
        });
        runs.insert_many(wide)
            .await
            .expect("MongoDB stores the documents");
    }
    let read = |format: &str| {
        let mut find = runlineage([
            "find",
            "--mongodb-uri",
            &test.uri,
            "--limit",
            "0",
            "--format",
            format,
        ]);
        find.args(["--columns", "_id,repo"]);
        let mut find = find
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        std::thread::spawn(move || {
            let mut out = find.stdout.take().expect("the output is piped");
            let mut first = vec![0; 10_000];
            out.read_exact(&mut first).expect("some runs");
            // Longer than the server selection timeout of the driver.
            std::thread::sleep(Duration::from_secs(25));
            let rest = BufReader::new(out).lines().count();
            let ended = find.wait_with_output().expect("the program ends");
            (rest, ended)
        })
    };
    for reader in ["ndjson", "json", "csv"].map(read) {
        let (rest, ended) = reader.join().expect("the reader does not panic");
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert!(
            ended.status.success() && rest > 14_990,
            "{rest} lines: {stderr}"
        );
    }
}
