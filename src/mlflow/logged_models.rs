//! Reads logged models, which MLflow has since 3.0.

use serde_json::json;

use super::connection::Memory;
use super::page_size::PageSize;
use super::time_pages::{TimePages, Timed};
use super::wire_registry::{LoggedModelAnswer, LoggedModelsPage, RawLoggedModel};
use super::{MlflowClient, PagePermit};
use crate::error::{Error, Result};

const PAGE: u32 = 1_000;
const SEARCH: &str = "logged-models/search";

/// A scan of the logged models of some experiments, oldest first, page by page.
#[derive(Debug)]
pub(crate) struct LoggedModelScan {
    client: MlflowClient,
    experiments: Vec<String>,
    filter: Option<String>,
    page_size: PageSize,
    pages: TimePages,
}

impl Timed for RawLoggedModel {
    fn id(&self) -> &str {
        &self.info.model_id
    }

    fn time(&self) -> Option<i64> {
        Some(self.info.creation_timestamp_ms.unwrap_or_default())
    }
}

impl MlflowClient {
    /// One logged model. `allow_deleted` shows one that was deleted too; an older MLflow 3 does not know that word.
    pub(crate) async fn raw_logged_model(
        &self,
        id: &str,
        allow_deleted: bool,
    ) -> Result<RawLoggedModel> {
        let query = [("allow_deleted", "true")];
        let query = if allow_deleted { &query[..] } else { &[] };
        let answer: LoggedModelAnswer = self.connection.get_at("logged-models", id, query).await?;
        Ok(answer.model)
    }
}

impl LoggedModelScan {
    pub(crate) fn new(client: MlflowClient, experiments: Vec<String>) -> Self {
        Self {
            client,
            experiments,
            filter: None,
            page_size: PageSize::new(PAGE),
            pages: TimePages::from_time(0),
        }
    }

    /// Only the models that MLflow changed at this time or later.
    #[must_use]
    pub(crate) fn updated_since(self, millis: i64) -> Self {
        Self {
            filter: Some(format!("last_updated_timestamp >= {millis}")),
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

    /// The next models, none of them shown before; `None` once all have been shown. A server before 3.0 has none.
    pub(crate) async fn next_page(&mut self) -> Result<Option<(Vec<RawLoggedModel>, PagePermit)>> {
        loop {
            let (page, permit) = match self.fetch().await {
                // A server that does not know the call answers with a web page, without an error code of MLflow's.
                Err(Error::Mlflow {
                    status: 404,
                    code: None,
                    ..
                }) => {
                    self.pages.end();
                    return Ok(None);
                }
                fetched => match fetched? {
                    Some(fetched) => fetched,
                    None => return Ok(None),
                },
            };
            let fresh = self.advance(page)?;
            if !fresh.is_empty() {
                return Ok(Some((fresh, permit)));
            }
        }
    }

    /// The page at this place.
    async fn fetch(&mut self) -> Result<Option<(LoggedModelsPage, PagePermit)>> {
        if self.pages.is_at_end() {
            return Ok(None);
        }
        let place = self.pages.filter("creation_timestamp");
        let token = self.pages.token();
        let filters: Vec<String> = self.filter.clone().into_iter().chain(place).collect();
        let body = |max_results: u32| {
            let mut body = json!({
                "experiment_ids": self.experiments,
                "filter": filters.join(" AND "),
                "order_by": [{ "field_name": "creation_timestamp", "ascending": true }],
                "max_results": max_results,
            });
            if let Some(token) = token {
                body["page_token"] = token.into();
            }
            body
        };
        let page = self
            .client
            .connection
            .page(SEARCH, Memory::Shared, &mut self.page_size, body);
        page.await.map(Some)
    }

    fn advance(&mut self, page: LoggedModelsPage) -> Result<Vec<RawLoggedModel>> {
        let connection = &self.client.connection;
        let fresh = self.pages.advance(page.models, page.next_page_token);
        fresh.map_err(|what| connection.protocol_error(SEARCH, what))
    }
}
