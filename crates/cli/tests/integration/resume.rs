//! A sync that is killed at any instant: the next sync resumes it and comes to the same result.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use serde_json::Value;

use crate::support::lab::{Lab, plain_runs, run_id};
use crate::support::program::{run, runlineage};
use crate::support::proxy::{Answer, Request};
use crate::support::scale::scaled;
use crate::support::sql::{NewRun, Sql};

const KILLS_A_ROUND: usize = 4;

const PAGE: &str = "5";

/// Among the others, and where the mirror keeps a text instead of a date.
const START_TIMES: [i64; 4] = [
    -62_135_596_900_000,
    1_700_000_000_000,
    1_700_000_000_500,
    253_402_300_800_000,
];

fn sync(lab: &Lab) -> Command {
    let and = if lab.test.uri.contains('?') { '&' } else { '?' };
    let mut command = runlineage([
        "sync",
        "--page-size",
        PAGE,
        "--format",
        "json",
        "--source",
        "lab",
    ]);
    command.args([
        "--tracking-uri",
        &lab.proxy.uri(),
        "--mongodb-uri",
        &format!("{}{and}appName={}", lab.test.uri, app(lab)),
    ]);
    command
}

/// The application name of the connections of the killed processes.
fn app(lab: &Lab) -> String {
    format!("killed-{}", lab.test.database.name())
}

/// Waits until MongoDB has no operation of a killed process left. On a busy machine, MongoDB may read the last command
/// after the next process has begun.
async fn settle(lab: &Lab) {
    lab.proxy.settle();
    let admin = lab.test.database.client().database("admin");
    let connections = [
        doc! { "$currentOp": { "allUsers": true, "idleConnections": true } },
        doc! { "$match": { "appName": app(lab) } },
    ];
    loop {
        let found = admin.aggregate(connections.clone()).await;
        let found: Vec<Document> = found
            .expect("the server tells")
            .try_collect()
            .await
            .expect("a cursor");
        if found.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether there is an interrupted pass to resume.
async fn is_unfinished(lab: &Lab) -> bool {
    let state = lab.test.database.collection::<Document>("sync_state");
    let pass = state.find_one(doc! { "_id": "pass" }).await;
    pass.expect("the server answers").is_some()
}

/// Shared with the proxy: the process to kill, the request at which, and the moment within it.
#[derive(Default)]
struct Kill {
    process: Option<Child>,
    /// Requests left until the kill.
    countdown: Option<usize>,
    /// Whether before the request reaches the server, or after its answer has begun.
    before: bool,
    /// The delay after that moment.
    delay: Duration,
}

impl Kill {
    /// Counts a request, and kills the process if this is the one.
    fn count(this: &Arc<Mutex<Self>>, request: &Request) -> Answer {
        let mut kill = this.lock().unwrap();
        match kill.countdown {
            Some(0) | None => return Answer::Pass,
            Some(left) => kill.countdown = Some(left - 1),
        }
        if kill.countdown != Some(0) {
            return Answer::Pass;
        }
        assert!(request.number > 0);
        let (this, delay) = (this.clone(), kill.delay);
        let strike = move || {
            std::thread::spawn(move || {
                std::thread::sleep(delay);
                if let Some(process) = &mut this.lock().unwrap().process {
                    let _ = process.kill();
                }
            });
        };
        if kill.before {
            strike();
            return Answer::Pass;
        }
        Answer::After(Box::new(strike))
    }
}

#[tokio::test]
async fn a_sync_killed_at_any_instant_is_resumed_with_the_same_result() {
    let lab = Lab::new().await;
    let mut rng = fastrand::Rng::with_seed(4);
    let mut sql = lab.sql();
    let exps = ["a", "b", "c"].map(|name| lab.experiment(name));
    for exp in &exps {
        sql.insert(&plain_runs(exp, 32));
    }
    lab.store
        .migrate()
        .await
        .expect("an empty database takes migrations");
    let kill: Arc<Mutex<Kill>> = Arc::default();
    let counting = kill.clone();
    lab.proxy.on(move |request| Kill::count(&counting, request));

    let mut worst = 0;
    let mut killed = 0;
    while killed < scaled(24, 200) {
        let first_pass = rng.bool();
        if first_pass {
            for collection in ["runs", "deleted_runs", "sync_state"] {
                let all = lab.test.database.collection::<Document>(collection);
                all.delete_many(doc! {}).await.expect("MongoDB answers");
            }
        }
        edit(&lab, &exps, &mut sql, &mut rng);
        let mut delivered: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        lab.proxy.take_requests();
        for _ in 0..KILLS_A_ROUND {
            let process = {
                let mut kill = kill.lock().unwrap();
                // A whole pass has about 26 requests, a resumed one fewer.
                kill.countdown = Some(rng.usize(1..14));
                kill.before = rng.bool();
                kill.delay = Duration::from_millis(rng.u64(..25));
                kill.process = Some(
                    sync(&lab)
                        .stdin(Stdio::null())
                        .stdout(Stdio::null())
                        .stderr(Stdio::null())
                        .spawn()
                        .expect("the program starts"),
                );
                kill.process.as_ref().map(Child::id)
            };
            assert!(process.is_some());
            let status = wait(&kill);
            killed += usize::from(!status);
            settle(&lab).await;
            // Waiting for the lease of a killed process is tested elsewhere, and would only take time here.
            let leases = lab.test.database.collection::<Document>("leases");
            leases.delete_many(doc! {}).await.expect("MongoDB answers");
            worst = worst.max(asked_again(&mut delivered, &lab.proxy.take_requests()));
            if !is_unfinished(&lab).await {
                // The sync completed before the kill, so another pass follows.
                delivered.clear();
            }
        }
        kill.lock().unwrap().countdown = None;
        let finished = run(&mut sync(&lab));
        assert_eq!(finished.code, Some(0), "{finished:?}");
        worst = worst.max(asked_again(&mut delivered, &lab.proxy.take_requests()));
        // A resumed pass does not read earlier pages again. Nothing changed on them.
        assert_eq!(
            lab.differences().await,
            Vec::<String>::new(),
            "after {killed} kills"
        );
    }
    // While one page is saved, the next one is fetched. Neither is acknowledged if the process dies then.
    assert!(
        worst <= 2,
        "{worst} pages of one experiment were requested again after one kill"
    );
}

/// Changes a third of all runs: some are deleted, restored, removed for good, or new.
fn edit(lab: &Lab, exps: &[String], sql: &mut Sql, rng: &mut fastrand::Rng) {
    for run in lab.truth().runs {
        let id = run["info"]["run_id"].as_str().expect("an id").to_owned();
        match rng.u8(..12) {
            0..3 => drop(sql.set_tag(&id, "edited", &rng.u32(..).to_string())),
            3 => drop(sql.set_stage(&id, if rng.bool() { "deleted" } else { "active" })),
            4 => drop(sql.erase(&id)),
            _ => {}
        }
    }
    sql.write();
    let new: Vec<NewRun> = (0..8)
        .map(|_| {
            let at = START_TIMES[rng.usize(..START_TIMES.len())] + 1_000 * rng.i64(0..32);
            NewRun::new(run_id(), &exps[rng.usize(..exps.len())], at)
        })
        .collect();
    sql.insert(&new);
}

/// Waits for the process, and returns whether it completed. Any end other than success or the kill fails the test.
fn wait(kill: &Arc<Mutex<Kill>>) -> bool {
    loop {
        if let Some(process) = &mut kill.lock().unwrap().process
            && let Ok(Some(status)) = process.try_wait()
        {
            assert!(status.success() || status.code().is_none(), "{status}");
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The largest number of pages of one experiment that an earlier process had requested already.
fn asked_again(delivered: &mut BTreeMap<String, Vec<Value>>, requests: &[Request]) -> usize {
    let mut again: BTreeMap<&str, usize> = BTreeMap::new();
    let searches = requests
        .iter()
        .filter(|request| request.call == "runs/search");
    for request in searches.clone() {
        let before = delivered.get(request.experiment());
        if before.is_some_and(|before| before.contains(&request.body["filter"])) {
            *again.entry(request.experiment()).or_default() += 1;
        }
    }
    for request in searches {
        let filters = delivered
            .entry(request.experiment().to_owned())
            .or_default();
        filters.push(request.body["filter"].clone());
    }
    again.into_values().max().unwrap_or_default()
}
