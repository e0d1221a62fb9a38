//! What MongoDB refuses, leaves unacknowledged or hangs up on in the middle of a sync: nothing is counted that was not acknowledged,
//! nothing is stored in part for a fault that passes, and the next pass makes the mirror whole.

use std::sync::Mutex;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use runlineage::sync::Report;
use runlineage::{Error, Result};

use crate::support::faulty::Faulty;
use crate::support::lab::{Lab, chain, plain_runs};
use crate::support::outage::{assert_equal, lab_on, recovers};

/// How many runs are on a page of a lab's sync.
const PAGE: u64 = 7;

/// A pass, and the counts that it told last.
async fn pass(lab: &Lab) -> (Result<Report>, u64, u64) {
    let told = Mutex::new((0, 0));
    let tell = |progress: runlineage::sync::Progress| {
        *told.lock().unwrap() = (progress.seen, progress.written);
    };
    let bound = Duration::from_secs(180);
    let result = tokio::time::timeout(bound, lab.sync().concurrency(1).run(tell)).await;
    let result = result.expect("it ends in bounded time");
    let (seen, written) = *told.lock().unwrap();
    (result, seen, written)
}

fn timeout() -> Document {
    doc! { "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out", "errInfo": { "wtimeout": true } } }
}

#[tokio::test]
async fn what_no_majority_acknowledged_is_not_counted_and_is_said() {
    let faulty = Faulty::start().await;
    let (lab, _) = lab_on(&faulty.uri(), 40).await;
    let runs = format!("{}.runs", lab.test.database.name());
    // The first pass inserts; the second one, after an edit of each run, replaces.
    for (command, edited) in [("insert", false), ("update", true)] {
        if edited {
            let mut sql = lab.sql();
            for run in lab.mirrored().await {
                sql.set_tag(&run, "edited", "yes");
            }
            sql.write();
        }
        // Four batches are acknowledged, and no more.
        let mode = doc! { "skip": 4 };
        faulty.fail(mode, &runs, &[command], timeout()).await;
        let (result, seen, written) = pass(&lab).await;
        let error = result.expect_err("nothing more is acknowledged");
        let said = chain(&error);
        assert!(matches!(error, Error::Mongo { .. }), "{said}");
        assert!(said.contains("waiting for replication timed out"), "{said}");
        // What the last batch wrote is there, but nobody acknowledged it.
        let filter = if edited {
            doc! { "tags.edited": "yes" }
        } else {
            doc! {}
        };
        let there = lab.store.count_runs(filter).await.expect("MongoDB counts");
        assert_eq!(seen, written, "{command}");
        assert!(
            (there - PAGE..there).contains(&written),
            "{command}: {written} of {there}"
        );
        assert!(written > PAGE, "{command}: {written}");
        faulty.mend().await;
        let report = recovers(&lab, Err(error)).await;
        assert_eq!(report.quarantined, 0, "{report:?}");
        assert_equal(&lab).await;
    }
}

/// The commands of a pass, by collection.
const COMMANDS: [(&str, &str); 12] = [
    ("runs", "insert"),
    ("runs", "update"),
    ("runs", "find"),
    ("runs", "delete"),
    ("deleted_runs", "find"),
    ("deleted_runs", "insert"),
    ("sync_state", "find"),
    ("sync_state", "findAndModify"),
    ("sync_state", "update"),
    ("sync_state", "delete"),
    ("leases", "findAndModify"),
    ("leases", "delete"),
];

/// Edits, creates and deletes runs, so that a pass has something to do of each kind.
async fn edit(lab: &Lab, exp: &str, what: &str) {
    let mut sql = lab.sql();
    let mirrored = lab.mirrored().await;
    for run in mirrored.iter().take(8) {
        sql.set_tag(run, "edited", what);
    }
    sql.set_stage(mirrored.last().expect("a run"), "deleted")
        .write();
    sql.insert(&plain_runs(exp, 2));
}

/// Each command of a pass fails three times; `ends` says for which of them it may end with an error.
async fn every_command_fails(
    name: &str,
    fault: Document,
    words: &str,
    ends: impl Fn(&str, &str) -> bool,
) {
    let faulty = Faulty::start().await;
    let (lab, _) = lab_on(&faulty.uri(), 12).await;
    let exp = lab.experiment("new");
    Lab::complete(lab.sync().run(|_| {}).await);
    for (collection, command) in COMMANDS {
        let what = format!("{name}, {command} of {collection}");
        if command == "find" && fault.contains_key("writeConcernError") {
            continue;
        }
        edit(&lab, &exp, &what).await;
        let on = format!("{}.{collection}", lab.test.database.name());
        let before = faulty.mend().await;
        faulty
            .fail(doc! { "times": 3 }, &on, &[command], fault.clone())
            .await;
        let (result, ..) = pass(&lab).await;
        assert!(faulty.mend().await > before, "{what}: no pass sends that");
        if let Err(error) = &result {
            let said = chain(error);
            assert!(ends(collection, command), "{what}: {said}");
            assert!(
                said.starts_with("MongoDB: ") && said.contains(words),
                "{what}: {said}"
            );
        }
        let report = recovers(&lab, result).await;
        assert_eq!(report.quarantined, 0, "{what}: {report:?}");
        assert_equal(&lab).await;
    }
}

#[tokio::test]
async fn whichever_write_times_out_the_pass_says_so_and_the_next_one_makes_the_mirror_whole() {
    let words = "waiting for replication timed out";
    every_command_fails("a write-concern timeout", timeout(), words, |_, _| true).await;
}

#[tokio::test]
async fn whichever_command_meets_a_full_disk_the_pass_says_so_and_the_next_one_makes_the_mirror_whole()
 {
    let full = doc! { "errorCode": 14031 };
    every_command_fails("a full disk", full, "OutOfDiskSpace", |_, _| true).await;
}

#[tokio::test]
async fn whatever_mongodb_hangs_up_on_is_repeated_and_the_pass_goes_on() {
    // What a pass begins with, before it has the lease, may end it.
    let ends = |collection: &str, command: &str| {
        matches!(
            (collection, command),
            ("sync_state", "find") | ("leases", "findAndModify")
        )
    };
    every_command_fails(
        "hung up",
        doc! { "closeConnection": true },
        "I/O error",
        ends,
    )
    .await;
}

#[tokio::test]
async fn whatever_a_member_refuses_that_is_no_longer_the_primary_is_repeated_and_the_pass_goes_on()
{
    let ends = |collection: &str, command: &str| {
        matches!(
            (collection, command),
            ("sync_state", "find") | ("leases", "findAndModify")
        )
    };
    every_command_fails("stepped down", doc! { "errorCode": 10107 }, "10107", ends).await;
}
