//! `find`: from flags to one search, and its results.

mod condition;
mod print;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use bson::{Bson, Document, doc};
use runlineage::{Facet, MongoRunStore, Query, Search};

use super::{Result, say_freshness};
use crate::args::{ConnectionArgs, FacetArg, FindArgs, Format, LineageArgs, ModelArg, SortArg};
use crate::connect::{self, usage};
use crate::date;
use crate::output::mongosh;
use crate::say::say;
use crate::stdout::stdout;

const COLUMNS: [&str; 6] = ["_id", "name", "exp.name", "status", "start_time", "user"];
/// The column of `--ui-url`, no field of a run.
const LINK: &str = "url";
const TABLE_LIMIT: u32 = 100;
/// What a program gets unless it asks for more: more by far than fits a screen, less than what fills a disk unseen.
const EXPORT_LIMIT: u32 = 1_000_000;

pub(crate) async fn run(connection: &ConnectionArgs, mut args: FindArgs) -> Result {
    resolve_aliases(connection, &mut args.lineage).await?;
    let (filter, sort) = (filter(&args)?, sort(&args)?);
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
    let all = || Search::from(filter.clone()).max_time(Duration::from_secs(args.max_time));
    let ordered = |limit| {
        let mut search = all().limit(limit);
        if let Some(sort) = &sort {
            search = search.sort(sort.clone());
        }
        if let Some(skip) = args.skip {
            search = search.skip(skip);
        }
        if let Some(last) = &last {
            search = search.newest_first().after(last);
        }
        match projection(&args) {
            Some(fields) => search.projection(fields),
            None => search,
        }
    };
    let about = async {
        let holds_runs = say_freshness(store).await?;
        // What cannot be told here fails no search.
        let served = async { store.is_indexed(all()).await.unwrap_or(true) };
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
            let counts = store.facet(facet.into(), all().limit(limit)).await?;
            return print::facets(counts, args.format);
        }
        if let Some(field) = &args.distinct {
            return print::distinct(store.distinct(field, all()).await?);
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
        columns: columns(&args),
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
        Ok(count) => say!("{shown} of {count} runs; `--limit 0` shows all."),
        Err(_) => say!("The first {shown} runs; there are more: `--limit 0` shows all."),
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
        query = query.with_input_artifact(artifact.run.as_str(), artifact.path.as_deref());
    }
    for artifact in &args.output_artifact {
        query = query.with_output_artifact(artifact.run.as_str(), artifact.path.as_deref());
    }
    query
}

/// Puts the version that MLflow's registry gives an alias now in its place.
pub(crate) async fn resolve_aliases(
    connection: &ConnectionArgs,
    args: &mut LineageArgs,
) -> Result<()> {
    let models = args.input_model.iter_mut().chain(&mut args.output_model);
    let aliased: Vec<&mut ModelArg> = models.filter(|model| model.alias.is_some()).collect();
    if aliased.is_empty() {
        return Ok(());
    }
    let mlflow = connect::mlflow(connection, 1)?;
    for model in aliased {
        if let Some(alias) = model.alias.take() {
            let version = mlflow.model_version_by_alias(&model.name, &alias).await?;
            say!("models:/{}@{alias} is version {version} now.", model.name);
            model.version = Some(version);
        }
    }
    Ok(())
}

fn filter(args: &FindArgs) -> Result<Document> {
    let mut query = lineage(&args.lineage);
    for path in &args.input_path {
        query = match path.strip_suffix('/') {
            Some(folder) => query.with_input_path_under(folder),
            None => query.with_input_path(path),
        };
    }
    for path in &args.output_path {
        query = match path.strip_suffix('/') {
            Some(folder) => query.with_output_path_under(folder),
            None => query.with_output_path(path),
        };
    }
    if !args.exp.is_empty() {
        query = query.with_any_of(args.exp.iter().map(|exp| Query::new().with_exp(exp)));
    }
    if !args.status.is_empty() {
        let status = |status: &String| Query::new().with_status(&status.to_uppercase());
        query = query.with_any_of(args.status.iter().map(status));
    }
    if let Some(since) = &args.since {
        query = query.with_start_time(date::parse("--since", since)?..);
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
    let flags = query.render()?;
    let Some(condition) = &args.condition else {
        return Ok(flags);
    };
    let condition = condition::parse(condition)?;
    Ok(Search::from(flags).and(condition).into_filter()?)
}

fn sort(args: &FindArgs) -> Result<Option<Document>> {
    if args.sort.is_empty() {
        let newest_first = || doc! { "start_time": -1, "_id": -1 };
        return Ok((args.format == Format::Table).then(newest_first));
    }
    let mut sort = Document::new();
    for SortArg { field, descending } in &args.sort {
        let direction = if *descending { -1 } else { 1 };
        if sort.insert(field, direction).is_some() {
            let reason = format!(
                "it names {field} twice; write each field once, such as --sort -start_time --sort name"
            );
            return Err(usage("--sort", reason).into());
        }
    }
    Ok(Some(sort))
}

fn columns(args: &FindArgs) -> Vec<String> {
    let mut columns = if args.columns.is_empty() {
        COLUMNS.map(str::to_owned).into()
    } else {
        args.columns.clone()
    };
    if args.ui_url.is_some() && !columns.iter().any(|column| column == LINK) {
        columns.push(LINK.to_owned());
    }
    columns
}

/// The fields to ask for, where not all are printed; none of them within another one, which MongoDB refuses.
fn projection(args: &FindArgs) -> Option<Document> {
    let mut fields = match args.format {
        Format::Json | Format::Ndjson if args.columns.is_empty() => return None,
        _ => columns(args),
    };
    fields.retain(|field| field != LINK);
    if args.ui_url.is_some() {
        fields.push("exp".to_owned());
    }
    let is_within = |field: &str, other: &String| {
        let rest = field.strip_prefix(other.as_str());
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    let outer = fields
        .iter()
        .filter(|field| !fields.iter().any(|other| is_within(field, other)));
    Some(outer.map(|field| (field.clone(), Bson::Int32(1))).collect())
}

/// The address before which a run's page has its path, where links are wanted.
async fn links(
    connection: &ConnectionArgs,
    store: &MongoRunStore,
    args: &FindArgs,
) -> Result<Option<String>> {
    let Some(url) = &args.ui_url else {
        return Ok(None);
    };
    let base = if url.is_empty() {
        connect::mlflow_address(connection, store).await?
    } else {
        Some(url.clone())
    };
    let base = base.ok_or_else(|| {
        usage(
            "--ui-url",
            "the mirror does not know the address of its MLflow; give it: --ui-url http://host:5000",
        )
    })?;
    Ok(Some(base.trim_end_matches('/').to_owned()))
}

impl From<FacetArg> for Facet {
    fn from(arg: FacetArg) -> Self {
        match arg {
            FacetArg::Exp => Self::Exp,
            FacetArg::Status => Self::Status,
            FacetArg::User => Self::User,
            FacetArg::InputModel => Self::InputModel,
            FacetArg::OutputModel => Self::OutputModel,
        }
    }
}
