//! `/api/v1/search`: the runs that match a condition, in pages, or all of them as a stream.

mod page;
mod written;

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::LINK;
use bson::{Document, doc};
use futures::TryStreamExt as _;
use runlineage::query::Order;
use runlineage::{Run, Search};
use serde::Deserialize;
use utoipa::IntoParams;

use super::asked::{Asked, to_its_end};
use crate::access::Reader;
use crate::answer::{NamedColumn, RunWriter, projection};
use crate::app::App;
use crate::body::Answer;
use crate::format::{Format, LISTS};
use crate::mirror::Mirror;
use crate::params::Params;
use crate::problem::Problem;

use page::{Sorted, next_page};
use written::Written;

const LIMIT: u32 = 100;
/// A page of more runs takes long to make and to show. All runs come as a stream.
const MAX_LIMIT: u32 = 1_000;
const COLUMNS: [&str; 6] = ["_id", "name", "exp.name", "status", "start_time", "user"];

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchParams {
    /// The condition: a text such as `input.model = 'churn:3' and metrics.auc > 0.9`, or a MongoDB filter as JSON. Without it, every run
    /// matches.
    #[param(example = "status = 'FINISHED'")]
    r#where: Option<String>,
    /// Fields, comma-separated, such as `_id,name,params.lr`. JSON holds these fields, and always `_id` and `start_time`. Without it, JSON
    /// holds whole runs.
    #[param(example = "_id,name")]
    columns: Option<String>,
    /// Fields to sort by, comma-separated; `-FIELD` sorts descending. `-start_time`, the default, and `start_time` give pages; another order
    /// gives its first 1,000 runs.
    #[param(example = "-start_time")]
    sort: Option<String>,
    /// The runs of a page: 100 by default, 1,000 at most. 0 streams all runs.
    #[param(maximum = 1000)]
    limit: Option<u32>,
    /// The run after which the page begins, as the header `Link` of the page before names it.
    after: Option<String>,
    /// Whether each run gets the link to its page in MLflow, as `url`.
    links: Option<bool>,
    /// The format of the answer, instead of `Accept`.
    #[param(pattern = "^(json|ndjson|csv)$")]
    format: Option<String>,
}

/// Finds the runs that match a condition.
#[utoipa::path(
    get,
    path = "/api/v1/search",
    tag = "runs",
    operation_id = "search",
    params(SearchParams),
    responses(
        (status = 200, description = "The runs. If more match, `Link` names the next page, or `Runlineage-Truncated` says that the rest cannot be had in this order.", content(
            (Vec<Object> = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )),
    )
)]
pub(crate) async fn search(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    headers: HeaderMap,
    Params(params): Params<SearchParams>,
) -> Result<Answer, Problem> {
    let format = Format::of(params.format.as_deref(), &headers, &LISTS)?;
    let asked = Asked::of(&app, params.r#where.as_deref())?;
    let sorted = Sorted::parse(params.sort.as_deref())?;
    let columns = columns(&params)?;
    let limit = limit(&params, &sorted)?;
    let mut search = sorted.apply(asked.search.clone());
    if let Some(id) = &params.after {
        search = search.after(&last_of_page_before(&app, &sorted, id).await?);
    }
    let is_whole = format != Format::CSV && params.columns.is_none();
    if !is_whole {
        search = search.projection(projection(&columns));
    }
    let open = match limit {
        0 => Some(app.streams.open(&reader)?),
        _ => None,
    };
    // One run more than the limit tells whether there are more.
    let search = match limit {
        0 => search,
        limit => search.limit(limit + 1),
    };
    let find = async {
        asked.check_experiments(&app).await?;
        // The runs in the order of time are read from an index.
        let is_scan_free = asked.is_all && sorted.is_by_time();
        let scan = match is_scan_free {
            true => None,
            false => asked.scan(&app, &search).await?,
        };
        let store = app.store.clone();
        to_its_end(async move { (store.find_runs(search).await, scan) }).await
    };
    // Concurrent: a short search takes as long as the question how fresh the mirror is.
    let ((runs, scan), mirror) = futures::try_join!(find, Mirror::of(&app))?;
    let written = Written::new(
        format,
        RunWriter {
            links: mirror.pages.clone().filter(|_| params.links == Some(true)),
            trims: !is_whole,
            columns,
        },
    );
    if open.is_some() {
        let body = Body::from_stream(written.stream(runs?, (open, scan)));
        return Ok(Answer::new(format, body, &mirror));
    }
    let mut runs: Vec<Run> = runs?.try_collect().await?;
    drop(scan);
    let has_more = runs.len() > limit as usize;
    runs.truncate(limit as usize);
    let answer = Answer::new(format, written.page(&runs)?, &mirror);
    match (has_more, sorted.is_by_time(), runs.last()) {
        (true, true, Some(last)) => {
            let mut answer = answer;
            answer.headers.insert(LINK, next_page(&params, last.id()));
            Ok(answer)
        }
        (true, ..) => Ok(answer.cut(Some(format!("{limit} runs")))),
        (false, ..) => Ok(answer),
    }
}

fn columns(params: &SearchParams) -> Result<Vec<NamedColumn>, Problem> {
    let texts: Vec<&str> = match &params.columns {
        Some(columns) => columns.split(',').collect(),
        None => COLUMNS.to_vec(),
    };
    let columns: Result<Vec<NamedColumn>, _> = texts.into_iter().map(str::parse).collect();
    let mut columns = columns.map_err(|error: runlineage::Error| error.of_argument("columns"))?;
    if params.links == Some(true) && !columns.contains(&NamedColumn::link()) {
        columns.push(NamedColumn::link());
    }
    Ok(columns)
}

fn limit(params: &SearchParams, sorted: &Sorted) -> Result<u32, Problem> {
    let limit = params.limit.unwrap_or(LIMIT);
    if limit > MAX_LIMIT {
        let reason = format!("a page has at most {MAX_LIMIT} runs; 0 streams all runs");
        return Err(Problem::parameter("limit", reason));
    }
    if limit == 0 && !sorted.is_by_time() {
        let reason = format!(
            "all runs are streamed in the order of time; this order gives its first {MAX_LIMIT} runs"
        );
        return Err(Problem::parameter("limit", reason));
    }
    Ok(limit)
}

/// The last run of the page before. It may have been deleted meanwhile.
async fn last_of_page_before(app: &App, sorted: &Sorted, id: &str) -> Result<Run, Problem> {
    if !sorted.is_by_time() {
        let reason = "pages follow each other in the order of time only; leave out `sort`";
        return Err(Problem::parameter("after", reason));
    }
    if let Some(run) = app.store.get_run(id).await? {
        return Ok(run);
    }
    let deleted = app.store.get_deleted_run(id).await?;
    let deleted = deleted.filter(|deleted| !deleted.purged);
    let run = deleted.map(|deleted| deleted.run);
    run.ok_or_else(|| Problem::parameter("after", format!("run {id:?} is not mirrored")))
}
