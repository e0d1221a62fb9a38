//! Faults of a real replica set during a sync: acknowledged writes survive, and the sync continues, or fails with a clear error and
//! is resumed.

use std::time::{Duration, Instant};

use crate::support::lab::chain;
use crate::support::outage::{assert_equal, lab_on, reached, recovers, signal};
use crate::support::replica_set::ReplicaSet;
use crate::support::unique;

#[tokio::test]
async fn no_run_is_lost_when_the_primary_is_killed_or_steps_down() {
    let mut set = ReplicaSet::start().await;
    for at in [2, 9, 20] {
        let (lab, pages) = lab_on(&set.uri(&unique("test")), 60).await;
        let sync = lab.sync();
        let fault = async {
            reached(&pages, at).await;
            let primary = set.primary().await;
            set.kill(primary);
            set.primary().await;
            set.restart(primary);
        };
        let (result, ()) = tokio::join!(sync.run(|_| {}), fault);
        recovers(&lab, result).await;
        assert_equal(&lab).await;
    }
    for at in [5, 14] {
        let (lab, pages) = lab_on(&set.uri(&unique("test")), 60).await;
        let sync = lab.sync();
        let fault = async {
            reached(&pages, at).await;
            set.step_down().await;
        };
        let (result, ()) = tokio::join!(sync.run(|_| {}), fault);
        let report = recovers(&lab, result).await;
        assert_eq!(
            report.quarantined, 0,
            "a transient fault put a run into quarantine: {report:?}"
        );
        assert_equal(&lab).await;
    }
}

#[tokio::test]
async fn a_sync_continues_after_all_members_were_down() {
    let mut set = ReplicaSet::start().await;
    let (lab, pages) = lab_on(&set.uri(&unique("test")), 60).await;
    let sync = lab.sync();
    let outage = async {
        reached(&pages, 9).await;
        for member in 0..3 {
            set.kill(member);
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        for member in 0..3 {
            set.restart(member);
        }
        set.primary().await;
    };
    let (result, ()) = tokio::join!(sync.run(|_| {}), outage);
    recovers(&lab, result).await;
    assert_equal(&lab).await;
}

#[tokio::test]
async fn without_a_majority_a_sync_fails_with_a_clear_error_and_is_resumed_later() {
    let set = ReplicaSet::start().await;
    let (lab, pages) = lab_on(&set.uri(&unique("test")), 60).await;
    let primary = set.primary().await;
    let others: Vec<u32> = (0..3)
        .filter(|member| *member != primary)
        .map(|member| set.pid(member))
        .collect();
    let sync = lab.sync();
    let start = Instant::now();
    let outage = async {
        reached(&pages, 9).await;
        for process in &others {
            signal("-STOP", *process);
        }
    };
    // The members stay suspended until the sync gives up.
    let (result, ()) = tokio::join!(sync.run(|_| {}), outage);
    let took = start.elapsed();
    for process in &others {
        signal("-CONT", *process);
    }
    let error = result.expect_err("nothing can be acknowledged");
    assert!(took < Duration::from_secs(180), "{took:?}");
    let said = chain(&error);
    assert!(
        said.contains("MongoDB"),
        "the error does not name MongoDB: {said}"
    );
    set.primary().await;
    recovers(&lab, Err(error)).await;
    assert_equal(&lab).await;
}
