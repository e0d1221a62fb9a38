//! [`PageMirror`]: mirrors the pages of a scan; each is fetched while the one before it is saved.

use std::collections::HashMap;

use futures::future::BoxFuture;

use super::save::Saver;
use super::seen::Seen;
use crate::error::Result;
use crate::mlflow::scan::Scan;
use crate::mlflow::wire::{RawExperiment, RawRun};
use crate::mlflow::{PagePermit, document};
use crate::mongo::ticket::Ticket;
use crate::run::Run;

/// Experiment id → name.
pub(super) type Names = HashMap<String, String>;

/// Is told from where a later scan may go on. Boxed: the future of an `AsyncFn` cannot be said to be `Send`.
pub(super) type Reached<'a> = dyn Fn(i64) -> BoxFuture<'a, Result<()>> + Send + Sync + 'a;

/// Saves the runs of experiments with these names, each once.
pub(super) struct PageMirror<'a> {
    pub(super) saver: Saver<'a>,
    pub(super) names: &'a Names,
    pub(super) seen: &'a Seen,
}

/// A page, mapped, with the ticket drawn before it was asked for and the place where the next one begins.
struct Page {
    ticket: Ticket,
    active: Vec<Run>,
    deleted: Vec<Run>,
    next: Option<i64>,
    permit: PagePermit,
}

impl PageMirror<'_> {
    /// Saves every run that the scan shows; `reached` is told from where a later scan may go on, once all before it is
    /// acknowledged.
    pub(super) async fn mirror(&self, scan: &mut Scan, reached: &Reached<'_>) -> Result<()> {
        let mut fetched = None;
        loop {
            let save = self.save(fetched, reached);
            let (page, saved) = futures::join!(self.fetch(scan), save);
            // What was fetched is saved and counted before an error of the next page ends the scan.
            saved?;
            fetched = page?;
            if fetched.is_none() {
                return Ok(());
            }
        }
    }

    async fn fetch(&self, scan: &mut Scan) -> Result<Option<Page>> {
        // Drawn before the request: whatever is read from MLflow after it is at least as new.
        let ticket = Ticket::draw(self.saver.store).await?;
        let Some((mut runs, permit)) = scan.next_page_with_permit().await? else {
            return Ok(None);
        };
        // The searches of a quick pass overlap.
        runs.retain(|run| !self.seen.contains(&run.info.run_id));
        let (deleted, active): (Vec<RawRun>, Vec<RawRun>) =
            runs.into_iter().partition(RawRun::is_deleted);
        Ok(Some(Page {
            ticket,
            active: self.map(active)?,
            deleted: self.map(deleted)?,
            next: scan.position(),
            permit,
        }))
    }

    fn map(&self, runs: Vec<RawRun>) -> Result<Vec<Run>> {
        let map = |run: RawRun| {
            self.seen.insert(&run.info.run_id);
            let name = self.names.get(&run.info.experiment_id);
            document::map(&run, name.map_or("", String::as_str))
        };
        runs.into_iter().map(map).collect()
    }

    async fn save(&self, page: Option<Page>, reached: &Reached<'_>) -> Result<()> {
        let Some(page) = page else {
            return Ok(());
        };
        self.saver.save(page.active, page.ticket).await?;
        self.saver.tombstone(page.deleted, page.ticket).await?;
        // Given back before MLflow is asked again: its answer may have to wait for a permit.
        drop(page.permit);
        match page.next {
            Some(next) => reached(next).await,
            None => Ok(()),
        }
    }
}

pub(super) fn names(experiments: &[RawExperiment]) -> Names {
    let name =
        |experiment: &RawExperiment| (experiment.experiment_id.clone(), experiment.name.clone());
    experiments.iter().map(name).collect()
}
