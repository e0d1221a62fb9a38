//! Every term of the query language finds the same runs in the program and in mongosh.

use std::process::Command;

use runlineage::Query;
use serde_json::{Value, json};

use crate::support::keeper::KeptFolder;
use crate::support::mirror::ids;
use crate::support::program::{run, runlineage};
use crate::support::synthetic::{TERMS, mirror_of, synthetic};
use crate::support::tool;

/// The ids of each of these cursors, evaluated in one mongosh.
fn pasted_into_mongosh(uri: &str, cursors: &[String]) -> Vec<Value> {
    let script: String = cursors
        .iter()
        .map(|cursor| format!("print(JSON.stringify({cursor}.toArray().map((run) => run._id)));\n"))
        .collect();
    let home = KeptFolder::new();
    let shell = run(Command::new(tool("bin/mongosh"))
        .args([uri, "--quiet", "--norc", "--eval", &script])
        .env("HOME", home.path()));
    let lines: Vec<Value> = shell
        .success()
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    assert_eq!(lines.len(), cursors.len());
    lines
}

#[tokio::test]
async fn every_term_finds_the_same_runs_in_mongosh() {
    let (test, store) = mirror_of(synthetic(600)).await;
    let mut pasted = Vec::new();
    let mut found = Vec::new();
    for (term, _) in TERMS {
        let rendered = run(&mut runlineage(["find", "--where", term, "--render"])).success();
        pasted.push(format!(
            "db.runs.find({}, {{ _id: 1 }}).sort({{ _id: 1 }})",
            rendered.trim()
        ));
        let query: Query = term.parse().expect("the term is well written");
        found.push(ids(&store, query).await);
    }
    let shell = pasted_into_mongosh(&test.uri, &pasted);
    for ((term, _), (found, shell)) in TERMS.iter().zip(found.iter().zip(shell)) {
        assert_eq!(json!(found), shell, "{term}");
        assert!(!found.is_empty(), "nothing is found by {term}");
        assert!(found.len() < 600, "everything is found by {term}");
    }
}
