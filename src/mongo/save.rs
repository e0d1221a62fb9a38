//! [`RunSaver`]: writes runs by ticket; a write applies only over what was read from MLflow earlier.

mod carried;
mod stored;
mod writer;

use std::time::Duration;

use futures::stream::{self, StreamExt};

use super::MongoRunStore;
use super::collections::{DELETED_RUNS, RUNS};
use super::migrate::Migrator;
use super::projection::Projection;
use super::ticket::Ticket;
use crate::error::{Error, Result};
use crate::run::Run;
use stored::Compared;
pub(super) use stored::{compare, remove, stored};
pub(super) use writer::write;

/// How long the writes of a process that ends are awaited and looked at again; whoever stops it waits for that.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// How many parts of a save are made at once: MongoDB does the work of each on a core of its own.
const PARTS: usize = 2;
/// Fewer runs are not worth a connection of their own.
const MIN_PART: usize = 100;

/// What came of saving some runs; every run is in exactly one of the counts.
#[cfg_attr(not(feature = "unstable"), allow(unreachable_pub))]
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

/// Saves runs that were read from MLflow after one ticket was drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunSaver<'a> {
    store: &'a MongoRunStore,
    ticket: Ticket,
}

impl<'a> RunSaver<'a> {
    pub(crate) fn of(store: &'a MongoRunStore, ticket: Ticket) -> Self {
        Self { store, ticket }
    }

    /// Saves the runs; repeating it changes nothing.
    ///
    /// A run that was deleted after the ticket was drawn stays deleted; one that was deleted earlier is back.
    ///
    /// # Errors
    /// [`Error::Mongo`] when MongoDB does not acknowledge the writes by a majority; some may have been made.
    pub(crate) async fn save(self, runs: Vec<Run>) -> Result<Saved> {
        Migrator::of(self.store).ensure_applied().await?;
        let size = runs.len().div_ceil(PARTS).max(MIN_PART);
        let parts = stream::iter(runs).chunks(size);
        let saves = parts.map(|part| self.save_part(part));
        // Each comes to its end, also where another one fails.
        let saved: Vec<Result<Saved>> = saves.buffer_unordered(PARTS).collect().await;
        saved
            .into_iter()
            .try_fold(Saved::default(), |all, part| Ok(all.and(part?)))
    }

    async fn save_part(self, runs: Vec<Run>) -> Result<Saved> {
        let Self { store, ticket } = self;
        let ids: Vec<String> = runs.iter().map(|run| run.id().to_owned()).collect();
        let (deleted, mirrored) =
            tokio::try_join!(stored(store, DELETED_RUNS, &ids), stored(store, RUNS, &ids))?;
        let is_deleted_later = |id: &str| {
            deleted
                .get(id)
                .is_some_and(|tombstone| tombstone.ticket > ticket.0)
        };
        let (dead, live): (Vec<Run>, Vec<Run>) =
            runs.into_iter().partition(|run| is_deleted_later(run.id()));
        let mut saved = self.write_live(compare(&mirrored, live, ticket)).await?;
        saved.unchanged += dead.len() as u64;
        if deleted.len() > dead.len() {
            remove(store, DELETED_RUNS, &ids, ticket).await?;
        }
        // All of them: a process that was killed may have left a run unprojected.
        Projection::of(store).project(&ids).await?;
        Ok(saved)
    }

    /// Writes into `runs`, and removes again what another process deleted between the first look and the write.
    ///
    /// Every attempt is followed by that second look, however it ended: a write whose answer was lost may have been made.
    async fn write_live(self, compared: Compared) -> Result<Saved> {
        let attempted = compared.ids();
        if attempted.is_empty() {
            return Ok(compared.saved);
        }
        let Self { store, ticket } = self;
        let owned = store.clone();
        // A task of its own: a sync that lost its lease drops its work, but MongoDB still makes the write that it has received.
        let writing = store.writes.spawn(async move {
            let saved = write(&owned, RUNS, compared, ticket).await;
            let looked = remove_deleted(&owned, &attempted);
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
}

/// Waits until writes that were under way when their sync was dropped are made, and looked at again.
pub(crate) async fn writes_ended(store: &MongoRunStore) {
    let _ = tokio::time::timeout(LAST_LOOK, store.writes.wait()).await;
}

/// Removes from `runs` those of these runs that have a tombstone.
async fn remove_deleted(store: &MongoRunStore, ids: &[String]) -> Result<()> {
    for (id, tombstone) in stored(store, DELETED_RUNS, ids).await? {
        remove(store, RUNS, &[id], Ticket(tombstone.ticket)).await?;
    }
    Ok(())
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
