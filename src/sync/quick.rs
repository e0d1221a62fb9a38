//! [`QuickPass`]: new runs, runs that are not over, and runs that ended lately.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bson::DateTime;
use futures::{FutureExt, TryStreamExt};

use super::experiment::another_experiment;
use super::pages::{Names, PageMirror, names};
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

/// How many experiments, or runs, one request names.
const NAMED_AT_ONCE: usize = 100;

/// MLflow's statuses of runs that are not over.
const UNDER_WAY: [&str; 2] = ["RUNNING", "SCHEDULED"];

/// Mirrors what is likely to have changed: a full pass finds the rest, such as tags of runs that ended long ago, runs
/// that were imported with the start and the end they had elsewhere, and deletions.
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
            },
        };
        for filter in filters(since) {
            search.mirror(&filter).await?;
        }
        // Mirrored as under way, and over by now with an end time of long ago.
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

    /// Leaves out experiments that are not those which were mirrored under their ids, and tells why.
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
                // Whatever will be mirrored under this id is of this experiment.
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

    /// From when on runs are looked at. The clock of this host has no part in it: ahead, it would leave out what is new.
    fn since(&self, now: DateTime) -> i64 {
        let lookback = i64::try_from(self.lookback.as_millis()).unwrap_or(i64::MAX);
        now.timestamp_millis().saturating_sub(lookback)
    }
}

/// What the runs match that are likely to have changed, in MLflow's own words.
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

    /// Mirrors the runs that match this filter of MLflow's.
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

    /// The chosen runs that are mirrored as under way and that no search has shown.
    async fn still_under_way(&self, mirrored: Mirrored<'_>) -> Result<Vec<String>> {
        let mut runs = mirrored.with_status(&UNDER_WAY).await?;
        runs.retain(|run| {
            let experiment = run.exp();
            experiment.is_some_and(|experiment| self.names().contains_key(&experiment.id))
                && !self.pages.seen.contains(run.id())
                // An id of another form would not be one in MLflow's filter.
                && run.id().parse::<RunId>().is_ok()
        });
        Ok(runs.iter().map(|run| run.id().to_owned()).collect())
    }
}
