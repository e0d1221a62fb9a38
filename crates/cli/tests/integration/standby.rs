//! A `sync --every` while another process holds the lease: it waits, and names the lease holder.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mongodb::bson::{DateTime, Document, doc};

use crate::support::held::{hold, lab_with_runs, now};
use crate::support::watching::{STOPPED, is_full, wait_until, watch};

const WAITING: &str = "another process holds the lease of a sync of this database";

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_was_killed_and_restarted_waits_for_the_end_of_its_lease() {
    let (lab, ..) = lab_with_runs(5).await;
    let (waits, go) = hold(&lab);
    let killed = watch(&lab, &["--every", "1h"]);
    wait_until("a page is asked for", || waits.load(Ordering::SeqCst));
    let holder = format!("process {}", killed.pid());
    killed.signal("-KILL");
    assert_eq!(killed.end_within(STOPPED).0, None);
    go.store(true, Ordering::SeqCst);

    let mut running = watch(&lab, &["--every", "1h"]);
    running.wait_for_pass(0, is_full);
    let stderr = running.stderr();
    let waiting: Vec<_> = stderr
        .iter()
        .filter(|line| line.contains(WAITING))
        .collect();
    assert_eq!(waiting.len(), 1, "{stderr:#?}");
    assert!(waiting[0].contains(&holder), "{holder}: {waiting:?}");
    assert!(waiting[0].contains("\"until\":\"20"), "{waiting:?}");
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_a_released_lease_and_can_be_stopped_while_it_waits() {
    let (lab, ..) = lab_with_runs(5).await;
    let leases = lab.test.database.collection::<Document>("leases");
    let until = DateTime::from_millis(now() + 600_000);
    let lease =
        doc! { "_id": "sync", "holder": "elsewhere", "until": until, "length": 600_000_i64 };
    leases
        .insert_one(lease)
        .await
        .expect("MongoDB stores the document");

    let start = Instant::now();
    let once = watch(&lab, &[]);
    let (code, _, stderr) = once.end_within(Duration::from_secs(10));
    assert_eq!(code, Some(1), "{:?}: {stderr:#?}", start.elapsed());
    assert!(stderr.concat().contains("elsewhere"), "{stderr:#?}");

    for signal in ["-TERM", "-INT"] {
        let standby = watch(&lab, &["--every", "1h"]);
        wait_until("the standby waits", || {
            standby.stderr().concat().contains(WAITING)
        });
        standby.signal(signal);
        let (code, _, stderr) = standby.end_within(STOPPED);
        assert_eq!(code, Some(0), "{signal}: {stderr:#?}");
    }
    let held = leases.count_documents(doc! { "holder": "elsewhere" }).await;
    assert_eq!(
        held.ok(),
        Some(1),
        "the other process still holds the lease"
    );

    let mut standby = watch(&lab, &["--every", "1h"]);
    wait_until("the standby waits", || {
        standby.stderr().concat().contains(WAITING)
    });
    let released = leases.delete_one(doc! { "_id": "sync" }).await;
    assert_eq!(released.expect("MongoDB answers").deleted_count, 1);
    standby.wait_for_pass(0, is_full);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}
