//! Reads the model registry: all registered models, all versions, or some of them by name.

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;

use super::MlflowClient;
use super::wire_registry::{
    ModelAnswer, ModelsPage, RawModel, RawVersion, VersionAnswer, VersionsPage,
};
use crate::error::{Error, Result};

/// The most that MLflow gives in one page.
const MODELS_PAGE: &str = "1000";
const VERSIONS_PAGE: &str = "200000";
/// A page of versions over this is asked for by names instead.
const MAX_VERSIONS_BYTES: usize = 256 << 20;

const MODELS: &str = "registered-models/search";
const VERSIONS: &str = "model-versions/search";

impl MlflowClient {
    /// All registered models; prompts are none.
    pub(crate) async fn raw_models(&self) -> Result<Vec<RawModel>> {
        let query = [("max_results", MODELS_PAGE), ("order_by", "name ASC")];
        let parts = |page: ModelsPage| (page.registered_models, page.next_page_token);
        self.all_pages(MODELS, &query, parts).await
    }

    /// All versions of all models, in one page where MLflow gives it: that page is of one moment. Otherwise the versions of
    /// the models with these names, model by model.
    pub(crate) fn raw_versions<'a>(
        &'a self,
        names: &'a [String],
    ) -> BoxStream<'a, Result<Vec<RawVersion>>> {
        stream::once(async move {
            let query = [("max_results", VERSIONS_PAGE)];
            let connection = &self.connection;
            let page = connection
                .get_within(VERSIONS, &query, MAX_VERSIONS_BYTES)
                .await;
            match page {
                Ok(VersionsPage {
                    model_versions,
                    next_page_token,
                }) => {
                    let is_whole = next_page_token.is_none_or(|token| token.is_empty());
                    Ok(is_whole.then_some(model_versions))
                }
                Err(Error::PageTooLarge { .. }) => Ok(None),
                // A gateway before MLflow gives up on an answer that takes long, or refuses a large one.
                Err(Error::Mlflow {
                    status: 413 | 502 | 504,
                    ..
                }) if !names.is_empty() => Ok(None),
                Err(error) => Err(error),
            }
        })
        .map_ok(move |page| match page {
            Some(versions) => stream::once(async { Ok(versions) }).boxed(),
            None => self.raw_versions_of(names),
        })
        .try_flatten()
        .boxed()
    }

    /// The versions of the models with these names, model by model.
    pub(crate) fn raw_versions_of<'a>(
        &'a self,
        names: &'a [String],
    ) -> BoxStream<'a, Result<Vec<RawVersion>>> {
        stream::iter(names)
            .then(move |name| self.raw_versions_of_one(name))
            .boxed()
    }

    // One name a request: MLflow 2.22 has no list of names in a filter.
    async fn raw_versions_of_one(&self, name: &str) -> Result<Vec<RawVersion>> {
        let quotes = ['\'', '"', '\\'];
        let filter = if name.contains(quotes) {
            // MLflow's filters have no escape for a quotation mark, but `_` stands for any character.
            format!("name LIKE '{}'", name.replace(quotes, "_"))
        } else {
            format!("name = '{name}'")
        };
        let query = [("filter", filter.as_str()), ("max_results", VERSIONS_PAGE)];
        let parts = |page: VersionsPage| (page.model_versions, page.next_page_token);
        let mut versions = self.all_pages(VERSIONS, &query, parts).await?;
        versions.retain(|version| version.name == name);
        Ok(versions)
    }

    pub(crate) async fn raw_model(&self, name: &str) -> Result<RawModel> {
        let answer: ModelAnswer = self
            .connection
            .get("registered-models/get", &[("name", name)])
            .await?;
        Ok(answer.registered_model)
    }

    pub(crate) async fn raw_version(&self, name: &str, version: &str) -> Result<RawVersion> {
        let query = [("name", name), ("version", version)];
        let answer: VersionAnswer = self.connection.get("model-versions/get", &query).await?;
        Ok(answer.model_version)
    }

    async fn all_pages<P: DeserializeOwned, T>(
        &self,
        call: &'static str,
        query: &[(&str, &str)],
        parts: impl Fn(P) -> (Vec<T>, Option<String>),
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.extend(token.as_deref().map(|token| ("page_token", token)));
            let (page, next) = parts(self.connection.get(call, &query).await?);
            all.extend(page);
            let next = next.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(all);
            }
            if next == token {
                let connection = &self.connection;
                return Err(connection.protocol_error(call, "the same page token twice"));
            }
            token = next;
        }
    }
}
