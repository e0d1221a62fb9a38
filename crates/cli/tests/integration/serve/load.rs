//! Many clients ask while a sync runs and MongoDB fails over.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use runlineage::sync::SyncJob;

use crate::support::outage::lab_on;
use crate::support::replica_set::ReplicaSet;
use crate::support::served::{Served, encoded};
use crate::support::stored::document;
use crate::support::unique;

const CLIENTS: usize = 50;
/// Requests during the faults.
const REQUESTS: usize = 1_000;
/// Requests before the memory is measured first.
const WARM: usize = 200;
/// Memory that grows by no more than this, in MiB, is flat: the allocator does not return all of it at once.
const FLAT: u64 = 16;
/// Runs of experiments that MLflow does not list, so that no sync changes them.
const RUNS: i64 = 300;

/// Questions about runs that do not change. No other test registers this model, so no sync changes it either.
fn questions(model: &str) -> Vec<String> {
    let search = |condition: &str, rest: &str| {
        let condition = encoded(condition);
        format!("/api/v1/search?where={condition}{rest}")
    };
    let mut questions = vec![
        search(&format!("input.model = '{model}:2' and exp = 'churn'"), ""),
        search("exp = 'churn'", "&limit=50&columns=_id,name"),
        search("exp = 'churn'", "&limit=0&format=ndjson"),
        search("exp = 'churn'", "&sort=-metrics.auc&limit=20&format=csv"),
        search("params.lr = 0.1 and exp = 'churn'", "&limit=10"),
        format!(
            "/api/v1/facets?facet=input-model&where={}",
            encoded("exp = 'churn'")
        ),
        format!("/api/v1/impact?node=model:{model}:1"),
        format!("/api/v1/graph?select=model:{model}:3&downstream=1&format=svg"),
        "/api/v1/suggest?prefix=train-1".to_owned(),
        format!("/api/v1/node?id=model:{model}:0"),
    ];
    questions.extend((0..20).map(|n| format!("/api/v1/run?id=run{:03}", n * 11)));
    questions.extend((0..10).map(|n| format!("/api/v1/graph?select=run:run{:03}", n * 7)));
    questions
}

/// The resident memory of a process, in MiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("a line");
    let kib = line.split_whitespace().nth(1).expect("a number");
    kib.parse::<u64>().expect("a number") / 1024
}

/// What came of the requests.
#[derive(Debug, Default)]
struct Ended {
    right: AtomicUsize,
    honest: AtomicUsize,
    refused: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Ended {
    fn ask(&self, served: &Served, question: &str, expected: &[u8], has_token: bool) {
        let answer = match has_token {
            true => served.get(question),
            false => served.bare("GET", question, &[], ""),
        };
        let is_problem = answer.header("content-type") == Some("application/problem+json");
        let is_honest = [429, 503].contains(&answer.status) && is_problem;
        match answer.status {
            401 if !has_token && is_problem => self.refused.fetch_add(1, Ordering::SeqCst),
            200 if has_token && answer.is_whole && answer.body == expected => {
                self.right.fetch_add(1, Ordering::SeqCst)
            }
            // A stream that broke off shows that it did.
            200 if has_token && !answer.is_whole => self.honest.fetch_add(1, Ordering::SeqCst),
            _ if has_token && is_honest => self.honest.fetch_add(1, Ordering::SeqCst),
            status => {
                let mut wrong = self.wrong.lock().expect("no panic");
                wrong.push(format!("{status} {question}: {}", answer.text()));
                0
            }
        };
    }
}

/// Syncs until the clients have ended, and returns how often. Faults of a sync are the subject of other tests.
async fn sync_in_background(sync: SyncJob, have_ended: Arc<AtomicBool>) -> usize {
    let mut complete = 0;
    while !have_ended.load(Ordering::SeqCst) {
        match sync.run(|_| {}).await {
            Ok(_) => complete += 1,
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    complete
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_right_or_an_honest_error_while_a_sync_runs_and_mongodb_fails_over() {
    let mut set = ReplicaSet::start().await;
    let uri = set.uri(&unique("test"));
    let (lab, _) = lab_on(&uri, 200).await;
    let first = lab.sync().run(|_| {}).await.expect("a first sync");
    assert!(first.seen >= 600, "{first:?}");
    let model = unique("static");
    let runs = (0..RUNS).map(|n| {
        let mut run = document(n);
        let read = doc! { "name": &model, "version": (n % 4).to_string(), "from": "tag" };
        run.insert("inputs", doc! { "models": [read], "runs": [] });
        run.insert(
            "exp",
            doc! { "id": format!("unlisted-{}", n % 3), "name": "churn" },
        );
        run
    });
    let collection = lab.test.database.collection::<Document>("runs");
    collection.insert_many(runs).await.expect("runs");
    let known = collection
        .count_documents(doc! { "exp.name": "churn" })
        .await;
    assert_eq!(known.expect("a count"), RUNS as u64);

    let served = Served::start(&uri, &["--rate", "0"]);
    let questions = questions(&model);
    let expected: Vec<Vec<u8>> = questions
        .iter()
        .map(|path| served.get(path).ok().body)
        .collect();
    let ended = Ended::default();
    // Sends so many requests, and goes on until the faults are over.
    let ask = |requests: usize, are_over: &AtomicBool| {
        let left = AtomicUsize::new(requests);
        let take = || {
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok()
        };
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (served, questions, expected, ended) = (&served, &questions, &expected, &ended);
                let take = &take;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(client as u64);
                    while take() || !are_over.load(Ordering::SeqCst) {
                        let which = random.usize(..questions.len());
                        let has_token = random.u8(..5) > 0;
                        ended.ask(served, &questions[which], &expected[which], has_token);
                        thread::sleep(Duration::from_millis(random.u64(..300)));
                    }
                });
            }
        });
    };
    // So many clients at once need buffers of their own, which stay.
    ask(WARM, &AtomicBool::new(true));
    let before = memory(served.running.pid());
    let (are_over, have_ended) = (AtomicBool::new(false), Arc::new(AtomicBool::new(false)));
    let sync = tokio::spawn(sync_in_background(lab.sync(), Arc::clone(&have_ended)));
    let fault = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let primary = set.primary().await;
        set.kill(primary);
        set.primary().await;
        set.restart(primary);
        set.step_down().await;
        are_over.store(true, Ordering::SeqCst);
    };
    // The clients have threads of their own, so this thread is free for the faults.
    thread::scope(|scope| {
        scope.spawn(|| ask(REQUESTS, &are_over));
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(fault));
    });
    let after = memory(served.running.pid());
    have_ended.store(true, Ordering::SeqCst);
    let complete = sync.await.expect("the sync does not panic");
    println!("{complete} syncs; {before} MiB before the faults, {after} MiB after; {ended:?}");
    assert!(complete > 0, "no sync was completed");
    assert_eq!(*ended.wrong.lock().expect("no panic"), Vec::<String>::new());
    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    let (right, refused) = (count(&ended.right), count(&ended.refused));
    assert!(right > REQUESTS / 2, "{ended:?}");
    assert!(refused > REQUESTS / 10, "{ended:?}");

    set.primary().await;
    for (path, expected) in questions.iter().zip(&expected) {
        assert_eq!(
            &served.get(path).ok().body,
            expected,
            "{path}, after the faults"
        );
    }
    assert!(
        after < before + FLAT,
        "{before} MiB before, {after} MiB after"
    );
}
