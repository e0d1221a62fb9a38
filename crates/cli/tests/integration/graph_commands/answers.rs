//! What `impact`, `provenance` and `paths` answer.

use serde_json::json;

use super::Pipeline;

#[tokio::test(flavor = "multi_thread")]
async fn impact_reaches_the_alias_and_names_the_open_ends() {
    let pipeline = Pipeline::new().await;
    let nodes = pipeline.nodes();
    let impact = pipeline.json(&["impact", &nodes[0]]);
    assert_eq!(impact["start"], nodes[0]);
    let reached = impact["reached"].as_array().expect("an array");
    assert_eq!(reached.len(), 6, "{reached:#?}");
    let aliased = json!([{ "version": nodes[4], "aliases": ["champion"] }]);
    assert_eq!(impact["aliased"], aliased);
    assert_eq!(impact["open_ends"], json!([nodes[6]]));
    assert_eq!(impact["experiments"][0]["runs"], 3);
    assert_eq!(
        impact["experiments"][0]["value"]["name"],
        pipeline.scene.exp.0
    );
    let score = reached.iter().find(|node| node["id"] == nodes[5].as_str());
    let score = score.expect("it is reached");
    assert_eq!(
        (&score["depth"], &score["certain"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(score["path"], json!(nodes[..6]));

    let text = pipeline.program(&["impact", &nodes[0]]).success();
    for words in [
        "reached 3 runs, 1 model version, 2 artifacts",
        "Aliases that point there now",
        "champion",
        "prepare → data/train.csv → train",
        "Without a recorded consumer",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    let csv = pipeline
        .program(&["impact", &nodes[0], "--format", "csv"])
        .success();
    assert_eq!(csv.lines().count(), 7, "{csv}");
    let row = format!("2,model,{},,true,false,champion,", nodes[4]);
    assert!(csv.contains(&row), "{csv}");
    let tree = pipeline
        .program(&["impact", &nodes[0], "--format", "tree"])
        .success();
    assert_eq!(
        tree.lines().filter(|line| line.contains(':')).count(),
        7,
        "{tree}"
    );
    let own = pipeline.json(&["impact", &nodes[4]]);
    assert_eq!(own["aliased"], aliased, "of the version itself, too");
    let nothing = pipeline.program(&["impact", &nodes[6]]).success();
    assert!(
        nothing.starts_with("No mirrored run depends on "),
        "{nothing}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provenance_file_says_what_it_is_and_how_complete() {
    let pipeline = Pipeline::new().await;
    let nodes = pipeline.nodes();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("v1.provenance.json");
    let wrote = pipeline.program_in(
        folder.path(),
        &["provenance", &nodes[4], "--out", "v1.provenance.json"],
    );
    assert_eq!(wrote.success(), "", "stdout stays empty");
    let file = std::fs::read_to_string(file).expect("the file is written");
    let provenance: serde_json::Value = serde_json::from_str(&file).expect("JSON");
    assert_eq!(provenance["form"], "runlineage.provenance/1");
    assert_eq!(provenance["start"], nodes[4]);
    assert_eq!(provenance["complete"], true, "{file}");
    assert_eq!(provenance["data"], json!([nodes[0]]));
    let runs = provenance["runs"].as_array().expect("an array");
    let ids: Vec<&str> = runs.iter().filter_map(|run| run["run"].as_str()).collect();
    assert_eq!(ids, [&nodes[3], &nodes[1]]);
    assert_eq!(runs[0]["params"], json!({ "rate": "0.5" }));
    let commit = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(runs[0]["code"]["git_commit"], commit);
    assert!(
        provenance["unresolved"]["mirror"]["full_pass"].is_string(),
        "{file}"
    );

    let text = pipeline.program(&["provenance", &nodes[4], "--format", "table"]);
    let text = text.success();
    for words in [
        "rate=0.5",
        "0123456789",
        nodes[0].as_str(),
        "Unresolved: nothing",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    let piped = pipeline.program(&["provenance", &nodes[4]]).success();
    let piped: serde_json::Value = serde_json::from_str(&piped).expect("JSON in a pipe");
    assert_eq!(piped["runs"], provenance["runs"]);

    let near = pipeline.program(&["provenance", &nodes[4], "--upstream", "1"]);
    assert!(
        near.stderr.contains("only the levels of --upstream"),
        "{}",
        near.stderr
    );
    assert!(near.success().contains("\"complete\": false"));
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_finds_the_way_in_either_direction() {
    let pipeline = Pipeline::new().await;
    let nodes = pipeline.nodes();
    for ends in [[&nodes[0], &nodes[5]], [&nodes[5], &nodes[0]]] {
        let path = pipeline.json(&["paths", ends[0], ends[1]]);
        let shown = path["shortest"]["nodes"].as_array().expect("an array");
        let shown: Vec<&str> = shown
            .iter()
            .filter_map(|node| node["id"].as_str())
            .collect();
        assert_eq!(shown, nodes[..6]);
    }
    let table = pipeline.program(&["paths", &nodes[1], &nodes[4]]).success();
    let places: Vec<_> = nodes[1..5]
        .iter()
        .map(|node| table.find(node.as_str()))
        .collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{table}"
    );
    let svg = pipeline.program(&["paths", &nodes[1], &nodes[4], "--format", "svg"]);
    assert_eq!(svg.success().matches("data-node=").count(), 4);

    let trial = pipeline.id("trial");
    let none = pipeline.program(&["paths", trial, &nodes[4], "--format", "json"]);
    assert!(
        none.stderr.contains("No lineage path joins "),
        "{}",
        none.stderr
    );
    assert_eq!(none.success(), "{\"shortest\":null,\"truncated\":null}\n");
}
