//! Scans one experiment to its end, from where an earlier process came.

use futures::FutureExt;

use super::pages::{Seen, names};
use super::report::Incomplete;
use super::state::{Pass, Place};
use super::{Sync, Totals};
use crate::error::{Error, Result};
use crate::mlflow::scan::Scan;
use crate::mlflow::wire::RawExperiment;
use crate::run::Run;

/// What the scan of an experiment leaves to the end of the pass.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) incomplete: Vec<Incomplete>,
    /// Mirrored runs that MLflow no longer knows at all.
    pub(super) gone: Vec<Run>,
}

impl Sync {
    pub(super) async fn scan_experiment(
        &self,
        experiment: &RawExperiment,
        pass: &Pass,
        totals: &Totals<'_>,
    ) -> Result<Outcome> {
        let id = &experiment.experiment_id;
        let place = pass.place(id);
        let nothing_to_delete = experiment.is_deleted() && !self.store.holds_experiment(id).await?;
        if place == Place::Done || nothing_to_delete {
            totals.add(|report| report.experiments += 1);
            return Ok(Outcome::default());
        }
        if !pass.is_same(experiment) {
            return Ok(Outcome::incomplete(
                id,
                "MLflow made it at another time than the experiment of this id that was mirrored; is this another server, or one that was set up anew? Give it a database of its own, or remove what is mirrored with `sync --forget-experiment`",
            ));
        }
        match self.scan(experiment, place, pass, totals).await {
            Ok(seen) => {
                let outcome = self
                    .look_for_gone(experiment, place, &seen, pass, totals)
                    .await?;
                if outcome.incomplete.is_empty() {
                    // What is gone is removed at the end of the pass: until then, a killed one has to find it anew.
                    let place = if outcome.gone.is_empty() {
                        Place::Done
                    } else {
                        Place::Start
                    };
                    pass.reached(&self.store, experiment, place).await?;
                    totals.add(|report| report.experiments += 1);
                }
                Ok(outcome)
            }
            // MLflow's word on one experiment is no reason to leave the others out.
            Err(error @ (Error::Mlflow { .. } | Error::PageTooLarge { .. })) => {
                Ok(Outcome::incomplete(id, &error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    async fn scan(
        &self,
        experiment: &RawExperiment,
        place: Place,
        pass: &Pass,
        totals: &Totals<'_>,
    ) -> Result<Seen> {
        let mut scan = Scan::new(self.mlflow.clone(), vec![experiment.experiment_id.clone()])
            .page_size(self.page_size);
        if let Place::From(start_time) = place {
            scan = scan.resume_at(start_time);
        }
        let mut seen = Seen::default();
        let names = names(std::slice::from_ref(experiment));
        let reached = |next| {
            pass.reached(&self.store, experiment, Place::From(next))
                .boxed()
        };
        self.mirror(&mut scan, &names, &mut seen, totals, &reached)
            .await?;
        Ok(seen)
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
