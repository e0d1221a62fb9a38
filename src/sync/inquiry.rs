//! [`Inquiry`]: asks MLflow about mirrored runs that a scan did not show.

use super::deletion_guard::Findings;
use super::save::Saver;
use super::triage::Triage;
use super::verdict::Verdict;
use crate::error::{Error, MlflowCode, Result};
use crate::mlflow::wire::RawExperiment;
use crate::mlflow::{MlflowClient, document};
use crate::mongo::ticket::Ticket;

/// Asks MLflow about missing runs of one experiment.
#[derive(Clone, Copy)]
pub(super) struct Inquiry<'a> {
    pub(super) mlflow: &'a MlflowClient,
    pub(super) saver: Saver<'a>,
    pub(super) experiment: &'a RawExperiment,
    /// When MLflow made the experiment that the mirrored runs are of.
    pub(super) created: Option<i64>,
}

impl Inquiry<'_> {
    /// Records MLflow's verdict on each of these runs, for as long as the findings leave to ask.
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

    /// MLflow's verdict on a run; where it fails to answer, for as long as the retries last, an error.
    async fn verdict(self, run: &str) -> Result<Verdict> {
        let Ok(id) = run.parse() else {
            // MLflow cannot be asked about it: another program wrote this document.
            let reason = "this is not a run id of MLflow's, so another program wrote it; remove the document";
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
            // It moved: the scan of its new experiment mirrors it.
            Ok(_) => Ok(Verdict::Shown),
            Err(Error::Mlflow {
                code: Some(MlflowCode::ResourceDoesNotExist),
                answer,
                ..
            }) => self.verdict_by_experiment(answer).await,
            Err(error) => undecided(error, None),
        }
    }

    /// The answer that a run does not exist is no proof: a live run that is asked for in the wrong workspace gives it too.
    async fn verdict_by_experiment(self, answer: String) -> Result<Verdict> {
        let id = &self.experiment.experiment_id;
        let now = match self.mlflow.raw_experiment(id).await {
            Ok(now) => now.creation_time,
            Err(error) => return undecided(error, Some(answer)),
        };
        let doubt = match (self.created, now) {
            (Some(created), Some(now)) if created == now => return Ok(Verdict::Gone),
            (Some(_), Some(_)) => {
                "but the experiment of that id is not the one that was mirrored".to_owned()
            }
            _ => format!(
                "but it is not known when the experiment was made, so it may be another one of that id; if it is not, `sync --forget-experiment {id}` and the sync after it mirror it anew"
            ),
        };
        Ok(Verdict::Undecided(format!("{answer}, {doubt}")))
    }
}

/// What MLflow refuses decides nothing on the run; what it was asked for again and again in vain is an error.
fn undecided(error: Error, said: Option<String>) -> Result<Verdict> {
    match error {
        error if error.is_transient() => Err(error),
        Error::Mlflow { answer, .. } => Ok(Verdict::Undecided(said.unwrap_or(answer))),
        error => Err(error),
    }
}
