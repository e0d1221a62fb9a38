//! Syncs into a MongoDB server that fails meanwhile: the fixture, and the assertions on recovery.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use runlineage::sync::Report;
use runlineage::{Error, Result};

use super::lab::{Lab, chain, plain_runs};
use super::mongodb::TestDatabase;
use super::proxy::Answer;

/// The longest time from the end of an outage to a complete sync.
pub(crate) const RECOVERED: Duration = Duration::from_secs(60);

/// A lab with three experiments of `runs` runs each and the mirror at this URI, and a counter of the requested pages.
pub(crate) async fn lab_on(uri: &str, runs: usize) -> (Lab, Arc<AtomicUsize>) {
    let client = mongodb::Client::with_uri_str(uri)
        .await
        .expect("the URI is valid");
    let database = client.default_database().expect("the URI names a database");
    let uri = uri.to_owned();
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

/// Waits until the sync has requested this many pages.
pub(crate) async fn reached(pages: &AtomicUsize, count: usize) {
    let start = Instant::now();
    while pages.load(Ordering::SeqCst) < count {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "the sync does not request page {count}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Repeats the pass until one is complete. A pass that fails must name MongoDB or the lease as the reason.
pub(crate) async fn recovers(lab: &Lab, first: Result<Report>) -> Report {
    let start = Instant::now();
    let mut result = first;
    loop {
        match result {
            Ok(report) if report.incomplete.is_empty() => return Lab::complete(Ok(report)),
            Ok(report) => panic!("incomplete, though MLflow was reachable: {report:?}"),
            Err(error) => {
                let said = chain(&error);
                assert!(
                    matches!(
                        error,
                        Error::Mongo { .. } | Error::Leased { .. } | Error::LeaseLost { .. }
                    ),
                    "{said}"
                );
                assert!(
                    start.elapsed() < RECOVERED,
                    "the sync does not recover: {said}"
                );
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        result = lab.sync().run(|_| {}).await;
    }
}

/// The mirror equals MLflow, and no transient fault has put a run into quarantine.
pub(crate) async fn assert_equal(lab: &Lab) {
    assert_eq!(lab.differences().await, Vec::<String>::new());
    assert_eq!(lab.mirrored().await.len(), lab.truth().active().count());
    let quarantined = mongodb::bson::doc! { "mirror.quarantined": true };
    let quarantined = lab.store.count_runs(quarantined).await;
    assert_eq!(quarantined.expect("MongoDB counts"), 0);
}

pub(crate) fn signal(signal: &str, process: u32) {
    let status = Command::new("kill")
        .args([signal, &process.to_string()])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "kill {signal}");
}
