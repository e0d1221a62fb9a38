//! [`ExperimentScanner`]: scans one experiment from its checkpoint to its end.

use futures::FutureExt;
use tokio::sync::Mutex;

use super::deletion_guard::{DeletionGuard, Findings};
use super::inquiry::Inquiry;
use super::missing::MissingRuns;
use super::names::names;
use super::pages::PageMirror;
use super::report::Incomplete;
use super::save::Saver;
use super::seen::Seen;
use super::settings::Settings;
use super::totals::Totals;
use super::triage::Triage;
use crate::error::Result;
use crate::mlflow::scan::Scan;
use crate::mlflow::wire::RawExperiment;
use crate::mongo::checkpoint::{Checkpoints, Place, RecordedPass};
use crate::mongo::mirrored::Mirrored;

/// The parts of a pass that the scans of all its experiments share.
#[derive(Clone, Copy)]
pub(super) struct ExperimentScanner<'a> {
    pub(super) settings: &'a Settings,
    pub(super) pass: &'a RecordedPass,
    pub(super) totals: &'a Totals<'a>,
    pub(super) guard: &'a DeletionGuard,
    pub(super) triage: Triage<'a>,
}

/// The result of one experiment's scan; the end of the pass works with it.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    pub(super) experiment: &'a RawExperiment,
    /// The creation time of the experiment that the mirrored runs belong to.
    pub(super) created: Option<i64>,
    pub(super) incomplete: Option<Incomplete>,
    /// Ids of mirrored runs that MLflow no longer knows.
    pub(super) deleted_upstream: Vec<String>,
}

impl<'a> ExperimentScanner<'a> {
    /// Mirrors the experiment. An error of MLflow that concerns this experiment alone makes it incomplete, and the pass goes on.
    pub(super) async fn scan(self, experiment: &'a RawExperiment) -> Result<Outcome<'a>> {
        let id = &experiment.experiment_id;
        let store = &self.settings.store;
        let place = self.pass.place(id);
        let findings = self.guard.findings(self.pass.deleted_upstream(id));
        let is_mirrored = Mirrored::of(store).has_experiment(id).await?;
        let recorded = self.pass.creation_time(id);
        if place == Place::Done || (experiment.is_deleted() && !is_mirrored) {
            self.totals.add(|report| report.experiments += 1);
            return Ok(Outcome {
                experiment,
                created: recorded,
                incomplete: None,
                deleted_upstream: findings.into_deleted_upstream(),
            });
        }
        if is_mirrored && let Some(other) = another_experiment(experiment, recorded) {
            return Ok(Outcome::incomplete(experiment, other));
        }
        let created = if is_mirrored {
            recorded
        } else {
            // From now on, all runs under this id belong to this experiment.
            let now = experiment.creation_time;
            if recorded != now {
                let checkpoints = Checkpoints::of(store);
                checkpoints
                    .record_experiment(id, &experiment.name, now)
                    .await?;
            }
            now
        };
        match self.scan_pages(experiment, created, place, findings).await {
            Ok(findings) => {
                let incomplete = findings.incomplete();
                if incomplete.is_none() {
                    self.totals.add(|report| report.experiments += 1);
                }
                Ok(Outcome {
                    experiment,
                    created,
                    incomplete: incomplete.map(|reason| Incomplete::of(experiment, reason)),
                    deleted_upstream: findings.into_deleted_upstream(),
                })
            }
            Err(error) => {
                let reason = self.triage.reason(error, experiment).await?;
                Ok(Outcome::incomplete(
                    experiment,
                    Incomplete::of(experiment, reason),
                ))
            }
        }
    }

    async fn scan_pages(
        self,
        experiment: &'a RawExperiment,
        created: Option<i64>,
        place: Place,
        findings: Findings<'a>,
    ) -> Result<Findings<'a>> {
        let Settings { mlflow, store, .. } = self.settings;
        let mut scan = Scan::new(mlflow.clone(), vec![experiment.experiment_id.clone()])
            .page_size(self.settings.page_size);
        let from = match place {
            Place::From(start_time) => Some(start_time),
            Place::Start | Place::Done => None,
        };
        if let Some(from) = from {
            scan = scan.resume_at(from);
        }
        let saver = Saver {
            store,
            totals: self.totals,
        };
        let inquiry = Inquiry {
            mlflow,
            saver,
            experiment,
            created,
        };
        let seen = Seen::default();
        let missing = Mutex::new(MissingRuns {
            pass: self.pass,
            inquiry,
            triage: self.triage,
            seen: &seen,
            from,
            findings,
        });
        let names = names(std::slice::from_ref(experiment));
        let pages = PageMirror {
            saver,
            names: &names,
            seen: &seen,
            model_inputs: self.settings.model_inputs(&names),
        };
        let decided = &missing;
        let reached = |next| async move { decided.lock().await.reached(next).await }.boxed();
        pages.mirror(&mut scan, &reached).await?;
        missing.into_inner().ended().await
    }
}

/// Why a pass leaves out an experiment whose creation time is not that of the experiment mirrored under the same id. `None`
/// when the times are equal, or when either is unknown.
pub(super) fn another_experiment(
    shown: &RawExperiment,
    recorded: Option<i64>,
) -> Option<Incomplete> {
    let (recorded, created) = recorded.zip(shown.creation_time)?;
    let id = &shown.experiment_id;
    let reason = || {
        format!(
            "MLflow's experiment with this id has another creation time than the mirrored experiment, so the pass mirrored nothing of it. Is this another server, or one that was set up again? Give it a database of its own, or remove the mirrored runs with `sync --forget-experiment {id}`"
        )
    };
    (recorded != created).then(|| Incomplete::of(shown, reason()))
}

impl<'a> Outcome<'a> {
    fn incomplete(experiment: &'a RawExperiment, incomplete: Incomplete) -> Self {
        Self {
            experiment,
            created: None,
            incomplete: Some(incomplete),
            deleted_upstream: Vec::new(),
        }
    }
}
