//! MongoDB refuses a command, does not acknowledge it or closes the connection during a sync. Only acknowledged writes are counted,
//! a transient fault puts no run into quarantine, and the next pass completes the mirror.

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

/// A pass, and its last reported counts of seen and written runs.
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
async fn writes_that_no_majority_acknowledged_are_an_error_and_not_counted() {
    let faulty = Faulty::start().await;
    let (lab, _) = lab_on(&faulty.uri(), 40).await;
    let runs = format!("{}.runs", lab.test.database.name());
    // The first pass inserts runs; the second one, after an edit of each run, replaces them.
    for (command, edited) in [("insert", false), ("update", true)] {
        if edited {
            let mut sql = lab.sql();
            for run in lab.mirrored().await {
                sql.set_tag(&run, "edited", "yes");
            }
            sql.write();
        }
        // Only four batches are acknowledged.
        let mode = doc! { "skip": 4 };
        faulty.fail(mode, &runs, &[command], timeout()).await;
        let (result, seen, written) = pass(&lab).await;
        let error = result.expect_err("nothing more is acknowledged");
        let said = chain(&error);
        assert!(matches!(error, Error::Mongo { .. }), "{said}");
        assert!(said.contains("waiting for replication timed out"), "{said}");
        // The runs of the last batch are stored, but not acknowledged.
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

/// Edits, creates and deletes runs, so that a pass sends every kind of command.
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

/// Makes each command of a pass fail three times. `may_end` tells for which commands the pass may end with an error.
async fn every_command_fails(
    name: &str,
    fault: Document,
    words: &str,
    may_end: impl Fn(&str, &str) -> bool,
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
        assert!(
            faulty.mend().await > before,
            "{what}: the pass does not send it"
        );
        if let Err(error) = &result {
            let said = chain(error);
            assert!(may_end(collection, command), "{what}: {said}");
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
async fn after_a_write_concern_timeout_the_next_pass_completes_the_mirror() {
    let words = "waiting for replication timed out";
    every_command_fails("a write-concern timeout", timeout(), words, |_, _| true).await;
}

#[tokio::test]
async fn after_a_full_disk_the_next_pass_completes_the_mirror() {
    let full = doc! { "errorCode": 14031 };
    every_command_fails("a full disk", full, "OutOfDiskSpace", |_, _| true).await;
}

#[tokio::test]
async fn a_pass_retries_commands_after_a_closed_connection() {
    // Before a pass has the lease, a failed command may end it.
    let may_end = |collection: &str, command: &str| {
        matches!(
            (collection, command),
            ("sync_state", "find") | ("leases", "findAndModify")
        )
    };
    every_command_fails(
        "hung up",
        doc! { "closeConnection": true },
        "I/O error",
        may_end,
    )
    .await;
}

#[tokio::test]
async fn a_pass_retries_commands_that_a_former_primary_refuses() {
    let may_end = |collection: &str, command: &str| {
        matches!(
            (collection, command),
            ("sync_state", "find") | ("leases", "findAndModify")
        )
    };
    every_command_fails(
        "stepped down",
        doc! { "errorCode": 10107 },
        "10107",
        may_end,
    )
    .await;
}
