//! Every format shows the same graph.

use serde_json::json;

use super::{Pipeline, ids, sorted};
use crate::support::program::{run, runlineage};

#[tokio::test(flavor = "multi_thread")]
async fn every_format_shows_each_node_once() {
    let pipeline = Pipeline::new().await;
    let (version, nodes) = (pipeline.version(), pipeline.nodes());
    let print = |format: &str| {
        let printed = pipeline.program(&[
            "graph",
            &version,
            "--upstream",
            "all",
            "--downstream",
            "all",
            "--format",
            format,
        ]);
        printed.success()
    };
    let graph = pipeline.json(&[
        "graph",
        &version,
        "--upstream",
        "all",
        "--downstream",
        "all",
    ]);
    assert_eq!(ids(&graph), sorted(&nodes));
    assert_eq!(graph["truncated"], json!(null));
    let edges = graph["edges"].as_array().expect("an array");
    assert_eq!(edges.len(), 6, "{edges:#?}");
    let of = |id: &str| {
        let found = graph["nodes"].as_array().expect("an array").iter();
        found
            .clone()
            .find(|node| node["id"] == id)
            .expect("it is shown")
    };
    let start = of(&version);
    assert_eq!(
        (&start["start"], &start["depth"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(start["version"]["aliases"], json!(["champion"]));
    let page = format!("/#/models/{}/versions/1", pipeline.model);
    let url = start["url"].as_str().expect("a link");
    assert!(url.starts_with("http://") && url.ends_with(&page), "{url}");
    let train = of(&nodes[3]);
    assert_eq!(train["run"]["name"], "train");
    assert_eq!(of(&nodes[0])["depth"], 2);

    let csv = print("csv");
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows[0], "from,to,relation,certain,overlap,origins");
    assert_eq!(rows.len(), 1 + edges.len(), "{csv}");
    let wrote = format!("{},{version},wrote,true,false,tag registry", nodes[3]);
    assert!(rows.contains(&wrote.as_str()), "{csv}");

    let tree = print("tree");
    assert_eq!(tree, print("tree"), "the same graph gives the same bytes");
    let (svg, html, table) = (print("svg"), print("html"), print("table"));
    for node in &nodes {
        for (format, text) in [("tree", &tree), ("table", &table)] {
            let lines = text.lines().filter(|line| line.contains(node.as_str()));
            assert_eq!(lines.count(), 1, "{node} in the {format}: {text}");
        }
        let drawn = format!("data-id=\"{node}\"");
        for (format, text) in [("svg", &svg), ("html", &html)] {
            assert_eq!(text.matches(&drawn).count(), 1, "{node} in the {format}");
        }
    }
    let document = roxmltree::Document::parse(&svg).expect("XML");
    let of_class = |class: &str| {
        let groups = document.descendants().filter(|group| {
            let classes = group.attribute("class").unwrap_or_default();
            classes.split(' ').next() == Some(class)
        });
        groups.count()
    };
    assert_eq!(
        (of_class("node"), of_class("edge")),
        (nodes.len(), edges.len())
    );
    assert!(
        svg.contains(&format!("href=\"{url}\"")),
        "the node links to MLflow"
    );
    assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));

    let asking = [
        "graph",
        &version,
        "--format",
        "png",
        "--mongodb-uri",
        &pipeline.scene.test.uri,
    ];
    let png = runlineage(asking).output().expect("the program starts");
    assert!(png.stdout.starts_with(b"\x89PNG\r\n\x1a\n"), "{png:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_direction_alone_leaves_the_other_out() {
    let pipeline = Pipeline::new().await;
    let (version, nodes) = (pipeline.version(), pipeline.nodes());
    let shown = |args: &[&str]| ids(&pipeline.json(&[&["graph", version.as_str()], args].concat()));
    for (args, expected) in [
        (&["--upstream", "1"][..], &nodes[3..5]),
        (&["--upstream", "2"], &nodes[1..5]),
        (&["--upstream", "all"], &nodes[..5]),
        (&["--downstream", "1"], &nodes[4..6]),
        (&["--downstream", "2"], &nodes[4..]),
        (&["--upstream", "1", "--downstream", "1"], &nodes[3..6]),
        (&["--upstream", "0"], &nodes[4..5]),
    ] {
        assert_eq!(shown(args), sorted(expected), "{args:?}");
    }
    let start = pipeline.json(&["graph", &version, "--upstream", "0"]);
    let hidden = json!({ "up": { "count": 1 }, "down": { "count": 1 } });
    assert_eq!(start["nodes"][0]["hidden"], hidden);
    let only_train = ["--where", &format!("run_id = '{}'", pipeline.id("train"))];
    assert_eq!(shown(&only_train), sorted(&nodes[2..5]));

    // Every way to write the same start.
    for start in [
        format!("models:/{}/1", pipeline.model),
        format!("models:/{}@champion", pipeline.model),
    ] {
        assert_eq!(
            ids(&pipeline.json(&["graph", &start])),
            sorted(&nodes[1..]),
            "{start}"
        );
    }
    let by_id = pipeline.json(&["graph", pipeline.id("train")]);
    let by_uri = pipeline.json(&["graph", &format!("runs:/{}", pipeline.id("train"))]);
    assert_eq!(by_id, by_uri);
    let said = pipeline.program(&["graph", &format!("models:/{}@champion", pipeline.model)]);
    for words in [
        "was version 1 when the mirror last read the registry",
        "Mirror of ",
    ] {
        assert!(
            said.stderr.contains(words),
            "no {words:?} in {}",
            said.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn relatives_are_shown_on_request_and_no_data_flows_to_them() {
    let pipeline = Pipeline::new().await;
    let (train, trial) = (
        pipeline.nodes()[3].clone(),
        format!("run:{}", pipeline.id("trial")),
    );
    let without = pipeline.json(&["graph", &train]);
    assert!(!ids(&without).contains(&trial));
    let with = pipeline.json(&["graph", &train, "--parents"]);
    let edges = with["edges"].as_array().expect("an array");
    let parents: Vec<_> = edges
        .iter()
        .filter(|edge| edge["relation"] == "parent")
        .collect();
    assert_eq!(parents.len(), 1, "{edges:#?}");
    assert_eq!(
        (&parents[0]["from"], &parents[0]["to"]),
        (&json!(train), &json!(trial))
    );
    let hidden = |graph: &serde_json::Value| {
        let nodes = graph["nodes"].as_array().expect("an array").iter();
        let start = nodes.clone().find(|node| node["id"] == train.as_str());
        start.expect("it is shown")["hidden"].clone()
    };
    assert_eq!(
        hidden(&with),
        hidden(&without),
        "a relative is no hidden edge"
    );

    let child = pipeline.json(&["graph", &trial, "--parents"]);
    assert_eq!(ids(&child), sorted(&[train.clone(), trial.clone()]));
    let tree = pipeline.program(&["graph", &trial, "--parents"]).success();
    assert!(tree.contains(&format!("parent {train}")), "{tree}");
    let tree = pipeline.program(&["graph", &train, "--parents"]).success();
    assert!(tree.contains(&format!("child {trial}")), "{tree}");
    let svg = pipeline.program(&["graph", &train, "--parents", "--format", "svg"]);
    assert!(svg.success().contains("class=\"edge parent\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_said_in_every_format() {
    let pipeline = Pipeline::new().await;
    let version = pipeline.version();
    let limited = ["graph", &version, "--max-nodes", "3", "--format"];
    for (format, code) in [
        ("tree", 0),
        ("table", 0),
        ("json", 0),
        ("svg", 0),
        ("html", 0),
        ("csv", 1),
    ] {
        let printed = run(&mut runlineage(limited.iter().chain(&[
            format,
            "--mongodb-uri",
            &pipeline.scene.test.uri,
        ])));
        assert_eq!(printed.code, Some(code), "{format}: {printed:?}");
        for words in ["limit of 3 nodes", "--max-nodes"] {
            assert!(
                printed.stderr.contains(words),
                "{format}: {}",
                printed.stderr
            );
        }
        let says = match format {
            "json" => "\"truncated\":{\"limit\":\"nodes\",\"at\":",
            "csv" => "from,to",
            // A picture breaks the sentence into lines.
            "svg" => "limit of 3",
            _ => "limit of 3 nodes",
        };
        assert!(
            printed.stdout.contains(says),
            "{format}: {}",
            printed.stdout
        );
    }
    let impact = pipeline.program(&["impact", &pipeline.nodes()[0], "--max-nodes", "2"]);
    assert!(
        impact.stderr.contains("limit of 2 nodes"),
        "{}",
        impact.stderr
    );
    assert!(impact.success().contains("the answer is incomplete"));
    let provenance = pipeline.json(&["provenance", &version, "--max-nodes", "2"]);
    assert_eq!(provenance["complete"], false);
    assert_eq!(provenance["unresolved"]["truncated"]["limit"], "nodes");
}
