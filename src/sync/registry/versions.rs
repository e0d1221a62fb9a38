//! [`VersionMapper`]: versions as documents, with the creation time of their model and the run of their logged model.

use std::collections::HashMap;

use futures::TryStreamExt;
use futures::stream::BoxStream;

use super::listing::Listing;
use super::{RegistryMirror, distinct, is_not_there};
use crate::error::{Error, Result};
use crate::mlflow::MlflowClient;
use crate::mlflow::registry_document::{logged_model_of, map_version};
use crate::mlflow::wire_registry::{RawModel, RawVersion};
use crate::mongo::registry::RegistryStore;
use crate::mongo::ticket::Ticket;
use crate::registry::{RegistryCollection, RegistryDocument};
use crate::sync::report::Incomplete;
use crate::sync::seen::Seen;

/// How many versions are mapped and saved at once.
const CHUNK: usize = 1_000;

/// Tags of a registered model that is a prompt have this key.
const IS_PROMPT: &str = "mlflow.prompt.is_prompt";

/// Maps versions, and remembers what it had to ask MLflow for that.
pub(super) struct VersionMapper<'a> {
    mlflow: &'a MlflowClient,
    logged_models: RegistryStore<'a>,
    models: &'a HashMap<String, RawModel>,
    /// Models that were not listed; none for a prompt, or for a model that is gone again.
    unlisted: HashMap<String, Option<RawModel>>,
    runs: HashMap<String, Option<String>>,
}

impl RegistryMirror<'_> {
    /// Mirrors the versions of models whose names are chosen, and tells which it saw.
    pub(super) async fn mirror_versions(
        self,
        mut pages: BoxStream<'_, Result<Vec<RawVersion>>>,
        listing: &Listing,
        is_chosen: impl Fn(&str) -> bool,
    ) -> Result<(Seen, Vec<Incomplete>)> {
        let seen = Seen::default();
        let mut incomplete = Vec::new();
        let mut mapper = self.version_mapper(&listing.models);
        loop {
            let ticket = Ticket::draw(&self.settings.store).await?;
            let Some(mut page) = pages.try_next().await? else {
                return Ok((seen, incomplete));
            };
            page.retain(|version| is_chosen(&version.name));
            for chunk in page.chunks(CHUNK) {
                let mut documents = mapper.map(chunk).await?;
                for document in &mut documents {
                    seen.insert(&document.id);
                    listing.renames.name_version(document);
                }
                let which = RegistryCollection::Versions;
                incomplete.extend(self.save(which, documents, ticket).await?);
            }
        }
    }

    pub(super) fn version_mapper<'m>(
        &'m self,
        models: &'m HashMap<String, RawModel>,
    ) -> VersionMapper<'m> {
        VersionMapper::new(
            &self.settings.mlflow,
            self.store(RegistryCollection::LoggedModels),
            models,
        )
    }
}

impl<'a> VersionMapper<'a> {
    pub(super) fn new(
        mlflow: &'a MlflowClient,
        logged_models: RegistryStore<'a>,
        models: &'a HashMap<String, RawModel>,
    ) -> Self {
        Self {
            mlflow,
            logged_models,
            models,
            unlisted: HashMap::new(),
            runs: HashMap::new(),
        }
    }

    /// The documents of these versions; those of prompts are left out.
    pub(super) async fn map(&mut self, versions: &[RawVersion]) -> Result<Vec<RegistryDocument>> {
        self.find_runs(versions).await?;
        let mut documents = Vec::with_capacity(versions.len());
        for raw in versions {
            let Some(created) = self.model_created(&raw.name).await? else {
                continue;
            };
            let run = logged_model_of(raw).and_then(|id| self.runs.get(id)?.as_deref());
            documents.push(map_version(raw, created, run)?);
        }
        Ok(documents)
    }

    /// When MLflow made the model of this name; `None` where there is no such model.
    async fn model_created(&mut self, name: &str) -> Result<Option<Option<i64>>> {
        if let Some(model) = self.models.get(name) {
            return Ok(Some(model.creation_timestamp));
        }
        if !self.unlisted.contains_key(name) {
            // It was made after the models were listed.
            let model = match self.mlflow.raw_model(name).await {
                Ok(model) => Some(model).filter(|model| !is_prompt(model)),
                Err(error) if is_not_there(&error) => None,
                Err(error) => return Err(error),
            };
            self.unlisted.insert(name.to_owned(), model);
        }
        let model = self.unlisted.get(name).and_then(Option::as_ref);
        Ok(model.map(|model| model.creation_timestamp))
    }

    /// Looks up the runs that made the logged models of versions that name no run themselves.
    async fn find_runs(&mut self, versions: &[RawVersion]) -> Result<()> {
        let without_run = versions
            .iter()
            .filter(|raw| raw.run_id.as_deref().unwrap_or_default().is_empty());
        let wanted = without_run.filter_map(logged_model_of);
        let mut wanted = distinct(wanted);
        wanted.retain(|id| !self.runs.contains_key(id));
        let ids: Vec<&str> = wanted.iter().map(String::as_str).collect();
        self.runs
            .extend(self.logged_models.source_runs(&ids).await?);
        for id in wanted {
            if self.runs.contains_key(&id) {
                continue;
            }
            let run = match self.mlflow.raw_logged_model(&id, true).await {
                Ok(model) => model.info.source_run_id.filter(|run| !run.is_empty()),
                // Gone for good, or of an experiment that this user may not read: the version stays without a run.
                Err(error @ Error::Mlflow { .. }) if !error.is_transient() => {
                    tracing::debug!(%error, "the run of a version is not known");
                    None
                }
                Err(error) => return Err(error),
            };
            self.runs.insert(id, run);
        }
        Ok(())
    }
}

fn is_prompt(model: &RawModel) -> bool {
    let is_mark = |tag: &crate::mlflow::wire::RawText| tag.key == IS_PROMPT && tag.value == "true";
    model.tags.iter().any(is_mark)
}
