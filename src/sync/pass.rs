//! [`FullPass`]: scans every experiment of the scope, and decides on what no scan showed.

use std::collections::HashSet;
use std::time::Instant;

use futures::future::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::deletion_guard::DeletionGuard;
use super::experiment::{ExperimentScanner, Outcome};
use super::gone::GoneRuns;
use super::inquiry::Inquiry;
use super::registry::{Experiments, RegistryMirror};
use super::report::{Incomplete, Report};
use super::save::Saver;
use super::settings::Settings;
use super::totals::{ProgressFn, Totals};
use super::triage::Triage;
use crate::error::Result;
use crate::mlflow::wire::RawExperiment;
use crate::mongo::checkpoint::Checkpoints;
use crate::mongo::mirrored::Mirrored;
use crate::mongo::registry::RegistryStore;
use crate::registry::RegistryCollection;

/// In a report, something that is said of the whole pass.
const ALL: &str = "*";

/// One pass over everything that is in the scope.
pub(super) struct FullPass<'a> {
    settings: &'a Settings,
    progress: &'a ProgressFn<'a>,
}

impl<'a> FullPass<'a> {
    pub(super) fn new(settings: &'a Settings, progress: &'a ProgressFn<'a>) -> Self {
        Self { settings, progress }
    }

    pub(super) async fn run(self) -> Result<Report> {
        let started = Instant::now();
        let Settings {
            mlflow,
            store,
            scope,
            ..
        } = self.settings;
        let checkpoints = Checkpoints::of(store);
        let experiments: Vec<RawExperiment> = mlflow.raw_experiments().try_concat().await?;
        let listed: HashSet<String> = experiments
            .iter()
            .map(|experiment| experiment.experiment_id.clone())
            .collect();
        let chosen = scope.choose(experiments)?;
        // Experiments that are made after the list was read are for the next pass.
        let pass = checkpoints.begin_or_resume(&scope.key(), started).await?;
        let mirrored = Mirrored::of(store).count_estimate().await?;
        let expected = self.expected(&chosen, mirrored).await?;
        let totals = Totals::new(chosen.len(), expected, self.progress);
        let guard = DeletionGuard::new(mirrored, self.settings.allow_mass_delete);
        let triage = Triage {
            mlflow,
            experiments: &chosen,
        };
        let scanner = ExperimentScanner {
            settings: self.settings,
            pass: &pass,
            totals: &totals,
            guard: &guard,
            triage,
        };
        let registry = RegistryMirror::new(self.settings, &totals);
        let recorded = checkpoints.creation_times().await?;
        let experiments = Experiments {
            chosen: &chosen,
            recorded: &recorded,
        };
        // Before the runs: what is known of a run's models is then projected when the run is first written.
        let mut incomplete = registry.full(experiments).await?;
        let mut outcomes = self.scan(scanner, &chosen).await?;
        for outcome in &mut outcomes {
            let unfinished = outcome.incomplete.take();
            // Another experiment of the same id is said of its logged models already.
            incomplete.extend(unfinished.filter(|unfinished| !incomplete.contains(unfinished)));
        }
        incomplete.extend(self.unlisted(&listed).await?);
        match guard.refusal() {
            Some(refusal) => incomplete.push(of_all(refusal)),
            None => {
                for outcome in outcomes.iter().filter(|outcome| !outcome.gone.is_empty()) {
                    let saver = Saver {
                        store,
                        totals: &totals,
                    };
                    let gone = GoneRuns {
                        inquiry: Inquiry {
                            mlflow,
                            saver,
                            experiment: outcome.experiment,
                            created: outcome.created,
                        },
                        triage,
                        runs: &outcome.gone,
                    };
                    incomplete.extend(gone.remove().await?);
                }
            }
        }
        let mut report = totals.report();
        report.resumed_from = pass.resumed_from();
        report.problems = Mirrored::of(store).count_problems().await?;
        let is_complete = incomplete.is_empty() && scope.is_everything();
        checkpoints.end(pass, is_complete).await?;
        report.incomplete = incomplete;
        report.took = started.elapsed();
        Ok(report)
    }

    async fn scan<'s>(
        &self,
        scanner: ExperimentScanner<'s>,
        chosen: &'s [RawExperiment],
    ) -> Result<Vec<Outcome<'s>>> {
        let scan = |experiment| scanner.scan(experiment).boxed();
        let scans: Vec<_> = chosen.iter().map(scan).collect();
        stream::iter(scans)
            .buffer_unordered(self.settings.concurrency)
            .try_collect()
            .await
    }

    /// About how many runs the pass will see.
    async fn expected(&self, chosen: &[RawExperiment], mirrored: u64) -> Result<u64> {
        if self.settings.scope.is_everything() {
            return Ok(mirrored);
        }
        let ids = chosen
            .iter()
            .map(|experiment| experiment.experiment_id.as_str());
        let ids: Vec<&str> = ids.collect();
        Mirrored::of(&self.settings.store).count_of(&ids).await
    }

    /// Experiments that the mirror holds runs of and that MLflow did not list: unreadable, or gone for good.
    async fn unlisted(&self, listed: &HashSet<String>) -> Result<Vec<Incomplete>> {
        let mut incomplete = Vec::new();
        if listed.is_empty() {
            // Every tracking server has experiments: this one is no proof that there is nothing to mirror.
            incomplete.push(of_all("MLflow shows this user no experiment at all; are the tracking URI, the user and the workspace right?".into()));
        }
        if self.settings.scope.is_everything() {
            let mut mirrored = Mirrored::of(&self.settings.store).experiments().await?;
            if self.settings.registry {
                let which = RegistryCollection::LoggedModels;
                let logged_models = RegistryStore::of(&self.settings.store, which);
                mirrored.extend(logged_models.experiment_ages().await?.into_keys());
                mirrored.sort();
                mirrored.dedup();
            }
            mirrored.retain(|id| !listed.contains(id));
            incomplete.extend(mirrored.into_iter().map(|id| Incomplete {
                reason: format!("MLflow no longer lists this experiment to this user; its mirrored runs stay, until `sync --forget-experiment {id}` removes them"),
                experiment: id,
            }));
            let foreign = Mirrored::of(&self.settings.store).count_foreign().await?;
            if foreign > 0 {
                incomplete.push(of_all(format!("another program wrote into collection `runs`: the number of documents whose `_id` is not a text is {foreign}; remove them")));
            }
        }
        Ok(incomplete)
    }
}

fn of_all(reason: String) -> Incomplete {
    Incomplete {
        experiment: ALL.into(),
        reason,
    }
}
