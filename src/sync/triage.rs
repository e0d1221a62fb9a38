//! [`Triage`]: whether an error is one experiment's, or one that all of them would meet.

use std::error::Error as StdError;

use crate::error::{Error, Result};
use crate::mlflow::MlflowClient;
use crate::mlflow::scan::Scan;
use crate::mlflow::wire::RawExperiment;

/// Without a valid user, MLflow refuses everything, with this HTTP status.
const UNAUTHENTICATED: u16 = 401;

/// MLflow's verdict on one experiment is no reason to leave the others out.
#[derive(Clone, Copy)]
pub(super) struct Triage<'a> {
    pub(super) mlflow: &'a MlflowClient,
    /// All experiments of the pass.
    pub(super) experiments: &'a [RawExperiment],
}

impl Triage<'_> {
    /// The error as the reason why this experiment alone is incomplete; an error that the others would meet too is returned.
    pub(super) async fn reason(self, error: Error, experiment: &RawExperiment) -> Result<String> {
        let is_everybodys = match &error {
            error if error.is_transient() => self.is_out(experiment).await,
            Error::Mlflow { status, .. } => *status == UNAUTHENTICATED,
            Error::MlflowProtocol { .. } | Error::PageTooLarge { .. } => false,
            _ => true,
        };
        if is_everybodys {
            return Err(error);
        }
        let causes =
            std::iter::successors(Some(&error as &dyn StdError), |error: &&dyn StdError| {
                (*error).source()
            });
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        Ok(causes.join(": "))
    }

    /// Whether MLflow fails for another experiment too, or for a single run of the only one: some are too much for a server
    /// that is well.
    async fn is_out(self, experiment: &RawExperiment) -> bool {
        let is_this = |other: &RawExperiment| other.experiment_id == experiment.experiment_id;
        let after = self.experiments.iter().skip_while(|other| !is_this(other));
        let next = after.chain(self.experiments).find(|other| !is_this(other));
        let other = next.unwrap_or(experiment);
        let mut probe =
            Scan::new(self.mlflow.clone(), vec![other.experiment_id.clone()]).page_size(1);
        let probed = probe.next_page().await;
        probed.is_err_and(|error| error.is_transient())
    }
}
