//! `/api/v1/facets`: how many runs have each value of a field.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;

use super::asked::{Asked, to_its_end};
use crate::answer::{facet_csv, facet_json, facets as all_facets, json_line};
use crate::app::App;
use crate::body::Answer;
use crate::format::{Format, LISTS};
use crate::mirror::Mirror;
use crate::params::Params;
use crate::problem::Problem;
use crate::schema::CountedSchema;

const LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FacetsParams {
    /// The field, or the nodes of a kind that the runs read or wrote.
    #[param(
        example = "exp",
        pattern = "^(exp|status|user|(input|output)-[a-z-]+)$"
    )]
    facet: String,
    /// The condition of the runs that are counted, as `/search` takes it. Without it, every run is counted.
    #[param(example = "status = 'FINISHED'")]
    r#where: Option<String>,
    /// The number of values, the most frequent first: 100 by default, 1,000 at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The format of the answer, instead of `Accept`.
    #[param(pattern = "^(json|ndjson|csv)$")]
    format: Option<String>,
}

/// Counts the runs that match a condition by value.
#[utoipa::path(
    get,
    path = "/api/v1/facets",
    tag = "runs",
    operation_id = "facets",
    params(FacetsParams),
    responses(
        (status = 200, description = "The values with their counts. `Runlineage-Truncated` says that there are more.", content(
            (Vec<CountedSchema> = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )),
    )
)]
pub(crate) async fn facets(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Params(params): Params<FacetsParams>,
) -> Result<Answer, Problem> {
    let format = Format::of(params.format.as_deref(), &headers, &LISTS)?;
    let facet = all_facets().find(|(name, _)| *name == params.facet);
    let Some((_, facet)) = facet else {
        let names: Vec<String> = all_facets().map(|(name, _)| name).collect();
        let reason = format!("the facets are {}", names.join(", "));
        return Err(Problem::parameter("facet", reason));
    };
    let limit = params.limit.unwrap_or(LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let reason = format!("an answer has 1 to {MAX_LIMIT} values");
        return Err(Problem::parameter("limit", reason));
    }
    let asked = Asked::of(&app, params.r#where.as_deref())?;
    let ((), mirror) = futures::try_join!(asked.check_experiments(&app), Mirror::of(&app))?;
    let scan = asked.scan(&app, &asked.search).await?;
    // One value more than the limit tells whether there are more.
    let search = asked.search.limit(limit + 1);
    let store = app.store.clone();
    let count = async move { (store.facet(facet, search).await, scan) };
    let (counts, _) = to_its_end(count).await?;
    let mut counts = counts?;
    let has_more = counts.len() > limit as usize;
    counts.truncate(limit as usize);
    let mut bytes = Vec::new();
    match format {
        Format::Json => {
            let values = serde_json::Value::from(facet_json(counts));
            bytes = json_line(&values).map_err(|_| Problem::unwritten())?;
        }
        Format::Ndjson => {
            for value in facet_json(counts) {
                bytes.extend(json_line(&value).map_err(|_| Problem::unwritten())?);
            }
        }
        Format::Drawn(_) => facet_csv(&mut bytes, &counts).map_err(|_| Problem::unwritten())?,
    }
    let cut = has_more.then(|| format!("{limit} values"));
    Ok(Answer::new(format, bytes, &mirror).cut(cut))
}
