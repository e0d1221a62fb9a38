//! A mirror that lost something while nobody or a sync was at it: its counter, its indexes, its collections, the whole database.

use mongodb::bson::{DateTime, Document, doc};
use serde_json::json;

use crate::support::lab::{Lab, plain_runs};
use crate::support::rest;

/// A lab with some mirrored runs.
async fn mirrored(count: usize) -> (Lab, String, Vec<String>) {
    let lab = Lab::new().await;
    let exp = lab.experiment("restored");
    let runs = plain_runs(&exp, count);
    lab.sql().insert(&runs);
    Lab::complete(lab.sync().run(|_| {}).await);
    let ids = runs.into_iter().map(|run| run.id).collect();
    (lab, exp, ids)
}

fn state(lab: &Lab) -> mongodb::Collection<Document> {
    lab.test.database.collection("sync_state")
}

async fn names(lab: &Lab, collection: &str) -> Vec<String> {
    let collection = lab.test.database.collection::<Document>(collection);
    let mut names = collection.list_index_names().await.expect("it has indexes");
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_counter_that_is_behind_is_raised_before_anything_is_written() {
    for lost in [doc! {}, doc! { "_id": "ticket" }] {
        let (lab, _, ids) = mirrored(20).await;
        for _ in 0..3 {
            Lab::complete(lab.sync().run(|_| {}).await);
        }
        state(&lab)
            .delete_many(lost.clone())
            .await
            .expect("it is lost");
        let uri = lab.server.uri();
        rest::post(
            &uri,
            "runs/set-tag",
            &json!({ "run_id": ids[0], "key": "edited", "value": "yes" }),
        );
        rest::post(&uri, "runs/delete", &json!({ "run_id": ids[1] }));
        let report = Lab::complete(lab.sync().run(|_| {}).await);
        assert_eq!((report.written, report.deleted), (1, 1), "{lost}");
        assert_eq!(lab.differences().await, Vec::<String>::new(), "{lost}");
        rest::post(&uri, "runs/restore", &json!({ "run_id": ids[1] }));
        state(&lab)
            .delete_many(lost.clone())
            .await
            .expect("it is lost");
        Lab::complete(lab.sync().run(|_| {}).await);
        assert_eq!(lab.differences().await, Vec::<String>::new(), "{lost}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_under_a_job_is_made_anew_by_its_next_pass() {
    let (lab, _, ids) = mirrored(20).await;
    // The same job all along, as in a watch.
    let job = lab.sync();
    let (runs, deleted) = (names(&lab, "runs").await, names(&lab, "deleted_runs").await);
    let database = &lab.test.database;
    for what in [
        "an index",
        "indexes",
        "runs",
        "deleted_runs",
        "the database",
    ] {
        let collection = database.collection::<Document>("runs");
        match what {
            "an index" => collection
                .drop_index("input_models")
                .await
                .expect("it is dropped"),
            "indexes" => collection.drop_indexes().await.expect("they are dropped"),
            "the database" => database.drop().await.expect("it is dropped"),
            name => database
                .collection::<Document>(name)
                .drop()
                .await
                .expect("it is dropped"),
        }
        let report = Lab::complete(job.run(|_| {}).await);
        assert_eq!(report.seen, ids.len() as u64, "{what}");
        assert_eq!(names(&lab, "runs").await, runs, "{what}");
        assert_eq!(names(&lab, "deleted_runs").await, deleted, "{what}");
        let other = collection
            .insert_one(doc! { "_id": "other", "name": 7 })
            .await;
        assert!(other.is_err(), "{what}: the validator is there again");
        assert_eq!(lab.differences().await, Vec::<String>::new(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_a_late_write_made_is_taken_over() {
    let (lab, _, _) = mirrored(5).await;
    let database = &lab.test.database;
    let runs = database.collection::<Document>("runs");
    let run = runs
        .find_one(doc! {})
        .await
        .expect("MongoDB answers")
        .expect("there is one");
    database.drop().await.expect("it is dropped");
    // As a page does that was under way meanwhile.
    runs.insert_one(run).await.expect("it is written");
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    assert!(
        runs.insert_one(doc! { "_id": "other" }).await.is_err(),
        "the validator is there"
    );
    // What another program keeps under the name is still refused.
    database.drop().await.expect("it is dropped");
    runs.insert_one(doc! { "_id": 1, "of": "another program" })
        .await
        .expect("it is written");
    let refused = lab.sync().run(|_| {}).await;
    assert!(
        matches!(refused, Err(runlineage::Error::Database { .. })),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_index_is_no_index_that_serves() {
    let (lab, _, _) = mirrored(5).await;
    let query = || runlineage::Query::new().with_input_model("churn", "1");
    assert!(lab.store.is_indexed(query()).await.expect("it is told"));
    let runs = lab.test.database.collection::<Document>("runs");
    for index in ["input_models", "newest_users_of_model"] {
        runs.drop_index(index).await.expect("it is dropped");
    }
    assert!(!lab.store.is_indexed(query()).await.expect("it is told"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_refused_for_a_while_is_whole_again_after_a_full_pass() {
    let lab = Lab::new().await;
    let exp = lab.experiment("refused");
    let mut runs = plain_runs(&exp, 3);
    runs[1].tags.push(("odd".into(), "yes".into()));
    lab.sql().insert(&runs);
    lab.store.migrate().await.expect("it is migrated");
    // Another validator for a while: what it refuses is stored in part.
    let database = &lab.test.database;
    let listed = database
        .run_command(doc! { "listCollections": 1, "filter": { "name": "runs" } })
        .await;
    let listed = listed.expect("it is listed");
    let batch = listed
        .get_document("cursor")
        .unwrap()
        .get_array("firstBatch")
        .unwrap();
    let validator = batch[0]
        .as_document()
        .unwrap()
        .get_document("options")
        .unwrap()
        .get_document("validator")
        .unwrap();
    let set = |validator: Document| async move {
        let set = doc! { "collMod": "runs", "validator": validator };
        database
            .run_command(set)
            .await
            .expect("the validator is set")
    };
    set(doc! { "tags.odd": { "$exists": false } }).await;
    // The library's own check would set the right validator again: the run is saved by itself.
    let client = lab.builder().build().expect("the URI is valid");
    let run = client
        .run(&runs[1].id.parse().unwrap())
        .await
        .expect("it is there");
    let ticket = lab.store.draw_ticket().await.expect("it is drawn");
    let saved = lab
        .store
        .save_runs(vec![run.clone()], ticket)
        .await
        .expect("a part is stored");
    assert_eq!((saved.written, saved.quarantined), (0, 1));
    // Refused still: nothing is written again.
    let before = database
        .collection::<Document>("runs")
        .find_one(doc! { "_id": &runs[1].id })
        .await
        .unwrap();
    let ticket = lab.store.draw_ticket().await.expect("it is drawn");
    let saved = lab
        .store
        .save_runs(vec![run], ticket)
        .await
        .expect("it is compared");
    assert_eq!((saved.written, saved.quarantined), (0, 1));
    let after = database
        .collection::<Document>("runs")
        .find_one(doc! { "_id": &runs[1].id })
        .await
        .unwrap();
    assert_eq!(before, after);
    set(validator.clone()).await;
    let report = Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!((report.written, report.quarantined), (3, 0));
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_of_deletion_are_by_the_servers_clock() {
    let (lab, _, ids) = mirrored(2).await;
    rest::post(
        &lab.server.uri(),
        "runs/delete",
        &json!({ "run_id": ids[0] }),
    );
    let before = lab.store.server_time().await.expect("it is told");
    Lab::complete(lab.sync().run(|_| {}).await);
    let after = lab.store.server_time().await.expect("it is told");
    let deleted = lab
        .store
        .get_deleted_run(&ids[0])
        .await
        .expect("MongoDB answers");
    let deleted = deleted.expect("it is kept");
    let at = deleted.deleted_at.expect("it has a date");
    assert!(before <= at && at <= after, "{before} {at} {after}");
    assert!(!deleted.purged && deleted.run.status().is_some());
    let purged = lab
        .store
        .purge_deleted(DateTime::from_millis(after.timestamp_millis() + 1));
    assert_eq!(purged.await.expect("it is purged"), 1);
    let purged = lab.store.get_deleted_run(&ids[0]).await.unwrap().unwrap();
    assert!(purged.purged && purged.run.status().is_none());
}
