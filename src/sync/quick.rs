//! [`QuickPass`]: mirrors new runs, runs that have not ended, and runs that ended recently.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bson::DateTime;
use futures::{FutureExt, TryStreamExt};

use super::experiment::another_experiment;
use super::names::{Names, names};
use super::pages::PageMirror;
use super::registry::{Experiments, RegistryMirror};
use super::report::{Incomplete, Report};
use super::save::Saver;
use super::scope::Chosen;
use super::seen::Seen;
use super::settings::Settings;
use super::totals::{ProgressFn, Totals};
use crate::error::Result;
use crate::mlflow::scan::Scan;
use crate::mlflow::wire::RawExperiment;
use crate::mongo::checkpoint::Checkpoints;
use crate::mongo::clock::server_time;
use crate::mongo::mirrored::Mirrored;
use crate::run::RunId;

/// How many experiment ids, or run ids, one request holds.
const NAMED_AT_ONCE: usize = 100;

/// MLflow's statuses of runs that have not ended.
const UNDER_WAY: [&str; 2] = ["RUNNING", "SCHEDULED"];

/// Mirrors the runs that are likely to have changed.
///
/// A full pass finds the other changes: edits of runs that ended long ago, imported runs with old start and end times, and
/// deletions.
pub(super) struct QuickPass<'a> {
    settings: &'a Settings,
    lookback: Duration,
    progress: &'a ProgressFn<'a>,
}

impl<'a> QuickPass<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        lookback: Duration,
        progress: &'a ProgressFn<'a>,
    ) -> Self {
        Self {
            settings,
            lookback,
            progress,
        }
    }

    pub(super) async fn run(self) -> Result<Report> {
        let started = Instant::now();
        let Settings {
            mlflow,
            store,
            scope,
            ..
        } = self.settings;
        let (checkpoints, mirrored) = (Checkpoints::of(store), Mirrored::of(store));
        let experiments: Vec<RawExperiment> = mlflow.raw_experiments().try_concat().await?;
        let Chosen {
            experiments: mut chosen,
            unlisted: mut incomplete,
        } = scope.choose(experiments)?;
        chosen.retain(|experiment| !experiment.is_deleted());
        incomplete.extend(self.leave_out_others(&mut chosen).await?);
        let since = self.since(server_time(store).await?);

        let totals = Totals::new(0, 0, self.progress);
        let registry = RegistryMirror::new(self.settings, &totals);
        let recorded = checkpoints.creation_times().await?;
        let experiments = Experiments {
            chosen: &chosen,
            recorded: &recorded,
        };
        incomplete.extend(registry.quick(experiments, since).await?);
        let (names, seen) = (names(&chosen), Seen::default());
        let search = Search {
            settings: self.settings,
            pages: PageMirror {
                saver: Saver {
                    store,
                    totals: &totals,
                },
                names: &names,
                seen: &seen,
                model_inputs: self.settings.model_inputs(&names),
            },
        };
        for filter in filters(since) {
            search.mirror(&filter).await?;
        }
        // Runs that are mirrored as running, and that have ended since with an old end time.
        let under_way = search.still_under_way(mirrored).await?;
        for ids in under_way.chunks(NAMED_AT_ONCE) {
            let filter = format!("attributes.run_id IN ('{}')", ids.join("','"));
            search.mirror(&filter).await?;
        }
        if scope.is_everything() && incomplete.is_empty() {
            checkpoints.quick_pass_ended(started).await?;
        }
        let mut report = totals.report();
        report.problems = Mirrored::of(store).count_problems().await?;
        report.incomplete = incomplete;
        report.took = started.elapsed();
        Ok(report)
    }

    /// Leaves out experiments whose id belongs to another experiment in the mirror, and returns why.
    async fn leave_out_others(&self, chosen: &mut Vec<RawExperiment>) -> Result<Vec<Incomplete>> {
        let store = &self.settings.store;
        let checkpoints = Checkpoints::of(store);
        let mirrored: HashSet<String> = Mirrored::of(store)
            .experiments()
            .await?
            .into_iter()
            .collect();
        let recorded = checkpoints.creation_times().await?;
        let mut others = Vec::new();
        for shown in chosen.iter() {
            let id = &shown.experiment_id;
            let recorded = recorded.get(id).copied();
            if mirrored.contains(id) {
                others.extend(another_experiment(shown, recorded));
            } else if recorded != shown.creation_time {
                // From now on, all runs under this id belong to this experiment.
                checkpoints
                    .record_experiment(id, &shown.name, shown.creation_time)
                    .await?;
            }
        }
        chosen.retain(|shown| {
            let is_this = |other: &Incomplete| other.experiment == shown.experiment_id;
            !others.iter().any(is_this)
        });
        Ok(others)
    }

    /// The start of the lookback, by MongoDB's clock: if the clock of this host were ahead, the pass would miss new runs.
    fn since(&self, now: DateTime) -> i64 {
        let lookback = i64::try_from(self.lookback.as_millis()).unwrap_or(i64::MAX);
        now.timestamp_millis().saturating_sub(lookback)
    }
}

/// Filters of MLflow for the runs that are likely to have changed.
fn filters(since: i64) -> Vec<String> {
    let mut filters = vec![
        format!("attributes.start_time >= {since}"),
        format!("attributes.end_time >= {since}"),
    ];
    filters.extend(UNDER_WAY.map(|status| format!("attributes.status = '{status}'")));
    filters
}

/// Searches MLflow in all chosen experiments.
struct Search<'a> {
    settings: &'a Settings,
    pages: PageMirror<'a>,
}

impl Search<'_> {
    fn names(&self) -> &Names {
        self.pages.names
    }

    /// Mirrors the runs that match this MLflow filter.
    async fn mirror(&self, filter: &str) -> Result<()> {
        let ids: Vec<String> = self.names().keys().cloned().collect();
        for ids in ids.chunks(NAMED_AT_ONCE) {
            let mut scan = Scan::new(self.settings.mlflow.clone(), ids.to_vec())
                .filter(filter.to_owned())
                .page_size(self.settings.page_size);
            let reached = |_| async { Ok(()) }.boxed();
            self.pages.mirror(&mut scan, &reached).await?;
        }
        Ok(())
    }

    /// The runs that are mirrored as running and that no search of this pass has shown.
    async fn still_under_way(&self, mirrored: Mirrored<'_>) -> Result<Vec<String>> {
        let mut runs = mirrored.with_status(&UNDER_WAY).await?;
        runs.retain(|run| {
            let experiment = run.exp();
            experiment.is_some_and(|experiment| self.names().contains_key(&experiment.id))
                && !self.pages.seen.contains(run.id())
                // Any other text could break MLflow's filter.
                && run.id().parse::<RunId>().is_ok()
        });
        Ok(runs.iter().map(|run| run.id().to_owned()).collect())
    }
}
