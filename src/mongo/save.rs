//! Writes runs by ticket: a write applies only over what was read from MLflow earlier.

mod writer;

use std::collections::HashMap;
use std::time::Duration;

use bson::raw::RawDocumentBuf;
use bson::{DateTime, Document, doc};
use futures::stream::{self, StreamExt, TryStreamExt};
use mongodb::options::UpdateModifications;

use super::retry::retried;
use super::{DELETED_RUNS, MongoRunStore, RUNS, Ticket, failed, majority};
use crate::error::{Error, Result};
use crate::run::{Run, field};
use writer::{How, Writer};

/// How long what was written by a process that ends is looked after; whoever stops it waits for that.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// How many parts of a save are made at once: MongoDB does the work of each on a core of its own.
const PARTS: usize = 2;
/// Fewer runs are not worth a connection of their own.
const MIN_PART: usize = 100;

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

impl Saved {
    fn and(self, other: Self) -> Self {
        Self {
            written: self.written + other.written,
            unchanged: self.unchanged + other.unchanged,
            quarantined: self.quarantined + other.quarantined,
        }
    }
}

/// What is stored of a run, as far as saving looks at it.
struct Stored {
    fingerprint: String,
    ticket: i64,
    quarantined: bool,
    purged: bool,
}

/// Runs by what is stored of them.
#[derive(Default)]
struct Compared {
    saved: Saved,
    fresh: Vec<Run>,
    changed: Vec<Run>,
}

impl MongoRunStore {
    /// Saves runs that were read from MLflow after this ticket was drawn; repeating it changes nothing.
    ///
    /// A run that was deleted later than that stays deleted; one that was deleted earlier is back.
    ///
    /// # Errors
    /// [`Error::Mongo`] when MongoDB does not acknowledge the writes by a majority; some may have been made.
    pub async fn save_runs(&self, runs: Vec<Run>, ticket: Ticket) -> Result<Saved> {
        self.ensure_migrated().await?;
        let size = runs.len().div_ceil(PARTS).max(MIN_PART);
        let parts = stream::iter(runs).chunks(size);
        let saves = parts.map(|part| self.save_part(part, ticket));
        // Each comes to its end, also where another one fails.
        let saved: Vec<Result<Saved>> = saves.buffer_unordered(PARTS).collect().await;
        saved
            .into_iter()
            .try_fold(Saved::default(), |all, part| Ok(all.and(part?)))
    }

    async fn save_part(&self, runs: Vec<Run>, ticket: Ticket) -> Result<Saved> {
        let ids: Vec<String> = runs.iter().map(|run| run.id().to_owned()).collect();
        let (buried, stored) =
            tokio::try_join!(self.stored(DELETED_RUNS, &ids), self.stored(RUNS, &ids))?;
        let is_later = |id: &str| buried.get(id).is_some_and(|grave| grave.ticket > ticket.0);
        let (dead, live): (Vec<Run>, Vec<Run>) =
            runs.into_iter().partition(|run| is_later(run.id()));
        let compared = compare(&stored, live, ticket);
        let mut saved = self.write_live(compared, ticket).await?;
        saved.unchanged += dead.len() as u64;
        if buried.len() > dead.len() {
            self.remove(DELETED_RUNS, &ids, ticket).await?;
        }
        Ok(saved)
    }

    /// Writes into `runs`, and takes away again what was deleted by another process between the first look and the write.
    ///
    /// Every attempt is followed by that second look, however it ended: a write whose answer was lost may have been made.
    async fn write_live(&self, compared: Compared, ticket: Ticket) -> Result<Saved> {
        let attempted = compared.fresh.iter().chain(&compared.changed);
        let attempted: Vec<String> = attempted.map(|run| run.id().to_owned()).collect();
        if attempted.is_empty() {
            return Ok(compared.saved);
        }
        let store = self.clone();
        let under_way = self.writes.clone().read_owned().await;
        // A task of its own: a sync that lost its lease drops its work, but MongoDB still makes the write that it has received.
        let writing = tokio::spawn(async move {
            let _under_way = under_way;
            let saved = store.write(RUNS, compared, ticket).await;
            let looked = store.take_away_buried(&attempted);
            match saved {
                Ok(saved) => looked.await.map(|()| saved),
                Err(error) => {
                    // MongoDB may be gone, and has been waited for already; the next full pass looks again.
                    let _ = tokio::time::timeout(LAST_LOOK, looked).await;
                    Err(error)
                }
            }
        });
        writing.await.unwrap_or_else(|ended| {
            Err(Error::Mongo {
                doing: "the write was interrupted".into(),
                source: ended.into(),
            })
        })
    }

    async fn take_away_buried(&self, ids: &[String]) -> Result<()> {
        for (id, grave) in self.stored(DELETED_RUNS, ids).await? {
            self.remove(RUNS, &[id], Ticket(grave.ticket)).await?;
        }
        Ok(())
    }

    /// Waits until writes that were under way when their sync was dropped are made, and looked at again.
    pub(crate) async fn writes_ended(&self) {
        let _ = tokio::time::timeout(LAST_LOOK, self.writes.write()).await;
    }

    /// Moves runs that MLflow shows as deleted out of `runs`, and tells how many were there.
    ///
    /// They are kept in `deleted_runs`, where they also hold back what a stalled process still writes.
    ///
    /// # Errors
    /// As [`save_runs`](Self::save_runs).
    pub(crate) async fn bury_runs(&self, runs: Vec<Run>, ticket: Ticket) -> Result<u64> {
        let ids: Vec<String> = runs.iter().map(|run| run.id().to_owned()).collect();
        let stored = self.stored(DELETED_RUNS, &ids).await?;
        let compared = compare(&stored, runs, ticket);
        let saved = self.write(DELETED_RUNS, compared, ticket).await?;
        if saved.written < ids.len() as u64 {
            self.raise_graves(&ids, ticket).await?;
        }
        self.remove(RUNS, &ids, ticket).await
    }

    /// Deleted, restored and deleted again leaves the same grave: by its old ticket, what a stalled process read in between
    /// would be newer.
    async fn raise_graves(&self, ids: &[String], ticket: Ticket) -> Result<()> {
        let graves = doc! { field::ID: { "$in": ids }, "mirror.ticket": { "$lt": ticket.0 } };
        self.update_graves(graves, doc! { "$set": { "mirror.ticket": ticket.0 } })
            .await
            .map(drop)
    }

    /// Removes all that is known of the runs that were deleted before this date but their ids, and tells how many.
    ///
    /// The ids stay, with the tickets: nothing bounds how late a stalled process writes what it read before, and only a ticket
    /// holds that back. MLflow may show such a run as deleted for ever; it stays purged until it is restored.
    ///
    /// # Errors
    /// [`Error::Mongo`] when MongoDB does not acknowledge it; as [`migrate`](Self::migrate) before.
    pub async fn purge_deleted(&self, before: DateTime) -> Result<u64> {
        self.ensure_migrated().await?;
        let older =
            doc! { "mirror.changed_at": { "$lt": before }, "mirror.purged": { "$ne": true } };
        let mirror = doc! { "ticket": "$mirror.ticket", "changed_at": "$mirror.changed_at", field::PURGED: true };
        let tombstone = doc! { "$replaceWith": { field::ID: "$_id", field::MIRROR: mirror } };
        self.update_graves(older, vec![tombstone]).await
    }

    async fn update_graves(
        &self,
        graves: Document,
        update: impl Into<UpdateModifications>,
    ) -> Result<u64> {
        let deleted_runs = self.database().collection::<RawDocumentBuf>(DELETED_RUNS);
        let update = update.into();
        let update = || async {
            deleted_runs
                .update_many(graves.clone(), update.clone())
                .write_concern(majority())
                .await
        };
        let updated = retried(update)
            .await
            .map_err(|error| failed("cannot update deleted runs", error))?;
        Ok(updated.modified_count)
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

    async fn write(&self, into: &'static str, compared: Compared, ticket: Ticket) -> Result<Saved> {
        let Compared {
            saved,
            fresh,
            mut changed,
        } = compared;
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
        let store = self.at_primary();
        let collection = store.database().collection::<RawDocumentBuf>(collection);
        let fields = doc! { "mirror.fingerprint": 1, "mirror.ticket": 1, "mirror.quarantined": 1, "mirror.purged": 1 };
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
                purged: mirror.get_bool(field::PURGED).unwrap_or_default(),
            };
            Some((document.get_str(field::ID).ok()?.to_owned(), stored))
        });
        Ok(mirrors.collect())
    }
}

fn compare(stored: &HashMap<String, Stored>, runs: Vec<Run>, ticket: Ticket) -> Compared {
    let mut compared = Compared::default();
    for run in runs {
        match stored.get(run.id()) {
            None => compared.fresh.push(run),
            Some(stored)
                if stored.ticket < ticket.0
                    && stored.fingerprint != run.fingerprint()
                    && !stored.purged =>
            {
                compared.changed.push(run)
            }
            Some(stored) if stored.quarantined => compared.saved.quarantined += 1,
            // Its ticket stays: a run that was edited and edited back since may be overwritten by a read of in between,
            // until the next full pass. To raise tickets here would write every run in every pass.
            Some(_) => compared.saved.unchanged += 1,
        }
    }
    compared
}
