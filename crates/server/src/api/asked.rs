//! What `/search` and `/facets` ask for: the runs that match `where`.

use std::sync::Arc;

use runlineage::{ExperimentSelector, Query, Search};
use tokio::sync::OwnedSemaphorePermit;

use crate::answer::{ExperimentNames, check_experiment, parse_condition};
use crate::app::App;
use crate::problem::Problem;

/// The runs that are asked for, without order and limit.
pub(super) struct Asked {
    pub(super) search: Search,
    /// Whether every run is asked for.
    pub(super) is_all: bool,
    experiments: Vec<ExperimentSelector>,
}

impl Asked {
    /// Parses the condition, a text or a MongoDB filter as JSON. Without one, every run is asked for.
    pub(super) fn of(app: &App, condition: Option<&str>) -> Result<Self, Problem> {
        let (search, names) = match condition {
            Some(condition) => {
                let condition = parse_condition("where", condition)?;
                (condition.search, condition.names)
            }
            None => (Search::from(Query::new()), Query::new()),
        };
        let is_all = search
            .filter()
            .map_err(|error| error.of_argument("where"))?
            .is_empty();
        Ok(Self {
            search: search.limit(0).max_time(app.limits.max_time),
            is_all,
            experiments: names.experiments().into_iter().collect(),
        })
    }

    /// Fails if an experiment is not mirrored, or if its text is the id of one experiment and the name of another.
    pub(super) async fn check_experiments(&self, app: &App) -> Result<(), Problem> {
        for experiment in &self.experiments {
            let text = experiment.text();
            match check_experiment(&app.store, experiment).await? {
                ExperimentNames::One => {}
                ExperimentNames::None => {
                    let detail = format!(
                        "no experiment {text:?} is mirrored; /api/v1/facets?facet=exp lists the mirrored experiments"
                    );
                    return Err(Problem::parameter("where", detail));
                }
                ExperimentNames::Ambiguous { name, id } => {
                    let by_id = Query::new().with_exp_id(text);
                    let by_name = Query::new().with_exp_name(text);
                    let detail = format!(
                        "{text:?} is the id of experiment {name:?} and the name of experiment {id}; write {by_id} or {by_name}"
                    );
                    return Err(Problem::parameter("where", detail));
                }
            }
        }
        Ok(())
    }

    /// The permit to scan, if no index serves the search.
    pub(super) async fn scan(
        &self,
        app: &Arc<App>,
        search: &Search,
    ) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        match app.store.is_indexed(search.clone()).await? {
            true => Ok(None),
            false => app.scans.begin().map(Some),
        }
    }
}

/// Awaits a question even if the client leaves: MongoDB works on it either way, and its permit must not be given away meanwhile.
pub(super) async fn to_its_end<T: Send + 'static>(
    question: impl Future<Output = T> + Send + 'static,
) -> Result<T, Problem> {
    let ended = tokio::spawn(question).await;
    ended.map_err(|_| Problem::unwritten())
}
