//! Repairs of a mirror that lost its ticket counter, its indexes, its collections or the whole database, also during a watch.

use std::process::Command;

use futures::TryStreamExt as _;
use mongodb::Database;
use mongodb::bson::{DateTime, Document, doc};
use runlineage::sync::SyncJob;
use runlineage::{MlflowClient, MongoRunStore};
use serde_json::json;

use crate::support::lab::{Lab, plain_runs};
use crate::support::rest;

const DAY: i64 = 86_400_000;

/// Holds the URIs of MLflow and MongoDB in the process whose clock is ahead.
const HOST_AHEAD: &str = "RUNLINEAGE_TEST_HOST_AHEAD";

/// Sets the clock of a process that preloads this library 100 days ahead.
const CLOCK_AHEAD: &str = "
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += 100 * 86400;
    return result;
}
";

/// Syncs once in a process whose clock is 100 days ahead, and returns that process' time.
fn start_host_ahead(uris: &str) -> i64 {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, library) = (
        folder.path().join("clock.c"),
        folder.path().join("clock.so"),
    );
    std::fs::write(&source, CLOCK_AHEAD).expect("a file");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library);
    let compiled = compiler.arg(&source).status();
    assert!(compiled.expect("cc starts").success());
    let this_test = "restored::dates_of_deletion_are_by_the_servers_clock";
    let output = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", this_test, "--nocapture"])
        .env("LD_PRELOAD", &library)
        .env(HOST_AHEAD, uris)
        .output()
        .expect("this binary starts again");
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let time = stdout.lines().find_map(|line| line.strip_prefix("TIME "));
    time.and_then(|time| time.parse().ok()).expect("a time")
}

async fn sync_on_a_host_ahead(uris: &str) {
    let (mlflow, mongodb) = uris.split_once(' ').expect("both URIs are valid");
    let client = MlflowClient::builder(mlflow).source("lab").build();
    let store = MongoRunStore::connect(mongodb).await.expect("a store");
    let job = SyncJob::new(&client.expect("a client"), &store);
    Lab::complete(job.run(|_| {}).await);
    println!("\nTIME {}", DateTime::now().timestamp_millis());
}

/// A lab with mirrored runs, their experiment and their ids.
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

async fn index_names(lab: &Lab, collection: &str) -> Vec<String> {
    let collection = lab.test.database.collection::<Document>(collection);
    let mut names = collection.list_index_names().await.expect("it has indexes");
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_counter_that_is_behind_is_raised_before_the_first_write() {
    for lost in [doc! {}, doc! { "_id": "ticket" }] {
        let (lab, _, ids) = mirrored(20).await;
        for _ in 0..3 {
            Lab::complete(lab.sync().run(|_| {}).await);
        }
        state(&lab)
            .delete_many(lost.clone())
            .await
            .expect("MongoDB deletes it");
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
            .expect("MongoDB deletes it");
        Lab::complete(lab.sync().run(|_| {}).await);
        assert_eq!(lab.differences().await, Vec::<String>::new(), "{lost}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_pass_of_a_job_recreates_what_was_dropped() {
    let (lab, _, ids) = mirrored(20).await;
    // A watch also uses one job for all passes.
    let job = lab.sync();
    let runs = index_names(&lab, "runs").await;
    let deleted = index_names(&lab, "deleted_runs").await;
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
        assert_eq!(index_names(&lab, "runs").await, runs, "{what}");
        assert_eq!(index_names(&lab, "deleted_runs").await, deleted, "{what}");
        let other = collection
            .insert_one(doc! { "_id": "other", "name": 7 })
            .await;
        assert!(other.is_err(), "{what}: the validator is missing");
        assert_eq!(lab.differences().await, Vec::<String>::new(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_a_late_write_created_is_adopted() {
    let (lab, _, _) = mirrored(5).await;
    let database = &lab.test.database;
    let runs = database.collection::<Document>("runs");
    let run = runs
        .find_one(doc! {})
        .await
        .expect("MongoDB answers")
        .expect("there is one");
    database.drop().await.expect("it is dropped");
    // A page that was being written during the drop creates the collection again.
    runs.insert_one(run).await.expect("it is written");
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    assert!(
        runs.insert_one(doc! { "_id": "other" }).await.is_err(),
        "the validator is missing"
    );
    // A collection of another program is still refused.
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

/// All documents, collection by collection, as `mongodump` reads them.
async fn dump(database: &Database) -> Vec<(String, Vec<Document>)> {
    let mut dump = Vec::new();
    for name in database.list_collection_names().await.expect("names") {
        let collection = database.collection::<Document>(&name);
        let documents = collection.find(doc! {}).batch_size(5).await;
        let documents = documents.expect("documents").try_collect().await;
        dump.push((name, documents.expect("documents")));
    }
    dump
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_from_a_dump_that_was_made_during_a_pass_catches_up() {
    let (lab, exp, ids) = mirrored(60).await;
    let (uri, database) = (lab.server.uri(), &lab.test.database);
    let edit = |runs: &[String], value: &str| {
        for run in runs {
            let tag = json!({ "run_id": run, "key": "edited", "value": value });
            rest::post(&uri, "runs/set-tag", &tag);
        }
    };
    let post = |call: &str, runs: &[String]| {
        for run in runs {
            rest::post(&uri, call, &json!({ "run_id": run }));
        }
    };
    edit(&ids[..20], "before");
    post("runs/delete", &ids[20..25]);
    let job = lab.sync();
    let (report, dump) = tokio::join!(job.run(|_| {}), dump(database));
    Lab::complete(report);
    edit(&ids[10..20], "after");
    post("runs/restore", &ids[20..22]);
    post("runs/delete", &ids[30..35]);
    lab.sql().insert(&plain_runs(&exp, 5));
    Lab::complete(lab.sync().run(|_| {}).await);

    database.drop().await.expect("it is dropped");
    for (name, documents) in dump {
        // A dump is older than a lease lasts.
        if name != "leases" && !documents.is_empty() {
            let collection = database.collection(&name);
            let restored = collection.insert_many(documents).await;
            restored.expect("they are restored");
        }
    }
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_whose_index_is_missing_is_not_indexed() {
    let (lab, _, _) = mirrored(5).await;
    let query = || runlineage::Query::new().with_input_model("churn", "1");
    assert!(
        lab.store
            .is_indexed(query())
            .await
            .expect("MongoDB answers")
    );
    let runs = lab.test.database.collection::<Document>("runs");
    for index in ["input_models", "newest_users_of_model"] {
        runs.drop_index(index).await.expect("it is dropped");
    }
    assert!(
        !lab.store
            .is_indexed(query())
            .await
            .expect("MongoDB answers")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pass_ends_the_quarantine_of_a_run_that_mongodb_accepts_again() {
    let lab = Lab::new().await;
    let exp = lab.experiment("refused");
    let mut runs = plain_runs(&exp, 3);
    runs[1].tags.push(("odd".into(), "yes".into()));
    lab.sql().insert(&runs);
    lab.store.migrate().await.expect("it is migrated");
    // For a while, another validator refuses the run, which is stored in part.
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
    // A pass would restore the validator, so the run is saved without one.
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
    // The validator still refuses the run, so nothing is written.
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
    if let Ok(uris) = std::env::var(HOST_AHEAD) {
        return sync_on_a_host_ahead(&uris).await;
    }
    let (lab, _, ids) = mirrored(2).await;
    rest::post(
        &lab.server.uri(),
        "runs/delete",
        &json!({ "run_id": ids[0] }),
    );
    let before = lab.store.server_time().await.expect("the server's time");
    let host = start_host_ahead(&format!("{} {}", lab.proxy.uri(), lab.test.uri));
    let after = lab.store.server_time().await.expect("the server's time");
    let ahead = host - after.timestamp_millis();
    assert!(ahead > 99 * DAY, "its clock is only {ahead} ms ahead");
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
