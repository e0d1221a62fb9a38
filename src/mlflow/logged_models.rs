//! Reads logged models, which MLflow has since 3.0.

use std::collections::HashSet;

use serde_json::json;

use super::connection::Memory;
use super::page_size::PageSize;
use super::wire_registry::{LoggedModelAnswer, LoggedModelsPage, RawLoggedModel};
use super::{MlflowClient, PagePermit};
use crate::error::{Error, Result};

const PAGE: u32 = 1_000;
const SEARCH: &str = "logged-models/search";

/// A scan of the logged models of some experiments, oldest first, page by page.
///
/// As with runs, MLflow's page token is an offset. So each page is asked for from the creation time of the last model that was
/// seen, and a token is used only among models of one creation time.
#[derive(Debug)]
pub(crate) struct LoggedModelScan {
    client: MlflowClient,
    experiments: Vec<String>,
    filter: Option<String>,
    page_size: PageSize,
    place: Place,
    /// The models of the last creation time seen: the next page begins with them again.
    boundary: HashSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    From(i64),
    Group { created: i64, token: Option<String> },
    End,
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
            place: Place::From(0),
            boundary: HashSet::new(),
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
                    self.place = Place::End;
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
        let (place, token) = match &self.place {
            Place::From(created) => (format!("creation_timestamp >= {created}"), None),
            Place::Group { created, token } => {
                (format!("creation_timestamp = {created}"), token.as_deref())
            }
            Place::End => return Ok(None),
        };
        let filters: Vec<String> = self.filter.clone().into_iter().chain([place]).collect();
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
        let contradicts = |what| Err(self.client.connection.protocol_error(SEARCH, what));
        let next = page.next_page_token.filter(|token| !token.is_empty());
        let created = |model: &RawLoggedModel| model.info.creation_timestamp_ms.unwrap_or_default();
        let times = || page.models.iter().map(created);
        if !times().is_sorted() {
            return contradicts("logged models out of the order that was asked for");
        }
        // A server that does not filter would answer the same pages for ever.
        let is_asked_for = |time: i64| match self.place {
            Place::From(from) => time >= from,
            Place::Group { created, .. } => time == created,
            Place::End => true,
        };
        if !times().all(is_asked_for) {
            return contradicts(
                "logged models of other creation times than those that were asked for",
            );
        }
        let (first, last) = (times().next(), times().next_back());
        let place = match (&self.place, next) {
            (Place::Group { created, .. }, None) => {
                created.checked_add(1).map_or(Place::End, Place::From)
            }
            (_, None) => Place::End,
            (Place::Group { token, .. }, next) if *token == next => {
                return contradicts("the same page token twice");
            }
            (Place::Group { created, .. }, token) => Place::Group {
                created: *created,
                token,
            },
            (_, Some(_)) => match first.zip(last) {
                Some((first, last)) if first < last => Place::From(last),
                Some((created, _)) => Place::Group {
                    created,
                    token: None,
                },
                None => return contradicts("an empty page that more follow"),
            },
        };
        let seen = std::mem::take(&mut self.boundary);
        let at_last = page
            .models
            .iter()
            .filter(|model| Some(created(model)) == last);
        self.boundary = at_last.map(|model| model.info.model_id.clone()).collect();
        let is_new = |model: &RawLoggedModel| !seen.contains(&model.info.model_id);
        let fresh = page.models.into_iter().filter(is_new).collect();
        if matches!(place, Place::Group { .. }) {
            self.boundary.extend(seen);
        }
        self.place = place;
        Ok(fresh)
    }
}
