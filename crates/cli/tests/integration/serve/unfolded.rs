//! Graphs of which a reader unfolded some nodes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::graph_commands::Pipeline;
use crate::support::served::{Served, encoded};
use crate::support::stored::mirror_of;

/// How many edges lead to each node and from it.
fn shown(graph: &Value) -> BTreeMap<&str, [u64; 2]> {
    let mut counts: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for edge in graph["edges"].as_array().expect("edges") {
        counts
            .entry(edge["to"].as_str().expect("a text"))
            .or_default()[0] += 1;
        counts
            .entry(edge["from"].as_str().expect("a text"))
            .or_default()[1] += 1;
    }
    counts
}

fn ids(graph: &Value) -> Vec<&str> {
    let nodes = graph["nodes"].as_array().expect("nodes").iter();
    nodes
        .map(|node| node["id"].as_str().expect("a text"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn unfolded_nodes_show_one_level_more_and_all_that_is_hidden_is_counted() {
    let pipeline = Pipeline::new().await;
    let served = Served::start(&pipeline.scene.test.uri, &["--rate", "0"]);
    let nodes = pipeline.nodes();
    let (train, version, score) = (&nodes[3], &nodes[4], &nodes[5]);
    let ask = |more: &str| {
        let path = format!(
            "/api/v1/graph?select={}&upstream=1&downstream=1&{more}",
            encoded(version)
        );
        served.get(&path).ok().json()
    };
    let list = |nodes: &[&str]| encoded(&json!(nodes).to_string());
    let plain = ask("");
    assert_eq!(ids(&plain).len(), 3, "{plain}");
    let up = ask(&format!("unfold_up={}", list(&[train])));
    let both = ask(&format!(
        "unfold_up={}&unfold_down={}",
        list(&[train]),
        list(&[score])
    ));
    for (graph, more) in [
        (&up, &nodes[1..3]),
        (
            &both,
            &[nodes[1].clone(), nodes[2].clone(), nodes[6].clone()][..],
        ),
    ] {
        let found = ids(graph);
        assert!(
            more.iter().all(|node| found.contains(&node.as_str())),
            "{more:?}: {found:?}"
        );
        assert_eq!(found.len(), 3 + more.len(), "{found:?}");
    }
    let mut compared = 0;
    for graph in [&plain, &up, &both] {
        let counts = shown(graph);
        for node in graph["nodes"].as_array().expect("nodes") {
            let id = node["id"].as_str().expect("a text");
            let alone = served
                .get(&format!("/api/v1/node?id={}", encoded(id)))
                .ok()
                .json();
            let [up, down] = counts.get(id).copied().unwrap_or_default();
            for (side, shown) in [("up", up), ("down", down)] {
                let hidden = node["hidden"][side]["count"].as_u64().expect("a count");
                assert_eq!(
                    alone["nodes"][0]["hidden"][side]["count"],
                    shown + hidden,
                    "{side} of {id}"
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 2 * (3 + 5 + 6));
    // A node that the graph does not show cannot be unfolded.
    assert_eq!(ask(&format!("unfold_down={}", list(&[&nodes[0]]))), plain);
    let picture = served
        .get(&format!(
            "/api/v1/picture?select={}&upstream=1&downstream=1&unfold_up={}",
            encoded(version),
            list(&[train])
        ))
        .ok()
        .json();
    assert_eq!(ids(&picture["graph"]), ids(&up));
    assert!(
        picture["svg"]
            .as_str()
            .is_some_and(|svg| svg.starts_with("<svg"))
    );
    for wrong in [
        "unfold_up=x",
        "unfold_down=%5B1%5D",
        "unfold_up=%5B%22x:y%22%5D",
        "keep=%7B%7D",
    ] {
        let path = format!("/api/v1/picture?select={}&{wrong}", encoded(version));
        let refused = served.get(&path);
        assert_eq!(refused.status, 400, "{wrong}");
        let parameter = wrong.split('=').next();
        assert_eq!(refused.json()["parameter"].as_str(), parameter, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_an_unfolded_one_shows_can_be_unfolded_the_other_way() {
    let test = mirror_of(2).await;
    let served = Served::start(&test.uri, &[]);
    let (data, reader) = ("artifact:r/data/x", "run:run000");
    let list = |node: &str| encoded(&json!([node]).to_string());
    let path = format!(
        "/api/v1/graph?select={}&upstream=0&downstream=0&unfold_up={}&unfold_down={}",
        encoded(data),
        list(reader),
        list(data)
    );
    let graph = served.get(&path).ok().json();
    let found = ids(&graph);
    assert!(found.contains(&reader), "{found:?}");
    assert!(found.contains(&"model:churn:0"), "{found:?}");
}
