//! Removes the mirrored runs of an experiment that MLflow no longer lists.

use bson::doc;
use futures::{FutureExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use super::exclusive::exclusively;
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::mlflow::wire::RawExperiment;
use crate::mongo::checkpoint::Checkpoints;
use crate::mongo::mirrored::Mirrored;
use crate::mongo::registry::RegistryStore;
use crate::mongo::ticket::Ticket;
use crate::mongo::tombstones::Tombstones;
use crate::registry::RegistryCollection;
use crate::run::field;

/// How many runs one request moves.
const CHUNK: usize = 500;

pub(super) async fn forget_experiment(settings: &Settings, id: &str) -> Result<u64> {
    let checkpoints = Checkpoints::of(&settings.store);
    let listed: Vec<RawExperiment> = settings.mlflow.raw_experiments().try_concat().await?;
    let mut active = listed
        .iter()
        .filter(|experiment| experiment.experiment_id == id && !experiment.is_deleted());
    if let Some(experiment) = active.next() {
        // With another creation time, or without one, this may be another experiment of the same id.
        let recorded = checkpoints.creation_time(id).await?;
        if recorded.is_some() && recorded == experiment.creation_time {
            return Err(Error::invalid_argument(
                "experiment to forget",
                format!(
                    "MLflow still lists {id:?}, so the next sync would mirror it again; to leave it out of a sync, use `--exclude-exp`"
                ),
            ));
        }
    }
    let store = &settings.store;
    let mirrored = Mirrored::of(store);
    let forget = async {
        let mut forgotten = 0;
        let of_experiment = doc! { field::EXP_ID: id };
        let foreign = mirrored.count_foreign(of_experiment.clone()).await?;
        if foreign > 0 {
            tracing::warn!(
                experiment = id,
                documents = foreign,
                "documents of collection `runs` name this experiment, but their `_id` is not a string, so another program wrote them; they stay until you remove them"
            );
        }
        let runs = mirrored.find_runs(of_experiment).await?;
        let mut chunks = runs.try_chunks(CHUNK);
        while let Some(runs) = chunks.try_next().await.map_err(|error| error.1)? {
            let ticket = Ticket::draw(store).await?;
            forgotten += Tombstones::of(store).put(runs, ticket).await?;
        }
        let which = RegistryCollection::LoggedModels;
        let logged_models = RegistryStore::of(store, which);
        let ticket = Ticket::draw(store).await?;
        let models = logged_models.unseen_logged_models(&[id], |_| false).await?;
        let models: Vec<String> = models.into_iter().map(|model| model.id).collect();
        logged_models.tombstone(&models, ticket).await?;
        checkpoints.forget_experiment(id).await?;
        Ok(forgotten)
    };
    let forgotten = exclusively(settings, &CancellationToken::new(), forget.boxed()).await?;
    Ok(forgotten.unwrap_or_default())
}
