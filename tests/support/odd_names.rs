//! A mirror of 3,000 runs, and one run for each name that a careless renderer would break.

use bson::{DateTime, Document, doc};
use runlineage::{MongoRunStore, Run};

use super::mirror::mirror;
use super::mongodb::TestDatabase;

pub(crate) const ODD: [&str; 14] = [
    "a.b",
    "a b",
    "a/b",
    "it's",
    "it''s",
    "\"q\"",
    "$x",
    "größe 模型 😀",
    "back\\slash",
    "line\nbreak",
    "a{  }b",
    "{}",
    "`${x}`",
    "\u{7f}\u{2028}",
];

pub(crate) fn document(number: i32, inputs: Document, outputs: Document) -> Run {
    let date = DateTime::from_millis(1_700_000_000_000 + i64::from(number));
    let document = doc! {
        "_id": format!("run{number:05}"),
        "name": "train",
        "exp": { "id": (number % 5).to_string(), "name": "churn" },
        "status": "FINISHED",
        "start_time": date,
        "inputs": inputs,
        "outputs": outputs,
        "mirror": { "fingerprint": number.to_string() },
    };
    Run::try_from(&document).expect("a run has an id")
}

pub(crate) fn side(model: &str, version: &str, run: &str, path: &str) -> Document {
    doc! {
        "models": [{ "name": model, "version": version, "from": "tag" }, { "name": "common", "from": "tag" }],
        "runs": [{ "id": run, "path": path, "from": "tag" }],
    }
}

/// 3,000 runs over 300 models and runs, and one run for each odd name.
pub(crate) async fn filled(test: &TestDatabase) -> MongoRunStore {
    let store = mirror(test).await;
    let mut runs: Vec<Run> = (0..3_000)
        .map(|number| {
            let (model, other) = (format!("m{}", number % 300), format!("m{}", number % 7));
            let version = (number % 3).to_string();
            document(
                number,
                side(&model, &version, &model, "data/x"),
                side(&other, &version, &other, "out/y"),
            )
        })
        .collect();
    runs.extend((3_000..).zip(ODD).map(|(number, odd)| {
        document(
            number,
            side(odd, odd, odd, odd),
            side("odd", odd, "odd", odd),
        )
    }));
    let ticket = store.draw_ticket().await.expect("MongoDB answers");
    let saved = store
        .save_runs(runs, ticket)
        .await
        .expect("MongoDB takes the runs");
    assert_eq!(saved.written, 3_000 + ODD.len() as u64);
    store
}
