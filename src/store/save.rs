//! Writes runs by ticket: a write applies only over what was read from MLflow earlier.

mod writer;

use std::collections::HashMap;

use bson::raw::RawDocumentBuf;
use bson::{DateTime, doc};
use futures::TryStreamExt;

use super::mongo::{DELETED_RUNS, MongoRunStore, RUNS, Ticket, failed, majority};
use super::retry::retried;
use crate::error::Result;
use crate::run::{Run, field};
use writer::{How, Writer};

/// What came of saving some runs; every run is in exactly one of the counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saved {
    /// Written: new, or different from what was stored.
    pub written: u64,
    /// Left as it was: stored just so, or by somebody who read it from MLflow later.
    pub unchanged: u64,
    /// Stored only in part, because MongoDB refused the whole document; the reason is among the run's problems.
    pub quarantined: u64,
}

/// What is stored of a run, as far as saving looks at it.
struct Stored {
    fingerprint: String,
    ticket: i64,
    quarantined: bool,
}

impl MongoRunStore {
    /// Saves runs that were read from MLflow after this ticket was drawn; repeating it changes nothing.
    ///
    /// A run that was deleted later than that stays deleted; one that was deleted earlier is back.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) when MongoDB does not acknowledge the writes by a majority; some may have been made.
    pub async fn save_runs(&self, runs: Vec<Run>, ticket: Ticket) -> Result<Saved> {
        self.ensure_migrated().await?;
        let ids: Vec<String> = runs.iter().map(|run| run.id().to_owned()).collect();
        let buried = self.buried(&ids).await?;
        let is_later = |id: &str| buried.get(id).is_some_and(|buried| *buried > ticket.0);
        let (dead, live): (Vec<Run>, Vec<Run>) =
            runs.into_iter().partition(|run| is_later(run.id()));
        let mut saved = self.save_into(RUNS, live, ticket).await?;
        saved.unchanged += dead.len() as u64;
        if buried.len() > dead.len() {
            self.remove(DELETED_RUNS, &ids, ticket).await?;
        }
        if saved.written > 0 {
            // Deleted by another process between the first look and the write.
            for (id, later) in self.buried(&ids).await? {
                self.remove(RUNS, &[id], Ticket(later)).await?;
            }
        }
        Ok(saved)
    }

    /// Moves runs that MLflow shows as deleted out of `runs`, and tells how many were there.
    ///
    /// They are kept in `deleted_runs`, where they also hold back what a stalled process still writes.
    ///
    /// # Errors
    /// As [`save_runs`](Self::save_runs).
    pub(crate) async fn bury_runs(&self, runs: Vec<Run>, ticket: Ticket) -> Result<u64> {
        let ids: Vec<String> = runs.iter().map(|run| run.id().to_owned()).collect();
        self.save_into(DELETED_RUNS, runs, ticket).await?;
        self.remove(RUNS, &ids, ticket).await
    }

    /// Removes for good the runs that were deleted before this date, and tells how many.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) when MongoDB does not acknowledge it; as [`migrate`](Self::migrate) before.
    pub async fn purge_deleted(&self, before: DateTime) -> Result<u64> {
        self.ensure_migrated().await?;
        let deleted_runs = self.database().collection::<RawDocumentBuf>(DELETED_RUNS);
        let older = doc! { "mirror.changed_at": { "$lt": before } };
        let purge = || async {
            deleted_runs
                .delete_many(older.clone())
                .write_concern(majority())
                .await
        };
        let purged = retried(purge)
            .await
            .map_err(|error| failed("cannot purge deleted runs", error))?;
        Ok(purged.deleted_count)
    }

    /// Removes what was read from MLflow no later than this ticket was drawn.
    async fn remove(&self, collection: &str, ids: &[String], ticket: Ticket) -> Result<u64> {
        let from = self.database().collection::<RawDocumentBuf>(collection);
        let older =
            doc! { field::ID: { "$in": ids }, "mirror.ticket": { "$not": { "$gt": ticket.0 } } };
        let remove = || async {
            from.delete_many(older.clone())
                .write_concern(majority())
                .await
        };
        let removed = retried(remove)
            .await
            .map_err(|error| failed(format!("cannot remove runs from {collection}"), error))?;
        Ok(removed.deleted_count)
    }

    /// The tickets by which these runs were deleted, of those that were.
    async fn buried(&self, ids: &[String]) -> Result<HashMap<String, i64>> {
        let stored = self.stored(DELETED_RUNS, ids).await?;
        Ok(stored
            .into_iter()
            .map(|(id, stored)| (id, stored.ticket))
            .collect())
    }

    async fn save_into(&self, into: &'static str, runs: Vec<Run>, ticket: Ticket) -> Result<Saved> {
        let mut saved = Saved::default();
        let ids: Vec<String> = runs.iter().map(|run| run.id().to_owned()).collect();
        let stored = self.stored(into, &ids).await?;
        let (mut fresh, mut changed) = (Vec::new(), Vec::new());
        for run in runs {
            match stored.get(run.id()) {
                None => fresh.push(run),
                Some(stored)
                    if stored.ticket < ticket.0 && stored.fingerprint != run.fingerprint() =>
                {
                    changed.push(run)
                }
                Some(stored) if stored.quarantined => saved.quarantined += 1,
                Some(_) => saved.unchanged += 1,
            }
        }
        let mut writer = Writer {
            store: self,
            into,
            ticket,
            saved,
        };
        changed.extend(writer.write(How::Insert, fresh).await?);
        let superseded = writer.write(How::Replace, changed).await?;
        writer.saved.unchanged += superseded.len() as u64;
        Ok(writer.saved)
    }

    async fn stored(&self, collection: &str, ids: &[String]) -> Result<HashMap<String, Stored>> {
        let collection = self.database().collection::<RawDocumentBuf>(collection);
        let fields = doc! { "mirror.fingerprint": 1, "mirror.ticket": 1, "mirror.quarantined": 1 };
        let find = || async {
            let find = collection
                .find(doc! { field::ID: { "$in": ids } })
                .projection(fields.clone());
            find.await?.try_collect::<Vec<_>>().await
        };
        let found = retried(find)
            .await
            .map_err(|error| failed("cannot compare runs with what is stored", error))?;
        let mirrors = found.iter().filter_map(|document| {
            let mirror = document.get_document(field::MIRROR).ok()?;
            let stored = Stored {
                fingerprint: mirror
                    .get_str(field::FINGERPRINT)
                    .unwrap_or_default()
                    .to_owned(),
                ticket: mirror.get_i64(field::TICKET).unwrap_or_default(),
                quarantined: mirror.get_bool(field::QUARANTINED).unwrap_or_default(),
            };
            Some((document.get_str(field::ID).ok()?.to_owned(), stored))
        });
        Ok(mirrors.collect())
    }
}
