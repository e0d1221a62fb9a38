//! Limits, pages, and searches that no index serves: each is reported.

use serde_json::{Value, json};

use crate::support::experiment::Scene;
use crate::support::stored::{find, mirror_of};

#[tokio::test]
async fn a_reached_limit_is_reported() {
    let test = mirror_of(150).await;
    let table = find(&test, &[]);
    assert!(table.stderr.contains("100 of 150 runs"), "{}", table.stderr);
    let exact = find(&test, &["--limit", "150"]);
    assert!(!exact.stderr.contains("of 150"), "{}", exact.stderr);
    let ndjson = find(&test, &["--limit", "7", "--format", "ndjson"]);
    assert_eq!((ndjson.code, ndjson.stdout.lines().count()), (Some(0), 7));
    let more = "7 runs were printed, and more match";
    assert!(ndjson.stderr.contains(more), "{}", ndjson.stderr);
    assert_eq!(
        find(&test, &["--limit", "0"]).stdout.lines().count(),
        find(&test, &["--limit", "150"]).stdout.lines().count()
    );
}

#[tokio::test]
async fn runs_come_page_by_page() {
    let test = mirror_of(50).await;
    let all = find(&test, &["--sort=-start_time", "--format", "ndjson"]).success();
    let all: Vec<&str> = all.lines().collect();
    let rest = find(
        &test,
        &["--sort=-start_time", "--skip", "48", "--format", "ndjson"],
    )
    .success();
    assert_eq!(rest.lines().collect::<Vec<_>>(), all[48..]);
    let mut paged: Vec<String> = Vec::new();
    while paged.len() < 50 {
        let last: Option<Value> = paged
            .last()
            .map(|line| serde_json::from_str(line).expect("a line is JSON"));
        let last = last.map(|last| last["_id"].as_str().expect("an id").to_owned());
        // The first page has no run to continue after.
        let after: Vec<&str> = last.iter().flat_map(|last| ["--after", last]).collect();
        let first = ["--sort=-start_time", "--sort=-_id"];
        let order = if after.is_empty() { &first[..] } else { &[] };
        let args = [&["--limit", "20", "--format", "ndjson"], &after[..], order].concat();
        let page = find(&test, &args).success();
        assert!(!page.is_empty(), "only {} runs", paged.len());
        paged.extend(page.lines().map(str::to_owned));
    }
    assert_eq!(paged, all);
    let unknown = find(&test, &["--after", "nobody"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("run nobody is not mirrored"),
        "{}",
        unknown.stderr
    );
    let versions = find(
        &test,
        &["--distinct", "inputs.models.version", "--exp", "1"],
    )
    .success();
    assert_eq!(versions, "\"0\"\n\"1\"\n\"2\"\n\"3\"\n");
}

#[tokio::test]
async fn a_search_without_an_index_is_reported_and_bounded() {
    let test = mirror_of(50).await;
    let unserved = "No index serves this search";
    for where_ in [
        "metrics.auc > 0.2",
        "inputs exists",
        "not metrics.auc = 0.5",
        "status = 'FAILED' or metrics.auc > 0.2",
    ] {
        let found = find(&test, &["--where", where_, "--max-time", "7"]);
        assert!(
            found.stderr.contains(unserved) && found.stderr.contains("7 s"),
            "{where_}: {}",
            found.stderr
        );
    }
    for where_ in [
        "metrics.auc > 0.2 and exp.id = '1'",
        "input.path under 'data'",
        "exp = 'churn'",
    ] {
        let found = find(&test, &["--where", where_]);
        assert!(
            !found.stderr.contains(unserved),
            "{where_}: {}",
            found.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_an_index_is_reported() {
    let scene = Scene::new().await;
    scene.run("a", &json!({ "metrics": { "auc": 1 } })).await;
    scene.sync();
    for (order, is_reported) in [
        ("metrics.auc", true),
        ("-end_time", true),
        ("-start_time", false),
        ("run_id", false),
    ] {
        let args = ["find", "--sort", order, "--limit", "1"];
        let stderr = scene.program(&args).stderr;
        assert_eq!(
            stderr.contains("No index serves this order"),
            is_reported,
            "{order}: {stderr}"
        );
    }
}
