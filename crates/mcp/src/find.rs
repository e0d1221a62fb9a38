//! `find`: runs by a condition.

use futures::TryStreamExt as _;
use rmcp::schemars::{self, JsonSchema};
use runlineage::query::Order;
use runlineage::{Query, Run, RunId, Search};
use runlineage_answer::{NamedColumn, RunWriter, parse_condition, projection};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{Found, LeftOut};
use crate::mirror::{Mirror, State};
use crate::refusal::Refusal;
use crate::tool::Question;

const LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 200;
/// Whole runs have hundreds of params and tags. These fields say which runs are worth a look.
const COLUMNS: [&str; 8] = [
    "_id",
    "name",
    "exp.name",
    "status",
    "start_time",
    "user",
    "inputs",
    "outputs",
];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "where": "input.model = 'churn:3' and metrics.auc > 0.9", "columns": ["_id", "name", "metrics.auc"], "limit": 10 }))]
pub(crate) struct Find {
    /// The condition; without it, every run matches. Terms: input.model = 'NAME:VERSION', output.model, input.artifact under
    /// 'RUN_ID/data', input.path = 'data/train.csv', input.dataset = 'NAME@DIGEST', inputs missing; exp, status, user, name, run_id,
    /// parent with =, !=, in, exists, missing; name like 'train-%'; start_time > '7d' or '2026-03-01'; params.KEY, tags.KEY, metrics.KEY
    /// with =, <, >, exists, like. Combine them with and, or, not and parentheses.
    #[schemars(example = "input.model = 'churn:3' and metrics.auc > 0.9")]
    r#where: Option<String>,
    /// The fields of each run, such as _id, name, params.lr, tags.team, metrics.auc, inputs, outputs. `_id` and `start_time` always come.
    columns: Option<Vec<String>>,
    /// The field to sort by; -FIELD sorts descending. The newest runs come first by default.
    #[schemars(example = "-metrics.auc")]
    sort: Option<String>,
    /// The most runs to list: 20 by default.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// The id of the last run of the answer before, to go on after it. Only without `sort`.
    after: Option<String>,
}

impl Question for Find {
    const NAME: &'static str = "find";
    const TITLE: &'static str = "Find runs";
    const DESCRIPTION: &'static str = "Finds runs by what they read and wrote and by their other fields, newest first, and counts those that match. \
        Use it for questions such as: which runs used this model version, which run wrote this file, the best runs of an experiment.";

    async fn ask(self, mirror: &Mirror, _: &State) -> Result<Found, Refusal> {
        let (all, names) = match &self.r#where {
            Some(condition) => {
                let condition = parse_condition("where", condition)?;
                (condition.search, condition.names)
            }
            None => (Search::from(Query::new()), Query::new()),
        };
        all.filter().map_err(|error| error.of_argument("where"))?;
        let all = all.limit(0);
        let columns = self.columns()?;
        let limit = self.limit.unwrap_or(LIMIT).clamp(1, MAX_LIMIT);
        let ordered = self.ordered(mirror, all.clone()).await?;
        for experiment in names.experiments() {
            mirror.check_experiment("where", &experiment).await?;
        }
        // One run more than the limit tells whether there are more.
        let search = ordered.limit(limit + 1).projection(projection(&columns));
        let runs = mirror.store.find_runs(search).await?;
        let mut runs: Vec<Run> = runs.try_collect().await?;
        let mut left_out = Vec::new();
        if runs.len() > limit as usize {
            runs.truncate(limit as usize);
            left_out.push(self.beyond_limit(mirror, all, limit).await);
        }
        let mut data = json!({ "runs": written(&runs, columns)? });
        if runs.is_empty() {
            let unknown = unknown(mirror, &names).await?;
            if !unknown.is_empty() {
                data["unknown"] = unknown.into();
            }
        }
        Ok(Found { data, left_out })
    }
}

impl Find {
    fn columns(&self) -> Result<Vec<NamedColumn>, Refusal> {
        let names: Vec<&str> = match &self.columns {
            Some(columns) => columns.iter().map(String::as_str).collect(),
            None => COLUMNS.to_vec(),
        };
        let columns: Result<Vec<NamedColumn>, _> = names.into_iter().map(str::parse).collect();
        Ok(columns.map_err(|error: runlineage::Error| error.of_argument("columns"))?)
    }

    async fn ordered(&self, mirror: &Mirror, search: Search) -> Result<Search, Refusal> {
        match (&self.sort, &self.after) {
            (None, None) => Ok(search.newest_first()),
            (Some(_), Some(_)) => {
                let reason = "runs follow each other in the order of time only; leave out `sort`";
                Err(Refusal::argument("after", reason))
            }
            (Some(sort), None) => {
                let order = sort.parse::<Order>();
                let order = order.map_err(|error| error.of_argument("sort"))?;
                Ok(search.order_by([order]))
            }
            (None, Some(id)) => {
                let id = id.parse::<RunId>();
                let id = id.map_err(|error| error.of_argument("after"))?;
                let run = mirror.store.get_run(id.as_str()).await?;
                let run = run.ok_or_else(|| {
                    Refusal::argument("after", &format!("run {id} is not mirrored"))
                })?;
                Ok(search.newest_first().after(&run))
            }
        }
    }

    /// How many runs match and are not listed. A search that no index serves may take too long to count.
    async fn beyond_limit(&self, mirror: &Mirror, all: Search, limit: u32) -> LeftOut {
        let count = match self.after {
            None => mirror.store.count_runs(all).await.ok(),
            Some(_) => None,
        };
        LeftOut {
            what: "runs",
            count: count.map(|count| count.saturating_sub(limit.into())),
            why: format!("`limit` is {limit}; `after` the last run goes on"),
        }
    }
}

/// The runs as `runlineage find --format json` prints them.
fn written(runs: &[Run], columns: Vec<NamedColumn>) -> Result<Vec<Value>, Refusal> {
    let writer = RunWriter {
        links: None,
        columns,
        trims: true,
    };
    let mut written = Vec::new();
    for run in runs {
        let mut json = Vec::new();
        writer.json(run, &mut json)?;
        written.push(serde_json::from_slice(&json)?);
    }
    Ok(written)
}

/// The nodes of the condition that the mirror has never met, with the names that are most like them.
async fn unknown(mirror: &Mirror, names: &Query) -> Result<Vec<Value>, Refusal> {
    let mut nodes = names.nodes();
    nodes.sort();
    nodes.dedup();
    let mut unknown = Vec::new();
    for node in nodes {
        if !mirror.is_known(&node).await? {
            let nearest = mirror.nearest(&node).await?;
            unknown.push(json!({ "node": node.to_string(), "nearest": nearest }));
        }
    }
    Ok(unknown)
}
