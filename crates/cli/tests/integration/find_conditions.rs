//! Which runs the flags and the conditions of `find` match.

use mongodb::bson::{Document, doc};
use serde_json::json;

use crate::support::mongosh::mongosh_expression;
use crate::support::program::{run, runlineage};
use crate::support::stored::{document, find, mirror_of};

#[tokio::test]
async fn flags_are_joined_by_and() {
    let test = mirror_of(100).await;
    for (args, count) in [
        (vec!["--input-model", "churn:3"], 25),
        (
            vec![
                "--input-model",
                "models:/churn/3",
                "--status",
                "failed",
                "--exp",
                "1",
            ],
            8,
        ),
        (vec!["--exp", "0", "--exp", "1"], 67),
        (vec!["--input-path", "data/"], 100),
        (vec!["--input-path", "dat/"], 0),
        (
            vec![
                "--tag",
                "team=risk",
                "--param",
                "lr=0.1",
                "--parent",
                "run000",
            ],
            100,
        ),
        (vec!["--param", "lr=0.10"], 0),
        (
            vec!["--where", "metrics.auc >= 0.5 and not status = 'FAILED'"],
            25,
        ),
        (
            vec!["--exp", "1", "--where", r#"{"metrics.auc": {"$gte": 0.5}}"#],
            16,
        ),
        (vec!["--since", "2023-11-14T22:13:20.090Z"], 10),
    ] {
        let counted = find(&test, &[&args[..], &["--count"]].concat()).success();
        assert_eq!(counted.trim(), count.to_string(), "{args:?}");
        let listed = find(&test, &[&args[..], &["--format", "ndjson"]].concat()).success();
        assert_eq!(listed.lines().count(), count, "{args:?}");
    }
}

#[test]
fn conditions_and_flags_accept_the_same_models() {
    for model in [
        "churn",
        "churn:3",
        "a:b:",
        "models:/churn",
        "models:/churn/3",
        "models:/a:b",
    ] {
        let rendered = |args: [&str; 2]| {
            run(&mut runlineage(["find", args[0], args[1], "--render"])).success()
        };
        assert_eq!(
            rendered(["--where", &format!("input.model = '{model}'")]),
            rendered(["--input-model", model]),
            "{model}"
        );
    }
    // A registered name has no slash, and a logged model is not in the registry.
    for model in [
        "models:/a/b/3",
        "models:/m-0123456789abcdef0123456789abcdef",
    ] {
        for args in [
            ["--input-model", model],
            ["--where", &format!("input.model = '{model}'")],
        ] {
            let ended = run(&mut runlineage(["find", args[0], args[1], "--render"]));
            assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stdout);
        }
    }
}

#[tokio::test]
async fn unequal_does_not_match_a_missing_field() {
    let test = mirror_of(10).await;
    for (condition, count) in [
        ("user != 'ana'", 0),
        ("user not in ('ana', 'bob')", 0),
        ("not user = 'ana'", 10),
        ("user missing", 10),
        ("user exists", 0),
        ("name != 'train-1'", 9),
        ("parent is not null and parent != 'run001'", 10),
        ("parent != 'run000'", 0),
        ("status != 'FAILED'", 5),
    ] {
        let counted = find(&test, &["--where", condition, "--count"]).success();
        assert_eq!(counted.trim(), count.to_string(), "{condition}");
    }
}

#[tokio::test]
async fn rendered_filters_keep_values_that_javascript_would_change() {
    let test = mirror_of(3).await;
    let mut odd = document(7);
    let mut moved = Document::new();
    moved.insert("b", 1);
    moved.insert("0", 2);
    moved.insert("__proto__", doc! { "x": 1 });
    odd.insert("params", doc! { "m": [moved] });
    test.database
        .collection("runs")
        .insert_one(odd)
        .await
        .expect("MongoDB stores the document");
    for (condition, found) in [
        (
            r#"params.m = '[{"b": 1, "0": 2, "__proto__": {"x": 1}}]'"#,
            1,
        ),
        ("start_time >= -99999999999999", 4),
        ("start_time >= 253402300800000", 0),
        ("start_time < 253402300800000", 4),
        ("start_time >= '0001-01-01T00:00:00Z'", 4),
    ] {
        assert_eq!(
            find(&test, &["--where", condition, "--count"])
                .success()
                .trim(),
            found.to_string(),
            "{condition}"
        );
        let rendered = find(&test, &["--where", condition, "--render"]).success();
        let counted = mongosh_expression(&test.uri, &format!("db.runs.countDocuments({rendered})"));
        assert_eq!(counted, json!(found), "{rendered}");
    }
}

#[test]
fn a_time_without_a_zone_is_utc_in_every_time_zone() {
    let render = |zone: &str, args: [&str; 2]| {
        run(runlineage(["find", args[0], args[1], "--render"]).env("TZ", zone)).success()
    };
    for args in [
        ["--since", "2024-01-01T12:00"],
        ["--where", "start_time >= '2024-01-01T12:00'"],
        ["--since", "2024-01-01T14:00+02:00"],
    ] {
        for zone in ["America/New_York", "Asia/Tokyo", "UTC"] {
            let rendered = render(zone, args);
            assert!(
                rendered.contains("2024-01-01T12:00:00Z"),
                "{zone} {args:?}: {rendered}"
            );
        }
    }
}
