//! Faults of a real replica set in the middle of a sync: what was acknowledged stays, and the sync goes on by itself, or ends with
//! a clear error and is taken up.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use runlineage::sync::Report;
use runlineage::{Error, Result};

use crate::support::lab::{Lab, chain, plain_runs};
use crate::support::mongodb::TestDatabase;
use crate::support::proxy::Answer;
use crate::support::replica_set::ReplicaSet;
use crate::support::unique;

/// What an outage may take from its end until the sync is through.
const RECOVERED: Duration = Duration::from_secs(60);

/// A lab whose mirror is in the set, and the count of pages asked for.
async fn lab_on(set: &ReplicaSet, runs: usize) -> (Lab, Arc<AtomicUsize>) {
    let uri = set.uri(&unique("test"));
    let client = mongodb::Client::with_uri_str(&uri)
        .await
        .expect("the URI is valid");
    let database = client.default_database().expect("the URI names one");
    let lab = Lab::on(uri.clone(), TestDatabase { uri, database }).await;
    let mut sql = lab.sql();
    for name in ["a", "b", "c"] {
        sql.insert(&plain_runs(&lab.experiment(name), runs));
    }
    let pages = Arc::new(AtomicUsize::new(0));
    let counted = pages.clone();
    lab.proxy.on(move |request| {
        if request.call == "runs/search" {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        Answer::Pass
    });
    (lab, pages)
}

/// Waits until so many pages were asked for.
async fn reached(pages: &AtomicUsize, count: usize) {
    let start = Instant::now();
    while pages.load(Ordering::SeqCst) < count {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "the sync does not come to page {count}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Passes again until one is complete; each that is not says why.
async fn recovers(lab: &Lab, first: Result<Report>) -> Report {
    let start = Instant::now();
    let mut result = first;
    loop {
        match result {
            Ok(report) if report.incomplete.is_empty() => return Lab::complete(Ok(report)),
            Ok(report) => panic!("MLflow was there all the time: {report:?}"),
            Err(error) => {
                let said = chain(&error);
                assert!(
                    matches!(error, Error::Mongo { .. } | Error::Leased { .. }),
                    "{said}"
                );
                assert!(start.elapsed() < RECOVERED, "it does not recover: {said}");
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        result = lab.sync().run(|_| {}).await;
    }
}

async fn assert_equal(lab: &Lab) {
    assert_eq!(lab.differences().await, Vec::<String>::new());
    assert_eq!(lab.mirrored().await.len(), lab.truth().active().count());
}

#[tokio::test]
async fn a_primary_killed_or_stepped_down_in_mid_batch_loses_nothing() {
    let mut set = ReplicaSet::start().await;
    for at in [2, 9, 20] {
        let (lab, pages) = lab_on(&set, 60).await;
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
        let (lab, pages) = lab_on(&set, 60).await;
        let sync = lab.sync();
        let fault = async {
            reached(&pages, at).await;
            set.step_down().await;
        };
        let (result, ()) = tokio::join!(sync.run(|_| {}), fault);
        let report = recovers(&lab, result).await;
        assert_eq!(
            report.quarantined, 0,
            "a run was stored in part for a fault that passes: {report:?}"
        );
        assert_equal(&lab).await;
    }
}

#[tokio::test]
async fn a_set_that_was_down_altogether_is_written_on_once_it_is_back() {
    let mut set = ReplicaSet::start().await;
    let (lab, pages) = lab_on(&set, 60).await;
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
async fn without_a_majority_a_sync_ends_with_a_clear_error_and_is_taken_up_later() {
    let set = ReplicaSet::start().await;
    let (lab, pages) = lab_on(&set, 60).await;
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
    // Nobody brings them back while it tries.
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
        "it has to say who is to blame: {said}"
    );
    set.primary().await;
    recovers(&lab, Err(error)).await;
    assert_equal(&lab).await;
}

fn signal(signal: &str, process: u32) {
    let status = Command::new("kill")
        .args([signal, &process.to_string()])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "kill {signal}");
}
