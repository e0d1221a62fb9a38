//! [`DeletedUpstream`]: the runs of an experiment that MLflow no longer knows; they leave the mirror at the end of a pass.

use bson::doc;
use futures::TryStreamExt;

use super::deletion_guard::DeletionGuard;
use super::inquiry::Inquiry;
use super::report::Incomplete;
use super::triage::Triage;
use crate::error::Result;
use crate::mongo::ticket::Ticket;
use crate::run::field;

/// How many runs one request moves.
const CHUNK: usize = 500;

/// Runs that MLflow did not know when the pass asked about them.
#[derive(Clone, Copy)]
pub(super) struct DeletedUpstream<'a> {
    pub(super) inquiry: Inquiry<'a>,
    pub(super) triage: Triage<'a>,
    pub(super) runs: &'a [String],
}

impl DeletedUpstream<'_> {
    /// Removes the runs that MLflow still does not know, and returns what stays undecided.
    ///
    /// It asks MLflow again: the first answer may be old, from a process that was killed, and MLflow may have been restored
    /// from a backup since.
    pub(super) async fn remove(self) -> Result<Option<Incomplete>> {
        let Inquiry {
            saver, experiment, ..
        } = self.inquiry;
        // Drawn before MLflow is asked again, so that a run that a quick pass reads after this stays.
        let ticket = Ticket::draw(saver.store).await?;
        // The guard of the pass has already allowed these removals.
        let guard = DeletionGuard::new(0, true);
        let mut findings = guard.findings(Vec::new());
        let asked = self.runs.iter().cloned();
        self.inquiry
            .decide(asked, self.triage, &mut findings)
            .await?;
        for ids in findings.deleted_upstream().chunks(CHUNK) {
            let runs = saver.store.find_runs(doc! { field::ID: { "$in": ids } });
            let runs = runs.await?.try_collect().await?;
            saver.tombstone(runs, ticket).await?;
        }
        let undecided = findings.incomplete();
        Ok(undecided.map(|reason| Incomplete::of(experiment, reason)))
    }
}
