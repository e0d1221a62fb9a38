//! No argument gets more than the limits, the nearest come first, and what is left out is counted.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Client, left_out};
use crate::support::program::{run, runlineage};
use crate::support::stored::mirror_of;

#[tokio::test(flavor = "multi_thread")]
async fn runs_beyond_the_limits_are_counted_and_follow_after_the_last() {
    let test = mirror_of(500).await;
    let client = Client::start(&test.uri, &[]).await;
    for (arguments, listed) in [
        (json!({}), 20),
        (json!({ "limit": 3 }), 3),
        (json!({ "limit": 0 }), 1),
        (
            json!({ "limit": 4_000_000_000_u32, "columns": ["_id"] }),
            200,
        ),
    ] {
        let answer = client.ask("find", arguments.clone()).await;
        let runs = answer["untrusted"]["runs"].as_array().expect("runs");
        assert_eq!(runs.len(), listed, "{arguments}");
        assert_eq!(runs[0]["_id"], "run499", "the newest comes first");
        assert_eq!(
            left_out(&answer, "runs"),
            500 - listed as u64,
            "{arguments}"
        );
    }
    let next = client
        .ask("find", json!({ "limit": 3, "after": "run497" }))
        .await;
    assert_eq!(next["untrusted"]["runs"][0]["_id"], "run496");
    let all = client
        .ask("find", json!({ "where": "run_id in ('run001', 'run002')" }))
        .await;
    assert_eq!(all["left_out"], json!([]), "a complete answer says so");
    client.stop().await;

    let client = Client::start(&test.uri, &["--max-characters", "4000"]).await;
    let columns = ["_id", "tags", "params", "metrics", "inputs"];
    let arguments = json!({ "limit": 200, "columns": columns });
    let asked = client.call("find", arguments).await.expect("an answer");
    let length = asked.text.chars().count();
    assert!(length <= 4_000 && length > 3_000, "{length}");
    let runs = asked.json["untrusted"]["runs"].as_array().expect("runs");
    assert_eq!(left_out(&asked.json, "runs"), 500 - runs.len() as u64);
    client.stop().await;
}

/// How many edges each node has: those that are shown and those that are hidden.
fn degrees(graph: &Value) -> HashMap<String, u64> {
    let mut degrees = HashMap::new();
    for node in graph["nodes"].as_array().expect("nodes") {
        let count = |side: &str| node["hidden"][side]["count"].as_u64().expect("a count");
        let id = node["id"].as_str().expect("an id").to_owned();
        degrees.insert(id, count("up") + count("down"));
    }
    for edge in graph["edges"].as_array().expect("edges") {
        for end in ["from", "to"] {
            let id = edge[end].as_str().expect("an id");
            *degrees.get_mut(id).expect("no edge is loose") += 1;
        }
    }
    degrees
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_that_is_too_long_keeps_its_nearest_nodes_and_counts_the_edges_of_the_others() {
    let test = mirror_of(300).await;
    let printed = run(&mut runlineage([
        "graph",
        "model:churn:1",
        "--mongodb-uri",
        &test.uri,
        "--downstream",
        "2",
        "--format",
        "json",
    ]));
    let whole: Value = serde_json::from_str(&printed.success()).expect("JSON");
    let all = whole["nodes"].as_array().expect("nodes");
    assert!(all.len() > 75, "{}", all.len());

    let client = Client::start(&test.uri, &["--max-characters", "6000"]).await;
    let arguments = json!({ "select": "model:churn:1", "downstream": 2, "max_nodes": 4_000_000 });
    let asked = client.call("graph", arguments).await.expect("an answer");
    assert!(asked.text.chars().count() <= 6_000, "{}", asked.text);
    let graph = &asked.json["untrusted"];
    let shown = graph["nodes"].as_array().expect("nodes");
    assert!(shown.len() > 5 && shown.len() < 40, "{}", shown.len());
    let ids = |nodes: &[Value]| {
        nodes
            .iter()
            .map(|node| node["id"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(shown), ids(&all[..shown.len()]), "the nearest ones");
    assert_eq!(
        left_out(&asked.json, "nodes"),
        (all.len() - shown.len()) as u64
    );
    let expected = degrees(&whole);
    let degrees = degrees(graph);
    assert_eq!(degrees.len(), shown.len());
    for (node, degree) in &degrees {
        assert_eq!(degree, &expected[node], "{node}");
    }

    let cut = client
        .ask(
            "graph",
            json!({ "select": "model:churn:1", "max_nodes": 4 }),
        )
        .await;
    assert_eq!(
        cut["untrusted"]["nodes"].as_array().expect("nodes").len(),
        4
    );
    let why = cut["left_out"][0]["why"].as_str().expect("a reason");
    assert!(why.contains("limit of 4 nodes"), "{why}");
    let reached = client
        .ask("impact", json!({ "node": "model:churn:1", "limit": 5 }))
        .await;
    let long = format!("model:{}", "x".repeat(100_000));
    let refused = client.call("node", json!({ "node": long })).await;
    let refused = refused.expect("an answer");
    assert!(refused.is_error && refused.text.chars().count() <= 6_000);
    let listed = reached["untrusted"]["reached"].as_array().expect("nodes");
    assert_eq!(listed.len(), 5);
    assert_eq!(left_out(&reached, "reached"), 70);
    let runs = reached["untrusted"]["experiments"]
        .as_array()
        .expect("counts");
    let runs: u64 = runs.iter().filter_map(|count| count["runs"].as_u64()).sum();
    assert_eq!(runs, 75, "the counts are of all runs");
    client.stop().await;
}
