//! Registered models and their versions, all of them or those that moved.

use std::collections::HashMap;

use super::listing::Listing;
use super::{RegistryMirror, of_registry};
use crate::error::Result;
use crate::mlflow::registry_document::map_model;
use crate::mongo::registry::LiveModel;
use crate::registry::RegistryCollection;
use crate::sync::report::Incomplete;

/// Above so many moved models, one listing of all versions costs less than a request for each.
const ASKED_ONE_BY_ONE: usize = 100;

impl RegistryMirror<'_> {
    /// Mirrors all models and versions, and removes those that MLflow says it no longer has.
    pub(super) async fn all_models(self) -> Result<Vec<Incomplete>> {
        let listing = match self.list().await? {
            Ok(listing) => listing,
            Err(doubt) => return Ok(vec![of_registry(doubt)]),
        };
        let names: Vec<String> = listing.models.keys().cloned().collect();
        let versions = self.settings.mlflow.raw_versions(&names);
        let (seen, mut incomplete) = self.mirror_versions(versions, &listing, |_| true).await?;
        incomplete.extend(self.save_models(&listing).await?);
        incomplete.extend(self.remove_missing(&listing, &seen).await?);
        Ok(incomplete)
    }

    /// Mirrors all models, for their aliases, and the versions of those that changed since they were mirrored.
    pub(super) async fn moved_models(self) -> Result<Vec<Incomplete>> {
        let listing = match self.list().await? {
            Ok(listing) => listing,
            Err(doubt) => return Ok(vec![of_registry(doubt)]),
        };
        let mirrored: HashMap<&str, &LiveModel> = listing
            .mirrored
            .iter()
            .map(|model| (model.name.as_str(), model))
            .collect();
        let has_moved = |name: &str| {
            let shown = listing.models.get(name);
            let is_mirrored = shown.zip(mirrored.get(name)).is_some_and(|(shown, model)| {
                model.created == shown.created() && model.updated == shown.updated()
            });
            !is_mirrored || listing.renames.is_new_name(name)
        };
        let names = listing.models.keys().filter(|name| has_moved(name));
        let names: Vec<String> = names.cloned().collect();
        let mlflow = &self.settings.mlflow;
        let versions = if names.len() > ASKED_ONE_BY_ONE {
            mlflow.raw_versions(&names)
        } else {
            mlflow.raw_versions_of(&names)
        };
        let (_, mut incomplete) = self.mirror_versions(versions, &listing, has_moved).await?;
        incomplete.extend(self.save_models(&listing).await?);
        Ok(incomplete)
    }

    async fn save_models(self, listing: &Listing) -> Result<Vec<Incomplete>> {
        let mapped = listing.models.values().map(|raw| {
            let mut document = map_model(raw)?;
            listing.renames.name_model(&mut document);
            Ok(document)
        });
        let documents = mapped.collect::<Result<Vec<_>>>()?;
        self.save(RegistryCollection::Models, documents, listing.ticket)
            .await
    }
}
