//! [`Listing`]: all registered models as MLflow listed them, beside those that are mirrored.

use std::collections::HashMap;

use super::RegistryMirror;
use super::renames::Renames;
use crate::error::Result;
use crate::mlflow::wire_registry::RawModel;
use crate::mongo::registry::LiveModel;
use crate::mongo::ticket::Ticket;
use crate::registry::RegistryCollection;

/// One listing of the registry, and the mirror before it.
pub(super) struct Listing {
    /// Drawn before MLflow was asked.
    pub(super) ticket: Ticket,
    pub(super) models: HashMap<String, RawModel>,
    pub(super) mirrored: Vec<LiveModel>,
    pub(super) renames: Renames,
}

impl RegistryMirror<'_> {
    /// Lists all models; `Err` in the result says why they are not those of the registry that is mirrored.
    pub(super) async fn list(self) -> Result<std::result::Result<Listing, String>> {
        let ticket = Ticket::draw(&self.settings.store).await?;
        let models = self.settings.mlflow.raw_models().await?;
        let models: HashMap<String, RawModel> = models
            .into_iter()
            .map(|model| (model.name.clone(), model))
            .collect();
        let mirrored = self.store(RegistryCollection::Models).live_models().await?;
        let renames = self.renames(&models, &mirrored).await?;
        let listing = Listing {
            ticket,
            models,
            mirrored,
            renames,
        };
        Ok(match self.doubt(&listing).await? {
            Some(doubt) => Err(doubt),
            None => Ok(listing),
        })
    }

    /// Why the listing may be of another registry, such as that of another workspace: it shows no model that is mirrored.
    async fn doubt(self, listing: &Listing) -> Result<Option<String>> {
        let count = listing.mirrored.len();
        let is_known = count == 0
            || self.settings.allow_mass_delete
            || listing.mirrored.iter().any(|model| listing.shows(model))
            || self.shows_renamed_versions(&listing.renames).await?;
        Ok((!is_known).then(|| {
            let shown = if listing.models.is_empty() {
                "no registered model at all".to_owned()
            } else {
                format!("{} registered models, but none", listing.models.len())
            };
            let example = listing.mirrored.first().map_or("", |model| model.name.as_str());
            format!(
                "MLflow shows this user {shown} of the {count} that are mirrored by name and creation time, so nothing of the registry was written or removed; are the tracking URI, the user and the workspace right? If they are, sync again with `--allow-mass-delete`, or remove models one by one with `--forget-model`, such as `--forget-model {example:?}`"
            )
        }))
    }
}

impl Listing {
    /// Whether MLflow listed this very model: one that was made anew under its name is another one.
    pub(super) fn shows(&self, model: &LiveModel) -> bool {
        let listed = self.models.get(&model.name);
        listed.is_some_and(|listed| model.created.is_some() && listed.created() == model.created)
    }
}
