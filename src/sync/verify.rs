//! [`Verifier`]: compares the mirror with MLflow, document by document, and writes nothing.

use std::collections::HashMap;

use bson::doc;
use futures::TryStreamExt;
use serde::Serialize;

use super::compare::{Difference, compare, run_node};
use super::registry::{RegistryVerifier, unreadable};
use super::report::Incomplete;
use super::seen::Seen;
use super::settings::Settings;
use super::totals::{ProgressFn, Totals};
use crate::error::{Error, MlflowCode, Result};
use crate::mlflow::scan::Scan;
use crate::mlflow::wire::{RawExperiment, RawRun};
use crate::mongo::mirrored::Mirrored;
use crate::mongo::projection::Projection;
use crate::run::{Run, RunId, field};

/// The result of a comparison of the mirror with MLflow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// Active runs that MLflow showed.
    pub seen: u64,
    /// Every difference that a second read confirmed.
    pub differences: Vec<Difference>,
    /// Why the registry was not compared, if MLflow refused it.
    pub incomplete: Vec<Incomplete>,
}

/// One comparison of all experiments of the scope.
pub(super) struct Verifier<'a> {
    settings: &'a Settings,
    progress: &'a ProgressFn<'a>,
    seen: Seen,
    /// The differences of the first read.
    suspects: Vec<Difference>,
}

impl<'a> Verifier<'a> {
    pub(super) fn new(settings: &'a Settings, progress: &'a ProgressFn<'a>) -> Self {
        Self {
            settings,
            progress,
            seen: Seen::default(),
            suspects: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) -> Result<Verification> {
        let Settings {
            mlflow,
            store,
            scope,
            ..
        } = self.settings;
        let experiments: Vec<RawExperiment> = mlflow.raw_experiments().try_concat().await?;
        let chosen = scope.choose(experiments)?.experiments;
        let totals = Totals::new(
            chosen.len(),
            Mirrored::of(store).count_estimate().await?,
            self.progress,
        );
        for experiment in &chosen {
            let id = &experiment.experiment_id;
            if !experiment.is_deleted() || Mirrored::of(store).has_experiment(id).await? {
                self.compare_experiment(experiment, &totals).await?;
            }
            totals.add(|report| report.experiments += 1);
        }
        let mut differences = self.find_extra(&chosen).await?;
        for suspect in std::mem::take(&mut self.suspects) {
            differences.extend(self.confirm(suspect).await?);
        }
        let registry = RegistryVerifier::new(self.settings, &chosen);
        let mut incomplete = Vec::new();
        match registry.run().await {
            Ok(found) => differences.extend(found),
            Err(error) => incomplete.push(unreadable(error)?),
        }
        let seen = totals.report().seen;
        Ok(Verification {
            seen,
            differences,
            incomplete,
        })
    }

    async fn compare_experiment(
        &mut self,
        experiment: &RawExperiment,
        totals: &Totals<'_>,
    ) -> Result<()> {
        let mlflow = self.settings.mlflow.clone();
        let mut scan = Scan::new(mlflow, vec![experiment.experiment_id.clone()])
            .page_size(self.settings.page_size);
        while let Some(page) = scan.next_page().await? {
            let stored = self.stored(&page).await?;
            let ids: Vec<String> = page.iter().map(|run| run.info.run_id.clone()).collect();
            let mut projected = Projection::of(&self.settings.store).entries(&ids).await?;
            let mut active = 0;
            for raw in &page {
                let id = &raw.info.run_id;
                self.seen.insert(id);
                active += u64::from(!raw.is_deleted());
                let projected = projected.remove(id);
                let difference = compare(raw, &experiment.name, stored.get(id), projected)?;
                self.suspects.extend(difference);
            }
            totals.add(|report| report.seen += active);
        }
        Ok(())
    }

    async fn stored(&self, page: &[RawRun]) -> Result<HashMap<String, Run>> {
        let ids: Vec<&str> = page.iter().map(|run| run.info.run_id.as_str()).collect();
        let store = &self.settings.store;
        let found = store.find_runs(doc! { field::ID: { "$in": ids } });
        found
            .await?
            .map_ok(|run| (run.id().to_owned(), run))
            .try_collect()
            .await
    }

    /// Adds the mirrored runs that no scan showed to the suspects. Returns the documents that are no runs, since MLflow cannot
    /// be asked about these.
    async fn find_extra(&mut self, chosen: &[RawExperiment]) -> Result<Vec<Difference>> {
        let filter = if self.settings.scope.is_everything() {
            doc! {}
        } else {
            let ids: Vec<&str> = chosen
                .iter()
                .map(|exp| exp.experiment_id.as_str())
                .collect();
            doc! { "exp.id": { "$in": ids } }
        };
        let mirrored = Mirrored::of(&self.settings.store);
        let foreign = mirrored.foreign_ids(filter.clone()).await?;
        let mut runs = mirrored.find_ids(filter).await?;
        while let Some(run) = runs.try_next().await? {
            if !self.seen.contains(run.id()) {
                let extra = Difference::extra(run_node(run.id()), "MLflow does not list it");
                self.suspects.push(extra);
            }
        }
        let what = "its `_id` is not a string, so another program wrote it; remove the document";
        let foreign = foreign
            .iter()
            .map(|id| Difference::extra(run_node(id), what));
        Ok(foreign.collect())
    }

    /// Reads a run once more from both sides, since it may have changed between the first two reads.
    async fn confirm(&self, suspect: Difference) -> Result<Option<Difference>> {
        let run = suspect.node.key();
        let Ok(id) = run.parse::<RunId>() else {
            return Ok(Some(suspect));
        };
        let mlflow = &self.settings.mlflow;
        let stored = self.settings.store.get_run(run).await?;
        let raw = match mlflow.raw_run(&id).await {
            Ok(raw) => raw,
            // Only this answer says that MLflow does not know the run.
            Err(Error::Mlflow {
                code: Some(MlflowCode::ResourceDoesNotExist),
                answer,
                ..
            }) => return Ok(stored.map(|_| Difference::extra(run_node(run), answer))),
            Err(error) => return unclear(suspect, error),
        };
        let ids = [run.to_owned()];
        let mut projected = Projection::of(&self.settings.store).entries(&ids).await?;
        let projected = projected.remove(run);
        match mlflow.raw_experiment(&raw.info.experiment_id).await {
            Ok(experiment) => compare(&raw, &experiment.name, stored.as_ref(), projected),
            Err(error) => unclear(suspect, error),
        }
    }
}

/// Keeps the difference of the first read when MLflow refuses the second one. An outage ends the comparison.
fn unclear(suspect: Difference, error: Error) -> Result<Option<Difference>> {
    let is_answer = match &error {
        Error::Mlflow { .. } => !error.is_transient(),
        // It concerns this run alone.
        Error::MlflowProtocol { .. } => true,
        _ => false,
    };
    if !is_answer {
        return Err(error);
    }
    let what = format!("{}; a second read failed: {error}", suspect.what);
    Ok(Some(Difference { what, ..suspect }))
}
