//! [`Scan`]: pages through runs and misses none, whatever changes between two pages.
//!
//! MLflow's page token is an offset, so a run that is created or deleted before it shifts all runs behind it. A scan therefore
//! asks for runs oldest first, deleted runs included, and starts each page at the start time of the last run it saw. It uses
//! a token only inside a group of runs with one start time that fills a page.

use std::collections::HashSet;

use super::connection::Memory;
use super::page_size::PageSize;
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
    place: Place,
    /// The runs with the last start time seen. The next page begins with them again.
    boundary: HashSet<String>,
}

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Start,
    From(i64),
    Group {
        start_time: i64,
        token: Option<String>,
    },
    End,
}

impl Scan {
    pub(crate) fn new(client: MlflowClient, experiments: Vec<String>) -> Self {
        Self {
            client,
            experiments,
            filter: None,
            page_size: PageSize::new(PAGE),
            place: Place::Start,
            boundary: HashSet::new(),
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
            place: Place::From(start_time),
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
        match self.place {
            Place::From(start_time) | Place::Group { start_time, .. } => Some(start_time),
            Place::Start | Place::End => None,
        }
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
        while self.place != Place::End {
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
        let (place, token) = match &self.place {
            Place::Start | Place::End => (None, None),
            Place::From(start_time) => {
                (Some(format!("attributes.start_time >= {start_time}")), None)
            }
            Place::Group { start_time, token } => (
                Some(format!("attributes.start_time = {start_time}")),
                token.as_deref(),
            ),
        };
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
        let contradicts = |what| {
            let connection = &self.client.connection;
            Err(connection.protocol_error("runs/search", what))
        };
        let next = page.next_page_token.filter(|token| !token.is_empty());
        let start_times = || page.runs.iter().map(|run| run.info.start_time);
        // MLflow lists runs without a start time last.
        if !start_times()
            .map(|start_time| start_time.unwrap_or(i64::MAX))
            .is_sorted()
        {
            return contradicts("runs that are not in the requested order");
        }
        // With a server that ignores the filter, the scan would never end.
        let is_asked_for = |start_time: Option<i64>| match self.place {
            Place::From(from) => start_time.is_some_and(|start_time| start_time >= from),
            Place::Group { start_time: of, .. } => start_time == Some(of),
            Place::Start | Place::End => true,
        };
        if !start_times().all(is_asked_for) {
            return contradicts("runs with other start times than the requested ones");
        }
        let (first, last) = (
            start_times().next().flatten(),
            start_times().next_back().flatten(),
        );
        let place = match (&self.place, next) {
            (Place::Group { start_time, .. }, None) => {
                start_time.checked_add(1).map_or(Place::End, Place::From)
            }
            (_, None) => Place::End,
            (Place::Group { token, .. }, next) if *token == next => {
                return contradicts("the same page token twice");
            }
            (Place::Group { start_time, .. }, token) => Place::Group {
                start_time: *start_time,
                token,
            },
            (_, Some(_)) => match (first, last) {
                (Some(first), Some(last)) if first < last => Place::From(last),
                (Some(start_time), Some(_)) => Place::Group {
                    start_time,
                    token: None,
                },
                _ => {
                    return contradicts(
                        "a page that is not the last one, with no start time to continue from",
                    );
                }
            },
        };
        let seen = std::mem::take(&mut self.boundary);
        let at_last = page.runs.iter().filter(|run| run.info.start_time == last);
        self.boundary = at_last.map(|run| run.info.run_id.clone()).collect();
        let fresh = page
            .runs
            .into_iter()
            .filter(|run| !seen.contains(&run.info.run_id))
            .collect();
        if matches!(place, Place::Group { .. }) {
            self.boundary.extend(seen);
        }
        self.place = place;
        Ok(fresh)
    }
}
