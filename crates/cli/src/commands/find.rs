//! `find`: from flags to one search, and its results.

mod condition;
mod named;
mod print;
mod trim;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use bson::{Bson, DateTime};
use runlineage::lineage::{Direction, ModelPointer, Node, NodeArg};
use runlineage::query::Order;
use runlineage::{MongoRunStore, Query, Search};

use super::{Result, say_freshness};
use crate::args::{ColumnArg, ConnectionArgs, FindArgs, Format, LineageArgs};
use crate::connect::{self, usage};
use crate::date;
use crate::output::mongosh;
use crate::pages::Pages;
use crate::say::{counted, say};
use crate::stdout::stdout;

const COLUMNS: [&str; 6] = ["_id", "name", "exp.name", "status", "start_time", "user"];
const TABLE_LIMIT: u32 = 100;
/// What a program gets unless it asks for more: more by far than fits a screen, less than what fills a disk unseen.
const EXPORT_LIMIT: u32 = 1_000_000;

pub(crate) async fn run(connection: &ConnectionArgs, mut args: FindArgs) -> Result {
    resolve(connection, &mut args.lineage).await?;
    let since = args.since.as_deref();
    let since = since
        .map(|since| date::parse("--since", since))
        .transpose()?;
    let (search, orders, columns) = (search(&args, since)?, orders(&args)?, columns(&args)?);
    let filter = search.filter()?;
    if args.render {
        writeln!(stdout(), "{}", mongosh(&Bson::Document(filter)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mirror = connect::mirror(connection).await?;
    let store = &mirror.store;
    let last = match &args.after {
        Some(id) => Some(
            store
                .get_run(id.as_str())
                .await?
                .ok_or_else(|| usage("--after", format!("the mirror holds no run {id}")))?,
        ),
        None => None,
    };
    let limit = args.limit.unwrap_or(match args.format {
        Format::Table => TABLE_LIMIT,
        _ => EXPORT_LIMIT,
    });
    let is_json = matches!(args.format, Format::Json | Format::Ndjson);
    let prints_all = is_json && args.columns.is_empty();
    let max_time = Duration::from_secs(args.max_time);
    let all = || search.clone().limit(0).max_time(max_time);
    let ordered = |limit| {
        let mut search = all().limit(limit);
        if !orders.is_empty() {
            search = search.order_by(orders.clone());
        } else if args.format == Format::Table {
            search = search.newest_first();
        }
        if let Some(skip) = args.skip {
            search = search.skip(skip);
        }
        if let Some(last) = &last {
            search = search.newest_first().after(last);
        }
        if prints_all {
            return search;
        }
        search.projection(trim::projection(&columns))
    };
    let about = async {
        let holds_runs = say_freshness(store).await?;
        if holds_runs {
            named::check_experiments(store, &args.exp).await?;
        }
        if let Some(since) = since {
            say!(
                "Started since {}.",
                since.try_to_rfc3339_string().unwrap_or_default()
            );
        }
        // What cannot be told here fails no search.
        let served = async { store.is_indexed(all()).await.unwrap_or(true) };
        let sorts_all = async {
            let is_alone = filter.is_empty() && !orders.is_empty();
            is_alone && !store.is_order_indexed(ordered(limit)).await.unwrap_or(true)
        };
        if holds_runs && !args.explain && sorts_all.await {
            say!(
                "No index holds this order: every run is read, for {} s at most (--max-time). An experiment, a model, an artifact or --since narrows it.",
                args.max_time
            );
        }
        if holds_runs && !args.explain && !filter.is_empty() && !served.await {
            say!(
                "No index serves this search: every run is looked at, for {} s at most (--max-time). An experiment, a model, an artifact or --since narrows it.",
                args.max_time
            );
        }
        Ok::<_, anyhow::Error>(holds_runs)
    };
    if args.explain || args.count || args.facet.is_some() || args.distinct.is_some() {
        if !about.await? {
            return Ok(ExitCode::FAILURE);
        }
        if args.explain {
            return print::explain(&store.explain(ordered(limit)).await?);
        }
        if args.count {
            writeln!(stdout(), "{}", store.count_runs(all()).await?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(facet) = args.facet {
            let limit = args.limit.unwrap_or_default();
            let counts = store.facet(facet.0, all().limit(limit)).await?;
            return print::facets(counts, args.format);
        }
        if let Some(field) = &args.distinct {
            return print::distinct(store.distinct_values(field, all()).await?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    // One more than is shown: whether there is more is known without a second search.
    let runs = store.find_runs(ordered(limit.saturating_add(u32::from(limit > 0))));
    // Side by side: one run is found in the time that it takes to ask how fresh the mirror is.
    let (holds_runs, runs) = tokio::join!(about, runs);
    if !holds_runs? {
        return Ok(ExitCode::FAILURE);
    }
    let runs = runs?;
    let mut printer = print::Printer {
        links: links(connection, store, &args).await?,
        trims: is_json && !prints_all,
        columns: columns.clone(),
        limit,
        shown: 0,
        more: false,
    };
    match args.format {
        Format::Table => printer.table(runs).await?,
        Format::Csv => printer.csv(runs).await?,
        Format::Ndjson => printer.ndjson(runs).await?,
        Format::Json => printer.json(runs).await?,
    }
    if printer.shown == 0 {
        named::say_unknown(store, &args).await?;
    }
    if !printer.more {
        return Ok(ExitCode::SUCCESS);
    }
    let shown = printer.shown;
    if args.limit.is_none() && args.format != Format::Table {
        say!(
            "There are more: only the first {shown} runs are here. `--limit 0` gives all, `--limit {shown}` says that these are enough."
        );
        return Ok(ExitCode::FAILURE);
    }
    match store.count_runs(all()).await {
        Ok(count) => say!(
            "{shown} of {}; `--limit 0` shows all.",
            counted(count, "run")
        ),
        Err(_) => say!("The first {shown} runs; there are more: `--limit 0` shows all."),
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts the version that MLflow's registry gives a pointer now in its place.
pub(crate) async fn resolve(connection: &ConnectionArgs, args: &mut LineageArgs) -> Result<()> {
    let pointers = args.nodes.iter_mut().filter_map(|(_, node)| match node {
        NodeArg::Pointer(pointer) => Some((pointer.clone(), node)),
        NodeArg::Node(_) => None,
    });
    let pointers: Vec<(ModelPointer, &mut NodeArg)> = pointers.collect();
    if pointers.is_empty() {
        return Ok(());
    }
    let mlflow = connect::mlflow(connection, 1)?;
    for (pointer, node) in pointers {
        let version = mlflow.model_version(&pointer).await?;
        say!("{pointer} is version {version} now.");
        *node = NodeArg::Node(Node::model(&pointer.name, version.as_str())?);
    }
    Ok(())
}

fn query(args: &FindArgs, since: Option<DateTime>) -> Query {
    let mut query = Query::new();
    for (direction, node) in &args.lineage.nodes {
        let NodeArg::Node(node) = node.clone() else {
            continue;
        };
        query = match direction {
            Direction::Input => query.with_input(node),
            Direction::Output => query.with_output(node),
        };
    }
    for (direction, path) in &args.paths.paths {
        query = match (direction, path.strip_suffix('/')) {
            (Direction::Input, Some(folder)) => query.with_input_path_under(folder),
            (Direction::Input, None) => query.with_input_path(path),
            (Direction::Output, Some(folder)) => query.with_output_path_under(folder),
            (Direction::Output, None) => query.with_output_path(path),
        };
    }
    if !args.exp.is_empty() {
        query = query.with_any_of(args.exp.iter().map(|exp| Query::new().with_experiment(exp)));
    }
    if !args.status.is_empty() {
        let status = |status: &String| Query::new().with_status(&status.to_uppercase());
        query = query.with_any_of(args.status.iter().map(status));
    }
    if let Some(since) = since {
        query = query.with_start_time(since..);
    }
    for tag in &args.tag {
        query = query.with_tag(&tag.key, tag.value.as_str());
    }
    for param in &args.param {
        query = query.with_param(&param.key, param.value.as_str());
    }
    if let Some(parent) = &args.parent {
        query = query.with_parent(parent.as_str());
    }
    if args.problems {
        query = query.with_problems();
    }
    query
}

/// All that the flags ask for, as one search without order and limit.
fn search(args: &FindArgs, since: Option<DateTime>) -> Result<Search> {
    let flags = Search::from(query(args, since));
    let Some(condition) = &args.condition else {
        return Ok(flags);
    };
    Ok(flags.and(condition::parse(condition)?))
}

/// The order that was asked for, of which no field stands twice; none where none was.
fn orders(args: &FindArgs) -> Result<Vec<Order>> {
    for (index, order) in args.sort.iter().enumerate() {
        let earlier = &args.sort[..index];
        if earlier.iter().any(|other| other.field() == order.field()) {
            let reason = format!(
                "it names {} twice; write each field once, such as --sort -start_time --sort name",
                order.field()
            );
            return Err(usage("--sort", reason).into());
        }
    }
    Ok(args.sort.clone())
}

fn columns(args: &FindArgs) -> Result<Vec<ColumnArg>> {
    let mut columns = if args.columns.is_empty() {
        let columns = COLUMNS.iter().map(|column| column.parse());
        columns.collect::<Result<_, _>>()?
    } else {
        args.columns.clone()
    };
    if args.ui_url.is_some() && !columns.contains(&ColumnArg::link()) {
        columns.push(ColumnArg::link());
    }
    Ok(columns)
}

/// The pages to link to, where links are wanted.
async fn links(
    connection: &ConnectionArgs,
    store: &MongoRunStore,
    args: &FindArgs,
) -> Result<Option<Pages>> {
    let Some(url) = &args.ui_url else {
        return Ok(None);
    };
    let given = Some(url.as_str()).filter(|url| !url.is_empty());
    let pages = Pages::of(connection, store, given).await?;
    let pages = pages.ok_or_else(|| {
        usage(
            "--ui-url",
            "the mirror does not know the address of its MLflow; give it: --ui-url http://host:5000",
        )
    })?;
    Ok(Some(pages))
}
