//! What answers of `runlineage serve` cost beside the program and the raw driver, on a real `mongod` with many runs.
//!
//! `cargo bench --package runlineage-cli --bench serve -- [RUNS]` (1,000,000 unless said). The server is the one of `MONGOD`, else of
//! `.tools/bin`; its data is in a folder under `target/`, which the benchmark removes at its end. With `KEEP=1`, it keeps the data and
//! uses it again.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure ends"
)]

#[path = "query/generator.rs"]
#[allow(dead_code, reason = "the benchmark of searches uses all of it")]
mod generator;
mod server;
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the fixtures of the tests; a benchmark needs a few of them"
)]
#[path = "../crates/cli/tests/integration/support/mod.rs"]
mod support;

use std::error::Error;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use mongodb::bson::raw::RawDocumentBuf;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::Hint;
use mongodb::{Client, Collection, Database};
use runlineage::MongoRunStore;
use runlineage_test_servers::browser::drive;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use server::Server;
use support::program::{run, runlineage};
use support::served::{Served, encoded};

const ROUNDS: usize = 101;
const CLIENTS: usize = 20;
/// Pages of each client.
const PAGES: u64 = 25;
/// Runs of one export.
const EXPORTED: usize = 2_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let asked = std::env::args().find_map(|argument| argument.parse().ok());
    let runs: u64 = asked.unwrap_or(1_000_000);
    let mongod = Server::start("bench-serve").await?;
    let database = loaded(&mongod, runs).await?;
    let uri = format!("{}/{}", mongod.uri, database.name());
    let served = Served::start(&uri, &["--rate", "0"]);
    thread::sleep(Duration::from_secs(5));
    let idle = memory(served.running.pid());
    println!("\n| figure ({runs} runs) | ours | beside |\n|---|---|---|");
    println!("| idle memory | {idle} MiB | |");
    one_hit(&served, &database, runs).await?;
    export(&served, &uri);
    page(&served, runs);
    node_pages(&served, runs).await?;
    Ok(())
}

/// How long a reader waits for the page of a node, and how much the page weighs.
fn page(served: &Served, runs: u64) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/ready.mjs");
    let nodes = (0..21).map(|n| format!("run:{}", generator::id(n * 104_729 % runs)));
    let url = format!("http://{}/#token={}", served.address, served.token);
    let nodes: Vec<String> = nodes.collect();
    let told = drive(Path::new(script), &json!({ "url": url, "nodes": nodes }));
    let told: Value = serde_json::from_str(told.trim()).expect("JSON");
    println!(
        "| page ready in Chromium, {} nodes drawn | {:.0} ms, slowest {:.0} ms | |",
        told["drawn"],
        told["ready"].as_f64().expect("a time"),
        told["slowest"].as_f64().expect("a time")
    );
    println!(
        "| page, style sheet and modules, compressed | {} bytes | |",
        told["bytes"]
    );
}

/// What the page of a node asks for, by many clients at once: the picture with its data, then the node for the panel beside it.
async fn node_pages(served: &Served, runs: u64) -> Result<(), Box<dyn Error>> {
    // `reqwest` makes no client without one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Other nodes warm up the server.
    pages(served, runs, runs / 2 + 50_021).await?;
    let mut times = pages(served, runs, 0).await?;
    times.sort();
    let at = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1e3;
    println!("| node page, {CLIENTS} clients, p50 | {:.1} ms | |", at(50));
    println!("| node page, {CLIENTS} clients, p99 | {:.1} ms | |", at(99));
    Ok(())
}

/// The times of the pages. As a browser does, each client keeps its connection.
async fn pages(served: &Served, runs: u64, first: u64) -> Result<Vec<Duration>, Box<dyn Error>> {
    let root = format!("http://{}/api/v1", served.address);
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS as u64 {
        let (root, token) = (root.clone(), served.token.clone());
        clients.spawn(async move {
            let http = reqwest::Client::new();
            let ask = async |path: String| {
                let asked = http.get(path).bearer_auth(&token).send().await?;
                asked.error_for_status()?.bytes().await
            };
            let mut times = Vec::new();
            for page in 0..PAGES {
                let run = generator::id((first + client * 7_919 + page * 104_729) % runs);
                let start = Instant::now();
                ask(format!("{root}/picture?select=run:{run}&upstream=2&downstream=2&max_nodes=40&links=false")).await?;
                ask(format!("{root}/node?id=run:{run}&counts=false")).await?;
                times.push(start.elapsed());
            }
            Ok::<_, reqwest::Error>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(client) = clients.join_next().await {
        times.extend(client??);
    }
    Ok(times)
}

/// A search with one hit, beside the same find of the raw driver.
async fn one_hit(served: &Served, database: &Database, runs: u64) -> Result<(), Box<dyn Error>> {
    let collection = database.collection::<RawDocumentBuf>("runs");
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS as u64 {
        let id = generator::id(round * 9_973 % runs);
        let start = Instant::now();
        collection
            .find_one(doc! { "_id": &id })
            .await?
            .expect("a run");
        raw.push(start.elapsed());
        let condition = encoded(&format!("run_id = '{id}'"));
        let start = Instant::now();
        served
            .get(&format!("/api/v1/search?where={condition}"))
            .ok();
        ours.push(start.elapsed());
    }
    row(
        "/search with one hit, beside the raw driver",
        &mut ours,
        &mut raw,
    );
    Ok(())
}

/// Runs as ndjson, beside `find`.
fn export(served: &Served, uri: &str) {
    let limit = EXPORTED.to_string();
    let (mut ours, mut program) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let start = Instant::now();
        let mut path = "/api/v1/search?limit=1000&format=ndjson".to_owned();
        let mut lines = 0;
        for _ in 0..2 {
            let page = served.get(&path).ok();
            lines += page.body.iter().filter(|byte| **byte == b'\n').count();
            let link = page.header("link").unwrap_or_default();
            path = link
                .trim_start_matches('<')
                .split('>')
                .next()
                .unwrap_or_default()
                .to_owned();
        }
        ours.push(start.elapsed());
        assert_eq!(lines, EXPORTED);
        let start = Instant::now();
        let args = [
            "find",
            "--mongodb-uri",
            uri,
            "--sort",
            "-start_time",
            "--format",
            "ndjson",
        ];
        let limited = [&args[..], &["--limit", &limit]].concat();
        let printed = run(&mut runlineage(limited)).success();
        program.push(start.elapsed());
        assert_eq!(printed.lines().count(), EXPORTED);
    }
    row(
        "2,000 runs as ndjson, beside `find`",
        &mut ours,
        &mut program,
    );
}

fn row(what: &str, ours: &mut [Duration], beside: &mut [Duration]) {
    let median = |times: &mut [Duration]| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    let (ours, beside) = (median(ours), median(beside));
    println!(
        "| {what} | {ours:.2} ms | {beside:.2} ms, ratio {:.2} |",
        ours / beside
    );
}

/// The resident memory of a process, in MiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line
        .and_then(|line| line.split_whitespace().nth(1))
        .expect("a number");
    kib.parse::<u64>().expect("a number") / 1024
}

async fn loaded(server: &Server, count: u64) -> Result<Database, Box<dyn Error>> {
    let database = Client::with_uri_str(&server.uri).await?.database("bench");
    let runs = database.collection::<RawDocumentBuf>("runs");
    if runs.estimated_document_count().await? == count {
        read_all(&runs).await?;
        return Ok(database);
    }
    database.drop().await?;
    MongoRunStore::from_database(database.clone())
        .migrate()
        .await?;
    let source =
        doc! { "_id": "source", "name": "http://localhost:5000", "full_pass": DateTime::now() };
    database
        .collection::<Document>("sync_state")
        .insert_one(source)
        .await?;
    for first in (0..count).step_by(2_000) {
        let batch = (first..count.min(first + 2_000)).map(|n| generator::run(n, count));
        runs.insert_many(batch).ordered(false).await?;
    }
    Ok(database)
}

/// Reads every document and every key of the indexes, so that kept data is in the memory of the server as new data is.
async fn read_all(runs: &Collection<RawDocumentBuf>) -> Result<(), Box<dyn Error>> {
    let size = doc! { "$sum": { "$bsonSize": "$$ROOT" } };
    let group = doc! { "$group": { "_id": null, "size": size } };
    let read = runs.aggregate([group]).await?;
    read.try_collect::<Vec<_>>().await?;
    for index in runs.list_index_names().await? {
        let hint = Hint::Name(index);
        runs.count_documents(doc! {}).hint(hint).await?;
    }
    Ok(())
}
