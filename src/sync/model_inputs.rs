//! [`ModelInputs`]: the logged models that MLflow records as inputs of a run, which only `runs/get` shows.

use std::collections::HashSet;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::names::Names;
use crate::error::{Error, MlflowCode, Result};
use crate::mlflow::{MlflowClient, document};
use crate::mongo::MongoRunStore;
use crate::mongo::save::RunSaver;
use crate::mongo::ticket::Ticket;
use crate::run::Run;

/// The client limits its concurrent requests itself.
const CONCURRENT_REQUESTS: usize = 16;

/// Asks MLflow for each new or changed run by itself.
#[derive(Clone, Copy)]
pub(super) struct ModelInputs<'a> {
    pub(super) mlflow: &'a MlflowClient,
    pub(super) store: &'a MongoRunStore,
    pub(super) names: &'a Names,
}

impl ModelInputs<'_> {
    /// The runs of a page, the new and changed ones with the logged models that they read.
    pub(super) async fn add(self, runs: Vec<Run>, ticket: Ticket) -> Result<Vec<Run>> {
        let saver = RunSaver::of(self.store, ticket);
        let to_write: HashSet<String> = saver.new_or_changed(&runs).await?;
        let runs = runs.into_iter().map(async |run: Run| {
            if to_write.contains(run.id()) {
                self.read(run).await
            } else {
                Ok(run)
            }
        });
        stream::iter(runs)
            .buffered(CONCURRENT_REQUESTS)
            .try_collect()
            .await
    }

    async fn read(self, run: Run) -> Result<Run> {
        let raw = match self
            .mlflow
            .raw_run_with_model_inputs(&run.id().parse()?)
            .await
        {
            Ok(raw) => raw,
            // The run was deleted for good since the page was read; the next pass decides on it.
            Err(Error::Mlflow {
                code: Some(MlflowCode::ResourceDoesNotExist),
                ..
            }) => return Ok(run),
            Err(error) => return Err(error),
        };
        if raw.is_deleted() {
            return Ok(run);
        }
        let name = self.names.get(&raw.info.experiment_id);
        document::map(&raw, name.map_or("", String::as_str))
    }
}
