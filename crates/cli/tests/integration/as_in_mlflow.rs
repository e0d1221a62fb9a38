//! Orders and values are the same as in MLflow.

use serde_json::{Value, json};

use crate::support::experiment::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_sorted_by_a_metric_as_in_mlflow() {
    let scene = Scene::new().await;
    for (name, metrics) in [
        ("tenth", json!({ "val_loss": 0.1 })),
        ("nan", json!({ "val_loss": "NaN" })),
        ("missing", json!({ "other": 1 })),
        ("both", json!({ "val_loss": 0.05, "val_loss.class_a": 0.9 })),
        ("only below", json!({ "val_loss.class_a": 0.01 })),
        ("infinite", json!({ "val_loss": "Infinity" })),
    ] {
        scene.run(name, &json!({ "metrics": metrics })).await;
    }
    scene.sync();
    let numbers = ["both", "tenth", "infinite"];
    for (order, first) in [
        ("metrics.val_loss", numbers),
        ("metrics.val_loss ASC", numbers),
        ("-metrics.val_loss", ["infinite", "tenth", "both"]),
        ("metric.`val_loss` DESC", ["infinite", "tenth", "both"]),
    ] {
        let names = scene.names(&["--sort", order]);
        assert_eq!(names[..4], [&first[..], &["nan"]].concat(), "{order}");
        let mut last = names[4..].to_vec();
        last.sort();
        assert_eq!(last, ["missing", "only below"], "{order}");
        assert_eq!(scene.names(&["--sort", order, "--limit", "1"]), first[..1]);
    }
    // MLflow sorts the same runs the same way. It stores infinity as the largest number.
    let search = json!({ "experiment_ids": [scene.exp.1], "order_by": ["metrics.val_loss DESC"] });
    let answer = scene.rest.post("runs/search", search).await;
    let theirs = answer["runs"].as_array().unwrap().iter();
    let theirs: Vec<&str> = theirs
        .map(|run| run["info"]["run_name"].as_str().unwrap())
        .collect();
    assert_eq!(theirs[..4], ["infinite", "tenth", "both", "nan"]);
    // The value of key `a` beside a key `a.b` is a column too.
    let table = scene.find(&[
        "--columns",
        "name,metrics.val_loss",
        "--format",
        "csv",
        "--sort",
        "name",
    ]);
    assert_eq!(
        table.success(),
        "name,metrics.val_loss\nboth,0.05\ninfinite,1.7976931348623157e+308\nmissing,\nnan,NaN\nonly below,\"{\"\"class_a\"\":0.01}\"\ntenth,0.1\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_numbers_are_shown_as_in_mlflow() {
    let scene = Scene::new().await;
    let first = scene.run("a", &json!({ "tags": { "git_sha": "1234e56" }, "params": { "lr": "1.10" }, "metrics": { "tiny": 1e-300, "huge": 1e300 } })).await;
    scene.run("b", &json!({ "tags": { "git_sha": "12340e55" }, "params": { "lr": "1.1" }, "metrics": { "tiny": 0.5 } })).await;
    scene.sync();
    let columns = "name, tags.git_sha ,params.lr,metrics.tiny,metrics.huge,run_id";
    let csv = scene
        .find(&[
            "--columns",
            columns,
            "--format",
            "csv",
            "--sort",
            "name",
            "--limit",
            "1",
        ])
        .success();
    assert_eq!(
        csv,
        format!(
            "name,tags.git_sha,params.lr,metrics.tiny,metrics.huge,run_id\na,1234e56,1.10,1e-300,1e+300,{first}\n"
        )
    );
    let table = scene.find(&["--columns", columns]).success();
    for shown in ["1234e56", "12340e55", "1.10", "1e-300"] {
        assert!(table.contains(shown), "{table}");
    }
    let distinct = |field: &str| {
        let mut lines: Vec<String> = scene
            .find(&["--distinct", field])
            .success()
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(distinct("tags.git_sha"), [r#""12340e55""#, r#""1234e56""#]);
    assert_eq!(distinct("params.lr"), [r#""1.10""#, "1.1"]);
    assert_eq!(distinct("metrics.tiny"), ["0.5", "1e-300"]);
    assert_eq!(distinct("run_name"), [r#""a""#, r#""b""#]);
    // JSON with chosen columns keeps the exact texts, and numbers stay numbers.
    let json = scene
        .find(&[
            "--columns",
            "tags.git_sha,params.lr",
            "--format",
            "ndjson",
            "--sort",
            "name",
            "--limit",
            "1",
        ])
        .success();
    let run: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        run["mirror"]["text"]["tags"],
        json!([{ "key": "git_sha", "value": "1234e56" }])
    );
    assert_eq!(
        run["mirror"]["text"]["params"],
        json!([{ "key": "lr", "value": "1.10" }])
    );
    assert_eq!(run["params"]["lr"], json!(1.1));
    assert_eq!(run["tags"].as_object().unwrap().len(), 1, "{run}");
    let infinite = scene.find(&[
        "--where",
        "metrics.tiny < Infinity and metrics.huge > -inf and not metrics.huge = nan",
        "--count",
    ]);
    assert_eq!(infinite.success(), "1\n");
}
