//! Mirrors the pages of a scan: each is fetched while the one before it is saved.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use sha2::{Digest, Sha256};

use super::{Sync, Totals};
use crate::error::Result;
use crate::mlflow::scan::Scan;
use crate::mlflow::wire::{RawExperiment, RawRun};
use crate::mlflow::{Room, document};
use crate::mongo::Ticket;
use crate::run::Run;

/// Experiment id → name.
pub(super) type Names = HashMap<String, String>;

/// Is told from where a later scan may go on. Boxed: the future of an `AsyncFn` cannot be said to be `Send`.
pub(super) type Reached<'a> =
    dyn Fn(i64) -> BoxFuture<'a, Result<()>> + Send + std::marker::Sync + 'a;

/// Which runs a scan has shown: 16 bytes each, so that a pass over a million runs stays small.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashSet<u128>>);

/// A page, mapped, with the ticket drawn before it was asked for and the place where the next one begins.
struct Page {
    ticket: Ticket,
    active: Vec<Run>,
    deleted: Vec<Run>,
    next: Option<i64>,
    room: Room,
}

impl Sync {
    /// Saves every run that the scan shows; `reached` is told from where a later scan may go on, once all before it is
    /// acknowledged.
    pub(super) async fn mirror(
        &self,
        scan: &mut Scan,
        names: &Names,
        seen: &Seen,
        totals: &Totals<'_>,
        reached: &Reached<'_>,
    ) -> Result<()> {
        let mut fetched = None;
        loop {
            let save = self.save(fetched, totals, reached);
            let (page, saved) = futures::join!(self.fetch(scan, names, seen), save);
            // What was fetched is saved and counted before an error of the next page ends the scan.
            saved?;
            fetched = page?;
            if fetched.is_none() {
                return Ok(());
            }
        }
    }

    async fn fetch(&self, scan: &mut Scan, names: &Names, seen: &Seen) -> Result<Option<Page>> {
        // Drawn before the request: whatever is read from MLflow after it is at least as new.
        let ticket = self.store.draw_ticket().await?;
        let Some((mut runs, room)) = scan.next_page_in_room().await? else {
            return Ok(None);
        };
        // The searches of a quick pass overlap.
        runs.retain(|run| !seen.contains(&run.info.run_id));
        let (deleted, active): (Vec<RawRun>, Vec<RawRun>) =
            runs.into_iter().partition(RawRun::is_deleted);
        let map = |runs: Vec<RawRun>| -> Result<Vec<Run>> {
            runs.into_iter()
                .map(|run| {
                    seen.insert(&run.info.run_id);
                    let name = names.get(&run.info.experiment_id);
                    document::map(&run, name.map_or("", String::as_str))
                })
                .collect()
        };
        Ok(Some(Page {
            ticket,
            active: map(active)?,
            deleted: map(deleted)?,
            next: scan.position(),
            room,
        }))
    }

    async fn save(
        &self,
        page: Option<Page>,
        totals: &Totals<'_>,
        reached: &Reached<'_>,
    ) -> Result<()> {
        let Some(page) = page else {
            return Ok(());
        };
        self.save_counted(page.active, page.ticket, totals).await?;
        self.bury_counted(page.deleted, page.ticket, totals).await?;
        // Made before MLflow is asked again: what it answers may have to wait for room.
        drop(page.room);
        match page.next {
            Some(next) => reached(next).await,
            None => Ok(()),
        }
    }

    pub(super) async fn save_counted(
        &self,
        runs: Vec<Run>,
        ticket: Ticket,
        totals: &Totals<'_>,
    ) -> Result<()> {
        let count = runs.len() as u64;
        let saved = self.store.save_runs(runs, ticket).await?;
        totals.add(|report| {
            report.seen += count;
            report.written += saved.written;
            report.unchanged += saved.unchanged;
            report.quarantined += saved.quarantined;
        });
        Ok(())
    }

    pub(super) async fn bury_counted(
        &self,
        runs: Vec<Run>,
        ticket: Ticket,
        totals: &Totals<'_>,
    ) -> Result<()> {
        if runs.is_empty() {
            return Ok(());
        }
        let buried = self.store.bury_runs(runs, ticket).await?;
        totals.add(|report| report.deleted += buried);
        Ok(())
    }
}

pub(super) fn names(experiments: &[RawExperiment]) -> Names {
    let name =
        |experiment: &RawExperiment| (experiment.experiment_id.clone(), experiment.name.clone());
    experiments.iter().map(name).collect()
}

impl Seen {
    pub(super) fn insert(&self, id: &str) {
        self.ids().insert(short(id));
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.ids().contains(&short(id))
    }

    /// Forgets a run, and tells whether it was among them.
    pub(super) fn remove(&self, id: &str) -> bool {
        self.ids().remove(&short(id))
    }

    fn ids(&self) -> MutexGuard<'_, HashSet<u128>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An id of MLflow's own is 32 hexadecimal digits; any other is hashed.
fn short(id: &str) -> u128 {
    let own = (id.len() == 32)
        .then(|| u128::from_str_radix(id, 16).ok())
        .flatten();
    own.unwrap_or_else(|| {
        let hash = Sha256::digest(id);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        u128::from_le_bytes(bytes)
    })
}
