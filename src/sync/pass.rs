//! [`FullPass`]: scans every experiment of the scope, and removes the runs that MLflow no longer knows.

use std::collections::{BTreeSet, HashSet};
use std::time::Instant;

use bson::doc;
use futures::future::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::deleted_upstream::DeletedUpstream;
use super::deletion_guard::DeletionGuard;
use super::experiment::{ExperimentScanner, Outcome};
use super::inquiry::Inquiry;
use super::registry::{Experiments, RegistryMirror};
use super::report::{Incomplete, Report};
use super::save::Saver;
use super::scope::Chosen;
use super::settings::Settings;
use super::totals::{ProgressFn, Totals};
use super::triage::Triage;
use crate::error::Result;
use crate::mlflow::wire::RawExperiment;
use crate::mongo::checkpoint::Checkpoints;
use crate::mongo::mirrored::Mirrored;
use crate::mongo::registry::RegistryStore;
use crate::registry::RegistryCollection;

/// In a report, the place of an experiment's id for reasons that concern the whole pass.
const ALL: &str = "*";

/// One pass over all experiments of the scope.
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
        let Chosen {
            experiments: chosen,
            unlisted,
        } = scope.choose(experiments)?;
        // The next pass mirrors experiments that are created after the list was read.
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
        incomplete.extend(unlisted);
        for outcome in &mut outcomes {
            let unfinished = outcome.incomplete.take();
            // The registry's part may have reported another experiment of the same id already.
            incomplete.extend(unfinished.filter(|unfinished| !incomplete.contains(unfinished)));
        }
        incomplete.extend(self.unlisted(&listed).await?);
        match guard.refusal() {
            Some(refusal) => incomplete.push(of_all(refusal)),
            None => {
                for outcome in outcomes
                    .iter()
                    .filter(|outcome| !outcome.deleted_upstream.is_empty())
                {
                    let saver = Saver {
                        store,
                        totals: &totals,
                    };
                    let deleted = DeletedUpstream {
                        inquiry: Inquiry {
                            mlflow,
                            saver,
                            experiment: outcome.experiment,
                            created: outcome.created,
                        },
                        triage,
                        runs: &outcome.deleted_upstream,
                    };
                    incomplete.extend(deleted.remove().await?);
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

    /// Mirrored experiments that MLflow did not list: they are deleted for good, or this user may not read them.
    async fn unlisted(&self, listed: &HashSet<String>) -> Result<Vec<Incomplete>> {
        let mut incomplete = Vec::new();
        if listed.is_empty() {
            // Every tracking server has an experiment, so an empty list does not mean an empty server.
            incomplete.push(of_all("MLflow shows this user no experiment; check the tracking URI, the user and the workspace".into()));
        }
        if self.settings.scope.is_everything() {
            let mirrored = Mirrored::of(&self.settings.store);
            let mut with_logged_models = HashSet::new();
            if self.settings.registry {
                let which = RegistryCollection::LoggedModels;
                let logged_models = RegistryStore::of(&self.settings.store, which);
                with_logged_models.extend(logged_models.experiment_ages().await?.into_keys());
            }
            let mut ids: BTreeSet<String> = mirrored.experiments().await?.into_iter().collect();
            ids.extend(with_logged_models.iter().cloned());
            for id in ids.into_iter().filter(|id| !listed.contains(id)) {
                // Documents of other programs may name it without being runs.
                if with_logged_models.contains(&id) || mirrored.has_experiment(&id).await? {
                    incomplete.push(Incomplete {
                        reason: format!("MLflow no longer lists this experiment to this user. Its mirrored runs stay; to remove them, run `sync --forget-experiment {id}`"),
                        experiment: id,
                    });
                }
            }
            let foreign = mirrored.count_foreign(doc! {}).await?;
            if foreign > 0 {
                incomplete.push(of_all(format!("collection `runs` holds documents whose `_id` is not a string ({foreign} of them), so another program wrote them; remove them; `verify` lists them")));
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
