//! One sync at a time holds the lease, also after a stall, a kill or a jump of the clock.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mongodb::Collection;
use mongodb::bson::{DateTime, Document, doc};
use runlineage::sync::{CancellationToken, SyncJob};
use runlineage::{Error, MlflowClient, MongoRunStore, lineage};
use serde_json::json;

use crate::support::lab::{Lab, chain, plain_runs};
use crate::support::proxy::{Answer, Proxy};
use crate::support::rest;

/// The proxy delays the answers to `runs/search` until the second flag is set. The first one is set as soon as a request waits.
fn delay_searches(lab: &Lab) -> (Arc<AtomicBool>, Arc<AtomicBool>) {
    let (waiting, go) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (is_waiting, may_go) = (waiting.clone(), go.clone());
    lab.proxy.on(move |request| {
        if request.call == "runs/search" && !may_go.load(Ordering::SeqCst) {
            let may_go = may_go.clone();
            let is_waiting = is_waiting.clone();
            // MLflow has answered before the delay, so the answer is an old one when it arrives.
            return Answer::After(Box::new(move || {
                is_waiting.store(true, Ordering::SeqCst);
                while !may_go.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }));
        }
        Answer::Pass
    });
    (waiting, go)
}

async fn wait_until(flag: &AtomicBool) {
    let start = Instant::now();
    while !flag.load(Ordering::SeqCst) {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "no search was sent"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_second_sync_fails_at_once_and_names_the_first() {
    let lab = Lab::new().await;
    lab.sql().insert(&plain_runs(&lab.experiment("a"), 10));
    let (waiting, go) = delay_searches(&lab);
    let first = lab.sync();
    let second = async {
        wait_until(&waiting).await;
        let start = Instant::now();
        let second = lab.sync().run(|_| {}).await;
        let second = second.expect_err("the first holds the lease");
        assert!(start.elapsed() < Duration::from_secs(5), "{second}");
        let Error::Leased { holder, until, .. } = &second else {
            panic!("{second:?}")
        };
        let this = format!("process {}", std::process::id());
        assert!(holder.contains(&this), "{holder}");
        let leases = lab.test.database.collection::<Document>("leases");
        let lease = leases.find_one(doc! { "_id": "sync" }).await;
        let lease = lease.expect("a find").expect("the lease");
        // The first may have renewed the lease since.
        let said = mongodb::bson::DateTime::parse_rfc3339_str(until).expect("a date");
        assert!(
            said <= *lease.get_datetime("until").expect("a date"),
            "{until}"
        );
        go.store(true, Ordering::SeqCst);
    };
    let (first, ()) = tokio::join!(first.run(|_| {}), second);
    Lab::complete(first);
    Lab::complete(lab.sync().run(|_| {}).await);
}

/// Inserts a lease of another process that applies migrations.
async fn insert_migration_lease(lab: &Lab) -> Collection<Document> {
    let leases = lab.test.database.collection::<Document>("leases");
    let until = DateTime::from_millis(DateTime::now().timestamp_millis() + 600_000);
    let lease =
        doc! { "_id": "migrate", "holder": "another", "until": until, "length": 600_000_i64 };
    leases.insert_one(lease).await.expect("MongoDB accepts it");
    leases
}

#[tokio::test]
async fn a_second_sync_fails_while_the_first_still_waits_for_migrations() {
    let lab = Lab::new().await;
    lab.sql().insert(&plain_runs(&lab.experiment("a"), 10));
    let leases = insert_migration_lease(&lab).await;
    let first = lab.sync();
    let second = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let store = MongoRunStore::connect(&lab.test.uri).await;
        let store = store.expect("the server is there");
        let client = lab.builder().build().expect("a client");
        let second = SyncJob::new(&client, &store);
        let second = tokio::time::timeout(Duration::from_secs(5), second.run(|_| {})).await;
        leases
            .delete_one(doc! { "_id": "migrate" })
            .await
            .expect("MongoDB deletes it");
        second
    };
    let (first, second) = tokio::join!(first.run(|_| {}), second);
    Lab::complete(first);
    let second = second.expect("it answers within 5 s");
    let Err(Error::Leased { what, holder, .. }) = &second else {
        panic!("{second:?}")
    };
    let this = format!("process {}", std::process::id());
    assert!(holder.contains(&this), "{holder}");
    assert!(what.contains("a sync"), "{what}");
    Lab::complete(lab.sync().run(|_| {}).await);
}

#[tokio::test]
async fn the_lease_of_a_dropped_sync_expires() {
    let lab = Lab::new().await;
    lab.sql().insert(&plain_runs(&lab.experiment("a"), 10));
    let (waiting, go) = delay_searches(&lab);
    let dropped = lab.sync().lease(Duration::from_secs(3));
    tokio::select! {
        ended = dropped.run(|_| {}) => panic!("{ended:?}"),
        // This drops the sync, so its lease is neither renewed nor released.
        () = wait_until(&waiting) => {}
    }
    go.store(true, Ordering::SeqCst);
    let refused = lab.sync().run(|_| {}).await;
    assert!(matches!(refused, Err(Error::Leased { .. })), "{refused:?}");
    let start = Instant::now();
    let taken = loop {
        match lab.sync().run(|_| {}).await {
            Err(Error::Leased { .. }) => tokio::time::sleep(Duration::from_millis(100)).await,
            other => break other,
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the lease never expires"
        );
    };
    Lab::complete(taken);
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

/// Inserts a lease of another process that expires so many seconds from now.
async fn insert_lease(lab: &Lab, seconds: i64, length: Option<i64>) {
    let leases = lab.test.database.collection::<Document>("leases");
    let until = DateTime::from_millis(DateTime::now().timestamp_millis() + 1_000 * seconds);
    let mut lease = doc! { "_id": "sync", "holder": "another", "until": until };
    lease.extend(length.map(|seconds| ("length".to_owned(), (1_000 * seconds).into())));
    leases.insert_one(lease).await.expect("MongoDB accepts it");
}

#[tokio::test]
async fn a_lease_with_an_impossible_expiry_counts_as_expired() {
    // The server's clock went back a day or an hour after the lease was taken; the last one has simply expired.
    for (seconds, length) in [
        (86_400, None),
        (3_600, Some(30)),
        (61, Some(30)),
        (-1, Some(30)),
    ] {
        let lab = Lab::new().await;
        lab.sql().insert(&plain_runs(&lab.experiment("a"), 10));
        insert_lease(&lab, seconds, length).await;
        Lab::complete(lab.sync().run(|_| {}).await);
        assert_eq!(lab.differences().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn the_holders_length_decides_whether_an_expiry_is_possible() {
    let lab = Lab::new().await;
    lab.sql().insert(&plain_runs(&lab.experiment("a"), 10));
    insert_lease(&lab, 100, Some(90)).await;
    let refused = lab.sync().lease(Duration::from_secs(3)).run(|_| {}).await;
    assert!(matches!(refused, Err(Error::Leased { .. })), "{refused:?}");
}

/// MongoDB's clock jumps during a sync, so that its lease looks expired. A second sync takes the lease, and begins its work only
/// after the first one has stopped.
#[tokio::test]
async fn two_syncs_never_work_at_the_same_time_when_the_clock_jumps() {
    for seconds in [-3_600, 86_400] {
        let lab = Lab::new().await;
        lab.sql().insert(&plain_runs(&lab.experiment("a"), 10));
        lab.store.migrate().await.expect("migrations");
        let (waiting, go) = delay_searches(&lab);
        let first = async {
            let ended = lab.sync().run(|_| {}).await;
            (ended, Instant::now())
        };
        let second = async {
            wait_until(&waiting).await;
            let leases = lab.test.database.collection::<Document>("leases");
            let until = DateTime::now().timestamp_millis() + 1_000 * seconds;
            let jump = doc! { "$set": { "until": DateTime::from_millis(until) } };
            let jumped = leases.update_one(doc! { "_id": "sync" }, jump).await;
            assert_eq!(jumped.expect("an update").modified_count, 1);
            let own = Proxy::before(&lab.server.uri());
            own.list_only(&lab.name(""));
            let began = Arc::new(std::sync::Mutex::new(None));
            let first_request = began.clone();
            own.on(move |_| {
                first_request
                    .lock()
                    .unwrap()
                    .get_or_insert_with(Instant::now);
                Answer::Pass
            });
            let client = MlflowClient::builder(&own.uri()).source("lab").build();
            let store = MongoRunStore::connect(&lab.test.uri).await;
            let store = store.expect("the server is there");
            let report = SyncJob::new(&client.expect("a client"), &store)
                .run(|_| {})
                .await;
            let began = *began.lock().unwrap();
            go.store(true, Ordering::SeqCst);
            (report, began.expect("it asks MLflow"))
        };
        let ((first, ended), (second, began)) = tokio::join!(first, second);
        assert!(matches!(first, Err(Error::LeaseLost { .. })), "{first:?}");
        Lab::complete(second);
        assert!(ended < began, "the first stopped {:?} late", ended - began);
        assert_eq!(lab.differences().await, Vec::<String>::new());
    }
}

const STALLED: &str = "RUNLINEAGE_TEST_STALLED";

/// A process is suspended during a pass until its lease has expired. Meanwhile another sync mirrors newer states. When the process
/// continues, it ends with an error and overwrites nothing.
#[tokio::test]
async fn a_sync_that_was_suspended_past_its_lease_fails_and_overwrites_nothing() {
    if let Ok(settings) = std::env::var(STALLED) {
        return sync_until_suspended(&settings).await;
    }
    let lab = Lab::new().await;
    let exp = lab.experiment("a");
    let runs = plain_runs(&exp, 6);
    let mut sql = lab.sql();
    sql.insert(&runs);
    lab.store.migrate().await.expect("migrations");
    let (waiting, go) = delay_searches(&lab);
    let this_test = "lease::a_sync_that_was_suspended_past_its_lease_fails_and_overwrites_nothing";
    let mut process = Command::new(std::env::current_exe().expect("this binary has a path"))
        .args(["--exact", this_test, "--nocapture"])
        .env(STALLED, format!("{} {}", lab.proxy.uri(), lab.test.uri))
        .stdout(Stdio::piped())
        .spawn()
        .expect("this binary runs again");
    wait_until(&waiting).await;
    signal("-STOP", process.id());

    // MLflow's delayed answer has the current states. They change now, and another sync mirrors the new ones.
    sql.set_tag(&runs[0].id, "edited", "later").write();
    rest::post(
        &lab.server.uri(),
        "runs/delete",
        &json!({ "run_id": runs[1].id }),
    );
    let direct = MlflowClient::builder(&lab.server.uri())
        .source("lab")
        .build()
        .expect("a client");
    let name = lab.name("a");
    let start = Instant::now();
    loop {
        match SyncJob::new(&direct, &lab.store)
            .only([name.clone()])
            .run(|_| {})
            .await
        {
            Err(Error::Leased { .. }) => tokio::time::sleep(Duration::from_millis(100)).await,
            other => break drop(Lab::complete(other)),
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the lease never expires"
        );
    }
    assert_eq!(lab.differences().await, Vec::<String>::new());
    assert_eq!(lab.mirrored().await.len(), 5);

    go.store(true, Ordering::SeqCst);
    signal("-CONT", process.id());
    let stdout = BufReader::new(process.stdout.take().expect("it is piped"));
    let results: Vec<String> = stdout
        .lines()
        .map_while(Result::ok)
        .filter(|line| line.starts_with("RESULT"))
        .collect();
    process.wait().expect("it ends");
    assert!(results.concat().contains("lease"), "{results:?}");
    assert_eq!(lab.differences().await, Vec::<String>::new());
}

async fn sync_until_suspended(settings: &str) {
    let (mlflow, mongodb) = settings.split_once(' ').expect("two URIs");
    let client = MlflowClient::builder(mlflow)
        .source("lab")
        .build()
        .expect("a client");
    let store = MongoRunStore::connect(mongodb).await.expect("a store");
    let result = SyncJob::new(&client, &store)
        .lease(Duration::from_secs(3))
        .run(|_| {})
        .await;
    println!(
        "\nRESULT {}",
        result.map_or_else(|error| chain(&error), |report| format!("{report:?}"))
    );
}

fn signal(signal: &str, process: u32) {
    let status = Command::new("kill")
        .args([signal, &process.to_string()])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "kill {signal}");
}

/// A holder that is cut off from MongoDB keeps working until its lease is about to expire. So nothing it does may change MLflow.
#[tokio::test]
async fn work_under_a_lease_sends_mlflow_only_requests_that_read() {
    let lab = Lab::new().await;
    let exp = lab.experiment("a");
    let runs = plain_runs(&exp, 6);
    let mut sql = lab.sql();
    sql.insert(&runs);
    Lab::complete(lab.sync().run(|_| {}).await);
    sql.set_tag(&runs[0].id, "edited", "later")
        .set_stage(&runs[1].id, "deleted")
        .erase(&runs[2].id)
        .write();
    sql.insert(&plain_runs(&exp, 2));
    let job = lab.sync();
    let never = CancellationToken::new();
    let quick = job.run_quick(Duration::from_secs(86_400), &never, |_| {});
    Lab::complete(quick.await.map(|report| report.expect("nobody stops it")));
    Lab::complete(job.run(|_| {}).await);
    job.verify(|_| {}).await.expect("a comparison");
    let requests = lab.proxy.take_requests().into_iter();
    let calls: BTreeSet<String> = requests.map(|request| request.call).collect();
    for call in ["runs/search", "runs/get", "experiments/search"] {
        assert!(calls.contains(call), "{calls:?}");
    }
    let reads = |call: &&String| call.ends_with("/search") || call.ends_with("/get");
    let others: Vec<&String> = calls.iter().filter(|call| !reads(call)).collect();
    assert_eq!(others, Vec::<&String>::new());

    // A registration takes no lease, and the proxy does see its write.
    let client = lab.builder().build().expect("a client");
    let run = client.run(&runs[0].id.parse().expect("a run id")).await;
    let lineage = lineage::of(&run.expect("a run")).expect("its lineage");
    let registration = lineage.with_input_model("churn", "3");
    let registered = registration.register(&client, &lab.store).await;
    registered.expect("it is registered");
    let mut requests = lab.proxy.take_requests().into_iter();
    assert!(requests.any(|request| !reads(&&request.call)));
}

/// Tickets alone, without a lease, protect newer states from a late write.
#[tokio::test]
async fn a_late_write_of_an_early_read_overwrites_nothing_and_restores_nothing() {
    let lab = Lab::new().await;
    let exp = lab.experiment("a");
    let runs = plain_runs(&exp, 3);
    let mut sql = lab.sql();
    sql.insert(&runs);
    lab.store.migrate().await.expect("migrations");
    let client = lab.builder().build().expect("a client");
    let early = lab.store.draw_ticket().await.expect("a ticket");
    let mut read = Vec::new();
    for run in &runs {
        read.push(
            client
                .run(&run.id.parse().expect("a run id"))
                .await
                .expect("a run"),
        );
    }
    Lab::complete(lab.sync().run(|_| {}).await);
    sql.set_tag(&runs[0].id, "edited", "later")
        .set_stage(&runs[1].id, "deleted")
        .erase(&runs[2].id)
        .write();
    Lab::complete(lab.sync().run(|_| {}).await);
    assert_eq!(lab.differences().await, Vec::<String>::new());
    let saved = lab
        .store
        .save_runs(read, early)
        .await
        .expect("MongoDB accepts it");
    assert_eq!((saved.written, saved.unchanged), (0, 3));
    assert_eq!(lab.differences().await, Vec::<String>::new());
}
