//! Documents that another program wrote into the mirror's collections: every command reports them, goes on, and leaves them there.

use std::collections::BTreeSet;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::json;

use crate::deletes::{erase_experiment, mirrored_lab};
use crate::support::lab::{Lab, chain};
use crate::support::rest;

async fn insert(lab: &Lab, collection: &str, document: Document) {
    let collection = lab.test.database.collection::<Document>(collection);
    let insert = collection.insert_one(document);
    let inserted = insert.bypass_document_validation(true).await;
    inserted.expect("MongoDB takes it");
}

/// `_id`s that no run of MLflow's has; the second looks like a run id when it is printed.
fn foreign_ids() -> [Bson; 3] {
    [
        ObjectId::from_bytes([7; 12]).into(),
        7.into(),
        doc! { "run": 1 }.into(),
    ]
}

#[tokio::test]
async fn a_document_whose_id_is_no_run_id_does_not_stop_a_pass() {
    let (lab, [first, _], _) = mirrored_lab().await;
    let exp = doc! { "id": &first, "name": "a" };
    insert(
        &lab,
        "runs",
        doc! { "_id": "no id of MLflow's", "exp": exp },
    )
    .await;
    let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
    assert_eq!(report.seen, 40, "{report:?}");
    assert_eq!(report.incomplete.len(), 1, "{report:?}");
    let reason = &report.incomplete[0].reason;
    assert!(reason.contains("no id of MLflow's"), "{report:?}");
    assert_eq!(lab.mirrored().await.len(), 41, "nothing was removed");
}

#[tokio::test]
async fn verify_lists_documents_whose_id_is_no_text_and_compares_all_runs() {
    let (lab, [first, second], _) = mirrored_lab().await;
    let [object, number, nested] = foreign_ids();
    for id in [&object, &number] {
        insert(&lab, "runs", doc! { "_id": id, "exp": { "id": &first } }).await;
    }
    insert(&lab, "runs", doc! { "_id": &nested }).await;
    let all: BTreeSet<String> = [&object, &number, &nested].map(Bson::to_string).into();
    let of_first: BTreeSet<String> = [&object, &number].map(Bson::to_string).into();
    let cases = [
        (lab.sync(), 40, all),
        (lab.sync().only([first]), 20, of_first),
        (lab.sync().only([second]), 20, BTreeSet::new()),
    ];
    for (job, seen, expected) in cases {
        let verified = job.verify(|_| {}).await;
        let verified = verified.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(verified.seen, seen, "{verified:?}");
        let found = verified.differences.iter();
        assert!(
            found
                .clone()
                .all(|found| found.kind == "extra"
                    && found.what.contains("another program wrote it")),
            "{verified:?}"
        );
        let found: BTreeSet<String> = found.map(|found| found.node.key().to_owned()).collect();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn an_experiment_is_forgotten_beside_foreign_documents_and_then_not_missed() {
    let (lab, [first, _], _) = mirrored_lab().await;
    for id in foreign_ids() {
        insert(&lab, "runs", doc! { "_id": id, "exp": { "id": &first } }).await;
    }
    erase_experiment(&lab, &first);
    let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
    let missed: Vec<&str> = report
        .incomplete
        .iter()
        .map(|part| &*part.experiment)
        .collect();
    assert_eq!(missed, [first.as_str(), "*"], "{report:?}");

    let forgotten = lab.sync().forget_experiment(&first).await;
    let forgotten = forgotten.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(forgotten, 20);
    let of_first = doc! { "exp.id": &first };
    let left = lab.store.count_runs(of_first).await.expect("it counts");
    assert_eq!(left, 3, "the foreign documents stay");
    let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
    let missed: Vec<&str> = report
        .incomplete
        .iter()
        .map(|part| &*part.experiment)
        .collect();
    assert_eq!(missed, ["*"], "{report:?}");
    assert!(
        report.incomplete[0].reason.contains("(3 of them)"),
        "{report:?}"
    );
}

#[tokio::test]
async fn foreign_documents_in_any_collection_stop_neither_passes_nor_purges() {
    let (lab, [first, second], _) = mirrored_lab().await;
    for id in foreign_ids().into_iter().chain(["x".into()]) {
        // Above every ticket in MongoDB's order of types.
        let mirror = doc! { "ticket": "none", "changed_at": "never" };
        insert(&lab, "deleted_runs", doc! { "_id": &id, "mirror": &mirror }).await;
        if id.as_str().is_none() {
            insert(&lab, "runs", doc! { "_id": &id, "mirror": &mirror }).await;
        }
        insert(&lab, "sync_state", doc! { "_id": &id }).await;
    }
    let scan = doc! { "_id": "scan/x", "pass": "x", "creation_time": "x", "gone": 1 };
    insert(&lab, "sync_state", scan).await;
    let uri = lab.server.uri();
    // As after a restore from an older dump.
    let state = lab.test.database.collection::<Document>("sync_state");
    let lost = state.delete_one(doc! { "_id": "ticket" }).await;
    assert_eq!(lost.expect("MongoDB takes it").deleted_count, 1);
    let runs = lab.truth().runs;
    let of = |exp: &str| {
        let mut runs = runs
            .iter()
            .filter(|run| run["info"]["experiment_id"] == exp);
        let run = runs.next().expect("each experiment has runs");
        run["info"]["run_id"].as_str().expect("an id").to_owned()
    };
    let (edited, deleted) = (of(&first), of(&second));
    let tag = json!({ "run_id": edited, "key": "team", "value": "new" });
    rest::post(&uri, "runs/set-tag", &tag);
    rest::post(&uri, "runs/delete", &json!({ "run_id": deleted }));
    let report = lab.sync().run(|_| {}).await.expect("the pass goes on");
    assert_eq!(report.written, 1, "{report:?}");
    let incomplete: Vec<&str> = report
        .incomplete
        .iter()
        .map(|part| &*part.experiment)
        .collect();
    assert_eq!(incomplete, ["*"], "{report:?}");
    let only_foreign = ["? is not in MLflow"];
    assert_eq!(lab.differences().await, only_foreign);

    let tomorrow = DateTime::from_millis(DateTime::now().timestamp_millis() + 86_400_000);
    let purged = lab.store.purge_deleted(tomorrow).await;
    let purged = purged.unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(purged, 1, "the deleted run alone");
}
