//! The command `show`: links to MLflow, deleted runs, and names with control characters.

use serde_json::{Value, json};
use wiremock::MockServer;

use crate::support::experiment::Scene;
use crate::support::fake_mlflow::{experiment, run as fake_run, with_runs};
use crate::support::mongodb::TestDatabase;
use crate::support::program::{run, runlineage};

/// A run whose texts contain escape sequences and line breaks.
async fn scene(args: &[&str]) -> (MockServer, TestDatabase) {
    let tag = |key: &str, value: &str| json!({ "key": key, "value": value });
    let tags = [
        tag("mlflow.user", "\u{9b}31m\u{7f}ana"),
        tag("lineage.inputs.models.\u{1b}[2Jclear", r#"["3\u001b[31m"]"#),
        tag("lineage.inputs.models.churn", r#"["1", "2"]"#),
        tag("lineage.outputs.\u{1b}[31m", "[]"),
    ];
    let mut hostile = fake_run("r1", "1", json!({ "tags": tags }));
    hostile["info"]["run_name"] = "\u{1b}[31mred\nstatus      FAILED".into();
    let server = with_runs(experiment("1"), vec![hostile]).await;
    let test = TestDatabase::new().await;
    let tracking = server.uri();
    let connection = ["--mongodb-uri", &test.uri, "--tracking-uri", &tracking];
    run(&mut runlineage([&["sync"], args, &connection].concat())).success();
    (server, test)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_leads_to_the_mirrored_server_not_to_the_tracking_uri() {
    let (server, test) = scene(&[]).await;
    let link = format!("{}/#/experiments/1/runs/r1", server.uri());
    for variable in [
        "",
        "databricks",
        "http://",
        "http://u:canary@host:port",
        "http://elsewhere.example",
    ] {
        let mut show = runlineage(["show", "r1", "--mongodb-uri", &test.uri]);
        let shown = run(show.env("MLFLOW_TRACKING_URI", variable)).success();
        assert!(shown.contains(&link), "{variable:?}: {shown}");
        assert!(shown.contains("churn"), "{variable:?}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_uses_the_tracking_uri_if_the_source_is_a_name() {
    let (_server, test) = scene(&["--source", "production"]).await;
    for (variable, link) in [
        (
            "http://u:canary@host.example/",
            Some("http://host.example/#/"),
        ),
        ("databricks", None),
        ("http://host:port", None),
    ] {
        let mut show = runlineage(["show", "r1", "--mongodb-uri", &test.uri]);
        let shown = run(show.env("MLFLOW_TRACKING_URI", variable)).success();
        assert_eq!(shown.contains("in MLflow"), link.is_some(), "{shown}");
        assert!(shown.contains(link.unwrap_or_default()), "{shown}");
        assert!(shown.contains("churn"), "{variable:?}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_characters_of_names_do_not_reach_the_terminal() {
    let (_server, test) = scene(&[]).await;
    let output = |args: &[&str]| {
        let connection = ["--mongodb-uri", &test.uri];
        run(&mut runlineage([args, &connection].concat())).success()
    };
    let columns = ["--columns", "name,user,inputs.models.name,mirror.problems"];
    let found = output(&[&["find"], &columns[..]].concat());
    let facets = output(&["find", "--facet", "input-model"]);
    let shown = output(&["show", "r1"]);
    for printed in [&found, &facets, &shown] {
        let raw = printed.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(raw, None, "{printed:?}");
        assert!(printed.contains(r"\u{1b}[2Jclear"), "{printed}");
    }
    assert!(shown.contains(r"\u{1b}[31mred\nstatus "), "{shown}");
    assert!(!shown.contains("\nstatus      FAILED"), "{shown}");
    assert!(shown.contains(r"\u{9b}31m\u{7f}ana"), "{shown}");

    // JSON is exact.
    let csv = output(&["find", "--format", "csv", "--columns", "name"]);
    assert!(csv.contains("\u{1b}[31mred\nstatus"), "{csv:?}");
    let json = output(&["show", "r1", "--format", "json"]);
    assert!(json.contains(r"\u001b[31mred\nstatus"), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_run_is_shown_in_its_last_known_state() {
    let scene = Scene::new().await;
    let run = scene
        .run(
            "gone",
            &json!({ "tags": { "lineage.inputs.models.churn": r#"["3"]"# } }),
        )
        .await;
    scene.run("stays", &json!({})).await;
    scene.sync();
    scene
        .rest
        .post("runs/delete", json!({ "run_id": run }))
        .await;
    scene.sync();
    let shown = scene.program(&["show", &run]);
    assert!(
        shown.stderr.contains("deleted in MLflow"),
        "{}",
        shown.stderr
    );
    let shown = shown.success();
    assert!(shown.contains("gone") && shown.contains("churn"), "{shown}");
    let json = scene.program(&["show", &run, "--format", "json"]).success();
    assert_eq!(
        serde_json::from_str::<Value>(&json).unwrap()["name"],
        "gone"
    );
    scene
        .program(&["purge", "--deleted-before", "2999-01-01"])
        .success();
    let purged = scene.program(&["show", &run]);
    assert!(purged.stderr.contains("purged here"), "{}", purged.stderr);
    assert!(purged.success().contains(&run));
}
