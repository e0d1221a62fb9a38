//! Runs that MongoDB refuses as a whole, and texts that a mapping easily changes.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use runlineage::sync::SyncJob;
use runlineage::{Run, Texts};
use serde_json::json;

use crate::support::lab::{Lab, plain_runs};

/// With a long lease: a debug build on a busy machine works on one page for longer than the default lease.
fn patient(lab: &Lab) -> SyncJob {
    lab.sync().page_size(12).lease(Duration::from_secs(600))
}

#[tokio::test]
async fn runs_that_mongodb_refuses_are_mirrored_in_part_with_the_reason_and_the_others_whole() {
    let lab = Lab::new().await;
    let exp = lab.experiment("poison");
    let mut runs = plain_runs(&exp, 12);
    let long = "x".repeat(5_000);
    for index in 0..3_500 {
        runs[1].tags.push((format!("big.{index}"), long.clone()));
    }
    // Its lineage alone is too large too.
    for index in 0..3_500 {
        runs[3].tags.push((
            format!("lineage.inputs.runs.{index:032x}"),
            json!([long]).to_string(),
        ));
    }
    runs[5].tags.push((
        "deep".into(),
        format!("{}1{}", "[".repeat(300), "]".repeat(300)),
    ));
    runs[6].tags.push((vec!["k"; 120].join("."), "v".into()));
    runs[7].params.push(("nul".into(), "a\0b".into()));
    runs[8]
        .tags
        .push(("lineage.inputs.models.broken".into(), "[\"1\"".into()));
    runs[9]
        .tags
        .push(("lineage.inputs.unheard-of.x".into(), "[]".into()));
    let mut sql = lab.sql();
    sql.insert(&runs);
    sql.set_tag(&runs[10].id, "nul\0key", "v").write();

    let report = Lab::complete(patient(&lab).run(|_| {}).await);
    assert_eq!(
        (report.seen, report.quarantined, report.written),
        (12, 2, 10),
        "{report:?}"
    );
    assert_eq!(lab.mirrored().await.len(), 12);
    let problems = |id: &str| {
        let id = id.to_owned();
        let store = lab.store.clone();
        async move {
            let run = store
                .get_run(&id)
                .await
                .expect("a find")
                .expect("the run is mirrored");
            run.problems()
                .iter()
                .map(|problem| format!("{}: {}", problem.key, problem.reason))
                .collect::<Vec<_>>()
        }
    };
    assert!(problems(&runs[1].id).await.concat().contains("16 MiB"));
    assert!(
        problems(&runs[3].id)
            .await
            .concat()
            .contains("without lineage")
    );
    assert!(
        problems(&runs[8].id)
            .await
            .concat()
            .contains("lineage.inputs.models.broken")
    );
    assert!(
        problems(&runs[9].id)
            .await
            .concat()
            .contains("lineage.inputs.unheard-of.x")
    );
    for good in [0, 2, 4, 5, 6, 7, 10, 11] {
        assert_eq!(
            problems(&runs[good].id).await,
            Vec::<String>::new(),
            "run {good}"
        );
    }
    // The run that is too large keeps its lineage.
    let big = lab
        .store
        .get_run(&runs[1].id)
        .await
        .expect("a find")
        .expect("a run");
    assert_eq!(big.lineage().expect("lineage").inputs.models().len(), 1);
    // All other runs equal MLflow, with their broken lineage tags, which are stored as tags.
    let differences = lab.differences().await;
    let others: Vec<_> = differences
        .iter()
        .filter(|what| {
            [1, 3, 8, 9]
                .iter()
                .all(|bad| !what.starts_with(&runs[*bad].id))
        })
        .collect();
    assert!(others.is_empty(), "{others:?}");

    // The next pass does not write them again. Once they are small, they are mirrored whole.
    let report = Lab::complete(patient(&lab).run(|_| {}).await);
    assert_eq!(
        (report.quarantined, report.unchanged),
        (2, 10),
        "{report:?}"
    );
    for bad in [1, 3] {
        let id = json!([runs[bad].id]);
        sql.add(
            "DELETE FROM tags WHERE length(value) > 4000 AND run_uuid = ?",
            id,
        );
    }
    sql.write();
    let report = Lab::complete(patient(&lab).run(|_| {}).await);
    assert_eq!((report.quarantined, report.written), (0, 2), "{report:?}");
    let differences = lab.differences().await;
    assert!(
        !differences
            .iter()
            .any(|what| what.starts_with(&runs[1].id) || what.starts_with(&runs[3].id)),
        "{differences:?}"
    );
}

/// Texts that a mapping easily changes.
const TEXTS: [&str; 46] = [
    "",
    " ",
    "\n",
    "a\n",
    "\n\n1\n",
    "1",
    "1 ",
    " 1",
    "01",
    "1.10",
    "1e-3",
    "1E5",
    "-0",
    "-0.0",
    "0.1",
    "1e400",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "NaN",
    "Infinity",
    "-Infinity",
    "null",
    "true",
    "True",
    "\"quoted\"",
    "'single'",
    "''",
    "it''s",
    "[\"it''s\"]",
    "{\"a\": 1}",
    "{\"a\":1}",
    "{\"b\": 1, \"a\": 2}",
    "{\"a\": 1, \"a\": 2}",
    "{\"$oid\": \"507f1f77bcf86cd799439011\"}",
    "{\"$date\": 0}",
    "{\"a.b\": 1}",
    "{\"\": 1}",
    "$where",
    "größe 模型 🦀",
    "\"\\u00e9\"",
    "\"\\ud800\"",
    "a\0b",
    "[1, 2.0, 3e0]",
];

#[tokio::test]
async fn the_mirror_gives_back_the_exact_text_of_every_tag_and_param() {
    let lab = Lab::new().await;
    let exp = lab.experiment("fidelity");
    let mut runs = plain_runs(&exp, 3);
    let keys = [
        "a",
        "a.b",
        "a.b.c",
        ".",
        "a..b",
        ".a",
        "a.",
        "größe",
        "a b",
        "a/b",
        "a-b",
        "a:b",
        "x.0",
        "x.1",
        "__proto__",
        "_id",
    ];
    for (index, text) in TEXTS.iter().enumerate() {
        for (place, key) in [
            format!("t{index}"),
            format!("dotted.t{index}"),
            format!("mlflow.t{index}"),
        ]
        .into_iter()
        .enumerate()
        {
            runs[place].tags.push((key.clone(), (*text).to_owned()));
            runs[place].params.push((key, (*text).to_owned()));
        }
    }
    for (index, key) in keys.iter().enumerate() {
        runs[0]
            .tags
            .push(((*key).to_owned(), TEXTS[index].to_owned()));
        runs[0]
            .params
            .push(((*key).to_owned(), TEXTS[index + 10].to_owned()));
    }
    runs[1].tags.push(("$dollar".into(), "1".into()));
    runs[1]
        .tags
        .push(("a.$b".into(), "{\"c\": {\"d\": []}}".into()));
    runs[1].tags.push(("a".into(), "{\"$b\": 1}".into()));
    let mut sql = lab.sql();
    sql.insert(&runs);
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());

    // Compared here too, so that this test does not depend on the lab's comparison alone.
    let truth = lab.truth();
    for run in truth.active() {
        let id = run["info"]["run_id"].as_str().expect("an id");
        let stored = lab.test.database.collection::<Document>("runs");
        let stored = stored
            .find_one(doc! { "_id": id })
            .await
            .expect("a find")
            .expect("a run");
        let texts = Texts::of(&Run::try_from(&stored).expect("a run")).expect("texts");
        for tag in run["data"]["tags"].as_array().expect("tags") {
            let (key, value) = (
                tag["key"].as_str().expect("text"),
                tag["value"].as_str().unwrap_or_default(),
            );
            assert_eq!(
                texts.tags.get(key).map(String::as_str),
                Some(value),
                "tag {key:?}"
            );
        }
    }
}

#[tokio::test]
async fn nan_and_infinite_metrics_are_mirrored() {
    let lab = Lab::new().await;
    let exp = lab.experiment("metrics");
    let runs = plain_runs(&exp, 1);
    lab.sql().insert(&runs);
    let uri = lab.server.uri();
    for (key, value) in [
        ("nan", json!("NaN")),
        ("inf", json!("Infinity")),
        ("minus", json!("-Infinity")),
        ("small", json!(5e-324)),
    ] {
        let body = json!({ "run_id": runs[0].id, "key": key, "value": value, "timestamp": 1 });
        crate::support::rest::post(&uri, "runs/log-metric", &body);
    }
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}
