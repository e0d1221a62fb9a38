//! [`RunSaver`]: writes runs by ticket. A write never overwrites a run that was read from MLflow later.

mod carried;
mod stored;
mod writer;

use std::collections::HashSet;
use std::time::Duration;

use futures::stream::{self, StreamExt};

use super::MongoRunStore;
use super::collections::{DELETED_RUNS, RUNS};
use super::migrate::Migrator;
use super::projection::Projection;
use super::ticket::Ticket;
use crate::error::{Error, Result};
use crate::run::Run;
use stored::Changes;
pub(super) use stored::{compare, read_stored, remove};
pub(super) use writer::write;

/// How long a process that ends waits for its writes and for the check of tombstones after them.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// How many chunks of runs are saved concurrently. MongoDB executes each on a core of its own.
const CONCURRENT_CHUNKS: usize = 2;
/// A smaller chunk is not worth a connection of its own.
const MIN_CHUNK: usize = 100;

/// How many runs a save wrote, left unchanged or put into quarantine; every run is in exactly one of the counts.
#[cfg_attr(not(feature = "unstable"), allow(unreachable_pub))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saved {
    /// New runs, and runs that differ from the stored ones.
    pub written: u64,
    /// Runs that are stored already, in the same state or in one that was read from MLflow later.
    pub unchanged: u64,
    /// Runs stored only in part, because MongoDB refused the whole document. The run's problems name the reason.
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

    /// Saves the runs. Saving them again changes nothing.
    ///
    /// A run that was deleted after the ticket was drawn stays deleted. One that was deleted earlier is restored.
    ///
    /// # Errors
    /// [`Error::Mongo`] if no majority acknowledges the writes; MongoDB may have made some of them.
    pub(crate) async fn save(self, runs: Vec<Run>) -> Result<Saved> {
        Migrator::of(self.store).ensure_applied().await?;
        let size = runs.len().div_ceil(CONCURRENT_CHUNKS).max(MIN_CHUNK);
        let chunks = stream::iter(runs).chunks(size);
        let saves = chunks.map(|chunk| self.save_chunk(chunk));
        // Each chunk is saved to its end, even if another one fails.
        let saved: Vec<Result<Saved>> = saves.buffer_unordered(CONCURRENT_CHUNKS).collect().await;
        saved
            .into_iter()
            .try_fold(Saved::default(), |all, chunk| Ok(all.and(chunk?)))
    }

    /// The ids of those runs that [`save`](Self::save) would write.
    pub(crate) async fn new_or_changed(self, runs: &[Run]) -> Result<HashSet<String>> {
        let ids: Vec<String> = runs.iter().map(|run| run.id().to_owned()).collect();
        let mirrored = read_stored(self.store, RUNS, &ids).await?;
        let changes = compare(&mirrored, runs.to_vec(), self.ticket);
        Ok(changes.ids().into_iter().collect())
    }

    async fn save_chunk(self, runs: Vec<Run>) -> Result<Saved> {
        let Self { store, ticket } = self;
        let ids: Vec<String> = runs.iter().map(|run| run.id().to_owned()).collect();
        let (tombstones, mirrored) = tokio::try_join!(
            read_stored(store, DELETED_RUNS, &ids),
            read_stored(store, RUNS, &ids)
        )?;
        let is_deleted_later = |id: &str| {
            tombstones
                .get(id)
                .is_some_and(|tombstone| tombstone.ticket > ticket.0)
        };
        let (deleted, active): (Vec<Run>, Vec<Run>) =
            runs.into_iter().partition(|run| is_deleted_later(run.id()));
        let changes = compare(&mirrored, active, ticket);
        let mut saved = self.write_active(changes).await?;
        saved.unchanged += deleted.len() as u64;
        if tombstones.len() > deleted.len() {
            remove(store, DELETED_RUNS, &ids, ticket).await?;
        }
        // All of them: a process that was killed may have left a run unprojected.
        Projection::of(store).project(&ids).await?;
        Ok(saved)
    }

    /// Writes into `runs`, then removes the runs that another process deleted between the comparison and the write.
    ///
    /// Tombstones are checked after a failed write too: MongoDB may have made the write and only its reply was lost.
    async fn write_active(self, changes: Changes) -> Result<Saved> {
        let attempted = changes.ids();
        if attempted.is_empty() {
            return Ok(changes.saved);
        }
        let Self { store, ticket } = self;
        let owned = store.clone();
        // A task of its own: a sync that lost its lease drops its work, but MongoDB still makes the writes it has received.
        let writing = store.writes.spawn(async move {
            let saved = write(&owned, RUNS, changes, ticket).await;
            let removal = remove_deleted(&owned, &attempted);
            match saved {
                Ok(saved) => removal.await.map(|()| saved),
                Err(error) => {
                    // The write has already waited for MongoDB. The next full pass checks the tombstones again.
                    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, removal).await;
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

/// Waits until the writes of a dropped sync, and the checks of tombstones after them, have ended.
pub(crate) async fn wait_for_writes(store: &MongoRunStore) {
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, store.writes.wait()).await;
}

/// Removes those of these runs from `runs` that have a tombstone.
async fn remove_deleted(store: &MongoRunStore, ids: &[String]) -> Result<()> {
    for (id, tombstone) in read_stored(store, DELETED_RUNS, ids).await? {
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
