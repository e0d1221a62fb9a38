//! What Python asks for, as a search of the library.

use std::time::Duration;

use futures::future::try_join_all;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use runlineage::{Error, ExperimentSelector, MongoRunStore, Query, Search};
use runlineage_answer::{
    ExperimentNames, NamedColumn, check_experiment, parse_condition, projection,
};

use crate::error::{Raised, exceptions, invalid, raised};
use crate::query::PyQuery;

/// The name of a filter in messages.
const FILTER: &str = "filter";

/// The arguments of a search for runs, as Python gives them.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct SearchArgs {
    experiment_ids: Vec<String>,
    experiment_names: Vec<String>,
    order_by: Vec<String>,
    max_results: u32,
    columns: Option<Vec<String>>,
    timeout: f64,
}

/// A search, and the experiments that it names.
pub(crate) struct Asked {
    pub(crate) search: Search,
    /// The same search without its order, its limit and its projection.
    pub(crate) all: Search,
    pub(crate) limit: u32,
    experiments: Vec<ExperimentSelector>,
}

impl Asked {
    pub(crate) fn of(filter: Option<&Bound<'_, PyAny>>, args: SearchArgs) -> PyResult<Self> {
        let (search, names) = match filter {
            None => (Search::from(Query::new()), Query::new()),
            Some(filter) => read_filter(filter)?,
        };
        let ids = args.experiment_ids.into_iter().map(ExperimentSelector::Id);
        let named = args
            .experiment_names
            .into_iter()
            .map(ExperimentSelector::Name);
        let selected: Vec<ExperimentSelector> = ids.chain(named).collect();
        let mut query = Query::new();
        if !selected.is_empty() {
            let each = selected
                .iter()
                .map(|selector| Query::new().with_experiment(selector));
            query = query.with_any_of(each);
        }
        let experiments = selected.into_iter().chain(names.experiments()).collect();
        let all = search.limit(0).and(query).max_time(seconds(args.timeout)?);
        let mut search = match args.order_by.is_empty() {
            true => all.clone().newest_first(),
            false => {
                let orders = args.order_by.iter().map(|order| order.parse());
                let orders = orders.collect::<Result<Vec<_>, Error>>();
                let orders = orders.map_err(|error| raised(error.of_argument("order_by")))?;
                all.clone().order_by(orders)
            }
        };
        if let Some(columns) = args.columns {
            search = search.projection(fields_of(&columns)?);
        }
        Ok(Self {
            // One run more than the limit tells whether there are more.
            search: search.limit(match args.max_results {
                0 => 0,
                limit => limit.saturating_add(1),
            }),
            all,
            limit: args.max_results,
            experiments,
        })
    }

    /// Fails if an experiment is not mirrored, or if its text names two.
    pub(crate) async fn check_experiments(&self, store: &MongoRunStore) -> Result<(), Raised> {
        let checks = self.experiments.iter().map(async |experiment| {
            let text = experiment.text();
            match check_experiment(store, experiment).await? {
                ExperimentNames::One => Ok(()),
                ExperimentNames::None => Err(Raised::from(exceptions::NotFound::new_err(format!(
                    "no experiment {text:?} is mirrored; index.facet(\"exp\") lists the mirrored experiments"
                )))),
                ExperimentNames::Ambiguous { name, id } => Err(Raised::from(invalid(
                    "experiment",
                    format!(
                        "{text:?} is the id of experiment {name:?} and the name of experiment {id}; use experiment_ids or experiment_names"
                    ),
                ))),
            }
        });
        try_join_all(checks).await.map(drop)
    }
}

/// A text, a `Query`, or a MongoDB filter as JSON text; and the names in it.
fn read_filter(filter: &Bound<'_, PyAny>) -> PyResult<(Search, Query)> {
    if let Ok(query) = filter.cast::<PyQuery>() {
        let query = query.get().0.clone();
        return Ok((Search::from(&query), query));
    }
    let Ok(text) = filter.extract::<String>() else {
        let kind = filter.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "filter: a text such as \"metrics.auc > 0.9\" or a runlineage.Query is expected, not {kind}"
        )));
    };
    // MLflow's filter_string is empty for all runs.
    if text.trim().is_empty() {
        return Ok((Search::from(Query::new()), Query::new()));
    }
    let condition = parse_condition(FILTER, &text).map_err(raised)?;
    Ok((condition.search, condition.names))
}

/// A condition on the runs of a walk.
pub(crate) fn read_query(condition: &Bound<'_, PyAny>) -> PyResult<Query> {
    if let Ok(query) = condition.cast::<PyQuery>() {
        return Ok(query.get().0.clone());
    }
    let text: String = condition.extract()?;
    let query: Result<Query, Error> = text.parse();
    query.map_err(|error| raised(error.of_argument("where")))
}

fn fields_of(names: &[String]) -> PyResult<bson::Document> {
    let columns = names.iter().map(|name| name.parse::<NamedColumn>());
    let columns = columns.collect::<Result<Vec<_>, Error>>();
    let columns = columns.map_err(|error| raised(error.of_argument("columns")))?;
    let mut fields = projection(&columns);
    if names.iter().any(|name| name == "artifact_uri") && !fields.contains_key("mirror") {
        fields.insert("mirror.artifact_uri", 1);
    }
    Ok(fields)
}

/// A time limit.
pub(crate) fn seconds(timeout: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(timeout)
        .ok()
        .filter(|time| time.as_millis() > 0)
        .ok_or_else(|| invalid("timeout", "write a number of seconds above 0, such as 60"))
}
