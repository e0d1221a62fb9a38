//! Selections on the command line.

use serde_json::json;

use super::{Pipeline, ids, sorted};
use crate::support::failing::{check, fails};

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_is_taken_wherever_a_node_is() {
    let pipeline = Pipeline::new().await;
    let (version, nodes) = (pipeline.version(), pipeline.nodes());
    let [dataset, prepare, file, train, _, score, scores] = &nodes;
    let alias = format!("models:/{}@champion", pipeline.model);
    let shown = |text: &str| ids(&pipeline.json(&["graph", text]));
    for (text, expected) in [
        (format!("1+{version}+1"), &nodes[3..6]),
        (format!("+{version}"), &nodes[..5]),
        (format!("{alias}+"), &nodes[4..]),
        (format!("0+{version}"), &nodes[4..5]),
        (format!("+{version}+ and where(status = FINISHED)"), &nodes),
        (format!("{prepare}+ and +{version}"), &nodes[1..5]),
        (format!("+{alias} and not +{file}"), &nodes[3..5]),
        (
            format!("roots(+{version}) or sinks({alias}+)"),
            &[dataset.clone(), scores.clone()],
        ),
        (
            format!("\"{train}\" or {score}"),
            &[train.clone(), score.clone()],
        ),
        (
            format!("{train} or \"{}\"", pipeline.id("score")),
            &[train.clone(), score.clone()],
        ),
    ] {
        assert_eq!(shown(&text), sorted(expected), "{text}");
    }
    // Levels in the text, or as flags, or none.
    let flags = ["graph", &version, "--upstream", "2", "--downstream", "1"];
    assert_eq!(
        pipeline.json(&["graph", &format!("2+{version}+1")]),
        pipeline.json(&flags)
    );
    assert_eq!(
        pipeline.json(&["graph", &version]),
        pipeline.json(&["graph", &format!("2+{version}+2")])
    );

    let without = format!("+{version} and not where(name = 'train')");
    let graph = pipeline.json(&["graph", &without]);
    assert_eq!(ids(&graph), sorted(&[&nodes[..3], &nodes[4..5]].concat()));
    assert_eq!(graph["edges"].as_array().expect("an array").len(), 2);
    let hidden = |id: &str| {
        let nodes = graph["nodes"].as_array().expect("an array");
        nodes
            .iter()
            .find(|node| node["id"] == id)
            .expect("it is shown")["hidden"]
            .clone()
    };
    assert_eq!(hidden(&version)["up"], json!({ "count": 1 }));
    let relatives = format!("{train} and +{score}");
    let relatives = ids(&pipeline.json(&["graph", &relatives, "--parents"]));
    assert_eq!(
        relatives,
        sorted(&[train.clone(), format!("run:{}", pipeline.id("trial"))])
    );

    let cut = pipeline.program(&[
        "graph",
        &format!("+{version} or {score}"),
        "--max-nodes",
        "2",
    ]);
    assert!(cut.stderr.contains("limit of 2 nodes"), "{}", cut.stderr);
    cut.success();
    let nothing = pipeline.program(&["graph", &format!("{train} and {score}"), "--format", "json"]);
    assert!(
        nothing.stderr.contains("No node is in the selection."),
        "{}",
        nothing.stderr
    );
    assert_eq!(
        nothing.success(),
        "{\"nodes\":[],\"edges\":[],\"truncated\":null}\n"
    );

    // Commands that take one node take the levels of their own side.
    let near = pipeline.json(&["impact", &format!("{dataset}+1")]);
    assert_eq!(
        near,
        pipeline.json(&["impact", dataset, "--downstream", "1"])
    );
    assert_eq!(near["reached"].as_array().map(Vec::len), Some(1));
    let near = pipeline.json(&["provenance", &format!("1+{version}")]);
    assert_eq!(near["runs"].as_array().map(Vec::len), Some(1));
    let quoted = pipeline.json(&[
        "paths",
        &format!("\"{dataset}\""),
        &format!("\"{version}\""),
    ]);
    assert_eq!(quoted, pipeline.json(&["paths", dataset, &version]));
    let shown = pipeline.json(&["show", &format!("\"{version}\"")]);
    assert_eq!(shown["node"], version.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_node_of_a_selection_is_an_error() {
    let pipeline = Pipeline::new().await;
    let version = pipeline.version();
    let words = [
        "the mirror has never seen model:no-such:1",
        "check the spelling",
    ];
    for text in [
        format!("+{version} and not model:no-such:1+"),
        format!("model:no-such:1 or {version}"),
        "+model:no-such:1 and where(status = FAILED)".to_owned(),
    ] {
        check(&pipeline.program(&["graph", &text]), 1, &words);
    }
    let alias = format!("+{version} and models:/{}@nobody", pipeline.model);
    check(
        &pipeline.program(&["graph", &alias]),
        2,
        &["the mirror knows no version for"],
    );
}

#[test]
fn a_wrong_selection_is_refused_with_its_column() {
    for (args, words) in [
        (
            &["graph", "model:a:1 und model:b:1"][..],
            &["column 11: expected `and`, `or`", "          ^"][..],
        ),
        (
            &["graph", "not model:a:1"],
            &[
                "column 1",
                "take nodes out of a set",
                "+model:churn:7 and not",
            ],
        ),
        (
            &["graph", "model:a+ and where(status = x)"],
            &["column 29", "put a text into quotes"],
        ),
        (
            &["graph", "model:c++:3"],
            &["column 9", "into double quotes"],
        ),
        (
            &["graph", "model:a b:1"],
            &["column 9", "into double quotes"],
        ),
        (
            &["graph", "2+r1", "--upstream", "1"],
            &["--upstream", "the selection says the levels", "2+NODE+1"],
        ),
        (
            &["graph", "r1 or r2", "--downstream", "1"],
            &["--downstream", "the selection says the levels"],
        ),
        (
            &["impact", "r1 or r2"],
            &["takes one node", "runlineage graph"],
        ),
        (&["impact", "2+r1"], &["downstream alone"]),
        (
            &["impact", "r1+2", "--downstream", "1"],
            &["--downstream", "not with both"],
        ),
        (&["provenance", "r1+"], &["upstream alone"]),
        (&["provenance", "r1 and r2"], &["takes one node"]),
        (&["paths", "r1+", "r2"], &["a node without levels"]),
        (&["paths", "r1", "r2 or r3"], &["takes one node"]),
        (&["show", "r1 or r2"], &["takes one node"]),
        (&["show", "+r1"], &["a node without levels"]),
        (
            &["show", "models:/churn@champion"],
            &["is not a fixed version"],
        ),
    ] {
        // No MongoDB is asked: nobody listens there.
        let connection = ["--mongodb-uri", "mongodb://127.0.0.1:9/x"];
        fails(args.iter().chain(&connection), 2, words);
    }
}
