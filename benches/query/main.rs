//! Compares searches with the raw driver on a real `mongod` with many runs.
//!
//! `cargo bench --bench query -- [RUNS]`, or `RUNS=…`; the default is 1,000,000. It starts the `mongod` in `MONGOD`, else the one in
//! `.tools/bin`. The data is in a folder under `target/`, which the benchmark removes at the end, or keeps for the next time with `KEEP=1`.

mod generator;
#[path = "../server.rs"]
mod server;
mod worth;

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use mongodb::bson::raw::RawDocumentBuf;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::{Client, Database};
use runlineage::query::Condition;
use runlineage::{MongoRunStore, Origin, Query, Search};

use generator::{BASE_MODEL, FORMER_USER, READ_MODEL, READERS, Random, dataset, id, start_of};
use server::Server;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const SMALL: u64 = 10_000;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().collect();
    if let [_, mode, uri, filter] = &args[..]
        && mode == "--smallest"
    {
        return smallest_program(uri, filter);
    }
    let runs = args
        .iter()
        .find_map(|arg| arg.parse().ok())
        .or_else(|| std::env::var("RUNS").ok()?.parse().ok())
        .unwrap_or(1_000_000);
    tokio::runtime::Runtime::new()?.block_on(measure(runs))
}

/// The smallest program that prints the runs of a search as Extended JSON.
fn smallest_program(uri: &str, filter: &str) -> Outcome {
    use std::io::Write;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let filter: Document = serde_json::from_str(filter)?;
            let database = Client::with_uri_str(uri)
                .await?
                .default_database()
                .ok_or("no database")?;
            let mut found = database.collection::<Document>("runs").find(filter).await?;
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            while let Some(run) = found.try_next().await? {
                serde_json::to_writer(&mut out, &Bson::Document(run).into_relaxed_extjson())?;
                out.write_all(b"\n")?;
            }
            Ok(out.flush()?)
        })
}

async fn measure(runs: u64) -> Outcome {
    let server = Server::start("bench-query").await?;
    let small = loaded(&server, "small", SMALL.min(runs)).await?;
    let large = loaded(&server, "large", runs).await?;
    sizes(&large).await?;
    println!("\n| figure ({runs} runs) | ours | beside | ratio |\n|---|---|---|---|");
    decode_two_thousand_runs(&large).await?;
    point_queries(&small, &large, runs).await?;
    conjunctions(&large, runs).await?;
    whole_programs(&server, &large).await?;
    peak_memory(&server, &small, &large)?;
    println!("\n| term | found | keys examined | runs examined |\n|---|---|---|---|");
    terms(&large, runs).await?;
    worth::of_each(&large, runs).await
}

/// Compares `find_runs`, with ids and lineage decoded, with the driver's raw cursor.
async fn decode_two_thousand_runs(database: &Database) -> Outcome {
    let store = MongoRunStore::from_database(database.clone());
    let query = Query::new().with_input_model(READ_MODEL, "7");
    let filter = query.render()?;
    let (mut ours, mut raw, mut typed, mut owned) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..21 {
        let start = Instant::now();
        let mut found = store.find_runs(&query).await?;
        let mut read = 0;
        while let Some(run) = found.try_next().await? {
            read += run.id().len() + run.lineage()?.inputs.models().len();
        }
        owned.push(start.elapsed());
        assert!(read > 0);

        let start = Instant::now();
        let mut found = store.find_runs(&query).await?;
        let mut read = 0;
        while let Some(run) = found.try_next().await? {
            read += run.id().len();
            let models = run.input_models().chain(run.output_models());
            for entry in models
                .chain(run.input_artifacts())
                .chain(run.output_artifacts())
            {
                let (key, value) = entry?;
                read += key.len() + value.map_or(0, str::len);
            }
        }
        ours.push(start.elapsed());

        let start = Instant::now();
        let runs = database.collection::<RawDocumentBuf>("runs");
        let mut cursor = runs.find(filter.clone()).await?;
        let mut count = 0;
        while cursor.advance().await? {
            let run = cursor.current();
            count += run.get_str("_id")?.len();
            for side in ["inputs", "outputs"] {
                let side = run.get_document(side)?;
                for (list, key, value) in [("models", "name", "version"), ("runs", "id", "path")] {
                    for entry in side.get_array(list)? {
                        let entry = entry?.as_document().ok_or("no entry")?;
                        count +=
                            entry.get_str(key)?.len() + entry.get_str(value).map_or(0, str::len);
                    }
                }
            }
        }
        raw.push(start.elapsed());
        assert_eq!(read, count);

        let start = Instant::now();
        let found: Vec<Document> = database
            .collection::<Document>("runs")
            .find(filter.clone())
            .await?
            .try_collect()
            .await?;
        typed.push(start.elapsed());
        assert!(found.len() as u64 >= READERS.min(2_000) / 2);
    }
    row(
        "find_runs, 2,000 runs, ids and lineage ÷ raw cursor",
        &ours,
        &raw,
    );
    row(
        "find_runs, 2,000 runs, ids and lineage ÷ driver's `Document`s",
        &ours,
        &typed,
    );
    row(
        "find_runs, 2,000 runs, ids and `Lineage`s ÷ raw cursor",
        &owned,
        &raw,
    );
    Ok(())
}

async fn point_queries(small: &Database, large: &Database, runs: u64) -> Outcome {
    let mut times = Vec::new();
    for (database, runs) in [(small, SMALL.min(runs)), (large, runs)] {
        let store = MongoRunStore::from_database(database.clone());
        let random = &mut Random(7);
        let mut taken = Vec::new();
        for round in 0..1_500 {
            let n = random.below(runs);
            let query = Query::new().with_output_artifact(&id(n), "plots/0.png");
            let start = Instant::now();
            let found: Vec<_> = store.find_runs(query).await?.try_collect().await?;
            // The first searches warm up the connection and the server's cache.
            if round >= 500 && !found.is_empty() {
                taken.push(start.elapsed());
            }
        }
        times.push(taken);
    }
    row(
        "point query, p50, here ÷ at 10,000 runs",
        &times[1],
        &times[0],
    );
    let store = MongoRunStore::from_database(large.clone());
    let mut newest = Vec::new();
    for _ in 0..200 {
        let search = Search::from(Query::new().with_input_model(BASE_MODEL, None))
            .newest_first()
            .limit(20);
        let start = Instant::now();
        let found: Vec<_> = store.find_runs(search).await?.try_collect().await?;
        newest.push(start.elapsed());
        assert_eq!(found.len(), 20);
    }
    row(
        "newest 20 users of the most popular model ÷ point query",
        &newest,
        &times[1],
    );
    Ok(())
}

/// Compares an AND of two terms with the better hint: pairs of several kinds, and the query planner's worst case. There, every run
/// that reads the oldest dataset also reads a popular model, so the index with the most matches returns the first ones soonest.
async fn conjunctions(database: &Database, runs: u64) -> Outcome {
    let random = &mut Random(11);
    let any = (0..60).map(|round| {
        let read = id(random.below(runs));
        let query = Query::new().with_input_model(&format!("model-{}", round % 3), None);
        match round % 3 {
            0 => (query.with_input_artifact(&read, None), "input_runs"),
            1 => (query.with_output_artifact(&read, None), "output_runs"),
            _ => {
                let exp = random.below(runs) / 2_000 * 4;
                (query.with_exp_id(&exp.to_string()), "newest_of_exp")
            }
        }
    });
    let any: Vec<(Query, &'static str)> = any.collect();
    conjunction(database, "AND of two terms", any.clone()).await?;
    let kinds = [
        "a model and a run read",
        "a model and a run written",
        "a model and an experiment",
    ];
    for (kind, what) in kinds.into_iter().enumerate() {
        let of_kind = any.iter().skip(kind).step_by(kinds.len()).cloned();
        conjunction(database, &format!("AND of {what}"), of_kind.collect()).await?;
    }
    let query = Query::new().with_input_model(BASE_MODEL, None);
    let oldest = query.with_input_artifact(&dataset(0), None);
    let what = "AND of the most popular model and the oldest dataset";
    conjunction(database, what, vec![(oldest, "input_runs"); 5]).await?;
    // More matches than the chooser counts, and again the index with the most matches returns the first ones soonest.
    let query = Query::new().with_input_model(BASE_MODEL, "1");
    let oldest = query.with_start_time(..start_of(6_000));
    let what = "AND of the most popular version and the 6,000 oldest runs";
    conjunction(database, what, vec![(oldest, "newest"); 5]).await?;
    // MongoDB's `count` reads documents for conditions on two fields of an array element.
    let pairs = (0..5).map(|n| {
        let query = Query::new().with_input_model("model-0", "1");
        let made = dataset(n * runs / 20_000);
        let query = query.with_input_artifact(&made, "data/train.parquet");
        (query, "input_paths")
    });
    let what = "AND of a version and a path of 3,000 readers";
    conjunction(database, what, pairs.collect()).await?;
    newest(database, runs).await
}

/// Compares the newest runs of two terms with the query planner's own choice.
async fn newest(database: &Database, runs: u64) -> Outcome {
    let store = MongoRunStore::from_database(database.clone());
    let query = || Query::new().with_input_model("model-0", None);
    for (what, query) in [
        ("a model and a status", query().with_status("FINISHED")),
        (
            "a model and a user who left",
            query().with_user(FORMER_USER),
        ),
        (
            "a model and the oldest dataset",
            query().with_input_artifact(&dataset(0), None),
        ),
        (
            "a model and a run",
            query().with_input_artifact(&id(runs / 2), None),
        ),
    ] {
        let filter = query.render()?;
        let (mut ours, mut planner) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let start = Instant::now();
            let search = Search::from(&query).newest_first().limit(20);
            let _: Vec<_> = store.find_runs(search).await?.try_collect().await?;
            ours.push(start.elapsed());
            let start = Instant::now();
            let runs = database.collection::<RawDocumentBuf>("runs");
            let order = doc! { "start_time": -1, "_id": -1 };
            let find = runs.find(filter.clone()).sort(order).limit(20);
            let _: Vec<_> = find.await?.try_collect().await?;
            planner.push(start.elapsed());
        }
        row(
            &format!("newest 20 of {what} ÷ the planner alone"),
            &ours,
            &planner,
        );
    }
    Ok(())
}

/// Compares searches for a model and a second term with the better of the two hints, and with the query planner's own choice.
async fn conjunction(
    database: &Database,
    what: &str,
    searches: Vec<(Query, &'static str)>,
) -> Outcome {
    let store = MongoRunStore::from_database(database.clone());
    let (mut ours, mut best, mut planner) = (Vec::new(), Vec::new(), Vec::new());
    let (mut worst_ours, mut worst_planner) = (0_u64, 0_u64);
    for (query, second) in &searches {
        let filter = query.render()?;
        let mut hinted = Vec::new();
        for hint in ["input_models", second] {
            let mut times = Vec::new();
            for _ in 0..3 {
                times.push(timed(database, &filter, Some(hint)).await?);
            }
            hinted.push(median(&times));
        }
        best.push(hinted.into_iter().min().unwrap_or_default());
        let mut times = Vec::new();
        for _ in 0..3 {
            let start = Instant::now();
            let _: Vec<_> = store.find_runs(query).await?.try_collect().await?;
            times.push(start.elapsed());
        }
        ours.push(median(&times));
        let mut times = Vec::new();
        for _ in 0..3 {
            times.push(timed(database, &filter, None).await?);
        }
        planner.push(median(&times));
        worst_ours = worst_ours.max(store.explain(query).await?.keys_examined);
        let explain =
            doc! { "explain": { "find": "runs", "filter": filter }, "verbosity": "executionStats" };
        let explained = database.run_command(explain).await?;
        let keys = explained
            .get_document("executionStats")?
            .get("totalKeysExamined")
            .and_then(|keys| keys.as_i64().or(keys.as_i32().map(i64::from)));
        worst_planner = worst_planner.max(keys.unwrap_or_default().unsigned_abs());
    }
    row(&format!("{what}, p50 ÷ best hint"), &ours, &best);
    let total = |times: &[Duration]| vec![times.iter().sum::<Duration>()];
    let all = searches.len();
    row(
        &format!("{what}, all {all} ÷ best hints"),
        &total(&ours),
        &total(&best),
    );
    row(
        &format!("{what}, all {all}: the planner alone ÷ best hints"),
        &total(&planner),
        &total(&best),
    );
    println!(
        "| {what}, most keys examined: ours ÷ the planner alone | {worst_ours} | {worst_planner} | {:.3} |",
        worst_ours as f64 / worst_planner.max(1) as f64
    );
    Ok(())
}

async fn timed(database: &Database, filter: &Document, hint: Option<&str>) -> Outcome<Duration> {
    let start = Instant::now();
    let runs = database.collection::<RawDocumentBuf>("runs");
    let mut find = runs.find(filter.clone());
    if let Some(hint) = hint {
        find = find.hint(mongodb::options::Hint::Name(hint.to_owned()));
    }
    let _: Vec<_> = find.await?.try_collect().await?;
    Ok(start.elapsed())
}

/// Compares whole processes, from their start to the last byte of output.
async fn whole_programs(server: &Server, database: &Database) -> Outcome {
    let uri = format!("{}/{}", server.uri, database.name());
    let one = doc! { "_id": id(4_242) };
    let many = Query::new().with_input_model(READ_MODEL, "7").render()?;
    for (what, filter, args) in [
        (
            "`find`, 2,000 runs as ndjson ÷ smallest program",
            many,
            vec!["--input-model".to_owned(), format!("{READ_MODEL}:7")],
        ),
        (
            "`find`, one run, whole process ÷ smallest program",
            one,
            vec!["--where".to_owned(), format!("run_id = '{}'", id(4_242))],
        ),
    ] {
        let filter = serde_json::to_string(&Bson::Document(filter).into_relaxed_extjson())?;
        let (mut ours, mut smallest) = (Vec::new(), Vec::new());
        let mut lines = [0, 0];
        for _ in 0..100 {
            let mut program = Command::new(env!("CARGO_BIN_EXE_runlineage"));
            program
                .args(["find", "--mongodb-uri", &uri, "--format", "ndjson"])
                .args(&args);
            let mut other = Command::new(std::env::current_exe()?);
            other.args(["--smallest", &uri, &filter]);
            for (index, (command, times)) in
                [(&mut program, &mut ours), (&mut other, &mut smallest)]
                    .into_iter()
                    .enumerate()
            {
                let start = Instant::now();
                let output = command
                    .stdin(Stdio::null())
                    .stderr(Stdio::null())
                    .output()?;
                times.push(start.elapsed());
                assert!(output.status.success());
                lines[index] = output.stdout.iter().filter(|byte| **byte == b'\n').count();
            }
        }
        assert_eq!(lines[0], lines[1]);
        row(what, &ours, &smallest);
    }
    Ok(())
}

/// Measures the peak memory of the program while it prints every run.
fn peak_memory(server: &Server, small: &Database, large: &Database) -> Outcome {
    let mut peaks = Vec::new();
    for database in [large, small] {
        let uri = format!("{}/{}", server.uri, database.name());
        let mut program = Command::new(env!("CARGO_BIN_EXE_runlineage"));
        let args = [
            "find",
            "--limit",
            "0",
            "--format",
            "ndjson",
            "--mongodb-uri",
            &uri,
        ];
        program
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = program.spawn()?;
        let status = format!("/proc/{}/status", process.id());
        let mut peak = 0.0_f64;
        while process.try_wait()?.is_none() {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            peak = peak.max(kib.unwrap_or_default());
            std::thread::sleep(Duration::from_millis(2));
        }
        peaks.push(peak / 1024.0);
    }
    println!(
        "| `find` of all runs as ndjson: most memory, here ÷ of {SMALL} runs | {:.0} MiB | {:.0} MiB | {:.2} |",
        peaks[0],
        peaks[1],
        peaks[0] / peaks[1]
    );
    Ok(())
}

async fn terms(database: &Database, runs: u64) -> Outcome {
    let store = MongoRunStore::from_database(database.clone());
    let some = id(runs / 2);
    let logged = format!("m-{some}");
    let from = start_of(runs / 2);
    let to = DateTime::from_millis(from.timestamp_millis() + 36_000_000);
    let query = Query::new;
    for (what, query) in [
        ("input model", query().with_input_model("model-7", None)),
        (
            "input model, version",
            query().with_input_model("model-7", "3"),
        ),
        (
            "input model, any of two versions",
            query().with_input_model_versions("model-7", ["3", "4"]),
        ),
        (
            "input model, none recorded",
            query().with_input_model_without_version("model-7"),
        ),
        (
            "output model, version",
            query().with_output_model("model-7", "3"),
        ),
        (
            "input dataset",
            query().with_input_dataset("clicks-3", None),
        ),
        (
            "input dataset, digest",
            query().with_input_dataset("clicks-3", "00000001"),
        ),
        (
            "input dataset, of an origin",
            query()
                .with_input_dataset("clicks-3", None)
                .of_origin(Origin::Inputs),
        ),
        (
            "input logged model",
            query().with_input_logged_model(&logged),
        ),
        (
            "output logged model",
            query().with_output_logged_model(&logged),
        ),
        (
            "input prompt, version",
            query().with_input_prompt("prompt-3", "2"),
        ),
        ("input artifact", query().with_input_artifact(&some, None)),
        (
            "input artifact under a path",
            query().with_input_artifact_under(&some, "data"),
        ),
        (
            "output artifact, path",
            query().with_output_artifact(&some, "plots/0.png"),
        ),
        (
            "input path",
            query().with_input_path("data/part-007.parquet"),
        ),
        (
            "input path under",
            query().with_input_path_under("data/part-007.parquet"),
        ),
        ("experiment, id or name", query().with_exp("experiment-8")),
        ("status", query().with_status("KILLED")),
        ("user", query().with_user(FORMER_USER)),
        ("name prefix", query().with_name_prefix("train-999")),
        ("started in 10 hours", query().with_start_time(from..to)),
        ("ended in 10 hours", query().with_end_time(from..to)),
        ("parent", query().with_parent(&id(runs / 2))),
        (
            "model and experiment",
            query().with_input_model("model-0", None).with_exp_id("8"),
        ),
        (
            "model and status",
            query()
                .with_input_model("model-0", "1")
                .with_status("KILLED"),
        ),
        (
            "experiment, id or name, and 10 hours",
            query()
                .with_exp(&(runs / 1_000).to_string())
                .with_start_time(from..to),
        ),
        (
            "model and 10 hours",
            query()
                .with_input_model("model-0", None)
                .with_start_time(from..to),
        ),
        (
            "experiment and metric",
            query()
                .with_exp_id("8")
                .with_metric("metric3", Condition::gt(0.99)),
        ),
    ] {
        let plan = store.explain(&query).await?;
        println!(
            "| {what} ({}) | {} | {} | {} |",
            plan.indexes.join(", "),
            plan.runs_found,
            plan.keys_examined,
            plan.runs_examined
        );
    }
    Ok(())
}

/// Prints the sizes of the data and of each index.
async fn sizes(database: &Database) -> Outcome {
    let stats = database.run_command(doc! { "collStats": "runs" }).await?;
    let number = |value: Option<&Bson>| match value {
        Some(Bson::Int32(number)) => f64::from(*number),
        Some(Bson::Int64(number)) => *number as f64,
        Some(Bson::Double(number)) => *number,
        _ => 0.0,
    };
    let mb = |value: Option<&Bson>| number(value) / 1e6;
    let (data, stored, indexes) = (
        mb(stats.get("size")),
        mb(stats.get("storageSize")),
        mb(stats.get("totalIndexSize")),
    );
    println!("\n| | MB | ÷ data |\n|---|---|---|");
    println!(
        "| data ({:.0} bytes a run) | {data:.0} | |",
        number(stats.get("avgObjSize"))
    );
    println!(
        "| data on disk, compressed | {stored:.0} | {:.2} |",
        stored / data
    );
    println!("| all indexes | {indexes:.0} | {:.2} |", indexes / data);
    for (name, size) in stats.get_document("indexSizes")? {
        println!(
            "| index {name} | {:.0} | {:.3} |",
            mb(Some(size)),
            mb(Some(size)) / data
        );
    }
    Ok(())
}

async fn loaded(server: &Server, name: &str, count: u64) -> Outcome<Database> {
    let database = Client::with_uri_str(&server.uri).await?.database(name);
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
    database
        .collection::<Document>("sync_state")
        .insert_one(source)
        .await?;
    // Indexes are built after the load, as a migration would build them over existing runs.
    database
        .run_command(doc! { "dropIndexes": "runs", "index": "*" })
        .await?;
    for first in (0..count).step_by(2_000) {
        let batch = (first..count.min(first + 2_000)).map(|n| generator::run(n, count));
        runs.insert_many(batch).ordered(false).await?;
    }
    let loaded = start.elapsed();
    for migration in [
        include_str!("../../migrations/0001_runs.json"),
        include_str!("../../migrations/0002_tickets.json"),
        include_str!("../../migrations/0003_native_lineage.json"),
    ] {
        let steps: Vec<Document> = serde_json::from_str(migration)?;
        for step in steps {
            if step
                .get_str("createIndexes")
                .is_ok_and(|name| name == "runs")
            {
                database.run_command(step).await?;
            }
        }
    }
    eprintln!(
        "{name}: {count} runs loaded in {loaded:.0?}, indexed in {:.0?}",
        start.elapsed() - loaded
    );
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
