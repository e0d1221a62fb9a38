//! [`Tombstones`]: runs that are deleted in MLflow, kept in `deleted_runs`.

use bson::{DateTime, Document, doc};
use mongodb::options::UpdateModifications;

use super::collections::{Collections, DELETED_RUNS, RUNS};
use super::failure::failed;
use super::migrate::Migrator;
use super::retry::retried;
use super::save::{compare, read_stored, remove, write};
use super::ticket::Ticket;
use super::{MongoRunStore, majority};
use crate::error::Result;
use crate::run::{Run, field};

impl MongoRunStore {
    /// Removes everything but the ids of runs that were deleted before this date, and returns how many runs it purged.
    ///
    /// The ids and tickets stay: a stalled process may write what it read before the deletion at any later time, and only the
    /// tombstone's ticket prevents that. The run stays purged until it is restored in MLflow.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) if MongoDB does not acknowledge the update; those of [`migrate`](Self::migrate).
    pub async fn purge_deleted(&self, before: DateTime) -> Result<u64> {
        Migrator::of(self).ensure_applied().await?;
        Tombstones::of(self).purge(before).await
    }
}

/// The tombstones of one mirror.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tombstones<'a> {
    store: &'a MongoRunStore,
}

impl<'a> Tombstones<'a> {
    pub(crate) fn of(store: &'a MongoRunStore) -> Self {
        Self { store }
    }

    /// Moves runs that are deleted in MLflow from `runs` to their tombstones, and returns how many were in `runs`.
    ///
    /// A tombstone also prevents late writes of a stalled process.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) if no majority acknowledges the writes; MongoDB may have made some of them.
    pub(crate) async fn put(self, runs: Vec<Run>, ticket: Ticket) -> Result<u64> {
        let ids: Vec<String> = runs.iter().map(|run| run.id().to_owned()).collect();
        let stored = read_stored(self.store, DELETED_RUNS, &ids).await?;
        let changes = compare(&stored, runs, ticket);
        let saved = write(self.store, DELETED_RUNS, changes, ticket).await?;
        if saved.written < ids.len() as u64 {
            self.raise_tickets(&ids, ticket).await?;
        }
        remove(self.store, RUNS, &ids, ticket).await
    }

    /// Raises the tickets of unchanged tombstones. A run that was deleted, restored and deleted again has the same tombstone;
    /// with its old ticket, a stalled process could write what it read before the second deletion.
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

    async fn update(self, filter: Document, update: impl Into<UpdateModifications>) -> Result<u64> {
        let deleted_runs = Collections::of(self.store).deleted_runs();
        let update = update.into();
        let update = || async {
            deleted_runs
                .update_many(filter.clone(), update.clone())
                .write_concern(majority())
                .await
        };
        let updated = retried(update)
            .await
            .map_err(|error| failed("cannot update deleted runs", error))?;
        Ok(updated.modified_count)
    }
}
