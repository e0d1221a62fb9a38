//! [`ExperimentScanner`]: scans one experiment to its end, from where an earlier process came.

use futures::FutureExt;
use tokio::sync::Mutex;

use super::deletion_guard::{DeletionGuard, Findings};
use super::inquiry::Inquiry;
use super::missing::MissingRuns;
use super::pages::{PageMirror, names};
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

/// What the scans of a pass share.
#[derive(Clone, Copy)]
pub(super) struct ExperimentScanner<'a> {
    pub(super) settings: &'a Settings,
    pub(super) pass: &'a RecordedPass,
    pub(super) totals: &'a Totals<'a>,
    pub(super) guard: &'a DeletionGuard,
    pub(super) triage: Triage<'a>,
}

/// What the scan of an experiment leaves to the end of the pass.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    pub(super) experiment: &'a RawExperiment,
    /// When MLflow made the experiment that the mirrored runs are of.
    pub(super) created: Option<i64>,
    pub(super) incomplete: Option<Incomplete>,
    /// Ids of mirrored runs that MLflow no longer knows at all.
    pub(super) gone: Vec<String>,
}

impl<'a> ExperimentScanner<'a> {
    /// Mirrors the experiment; what MLflow refuses for it alone makes it incomplete, and is no error.
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
                gone: findings.into_gone(),
            });
        }
        if is_mirrored && let Some(other) = another_experiment(experiment, recorded) {
            return Ok(Outcome::incomplete(experiment, other));
        }
        let created = if is_mirrored {
            recorded
        } else {
            // Whatever will be mirrored under this id is of this experiment.
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
                    gone: findings.into_gone(),
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
        };
        let decided = &missing;
        let reached = |next| async move { decided.lock().await.reached(next).await }.boxed();
        pages.mirror(&mut scan, &reached).await?;
        missing.into_inner().ended().await
    }
}

/// Why nothing of an experiment is mirrored where MLflow made it at another time than the one that was mirrored under its id;
/// `None` where either time is unknown.
pub(super) fn another_experiment(
    shown: &RawExperiment,
    recorded: Option<i64>,
) -> Option<Incomplete> {
    let (recorded, created) = recorded.zip(shown.creation_time)?;
    let id = &shown.experiment_id;
    let reason = || {
        format!(
            "MLflow made it at another time than the experiment of this id that was mirrored; is this another server, or one that was set up anew? Give it a database of its own, or remove what is mirrored with `sync --forget-experiment {id}`"
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
            gone: Vec::new(),
        }
    }
}
