//! What a walk costs beside the raw driver and `$graphLookup`, on a real `mongod` with many runs.
//!
//! `cargo bench --bench graph -- [RUNS]` (1,000,000 unless said; `RUNS=…` works too). The server is the one of `MONGOD`, else of
//! `.tools/bin`; its data is in a folder under `target/`, which the benchmark removes at its end. With `KEEP=1`, it keeps the
//! data and uses it again.

#[path = "../query/generator.rs"]
#[allow(dead_code, reason = "the benchmark of searches uses all of it")]
mod generator;
mod lineage;
mod process;
#[path = "../server.rs"]
mod server;

use std::collections::HashSet;
use std::error::Error;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use mongodb::bson::raw::RawDocumentBuf;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::{Client, Collection, Database};
use runlineage::graph::Graph;
use runlineage::{Kind, MongoRunStore, Node};

use generator::Random;
use server::Server;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 11;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().collect();
    if let [_, mode, uri, file] = &args[..]
        && mode == process::SMALLEST
    {
        return process::smallest(uri, file.as_ref());
    }
    let runs = args
        .iter()
        .find_map(|arg| arg.parse().ok())
        .or_else(|| std::env::var("RUNS").ok()?.parse().ok())
        .unwrap_or(1_000_000);
    tokio::runtime::Runtime::new()?.block_on(measure(runs))
}

async fn measure(runs: u64) -> Outcome {
    let server = Server::start("bench-graph").await?;
    let database = loaded(&server, runs).await?;
    println!("\n| figure ({runs} runs) | ours | beside | ratio |\n|---|---|---|---|");
    closure(&database).await?;
    chain(&database).await?;
    one_hop(&database, runs).await?;
    process::picture(&database).await?;
    process::whole(&server, &database).await
}

/// All that one run reached, in nine levels.
async fn closure(database: &Database) -> Outcome {
    let store = MongoRunStore::from_database(database.clone());
    let runs = database.collection::<RawDocumentBuf>("runs");
    let root = lineage::tree_id(0);
    let (mut ids, mut plain, mut facts, mut lookup, mut whole, mut projected) =
        (vec![], vec![], vec![], vec![], vec![], vec![]);
    let (mut bare_ids, mut bare_facts) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        let node = Node::run(&root)?;
        let walk = |facts| {
            let request = store.graph(node.clone()).upstream(0);
            let request = request.downstream(10).max_nodes(1_000_000);
            request.facts(facts).hidden(false)
        };
        let start = Instant::now();
        let nodes = walk(false).nodes().await?;
        ids.push(start.elapsed());
        let start = Instant::now();
        let graph = walk(false).await?;
        plain.push(start.elapsed());
        let start = Instant::now();
        let with_facts = walk(true).await?;
        facts.push(start.elapsed());
        let reached = run_ids(&graph);
        assert_eq!(reached, run_ids(&with_facts));
        assert_eq!(reached.len(), nodes.runs().count());
        assert_eq!(graph.truncated, None);

        let start = Instant::now();
        let pipeline = [
            doc! { "$match": { "_id": &root } },
            doc! { "$graphLookup": {
                "from": "runs",
                "startWith": "$_id",
                "connectFromField": "_id",
                "connectToField": "inputs.runs.id",
                "as": "reached",
            } },
            doc! { "$unwind": "$reached" },
            doc! { "$replaceWith": { "_id": "$reached._id" } },
        ];
        let found = runs.aggregate(pipeline).allow_disk_use(true).await?;
        let found: Vec<Document> = found.try_collect().await?;
        lookup.push(start.elapsed());
        assert_eq!(found.len() + 1, reached.len());

        for (fields, times) in [(&["_id"][..], &mut bare_ids), (&FIELDS, &mut bare_facts)] {
            let start = Instant::now();
            assert_eq!(levels(&runs, &root, fields).await?, reached.len());
            times.push(start.elapsed());
        }
        for (fields, times) in [(None, &mut whole), (Some(FIELDS), &mut projected)] {
            let start = Instant::now();
            let mut find = runs.find(doc! { "_id": { "$in": &reached } });
            if let Some(fields) = fields {
                find = find.projection(projection(&fields));
            }
            let found: Vec<RawDocumentBuf> = find.await?.try_collect().await?;
            times.push(start.elapsed());
            assert_eq!(found.len(), reached.len());
        }
    }
    let count = lineage::TREE;
    row(
        &format!("closure of {count} runs, nodes alone ÷ `$graphLookup`"),
        &ids,
        &lookup,
    );
    row(
        "the raw driver's queries of the levels, ids alone ÷ `$graphLookup`",
        &bare_ids,
        &lookup,
    );
    row("the same with edges ÷ `$graphLookup`", &plain, &lookup);
    row(
        "the same with edges and run facts ÷ raw `$in` read of these runs",
        &facts,
        &whole,
    );
    row(
        "the same with run facts ÷ raw `$in` read of the fields needed",
        &facts,
        &projected,
    );
    row(
        "the same with run facts ÷ the raw driver's queries of the levels",
        &facts,
        &bare_facts,
    );
    Ok(())
}

/// Reads the runs of each level with the raw driver, and returns how many it reached. It compares no paths, and builds no graph.
async fn levels(runs: &Collection<RawDocumentBuf>, root: &str, fields: &[&str]) -> Outcome<usize> {
    let mut reached = HashSet::from([root.to_owned()]);
    let mut level = vec![root.to_owned()];
    while !level.is_empty() {
        let find = runs.find(doc! { "inputs.runs.id": { "$in": &level } });
        let find = find.projection(projection(fields)).batch_size(1_000);
        let found: Vec<RawDocumentBuf> = find.await?.try_collect().await?;
        level.clear();
        for run in &found {
            let id = run.get_str("_id")?;
            if reached.insert(id.to_owned()) {
                level.push(id.to_owned());
            }
        }
    }
    Ok(reached.len())
}

fn projection(fields: &[&str]) -> Document {
    let fields = fields
        .iter()
        .map(|field| ((*field).to_owned(), Bson::from(1)));
    fields.collect()
}

/// What a walk reads of a run.
const FIELDS: [&str; 8] = [
    "inputs",
    "outputs",
    "name",
    "exp",
    "status",
    "start_time",
    "end_time",
    "user",
];

fn run_ids(graph: &Graph) -> Vec<String> {
    let runs = graph.nodes.iter().map(|shown| &shown.node);
    let runs = runs.filter(|node| node.kind() == Kind::RUN);
    runs.map(|node| node.key().to_owned()).collect()
}

/// A chain of runs, of which each reads what the one before wrote.
async fn chain(database: &Database) -> Outcome {
    let store = MongoRunStore::from_database(database.clone());
    let runs = database.collection::<RawDocumentBuf>("runs");
    let levels = lineage::CHAIN;
    for (what, first) in [("downstream", true), ("upstream", false)] {
        let (mut ours, mut queries) = (vec![], vec![]);
        for _ in 0..5 {
            let end = lineage::chain_id(if first { 0 } else { levels - 1 });
            let start = Instant::now();
            let request = store.graph(Node::run(&end)?).facts(false).hidden(false);
            let request = match first {
                true => request.upstream(0).downstream(u32::MAX),
                false => request.upstream(u32::MAX).downstream(0),
            };
            let graph = request.max_nodes(1_000_000).await?;
            ours.push(start.elapsed() / levels as u32);
            assert_eq!(run_ids(&graph).len() as u64, levels);
            let field = if first {
                "inputs.runs.id"
            } else {
                "outputs.runs.id"
            };
            let start = Instant::now();
            for n in 0..levels {
                let find = runs.find(doc! { field: { "$in": [lineage::chain_id(n)] } });
                let find = find.projection(doc! { "inputs": 1, "outputs": 1 });
                let _: Vec<RawDocumentBuf> = find.await?.try_collect().await?;
            }
            queries.push(start.elapsed() / levels as u32);
        }
        row(
            &format!("a level of a chain {what} ÷ one `$in` query"),
            &ours,
            &queries,
        );
    }
    Ok(())
}

/// The neighbours of runs in the middle of ordinary work.
async fn one_hop(database: &Database, runs: u64) -> Outcome {
    let store = MongoRunStore::from_database(database.clone());
    let collection = database.collection::<RawDocumentBuf>("runs");
    let random = &mut Random(7);
    let (mut plain, mut whole, mut point) = (vec![], vec![], vec![]);
    for round in 0..300 {
        let id = lineage::tree_id(1 + random.below(lineage::TREE / 3));
        let start = Instant::now();
        let found = collection.find_one(doc! { "_id": &id }).await?;
        let pointed = start.elapsed();
        assert!(found.is_some());
        let node = Node::run(&id)?;
        let start = Instant::now();
        let graph = store.graph(node.clone()).hidden(false).await?;
        let walked = start.elapsed();
        assert!(graph.nodes.len() > 3, "{runs}");
        let start = Instant::now();
        store.graph(node).await?;
        let counted = start.elapsed();
        // The first ones warm up the connections.
        if round >= 50 {
            point.push(pointed);
            plain.push(walked);
            whole.push(counted);
        }
    }
    row(
        "one hop up and down, with facts ÷ a point query",
        &plain,
        &point,
    );
    row(
        "the same with hidden counts ÷ a point query",
        &whole,
        &point,
    );
    Ok(())
}

async fn loaded(server: &Server, count: u64) -> Outcome<Database> {
    let database = Client::with_uri_str(&server.uri).await?.database("graph");
    let runs = database.collection::<RawDocumentBuf>("runs");
    if runs.estimated_document_count().await? == count {
        return Ok(database);
    }
    database.drop().await?;
    let start = Instant::now();
    MongoRunStore::from_database(database.clone())
        .migrate()
        .await?;
    let source =
        doc! { "_id": "source", "name": "http://localhost:5000", "full_pass": DateTime::now() };
    let state = database.collection::<Document>("sync_state");
    state.insert_one(source).await?;
    for first in (0..count).step_by(2_000) {
        let batch = (first..count.min(first + 2_000)).map(|n| lineage::run(n, count));
        runs.insert_many(batch).ordered(false).await?;
    }
    eprintln!("{count} runs loaded in {:.0?}", start.elapsed());
    Ok(database)
}

fn row(what: &str, ours: &[Duration], beside: &[Duration]) {
    let (ours, beside) = (median(ours), median(beside));
    println!(
        "| {what} | {:.2} ms | {:.2} ms | {:.2} |",
        ours.as_secs_f64() * 1e3,
        beside.as_secs_f64() * 1e3,
        ours.as_secs_f64() / beside.as_secs_f64()
    );
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
