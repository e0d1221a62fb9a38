//! [`Tombstones`]: runs that MLflow shows as deleted, kept in `deleted_runs`.

use bson::{DateTime, Document, doc};
use mongodb::options::UpdateModifications;

use super::collections::{Collections, DELETED_RUNS, RUNS};
use super::failure::failed;
use super::migrate::Migrator;
use super::retry::retried;
use super::save::{compare, remove, stored, write};
use super::ticket::Ticket;
use super::{MongoRunStore, majority};
use crate::error::Result;
use crate::run::{Run, field};

impl MongoRunStore {
    /// Removes all that is known of the runs that were deleted before this date but their ids, and tells how many.
    ///
    /// The ids stay, with the tickets: nothing bounds how late a stalled process writes what it read before, and only a ticket
    /// holds that back. MLflow may show such a run as deleted for ever; it stays purged until it is restored.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) when MongoDB does not acknowledge it; as [`migrate`](Self::migrate) before.
    pub async fn purge_deleted(&self, before: DateTime) -> Result<u64> {
        Migrator::of(self).ensure_applied().await?;
        Tombstones::of(self).purge(before).await
    }
}

/// The runs that MLflow shows as deleted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tombstones<'a> {
    store: &'a MongoRunStore,
}

impl<'a> Tombstones<'a> {
    pub(crate) fn of(store: &'a MongoRunStore) -> Self {
        Self { store }
    }

    /// Moves runs that MLflow shows as deleted out of `runs`, and tells how many were there.
    ///
    /// Their tombstones also hold back what a stalled process still writes.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) when MongoDB does not acknowledge the writes by a majority; some may have been
    /// made.
    pub(crate) async fn put(self, runs: Vec<Run>, ticket: Ticket) -> Result<u64> {
        let ids: Vec<String> = runs.iter().map(|run| run.id().to_owned()).collect();
        let present = stored(self.store, DELETED_RUNS, &ids).await?;
        let compared = compare(&present, runs, ticket);
        let saved = write(self.store, DELETED_RUNS, compared, ticket).await?;
        if saved.written < ids.len() as u64 {
            self.raise_tickets(&ids, ticket).await?;
        }
        remove(self.store, RUNS, &ids, ticket).await
    }

    /// Deleted, restored and deleted again leaves the same tombstone: by its old ticket, what a stalled process read in
    /// between would be newer.
    async fn raise_tickets(self, ids: &[String], ticket: Ticket) -> Result<()> {
        let older = doc! { field::ID: { "$in": ids }, "mirror.ticket": { "$lt": ticket.0 } };
        self.update(older, doc! { "$set": { "mirror.ticket": ticket.0 } })
            .await
            .map(drop)
    }

    async fn purge(self, before: DateTime) -> Result<u64> {
        let older =
            doc! { "mirror.changed_at": { "$lt": before }, "mirror.purged": { "$ne": true } };
        let mirror = doc! { "ticket": "$mirror.ticket", "changed_at": "$mirror.changed_at", field::PURGED: true };
        let purged = doc! { "$replaceWith": { field::ID: "$_id", field::MIRROR: mirror } };
        self.update(older, vec![purged]).await
    }

    async fn update(self, which: Document, update: impl Into<UpdateModifications>) -> Result<u64> {
        let deleted_runs = Collections::of(self.store).deleted_runs();
        let update = update.into();
        let update = || async {
            deleted_runs
                .update_many(which.clone(), update.clone())
                .write_concern(majority())
                .await
        };
        let updated = retried(update)
            .await
            .map_err(|error| failed("cannot update deleted runs", error))?;
        Ok(updated.modified_count)
    }
}
