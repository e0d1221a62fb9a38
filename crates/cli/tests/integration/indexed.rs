//! Filters of `find --render` match the same runs in mongosh.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::mirror::set;
use crate::support::mongodb::TestDatabase;
use crate::support::mongosh::mongosh_expression;
use crate::support::odd_names::{ODD, filled};
use crate::support::program::{run, runlineage};

/// A filter as `find --render` prints it.
fn rendered(args: &[&str]) -> String {
    run(&mut runlineage([&["find", "--render"], args].concat())).success()
}

fn found(uri: &str, args: &[&str]) -> BTreeSet<String> {
    let args = [&["find", "--format", "ndjson", "--mongodb-uri", uri], args].concat();
    let stdout = run(&mut runlineage(args)).success();
    let documents = stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"));
    set(documents.map(|document: Value| id(&document)))
}

fn id(document: &Value) -> String {
    document["_id"].as_str().expect("an id is text").to_owned()
}

#[tokio::test]
async fn rendered_filters_match_the_same_runs_in_mongosh() {
    let test = TestDatabase::new().await;
    let store = filled(&test).await;
    // No sync recorded a source here. `find` says so, and answers from the stored runs.
    drop(store);
    let mut cases: Vec<Vec<String>> = ODD
        .iter()
        .map(|odd| {
            // A version with a slash is taken for a mistyped artifact.
            let version = if odd.contains('/') { "" } else { odd };
            vec!["--input-model".to_owned(), format!("{odd}:{version}")]
        })
        .collect();
    cases.extend(
        ODD.iter()
            .map(|odd| vec!["--output-artifact".to_owned(), format!("odd/{odd}")]),
    );
    let texts = |args: &[&str]| args.iter().map(|text| (*text).to_owned()).collect();
    cases.push(texts(&["--input-model", "m1", "--output-model", "m1:1"]));
    cases.push(texts(&[
        "--output-artifact",
        "m3/out/y",
        "--exp",
        "churn",
        "--status",
        "finished",
    ]));
    cases.push(texts(&[
        "--input-path",
        "data/x",
        "--input-model",
        "m7",
        "--since",
        "2023-11-14T22:13:21Z",
    ]));
    cases.push(texts(&["--input-model", "common", "--problems"]));

    let mut script = Vec::new();
    for case in &cases {
        let args: Vec<&str> = case.iter().map(String::as_str).collect();
        script.push(format!(
            "db.runs.find({}, {{ _id: 1 }}).toArray()",
            rendered(&args).trim()
        ));
    }
    let answers = mongosh_expression(&test.uri, &format!("[{}]", script.join(",\n")));
    let answers = answers.as_array().expect("the script is an array");
    assert_eq!(answers.len(), cases.len());
    let mut empty = 0;
    for (case, answer) in cases.iter().zip(answers) {
        let args: Vec<&str> = case.iter().map(String::as_str).collect();
        let shell = set(answer
            .as_array()
            .expect("a search is an array")
            .iter()
            .map(id));
        assert_eq!(shell, found(&test.uri, &args), "{case:?}");
        empty += usize::from(shell.is_empty());
    }
    // The last search is for problems, which no run has.
    assert_eq!(empty, 1);
}
