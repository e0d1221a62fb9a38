//! `find`: from flags to one search, and its results.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

use bson::{Bson, Document, doc};
use futures::TryStreamExt;
use runlineage::{Query, Run, RunStore, RunStream, Search};

use super::{Result, say_freshness};
use crate::args::{ConnectionArgs, FindArgs, Format, LineageArgs};
use crate::connect::{self, usage};
use crate::date;
use crate::output::{cell, mongosh, table, write_json};

const COLUMNS: [&str; 6] = ["_id", "name", "exp.name", "status", "start_time", "user"];
const TABLE_LIMIT: u32 = 100;

pub(crate) async fn run(connection: &ConnectionArgs, args: FindArgs) -> Result {
    let filter = filter(&args)?;
    if args.render {
        println!("{}", mongosh(&Bson::Document(filter)));
        return Ok(ExitCode::SUCCESS);
    }
    let mirror = connect::mirror(connection).await?;
    if !say_freshness(&mirror.store).await? {
        return Ok(ExitCode::FAILURE);
    }
    let limit = args.limit.unwrap_or(if args.format == Format::Table {
        TABLE_LIMIT
    } else {
        0
    });
    let mut search = Search::from(filter.clone())
        .limit(limit)
        .max_time(Duration::from_secs(args.max_time));
    if let Some(sort) = sort(&args) {
        search = search.sort(sort);
    }
    if args.explain {
        return explain(&mirror.store.explain(search).await?);
    }
    let runs = mirror.store.find_runs(search).await?;
    let shown = match args.format {
        Format::Table => print_table(runs, &columns(&args)).await?,
        Format::Csv => print_csv(runs, &columns(&args)).await?,
        Format::Ndjson => print_ndjson(runs).await?,
        Format::Json => print_json(runs).await?,
    };
    if limit > 0 && shown == u64::from(limit) {
        let all = mirror.store.count_runs(filter).await?;
        if all > shown {
            eprintln!("{shown} of {all} runs; `--limit 0` shows all.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn lineage(args: &LineageArgs) -> Query {
    let mut query = Query::new();
    for model in &args.input_model {
        query = query.with_input_model(&model.name, model.version.as_deref());
    }
    for model in &args.output_model {
        query = query.with_output_model(&model.name, model.version.as_deref());
    }
    for artifact in &args.input_artifact {
        query = query.with_input_artifact(&artifact.run, artifact.path.as_deref());
    }
    for artifact in &args.output_artifact {
        query = query.with_output_artifact(&artifact.run, artifact.path.as_deref());
    }
    query
}

fn filter(args: &FindArgs) -> Result<Document> {
    let mut parts = vec![lineage(&args.lineage).render()?];
    for (side, paths) in [("inputs", &args.input_path), ("outputs", &args.output_path)] {
        parts.extend(
            paths
                .iter()
                .map(|path| doc! { format!("{side}.runs.path"): path.trim_matches('/') }),
        );
    }
    if !args.exp.is_empty() {
        parts.push(doc! { "$or": [{ "exp.id": { "$in": &args.exp } }, { "exp.name": { "$in": &args.exp } }] });
    }
    if !args.status.is_empty() {
        let status: Vec<String> = args
            .status
            .iter()
            .map(|status| status.to_uppercase())
            .collect();
        parts.push(doc! { "status": { "$in": status } });
    }
    if let Some(since) = &args.since {
        parts.push(doc! { "start_time": { "$gte": date::parse("--since", since)? } });
    }
    if args.problems {
        parts.push(doc! { "mirror.problems.key": { "$exists": true } });
    }
    if let Some(json) = &args.filter {
        parts.push(parse_where(json)?);
    }
    parts.retain(|part| !part.is_empty());
    Ok(match parts.len() {
        0 | 1 => parts.pop().unwrap_or_default(),
        _ => doc! { "$and": parts },
    })
}

fn parse_where(json: &str) -> Result<Document> {
    let example = "write a MongoDB filter such as '{\"metrics.auc\": {\"$gt\": 0.9}}'";
    let value: serde_json::Value = serde_json::from_str(json)
        .map_err(|error| usage("--where", format!("it is not JSON: {error}; {example}")))?;
    match Bson::try_from(value) {
        Ok(Bson::Document(filter)) => Ok(filter),
        _ => Err(usage(
            "--where",
            format!("it is JSON, but not an object; {example}"),
        )
        .into()),
    }
}

fn sort(args: &FindArgs) -> Option<Document> {
    if args.sort.is_empty() {
        return (args.format == Format::Table).then(|| doc! { "start_time": -1, "_id": -1 });
    }
    let field = |text: &String| match text.strip_prefix('-') {
        Some(field) => (field.to_owned(), Bson::Int32(-1)),
        None => (text.clone(), Bson::Int32(1)),
    };
    Some(args.sort.iter().map(field).collect())
}

fn columns(args: &FindArgs) -> Vec<String> {
    if args.columns.is_empty() {
        COLUMNS.map(str::to_owned).into()
    } else {
        args.columns.clone()
    }
}

fn row(run: &Run, columns: &[String]) -> Result<Vec<String>> {
    let document = run.to_document()?;
    Ok(columns
        .iter()
        .map(|column| cell(&document, column))
        .collect())
}

async fn print_table(runs: RunStream, columns: &[String]) -> Result<u64> {
    let runs: Vec<Run> = runs.try_collect().await?;
    let rows = runs
        .iter()
        .map(|run| row(run, columns))
        .collect::<Result<Vec<_>>>()?;
    if rows.is_empty() {
        eprintln!("No run matches.");
    } else {
        writeln!(io::stdout(), "{}", table(columns, rows))?;
    }
    Ok(runs.len() as u64)
}

async fn print_csv(mut runs: RunStream, columns: &[String]) -> Result<u64> {
    let mut out = csv::Writer::from_writer(io::stdout());
    out.write_record(columns)?;
    let mut shown = 0;
    while let Some(run) = runs.try_next().await? {
        out.write_record(row(&run, columns)?)?;
        shown += 1;
    }
    out.flush()?;
    Ok(shown)
}

async fn print_ndjson(mut runs: RunStream) -> Result<u64> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut shown = 0;
    while let Some(run) = runs.try_next().await? {
        write_json(&mut out, run.to_document()?)?;
        out.write_all(b"\n")?;
        shown += 1;
    }
    out.flush()?;
    Ok(shown)
}

async fn print_json(mut runs: RunStream) -> Result<u64> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut shown = 0;
    while let Some(run) = runs.try_next().await? {
        out.write_all(if shown == 0 { b"[\n" } else { b",\n" })?;
        write_json(&mut out, run.to_document()?)?;
        shown += 1;
    }
    out.write_all(if shown == 0 { b"[]\n" } else { b"\n]\n" })?;
    out.flush()?;
    Ok(shown)
}

fn explain(plan: &Document) -> Result {
    let mut indexes = Vec::new();
    let mut scans = false;
    let winning = plan
        .get_document("queryPlanner")
        .and_then(|planner| planner.get_document("winningPlan"));
    if let Ok(winning) = winning {
        walk(winning, &mut indexes, &mut scans);
    }
    let served = match (scans, indexes.is_empty()) {
        (true, _) => "no index: every run is examined".to_owned(),
        (false, true) => "the collection's own order".to_owned(),
        (false, false) => indexes.join(", "),
    };
    let stats = plan
        .get_document("executionStats")
        .cloned()
        .unwrap_or_default();
    let count = |name: &str| {
        stats
            .get(name)
            .map_or_else(|| "?".into(), |count| count.to_string())
    };
    let header = [
        "index",
        "keys examined",
        "runs examined",
        "runs returned",
        "ms",
    ]
    .map(str::to_owned);
    let counts = [
        "totalKeysExamined",
        "totalDocsExamined",
        "nReturned",
        "executionTimeMillis",
    ]
    .map(count);
    let row = [served].into_iter().chain(counts).collect();
    writeln!(io::stdout(), "{}", table(&header, [row]))?;
    Ok(ExitCode::SUCCESS)
}

fn walk(stage: &Document, indexes: &mut Vec<String>, scans: &mut bool) {
    *scans |= stage
        .get_str("stage")
        .is_ok_and(|stage| stage == "COLLSCAN");
    if let Ok(index) = stage.get_str("indexName") {
        indexes.push(index.to_owned());
    }
    for value in stage.iter().map(|(_, value)| value) {
        match value {
            Bson::Document(inner) => walk(inner, indexes, scans),
            Bson::Array(inner) => inner
                .iter()
                .filter_map(Bson::as_document)
                .for_each(|inner| walk(inner, indexes, scans)),
            _ => {}
        }
    }
}
