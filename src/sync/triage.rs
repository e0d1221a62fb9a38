//! [`Triage`]: decides whether an error concerns one experiment or all of them.

use std::error::Error as StdError;

use crate::error::{Error, Result};
use crate::mlflow::MlflowClient;
use crate::mlflow::scan::Scan;
use crate::mlflow::wire::RawExperiment;

/// MLflow refuses every request of an unknown user with this HTTP status.
const UNAUTHENTICATED: u16 = 401;

/// Decides whether a pass goes on after an error: an error that concerns one experiment does not stop the others.
#[derive(Clone, Copy)]
pub(super) struct Triage<'a> {
    pub(super) mlflow: &'a MlflowClient,
    /// All experiments of the pass.
    pub(super) experiments: &'a [RawExperiment],
}

impl Triage<'_> {
    /// The reason why this experiment is incomplete.
    ///
    /// # Errors
    /// The error itself, when other experiments would meet it too.
    pub(super) async fn reason(self, error: Error, experiment: &RawExperiment) -> Result<String> {
        let concerns_all = match &error {
            error if error.is_transient() => self.is_down(experiment).await,
            Error::Mlflow { status, .. } => *status == UNAUTHENTICATED,
            Error::MlflowProtocol { .. } | Error::PageTooLarge { .. } => false,
            _ => true,
        };
        if concerns_all {
            return Err(error);
        }
        let causes =
            std::iter::successors(Some(&error as &dyn StdError), |error: &&dyn StdError| {
                (*error).source()
            });
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        Ok(causes.join(": "))
    }

    /// Whether MLflow also fails for a request for one run of another experiment, or of this one if there is no other. A healthy
    /// server may fail for a single experiment that is too large for it.
    async fn is_down(self, experiment: &RawExperiment) -> bool {
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
