//! Deleted runs stay deleted despite late writes, and a purge keeps nothing of them but id, ticket and date.

use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, doc};
use runlineage::{MongoRunStore, Run};
use serde_json::json;

use crate::support::faulty::Faulty;
use crate::support::lab::{Lab, plain_runs};
use crate::support::outage::lab_on;
use crate::support::rest;

/// How long MongoDB delays the late write.
const DELAY: Duration = Duration::from_secs(8);

/// The ways in which a late write is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    Inserts,
    Replaces,
    StoresAPart,
    /// MongoDB made the insert and its reply was lost, so the driver inserts again.
    Again,
    /// The sync lost its lease and dropped the write.
    Dropped,
}

#[tokio::test]
async fn no_late_write_restores_a_deleted_run() {
    let faulty = Faulty::start().await;
    let kinds = [
        Late::Inserts,
        Late::Replaces,
        Late::StoresAPart,
        Late::Again,
        Late::Dropped,
    ];
    for late in kinds {
        let (lab, _) = lab_on(&faulty.uri(), 1).await;
        let id = lab.truth().runs[0]["info"]["run_id"].clone();
        let id = id.as_str().expect("an id").to_owned();
        lab.store.migrate().await.expect("migrations");
        if late == Late::Replaces {
            Lab::complete(lab.sync().run(|_| {}).await);
            lab.sql().set_tag(&id, "edited", "yes").write();
        }
        let ticket = lab.store.draw_ticket().await.expect("a ticket");
        let client = lab.builder().build().expect("a client");
        let mut read = client
            .run(&id.parse().expect("a run id"))
            .await
            .expect("a run");
        if late == Late::StoresAPart {
            read = too_large(&read);
        }

        let runs = format!("{}.runs", lab.test.database.name());
        let held = doc! { "blockConnection": true, "blockTimeMS": DELAY.as_millis() as i64 };
        faulty
            .fail(doc! { "times": 1 }, &runs, &["insert", "update"], held)
            .await;
        let store = lab.store.clone();
        let copy = read.clone();
        let writing = tokio::spawn(async move { store.save_runs(vec![copy], ticket).await });
        tokio::time::sleep(DELAY / 8).await;

        let gone = json!({ "run_id": id });
        rest::post(&lab.server.uri(), "runs/delete", &gone);
        Lab::complete(lab.sync().run(|_| {}).await);
        assert!(!writing.is_finished(), "{late:?}: it was not delayed");
        if late == Late::Again {
            insert_as_written(&lab, &read).await;
        }
        if late == Late::Dropped {
            writing.abort();
            tokio::time::sleep(DELAY).await;
        } else {
            let saved = writing.await.expect("it does not panic");
            saved.unwrap_or_else(|error| panic!("{late:?}: {error}"));
        }
        faulty.mend().await;
        assert!(
            !lab.mirrored().await.contains(&id),
            "{late:?}: it is mirrored again"
        );
    }
}

/// The same run, too large for MongoDB.
fn too_large(run: &Run) -> Run {
    let mut document = run.to_document().expect("a run");
    let long = "x".repeat(1 << 20);
    let tags = (0..17).map(|tag| (tag.to_string(), Bson::from(long.as_str())));
    document.insert("tags", tags.collect::<Document>());
    Run::try_from(&document).expect("a run")
}

/// Stores the run as the first of two attempts did, with the first ticket.
async fn insert_as_written(lab: &Lab, run: &Run) {
    let mut document = run.to_document().expect("a run");
    let mirror = document.get_document_mut("mirror").expect("it is there");
    mirror.insert("ticket", 1_i64);
    mirror.insert("changed_at", DateTime::now());
    let runs = lab.test.database.collection::<Document>("runs");
    runs.insert_one(document).await.expect("MongoDB accepts it");
}

#[tokio::test]
async fn a_read_between_two_deletions_does_not_restore_the_run() {
    let lab = Lab::new().await;
    let run = plain_runs(&lab.experiment("a"), 1).remove(0);
    let mut sql = lab.sql();
    sql.insert(std::slice::from_ref(&run));
    sql.set_stage(&run.id, "deleted").write();
    Lab::complete(lab.sync().run(|_| {}).await);
    sql.set_stage(&run.id, "active").write();
    let ticket = lab.store.draw_ticket().await.expect("a ticket");
    let client = lab.builder().build().expect("a client");
    let read = client
        .run(&run.id.parse().expect("a run id"))
        .await
        .expect("a run");
    sql.set_stage(&run.id, "deleted").write();
    Lab::complete(lab.sync().run(|_| {}).await);
    let saved = lab.store.save_runs(vec![read], ticket).await;
    assert_eq!(saved.expect("MongoDB accepts it").written, 0);
    assert!(lab.mirrored().await.is_empty());
}

async fn purge(store: &MongoRunStore) -> u64 {
    let tomorrow = DateTime::now().timestamp_millis() + 86_400_000;
    let purged = store.purge_deleted(DateTime::from_millis(tomorrow)).await;
    purged.expect("MongoDB purges them")
}

#[tokio::test]
async fn the_tombstone_of_a_purged_run_still_prevents_late_writes() {
    let lab = Lab::new().await;
    let runs = plain_runs(&lab.experiment("a"), 3);
    let mut sql = lab.sql();
    sql.insert(&runs);
    lab.store.migrate().await.expect("migrations");
    let early = lab.store.draw_ticket().await.expect("a ticket");
    let client = lab.builder().build().expect("a client");
    let read = client
        .run(&runs[0].id.parse().expect("a run id"))
        .await
        .expect("a run");
    Lab::complete(lab.sync().run(|_| {}).await);
    sql.set_stage(&runs[0].id, "deleted").write();
    Lab::complete(lab.sync().run(|_| {}).await);

    let tombstones = lab.test.database.collection::<Document>("deleted_runs");
    let tombstone = async || {
        let found = tombstones.find_one(doc! { "_id": &runs[0].id }).await;
        found.expect("a find").expect("it is there")
    };
    let before = tombstone().await;
    let kept = before.get_document("mirror").expect("it is there");
    let (ticket, changed_at) = (kept.get("ticket"), kept.get("changed_at"));
    let mirror = doc! { "ticket": ticket, "changed_at": changed_at, "purged": true };
    assert_eq!(purge(&lab.store).await, 1);
    assert_eq!(
        tombstone().await,
        doc! { "_id": &runs[0].id, "mirror": mirror }
    );
    assert_eq!(purge(&lab.store).await, 0, "it is purged already");

    let saved = lab.store.save_runs(vec![read], early).await;
    assert_eq!(saved.expect("MongoDB accepts it").written, 0);
    assert_eq!(lab.mirrored().await.len(), 2);

    // The run is still deleted in MLflow, so the next pass must not fill its tombstone again.
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(
        tombstone().await.keys().collect::<Vec<_>>(),
        ["_id", "mirror"]
    );

    sql.set_stage(&runs[0].id, "active").write();
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.mirrored().await.len(), 3);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    sql.set_stage(&runs[0].id, "deleted").write();
    Lab::complete(lab.sync().run(|_| {}).await);
    assert!(
        tombstone().await.contains_key("name"),
        "deleted anew, and kept"
    );
    assert_eq!(purge(&lab.store).await, 1);
}
