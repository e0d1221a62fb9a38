//! The experiments that a search names: each has to be mirrored, and to be one.

use futures::TryStreamExt as _;
use runlineage::{ExperimentSelector, MongoRunStore, Query, Result, Run, Search};

/// What the mirror has under the text of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExperimentNames {
    /// No experiment.
    None,
    /// One experiment.
    One,
    /// Two experiments: the text is the id of one, and the name of the other.
    Ambiguous {
        /// The name of the experiment whose id is the text.
        name: String,
        /// The id of the experiment whose name is the text.
        id: String,
    },
}

/// Looks up an experiment by id and by name.
///
/// # Errors
/// [`runlineage::Error::Mongo`] if MongoDB does not answer.
pub async fn check_experiment(
    store: &MongoRunStore,
    experiment: &ExperimentSelector,
) -> Result<ExperimentNames> {
    let text = experiment.text();
    let by_id = async {
        match experiment {
            ExperimentSelector::Name(_) => Ok(None),
            _ => any_run(store, Query::new().with_exp_id(text)).await,
        }
    };
    let by_name = async {
        match experiment {
            ExperimentSelector::Id(_) => Ok(None),
            _ => any_run(store, Query::new().with_exp_name(text)).await,
        }
    };
    let (by_id, by_name) = futures::try_join!(by_id, by_name)?;
    Ok(
        match (
            by_id.as_ref().and_then(Run::exp),
            by_name.as_ref().and_then(Run::exp),
        ) {
            (None, None) => ExperimentNames::None,
            (Some(by_id), Some(by_name)) if by_id.id != by_name.id => ExperimentNames::Ambiguous {
                name: by_id.name.unwrap_or_default(),
                id: by_name.id,
            },
            _ => ExperimentNames::One,
        },
    )
}

/// A run that matches, with its experiment.
///
/// # Errors
/// As [`check_experiment`].
pub async fn any_run(store: &MongoRunStore, query: Query) -> Result<Option<Run>> {
    let search = Search::from(query)
        .limit(1)
        .projection(bson::doc! { "exp": 1 });
    store.find_runs(search).await?.try_next().await
}
