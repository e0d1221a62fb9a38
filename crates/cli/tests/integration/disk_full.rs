//! MongoDB's disk fills up during a sync: one clear error, and the next sync completes once there is space.

use std::time::{Duration, Instant};

use mongodb::Client;

use crate::support::lab::{Lab, plain_runs};
use crate::support::mongodb::TestDatabase;
use crate::support::outage::assert_equal;
use crate::support::program::{Finished, run, runlineage};
use crate::support::small_disk::SmallDisk;
use crate::support::unique;

fn sync(lab: &Lab, mongodb: &str) -> Finished {
    let tracking = lab.proxy.uri();
    let args = [
        "sync",
        "--source",
        "lab",
        "--page-size",
        "50",
        "--format",
        "json",
    ];
    let connection = ["--tracking-uri", &tracking, "--mongodb-uri", mongodb];
    run(&mut runlineage(args.iter().chain(&connection)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_onto_a_full_disk_fails_clearly_and_the_next_sync_completes_it() {
    let mut disk = SmallDisk::start(64);
    let uri = disk.uri(&unique("test"));
    let client = Client::with_uri_str(&uri).await.expect("the URI is valid");
    let database = client.default_database().expect("the URI names a database");
    let lab = Lab::on(
        uri.clone(),
        TestDatabase {
            uri: uri.clone(),
            database,
        },
    )
    .await;
    let mut sql = lab.sql();
    sql.insert(&plain_runs(&lab.experiment("before"), 20));
    sync(&lab, &uri).success();
    assert_equal(&lab).await;

    // About 10 MB that do not compress.
    let mut runs = plain_runs(&lab.experiment("too much"), 2_000);
    let mut rng = fastrand::Rng::with_seed(1);
    for run in &mut runs {
        let noise: String = (0..5_000).map(|_| rng.alphanumeric()).collect();
        run.tags.push(("noise".to_owned(), noise));
    }
    sql.insert(&runs);
    disk.fill(2_000);
    let start = Instant::now();
    let full = sync(&lab, &uri);
    let took = start.elapsed();
    assert_eq!(full.code, Some(1), "{full:?}");
    assert!(took < Duration::from_secs(180), "{took:?}");
    let errors: Vec<&str> = full
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{}", full.stderr);
    assert!(errors[0].starts_with("error: MongoDB: "), "{}", full.stderr);
    assert!(!full.stderr.contains("panicked"), "{}", full.stderr);
    assert_eq!(full.stdout, "", "what fails has no report");

    disk.free();
    let start = Instant::now();
    let mut next = sync(&lab, &uri);
    while next.code != Some(0) {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", next.stderr);
        std::thread::sleep(Duration::from_millis(500));
        next = sync(&lab, &uri);
    }
    let report: serde_json::Value = serde_json::from_str(&next.success()).expect("a report");
    assert_eq!(report["quarantined"], 0, "{report}");
    assert_equal(&lab).await;
    assert_eq!(lab.mirrored().await.len(), 2_020);
}
