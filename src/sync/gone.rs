//! [`GoneRuns`]: the runs of an experiment that leave the mirror at the end of a pass.

use bson::doc;
use futures::TryStreamExt;

use super::deletion_guard::DeletionGuard;
use super::inquiry::Inquiry;
use super::report::Incomplete;
use super::triage::Triage;
use crate::error::Result;
use crate::mongo::ticket::Ticket;
use crate::run::field;

/// How many runs are moved at once.
const CHUNK: usize = 500;

/// Runs that MLflow did not know when it was asked about them.
#[derive(Clone, Copy)]
pub(super) struct GoneRuns<'a> {
    pub(super) inquiry: Inquiry<'a>,
    pub(super) triage: Triage<'a>,
    pub(super) runs: &'a [String],
}

impl GoneRuns<'_> {
    /// Removes the runs that MLflow still does not know; tells what stays undecided.
    ///
    /// MLflow was asked long ago, possibly by a process that was killed since: it may have been restored from its backup.
    pub(super) async fn remove(self) -> Result<Option<Incomplete>> {
        let Inquiry {
            saver, experiment, ..
        } = self.inquiry;
        // Drawn before MLflow is asked again: a run that a quick pass reads after this stays.
        let ticket = Ticket::draw(saver.store).await?;
        // How many may leave was decided already.
        let guard = DeletionGuard::new(0, true);
        let mut findings = guard.findings(Vec::new());
        let asked = self.runs.iter().cloned();
        self.inquiry
            .decide(asked, self.triage, &mut findings)
            .await?;
        for ids in findings.gone().chunks(CHUNK) {
            let runs = saver.store.find_runs(doc! { field::ID: { "$in": ids } });
            let runs = runs.await?.try_collect().await?;
            saver.tombstone(runs, ticket).await?;
        }
        let undecided = findings.incomplete();
        Ok(undecided.map(|reason| Incomplete::of(experiment, reason)))
    }
}
