//! [`PageMirror`]: mirrors the pages of a scan. It fetches a page while it saves the one before.

use futures::future::BoxFuture;

use super::model_inputs::ModelInputs;
use super::names::Names;
use super::save::Saver;
use super::seen::Seen;
use crate::error::Result;
use crate::mlflow::scan::Scan;
use crate::mlflow::wire::RawRun;
use crate::mlflow::{PagePermit, document};
use crate::mongo::ticket::Ticket;
use crate::run::Run;

/// Called with the start time from which a later scan may resume.
///
/// The future is boxed, because an `AsyncFn` cannot declare that its future is `Send`.
pub(super) type Reached<'a> = dyn Fn(i64) -> BoxFuture<'a, Result<()>> + Send + Sync + 'a;

/// Saves the runs of the experiments in `names`, each once.
pub(super) struct PageMirror<'a> {
    pub(super) saver: Saver<'a>,
    pub(super) names: &'a Names,
    pub(super) seen: &'a Seen,
    /// Set if each new or changed run is asked for by itself.
    pub(super) model_inputs: Option<ModelInputs<'a>>,
}

/// A mapped page, the ticket that was drawn before its request, and the start time of the next page.
struct Page {
    ticket: Ticket,
    active: Vec<Run>,
    deleted: Vec<Run>,
    next: Option<i64>,
    permit: PagePermit,
}

impl PageMirror<'_> {
    /// Saves every run that the scan shows. Calls `reached` with the start time from which a later scan may resume, once MongoDB
    /// has acknowledged all runs before it.
    pub(super) async fn mirror(&self, scan: &mut Scan, reached: &Reached<'_>) -> Result<()> {
        let mut fetched = None;
        loop {
            let save = self.save(fetched, reached);
            let (page, saved) = futures::join!(self.fetch(scan), save);
            // The page before is saved and counted even when the next one fails.
            saved?;
            fetched = page?;
            if fetched.is_none() {
                return Ok(());
            }
        }
    }

    async fn fetch(&self, scan: &mut Scan) -> Result<Option<Page>> {
        // Drawn before the request, so that the page is at least as new as the ticket.
        let ticket = Ticket::draw(self.saver.store).await?;
        let Some((mut runs, permit)) = scan.next_page_with_permit().await? else {
            return Ok(None);
        };
        // The searches of a quick pass overlap, and each run is saved once.
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
        let active = match self.model_inputs {
            Some(model_inputs) => model_inputs.add(page.active, page.ticket).await?,
            None => page.active,
        };
        self.saver.save(active, page.ticket).await?;
        self.saver.tombstone(page.deleted, page.ticket).await?;
        // Dropped before `reached` sends requests to MLflow, since their answers may wait for a permit.
        drop(page.permit);
        match page.next {
            Some(next) => reached(next).await,
            None => Ok(()),
        }
    }
}
