//! Compares a sync with the bare cost of MLflow's pages and MongoDB's inserts, on real servers that it starts:
//! `cargo bench --package runlineage-cli --bench sync -- 50000`; with `registry` after the number, it measures what the registry
//! and logged models add, and nothing else.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure should stop"
)]

#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "these are the fixtures of the tests, and a benchmark uses only some of them"
)]
#[path = "../../crates/cli/tests/integration/support/mod.rs"]
mod support;

mod registry;
mod runs;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{Acknowledgment, WriteConcern};
use runlineage::sync::SyncJob;
use runlineage::{MlflowClient, MongoRunStore, Run};
use serde_json::json;

use runs::{insert_usual_runs, insert_wide_runs};
use support::keeper::KeptFolder;
use support::mlflow::{MlflowServer, Setup};
use support::mongodb::Mongod;
use support::program::runlineage;
use support::proxy::{Proxy, Request};

const EXPERIMENTS: usize = 8;
const WIDE_EXPERIMENTS: usize = 4;
const CONCURRENCY: usize = 4;
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() {
    let asked = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let runs: usize = asked.unwrap_or(20_000);
    let mlflow = MlflowServer::start(Setup::default());
    let folder = KeptFolder::new();
    let mongod = Mongod::start(folder.path(), &[]).expect("mongod starts");
    let bench = Bench {
        exps: insert_usual_runs(&mlflow, EXPERIMENTS, runs),
        mlflow,
        mongodb: format!("mongodb://127.0.0.1:{}", mongod.port),
        runs,
    };
    if std::env::args().any(|argument| argument == "registry") {
        bench.sync(&bench.store("round0").await).await;
        return bench.registry().await;
    }
    bench.run().await;
}

struct Bench {
    mlflow: MlflowServer,
    mongodb: String,
    exps: Vec<String>,
    runs: usize,
}

/// The page requests of a sync, by experiment.
type Pages = BTreeMap<String, Vec<serde_json::Value>>;

impl Bench {
    async fn run(&self) {
        println!(
            "{} runs in {EXPERIMENTS} experiments, concurrency {CONCURRENCY}, median of {ROUNDS}\n",
            self.runs
        );
        let pages = self.record().await;
        let (mut bare, mut first, mut again) = (Vec::new(), Vec::new(), Vec::new());
        let mut writes = 0;
        let mut largest = 0;
        // Alternate the measurements, so that other load on the machine affects all of them.
        for round in 0..ROUNDS {
            let (seconds, page) = self.bare_paging(&pages).await;
            bare.push(seconds);
            largest = largest.max(page);
            let store = self.store(&format!("round{round}")).await;
            first.push(self.sync(&store).await);
            let before = writes_to_runs(&store).await;
            again.push(self.sync(&store).await);
            writes += writes_to_runs(&store).await - before;
        }
        let (bare, first, again) = (median(bare), median(first), median(again));
        let (ours, theirs, halves) = self.write_paths("round0").await;
        let small = self.peak_memory("small", &self.exps[..2]);
        let whole = self.peak_memory("whole", &self.exps);
        row("", "measured", "to compare with", "ratio");
        row(
            "first sync / bare paging",
            &secs(first),
            &secs(bare),
            &ratio(first, bare),
        );
        row(
            "unchanged full pass / bare paging",
            &secs(again),
            &secs(bare),
            &ratio(again, bare),
        );
        row(
            "writes to `runs` in the unchanged passes",
            &writes.to_string(),
            "0",
            "",
        );
        row(
            "write path, runs/s / insert_many",
            &rate(self.runs, ours),
            &rate(self.runs, theirs),
            &ratio(theirs, ours),
        );
        row(
            "the same / insert_many, two halves at once",
            &rate(self.runs, ours),
            &rate(self.runs, halves),
            &ratio(halves, ours),
        );
        row(
            &format!("peak memory, {} runs / {} runs", self.runs, self.runs / 4),
            &mib(whole),
            &mib(small),
            &ratio(whole as f64, small as f64),
        );
        row(
            "peak memory / 64 MiB + 2 of the largest page",
            &mib(whole),
            &mib(limit(largest)),
            &ratio(whole as f64, limit(largest) as f64),
        );
        self.registry().await;
        // Insert the wide runs last: the passes above measure usual runs only.
        let wide = insert_wide_runs(&self.mlflow, WIDE_EXPERIMENTS, 8_000);
        let (_, widest) = self.bare_paging(&first_pages(&wide)).await;
        let of_wide = self.peak_memory("wide", &wide);
        row(
            &format!("the same, pages of {}", mib(widest as u64)),
            &mib(of_wide),
            &mib(limit(widest)),
            &ratio(of_wide as f64, limit(widest) as f64),
        );
    }

    async fn store(&self, name: &str) -> MongoRunStore {
        let uri = format!("{}/{name}", self.mongodb);
        MongoRunStore::connect(&uri).await.expect("mongod answers")
    }

    /// Runs one pass and returns its seconds.
    async fn sync(&self, store: &MongoRunStore) -> f64 {
        let client = MlflowClient::builder(&self.mlflow.uri()).concurrency(CONCURRENCY);
        let client = client.source("bench").build().expect("a client");
        let start = Instant::now();
        let report = SyncJob::new(&client, store)
            .concurrency(CONCURRENCY)
            .run(|_| {})
            .await;
        let report = report.expect("a pass");
        assert_eq!(
            (report.seen as usize, report.incomplete),
            (self.runs, Vec::new())
        );
        start.elapsed().as_secs_f64()
    }

    /// Records the page requests of a pass with a proxy.
    async fn record(&self) -> Pages {
        let proxy = Proxy::before(&self.mlflow.uri());
        let store = self.store("recorded").await;
        let client = MlflowClient::builder(&proxy.uri())
            .source("bench")
            .build()
            .expect("a client");
        SyncJob::new(&client, &store)
            .run(|_| {})
            .await
            .expect("a pass");
        let mut pages = Pages::new();
        let is_page = |request: &Request| request.call == "runs/search";
        for request in proxy.take_requests().into_iter().filter(is_page) {
            pages
                .entry(request.experiment().to_owned())
                .or_default()
                .push(request.body);
        }
        pages
    }

    /// Requests the same pages with the same concurrency, and drops their bodies. Returns the seconds, and the bytes of the
    /// largest page.
    async fn bare_paging(&self, pages: &Pages) -> (f64, usize) {
        let http = reqwest::Client::new();
        let start = Instant::now();
        let post = |call: &str, body: String| {
            let url = format!("{}/api/2.0/mlflow/{call}", self.mlflow.uri());
            http.post(url)
                .header("Content-Type", "application/json")
                .body(body)
                .send()
        };
        let search = json!({ "view_type": "ALL", "max_results": 1_000 });
        let all = post("experiments/search", search.to_string())
            .await
            .expect("an answer");
        all.bytes().await.expect("a body");
        let largest: Vec<usize> = futures::stream::iter(pages.values())
            .map(async |pages| {
                let mut largest = 0;
                for page in pages {
                    let mut answer = post("runs/search", page.to_string())
                        .await
                        .expect("an answer");
                    let mut bytes = 0;
                    while let Some(chunk) = answer.chunk().await.expect("a body") {
                        bytes += chunk.len();
                    }
                    largest = largest.max(bytes);
                }
                largest
            })
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        (
            start.elapsed().as_secs_f64(),
            largest.into_iter().max().unwrap_or_default(),
        )
    }

    /// Returns the seconds of `save_runs`, of `insert_many` in batches of 1,000, and of `insert_many` with two halves of each
    /// batch at once. All write the same documents with the same indexes, validator and write concern.
    async fn write_paths(&self, mirrored: &str) -> (f64, f64, f64) {
        let from = self
            .store(mirrored)
            .await
            .database()
            .collection::<RawDocumentBuf>("runs");
        let documents = from.find(doc! {}).await.expect("a find");
        let documents: Vec<RawDocumentBuf> = documents.try_collect().await.expect("a cursor");
        let concern = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(true)
            .build();
        let (mut ours, mut theirs, mut halves) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let store = self.store(&format!("ours{round}")).await;
            store.migrate().await.expect("migrations");
            let start = Instant::now();
            for batch in documents.chunks(1_000) {
                let runs = batch
                    .iter()
                    .cloned()
                    .map(|run| Run::try_from(run).expect("a run"));
                let ticket = store.draw_ticket().await.expect("a ticket");
                store
                    .save_runs(runs.collect(), ticket)
                    .await
                    .expect("a save");
            }
            ours.push(start.elapsed().as_secs_f64());
            drop_database(&store).await;

            for (parts, times) in [(1, &mut theirs), (2, &mut halves)] {
                let store = self.store(&format!("theirs{round}_{parts}")).await;
                store.migrate().await.expect("migrations");
                let into = store.database().collection::<RawDocumentBuf>("runs");
                let start = Instant::now();
                for batch in documents.chunks(1_000) {
                    let inserts = batch.chunks(batch.len().div_ceil(parts)).map(|part| {
                        let insert = into.insert_many(part).ordered(false);
                        insert.write_concern(concern.clone()).into_future()
                    });
                    try_join_all(inserts).await.expect("an insert");
                }
                times.push(start.elapsed().as_secs_f64());
                drop_database(&store).await;
            }
        }
        (median(ours), median(theirs), median(halves))
    }

    /// The peak memory of the program in a first pass over these experiments.
    fn peak_memory(&self, database: &str, exps: &[String]) -> u64 {
        let mut command: Command = runlineage(["sync", "--format", "json"]);
        command.args(["--concurrency", &CONCURRENCY.to_string()]);
        command.args(["--tracking-uri", &self.mlflow.uri()]);
        command.args([
            "--mongodb-uri",
            &format!("{}/memory_{database}", self.mongodb),
        ]);
        for exp in exps {
            command.args(["--exp", exp]);
        }
        let mut process = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let path = format!("/proc/{}/status", process.id());
        let mut peak = 0;
        loop {
            let status = std::fs::read_to_string(&path).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            peak = peak.max(kib.unwrap_or_default() * 1024);
            if let Some(status) = process.try_wait().expect("the program is a child process") {
                assert!(status.success(), "the program failed");
                return peak;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The memory limit of a sync.
fn limit(largest_page: usize) -> u64 {
    (64 << 20) + 2 * largest_page as u64
}

/// The request for the first page of each experiment.
fn first_pages(exps: &[String]) -> Pages {
    let page = |exp: &String| json!({ "experiment_ids": [exp], "run_view_type": "ALL", "max_results": 1_000 });
    exps.iter()
        .map(|exp| (exp.clone(), vec![page(exp)]))
        .collect()
}

async fn writes_to_runs(store: &MongoRunStore) -> i64 {
    writes_to(store, "runs").await
}

/// The number of inserts, updates and removals in a collection, from the counters of the server.
async fn writes_to(store: &MongoRunStore, collection: &str) -> i64 {
    let admin = store.database().client().database("admin");
    let top = admin.run_command(doc! { "top": 1 }).await.expect("top");
    let namespace = format!("{}.{collection}", store.database().name());
    let totals = top
        .get_document("totals")
        .and_then(|totals| totals.get_document(&namespace));
    let totals = totals.expect("the collection exists");
    let count = |kind: &str| {
        let count: &Document = totals.get_document(kind).expect("a counter");
        count
            .get_i64("count")
            .or_else(|_| count.get_i32("count").map(i64::from))
            .expect("a number")
    };
    count("insert") + count("update") + count("remove")
}

async fn drop_database(store: &MongoRunStore) {
    store.database().drop().await.expect("a drop");
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn row(what: &str, measured: &str, compared: &str, ratio: &str) {
    println!("{what:<48}{measured:>14}{compared:>18}{ratio:>9}");
}

fn secs(seconds: f64) -> String {
    format!("{seconds:.2} s")
}

fn rate(runs: usize, seconds: f64) -> String {
    format!("{:.0}", runs as f64 / seconds)
}

fn ratio(measured: f64, compared: f64) -> String {
    format!("{:.2}", measured / compared)
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
