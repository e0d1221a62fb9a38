//! [`Inquiry`]: asks MLflow about the mirrored runs that a scan did not show.

use super::deletion_guard::Findings;
use super::save::Saver;
use super::triage::Triage;
use super::verdict::Verdict;
use crate::error::{Error, MlflowCode, Result};
use crate::mlflow::wire::RawExperiment;
use crate::mlflow::{MlflowClient, document};
use crate::mongo::ticket::Ticket;

/// Asks MLflow about the missing runs of one experiment.
#[derive(Clone, Copy)]
pub(super) struct Inquiry<'a> {
    pub(super) mlflow: &'a MlflowClient,
    pub(super) saver: Saver<'a>,
    pub(super) experiment: &'a RawExperiment,
    /// The creation time of the experiment that the mirrored runs belong to.
    pub(super) created: Option<i64>,
}

impl Inquiry<'_> {
    /// Records MLflow's verdict on each of these runs, until the findings allow no more requests.
    pub(super) async fn decide(
        self,
        runs: impl IntoIterator<Item = String>,
        triage: Triage<'_>,
        findings: &mut Findings<'_>,
    ) -> Result<()> {
        for run in runs {
            if !findings.may_ask() {
                continue;
            }
            match self.verdict(&run).await {
                Ok(verdict) => findings.record(run, verdict),
                Err(error) => {
                    let reason = triage.reason(error, self.experiment).await?;
                    findings.record_failure(run, reason);
                }
            }
        }
        Ok(())
    }

    /// MLflow's verdict on one run. An error when all retries fail.
    async fn verdict(self, run: &str) -> Result<Verdict> {
        let Ok(id) = run.parse() else {
            let reason = "this is not a run id, so another program wrote the document; remove it";
            return Ok(Verdict::Undecided(reason.into()));
        };
        let ticket = Ticket::draw(self.saver.store).await?;
        match self.mlflow.raw_run(&id).await {
            Ok(raw) if raw.info.experiment_id == self.experiment.experiment_id => {
                let mapped = vec![document::map(&raw, &self.experiment.name)?];
                if raw.is_deleted() {
                    self.saver.tombstone(mapped, ticket).await?;
                } else {
                    self.saver.save(mapped, ticket).await?;
                }
                Ok(Verdict::Shown)
            }
            // The run has moved to another experiment, whose scan mirrors it.
            Ok(_) => Ok(Verdict::Shown),
            Err(Error::Mlflow {
                code: Some(MlflowCode::ResourceDoesNotExist),
                answer,
                ..
            }) => self.verdict_by_experiment(answer).await,
            Err(error) => undecided(error, None),
        }
    }

    /// The verdict on a run that MLflow does not know. It depends on whether MLflow still shows the run's experiment.
    ///
    /// The answer about the run proves nothing: in the wrong workspace, MLflow also answers that it does not know an active run.
    async fn verdict_by_experiment(self, answer: String) -> Result<Verdict> {
        let id = &self.experiment.experiment_id;
        let now = match self.mlflow.raw_experiment(id).await {
            Ok(now) => now.creation_time,
            Err(error) => return undecided(error, Some(answer)),
        };
        let doubt = match (self.created, now) {
            (Some(created), Some(now)) if created == now => return Ok(Verdict::DeletedUpstream),
            (Some(_), Some(_)) => {
                "but MLflow's experiment with this id has another creation time than the mirrored experiment"
                    .to_owned()
            }
            _ => format!(
                "but the creation time of the experiment is unknown, so MLflow may have another experiment under this id. If it is the same, run `sync --forget-experiment {id}`: the sync after it mirrors the experiment again"
            ),
        };
        Ok(Verdict::Undecided(format!("{answer}, {doubt}")))
    }
}

/// A refusal of MLflow leaves the run undecided. A transient error stays an error, because all retries failed.
fn undecided(error: Error, said: Option<String>) -> Result<Verdict> {
    match error {
        error if error.is_transient() => Err(error),
        Error::Mlflow { answer, .. } => Ok(Verdict::Undecided(said.unwrap_or(answer))),
        error => Err(error),
    }
}
