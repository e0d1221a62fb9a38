//! [`Scan`]: pages through runs and misses none, whatever changes between two pages.
//!
//! Deleted runs are included: a run that is deleted between two pages stays in its place.

use super::connection::Memory;
use super::page_size::PageSize;
use super::time_pages::{TimePages, Timed};
use super::wire::{RawRun, RunsPage, SearchRuns};
use super::{MlflowClient, PagePermit};
use crate::error::Result;

const PAGE: u32 = 1_000;

/// A scan of experiments, page by page. It can resume at a start time.
#[derive(Debug)]
pub(crate) struct Scan {
    client: MlflowClient,
    experiments: Vec<String>,
    /// An MLflow filter that the runs must match.
    filter: Option<String>,
    page_size: PageSize,
    pages: TimePages,
}

impl Timed for RawRun {
    fn id(&self) -> &str {
        &self.info.run_id
    }

    fn time(&self) -> Option<i64> {
        self.info.start_time
    }
}

impl Scan {
    pub(crate) fn new(client: MlflowClient, experiments: Vec<String>) -> Self {
        Self {
            client,
            experiments,
            filter: None,
            page_size: PageSize::new(PAGE),
            pages: TimePages::from_start(),
        }
    }

    /// Scans only the runs that match this MLflow filter.
    #[must_use]
    pub(crate) fn filter(self, filter: String) -> Self {
        Self {
            filter: Some(filter),
            ..self
        }
    }

    /// Starts with the runs of this start time.
    #[must_use]
    pub(crate) fn resume_at(self, start_time: i64) -> Self {
        Self {
            pages: TimePages::from_time(start_time),
            ..self
        }
    }

    #[must_use]
    pub(crate) fn page_size(self, page_size: u32) -> Self {
        Self {
            page_size: PageSize::new(page_size),
            ..self
        }
    }

    /// The start time at which a later scan can resume without missing a run.
    pub(crate) fn position(&self) -> Option<i64> {
        self.pages.position()
    }

    /// The next runs, deleted ones too, each once. `None` after the last page.
    pub(crate) async fn next_page(&mut self) -> Result<Option<Vec<RawRun>>> {
        let page = self.next_page_with_permit().await?;
        Ok(page.map(|(runs, _)| runs))
    }

    /// Like `next_page`, with a permit that keeps further pages waiting while memory for pages is full.
    pub(crate) async fn next_page_with_permit(
        &mut self,
    ) -> Result<Option<(Vec<RawRun>, PagePermit)>> {
        while !self.pages.is_at_end() {
            let (page, permit) = self.fetch().await?;
            let fresh = self.advance(page)?;
            if !fresh.is_empty() {
                return Ok(Some((fresh, permit)));
            }
        }
        Ok(None)
    }

    /// Asks for the page that begins at this place.
    async fn fetch(&mut self) -> Result<(RunsPage, PagePermit)> {
        let place = self.pages.filter("attributes.start_time");
        let token = self.pages.token();
        let filters: Vec<String> = self.filter.clone().into_iter().chain(place).collect();
        let filter = (!filters.is_empty()).then(|| filters.join(" AND "));
        let request = |size| SearchRuns {
            experiment_ids: &self.experiments,
            run_view_type: "ALL",
            max_results: size,
            order_by: ["attributes.start_time ASC"],
            filter: filter.as_deref(),
            page_token: token,
        };
        let connection = &self.client.connection;
        connection
            .page("runs/search", Memory::Shared, &mut self.page_size, request)
            .await
    }

    fn advance(&mut self, page: RunsPage) -> Result<Vec<RawRun>> {
        let connection = &self.client.connection;
        let fresh = self.pages.advance(page.runs, page.next_page_token);
        fresh.map_err(|what| connection.protocol_error("runs/search", what))
    }
}
