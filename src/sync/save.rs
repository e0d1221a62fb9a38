//! [`Saver`]: writes runs into the mirror, and counts them.

use super::totals::Totals;
use crate::error::Result;
use crate::mongo::MongoRunStore;
use crate::mongo::save::RunSaver;
use crate::mongo::ticket::Ticket;
use crate::mongo::tombstones::Tombstones;
use crate::run::Run;

#[derive(Clone, Copy)]
pub(super) struct Saver<'a> {
    pub(super) store: &'a MongoRunStore,
    pub(super) totals: &'a Totals<'a>,
}

impl Saver<'_> {
    /// Saves active runs that were read after this ticket was drawn.
    pub(super) async fn save(self, runs: Vec<Run>, ticket: Ticket) -> Result<()> {
        let count = runs.len() as u64;
        let saved = RunSaver::of(self.store, ticket).save(runs).await?;
        self.totals.add(|report| {
            report.seen += count;
            report.written += saved.written;
            report.unchanged += saved.unchanged;
            report.quarantined += saved.quarantined;
        });
        Ok(())
    }

    /// Moves runs that MLflow shows as deleted, or no longer knows, out of the mirror.
    pub(super) async fn tombstone(self, runs: Vec<Run>, ticket: Ticket) -> Result<()> {
        if runs.is_empty() {
            return Ok(());
        }
        let removed = Tombstones::of(self.store).put(runs, ticket).await?;
        self.totals.add(|report| report.deleted += removed);
        Ok(())
    }
}
