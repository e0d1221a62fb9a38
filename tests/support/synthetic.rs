//! Synthetic runs that cover every field, and a query term of every form.

use mongodb::bson::{DateTime, Document, doc};
use runlineage::MongoRunStore;

use super::mongodb::TestDatabase;

/// The document of a run as the mirror stores it, with the fields that the mirror adds.
pub(crate) fn stored(run: &mut Document) -> Document {
    let mirror = match run.get_document_mut("mirror") {
        Ok(mirror) => mirror,
        Err(_) => {
            run.insert("mirror", doc! { "fingerprint": "-" });
            run.get_document_mut("mirror")
                .expect("the document was just inserted")
        }
    };
    mirror.insert("ticket", 1_i64);
    mirror.insert("changed_at", DateTime::from_millis(0));
    run.clone()
}

/// Synthetic runs: 120 an hour, with models of skewed popularity, and artifacts of earlier runs.
pub(crate) fn synthetic(count: u32) -> Vec<Document> {
    let models = |n: u32, version: u32| match n % 5 {
        0 => vec![],
        1 => vec![doc! { "name": "churn", "version": version.to_string(), "from": "tag" }],
        2 => vec![doc! { "name": "churn", "from": "tag" }],
        _ => vec![
            doc! { "name": format!("model-{}", n % 97), "version": version.to_string(), "from": "tag" },
            doc! { "name": format!("model-{}", n % 89), "version": "1", "from": "tag" },
        ],
    };
    let id = |n: u32| format!("run{n:06}");
    (0..count)
        .map(|n| {
            let exp = n / 50;
            let status = ["FINISHED", "FINISHED", "FAILED", "RUNNING"][n as usize % 4];
            let read = match n % 4 {
                0 => vec![],
                k => vec![
                    doc! { "id": id(n.saturating_sub(k)), "path": format!("data/part-{}", n % 7), "from": "tag" },
                    doc! { "id": id(n.saturating_sub(2 * k)), "path": format!("database-{}", n % 11), "from": "tag" },
                ],
            };
            let wrote = match n % 3 {
                0 => vec![],
                _ => vec![
                    doc! { "id": id(n), "path": format!("plots/{}.png", n % 13), "from": "tag" },
                    doc! { "id": id(n), "from": "tag" },
                ],
            };
            let mut run = doc! {
                "_id": id(n),
                "name": format!("{}-{n}", ["train", "score", "prepare"][n as usize % 3]),
                "exp": { "id": exp.to_string(), "name": format!("exp-{exp}") },
                "status": status,
                "user": format!("user-{}", n % 23),
                "inputs": { "models": models(n, n % 6), "runs": read },
                "outputs": { "models": models(n / 2, n % 4), "runs": wrote },
                "tags": { "mlflow": { "user": "x" }, "team": if n % 7 == 0 { "growth" } else { "risk" } },
                "params": { "lr": 0.001 * f64::from(n % 50), "optimizer": if n % 2 == 0 { "adam" } else { "sgd" } },
                "metrics": { "auc": f64::from(n % 100) / 100.0 },
            };
            // Some runs have no start time, or one that no date can hold.
            match n % 37 {
                5 => {}
                6 => drop(run.insert("start_time", format!("99999999999{n}"))),
                _ => drop(run.insert("start_time", DateTime::from_millis(1_700_000_000_000 + i64::from(n / 3) * 90_000))),
            }
            if n % 4 != 3 {
                run.insert("end_time", DateTime::from_millis(1_700_000_100_000 + i64::from(n) * 90_000));
            }
            if n % 6 == 0 {
                run.get_document_mut("tags").expect("the run has tags").insert("mlflow", doc! { "parentRunId": id(n / 6 * 2) });
            }
            stored(&mut run)
        })
        .collect()
}

/// A migrated test database with these runs.
pub(crate) async fn mirror_of(runs: Vec<Document>) -> (TestDatabase, MongoRunStore) {
    let test = TestDatabase::new().await;
    let store = MongoRunStore::from_database(test.database.clone());
    store
        .migrate()
        .await
        .expect("migrations apply to a new database");
    test.database
        .collection("runs")
        .insert_many(runs)
        .await
        .expect("the runs are stored");
    (test, store)
}

/// A query term of every form, and whether an index serves it alone.
pub(crate) const TERMS: [(&str, bool); 57] = [
    ("input.model = 'churn:3'", true),
    ("input.model = 'churn'", true),
    ("output.model = 'model-3:1'", true),
    ("output.model = 'model-3'", true),
    ("input.model in ('churn:1', 'model-5:2')", true),
    ("input.unversioned_model = 'churn'", true),
    ("output.unversioned_model = 'churn'", true),
    ("input.artifact = 'run000100'", true),
    ("input.artifact = 'run000100/data/part-3'", true),
    ("input.artifact under 'run000100/data'", false),
    ("input.artifact under 'run000100/data/part-3'", true),
    ("output.artifact = 'run000100/plots/9.png'", true),
    ("output.artifact = 'run000100'", true),
    ("output.artifact under 'run000100/plots'", false),
    ("input.path = 'data/part-3'", true),
    ("input.path under 'data/part-3'", true),
    ("output.path = 'plots/4.png'", true),
    ("output.path under 'plots/4.png'", true),
    ("inputs missing", false),
    ("inputs exists", false),
    ("outputs missing", false),
    ("exp = 'exp-7'", true),
    ("exp = '7'", true),
    ("exp.id = '7'", true),
    ("exp.name = 'exp-7'", true),
    ("status = 'FAILED'", true),
    ("status in ('FAILED', 'RUNNING')", true),
    ("status != 'FINISHED'", true),
    ("user = 'user-3'", true),
    ("name = 'train-33'", true),
    ("name like 'train-1%'", true),
    ("run_id = 'run000007'", true),
    ("run_id in ('run000007', 'run000008')", true),
    ("parent = 'run000020'", true),
    ("start_time >= '2023-11-15T00:00:00Z'", true),
    ("start_time < '2023-11-15T00:00:00Z'", true),
    ("end_time > '2023-11-15T00:00:00Z'", true),
    ("metrics.auc > 0.9", false),
    (
        "tags.`team` exists and metrics.\"f 1.x\" missing and metrics.auc < 0.2",
        false,
    ),
    ("params.optimizer = 'adam'", false),
    ("params.optimizer exists and metrics.auc < 0.2", false),
    ("params.optimizer missing or metrics.auc < 0.2", false),
    ("user != 'user-3' and exp = 'exp-7'", true),
    ("output.model in ('model-3:1', 'model-5:2')", true),
    ("parent exists and exp = 'exp-7'", true),
    ("params.optimizer like 'ad%'", false),
    ("params.lr <= 0.004", false),
    ("params.lr in (0.001, 0.002)", false),
    ("params.optimizer not in ('adam', 'x')", false),
    ("tags.team in ('growth', 'x')", false),
    ("tags.`team` is not null and metrics.auc < 0.2", false),
    ("metrics.auc in (0.23, 0.24)", false),
    ("tags.team != 'growth'", false),
    ("not (status = 'FAILED' or user = 'user-3')", false),
    ("input.model = 'churn:3' and exp = 'exp-7'", true),
    (
        "input.model = 'churn' and status = 'RUNNING' and start_time >= '2023-11-15T00:00:00Z'",
        true,
    ),
    (
        "input.model = 'churn:3' and metrics.auc > 0.9 or output.model = 'model-3:1' and not status = 'FAILED'",
        true,
    ),
];
