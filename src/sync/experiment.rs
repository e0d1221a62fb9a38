//! Scans one experiment to its end, from where an earlier process came.

use futures::FutureExt;
use tokio::sync::Mutex;

use super::absences::Absences;
use super::deletions::MassDelete;
use super::pages::{Seen, names};
use super::report::Incomplete;
use super::state::{Pass, Place};
use super::{Sync, Totals};
use crate::error::{Error, Result};
use crate::mlflow::scan::Scan;
use crate::mlflow::wire::RawExperiment;

/// Without a valid user, MLflow refuses everything, with this HTTP status.
const UNAUTHENTICATED: u16 = 401;

/// What the scans of a pass share.
pub(super) struct Scanning<'a> {
    pub(super) pass: Pass,
    pub(super) totals: Totals<'a>,
    pub(super) experiments: Vec<RawExperiment>,
    pub(super) limit: MassDelete,
}

/// What the scan of an experiment leaves to the end of the pass.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) incomplete: Vec<Incomplete>,
    /// Ids of mirrored runs that MLflow no longer knows at all.
    pub(super) gone: Vec<String>,
}

impl Sync {
    pub(super) async fn scan_experiment(
        &self,
        experiment: &RawExperiment,
        scanning: &Scanning<'_>,
    ) -> Result<Outcome> {
        let (id, pass) = (&experiment.experiment_id, &scanning.pass);
        let place = pass.place(id);
        scanning.limit.add(pass.gone(id).len());
        let is_held = self.store.holds_experiment(id).await?;
        if place == Place::Done || (experiment.is_deleted() && !is_held) {
            scanning.totals.add(|report| report.experiments += 1);
            return Ok(Outcome {
                gone: pass.gone(id),
                ..Outcome::default()
            });
        }
        if is_held && !pass.is_same(experiment) {
            return Ok(Outcome::incomplete(
                id,
                "MLflow made it at another time than the experiment of this id that was mirrored; is this another server, or one that was set up anew? Give it a database of its own, or remove what is mirrored with `sync --forget-experiment`",
            ));
        }
        let created = if is_held {
            pass.creation_time(id)
        } else {
            // Whatever will be mirrored under this id is of this experiment.
            self.record_experiment(experiment, pass.creation_time(id))
                .await?
        };
        match self.scan(experiment, created, scanning).await {
            Ok(outcome) => {
                if outcome.incomplete.is_empty() {
                    scanning.totals.add(|report| report.experiments += 1);
                }
                Ok(outcome)
            }
            // MLflow's word on one experiment is no reason to leave the others out.
            Err(error) => {
                let said = self.said_of_one(error, experiment, scanning).await?;
                Ok(Outcome::incomplete(id, &said))
            }
        }
    }

    async fn scan(
        &self,
        experiment: &RawExperiment,
        created: Option<i64>,
        scanning: &Scanning<'_>,
    ) -> Result<Outcome> {
        let mut scan = Scan::new(self.mlflow.clone(), vec![experiment.experiment_id.clone()])
            .page_size(self.page_size);
        if let Place::From(start_time) = scanning.pass.place(&experiment.experiment_id) {
            scan = scan.resume_at(start_time);
        }
        let seen = Seen::default();
        let absences = Mutex::new(Absences::new(self, experiment, created, scanning, &seen));
        let names = names(std::slice::from_ref(experiment));
        let decided = &absences;
        let reached = |next| async move { decided.lock().await.reached(next).await }.boxed();
        self.mirror(&mut scan, &names, &seen, &scanning.totals, &reached)
            .await?;
        absences.into_inner().ended().await
    }

    async fn record_experiment(
        &self,
        experiment: &RawExperiment,
        recorded: Option<i64>,
    ) -> Result<Option<i64>> {
        if recorded != experiment.creation_time {
            self.store
                .record_experiment(
                    &experiment.experiment_id,
                    &experiment.name,
                    experiment.creation_time,
                )
                .await?;
        }
        Ok(experiment.creation_time)
    }

    /// What MLflow says of one experiment alone; an error that the others would meet too is the pass' own.
    pub(super) async fn said_of_one(
        &self,
        error: Error,
        experiment: &RawExperiment,
        scanning: &Scanning<'_>,
    ) -> Result<String> {
        let is_of_all = match &error {
            error if error.is_transient() => self.is_out(experiment, scanning).await,
            Error::Mlflow { status, .. } => *status == UNAUTHENTICATED,
            Error::MlflowProtocol { .. } | Error::PageTooLarge { .. } => false,
            _ => true,
        };
        if is_of_all {
            Err(error)
        } else {
            Ok(error.to_string())
        }
    }

    /// Whether MLflow fails for another experiment too, or for a single run of the only one: some are too much for a server
    /// that is well.
    async fn is_out(&self, experiment: &RawExperiment, scanning: &Scanning<'_>) -> bool {
        let is_this = |other: &RawExperiment| other.experiment_id == experiment.experiment_id;
        let all = &scanning.experiments;
        let after = all.iter().skip_while(|other| !is_this(other));
        let next = after.chain(all).find(|other| !is_this(other));
        let other = next.unwrap_or(experiment);
        let mut probe =
            Scan::new(self.mlflow.clone(), vec![other.experiment_id.clone()]).page_size(1);
        probe
            .next_page()
            .await
            .is_err_and(|error| error.is_transient())
    }
}

impl Outcome {
    fn incomplete(experiment: &str, reason: &str) -> Self {
        Self {
            incomplete: vec![Incomplete {
                experiment: experiment.to_owned(),
                reason: reason.to_owned(),
            }],
            gone: Vec::new(),
        }
    }
}
