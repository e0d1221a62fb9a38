//! [`RegistryStore`]: registered models, versions and logged models, as `models`, `model_versions` and `logged_models` hold them.
//!
//! A deleted one keeps its document, with `deleted_at` and the ticket of the request that showed the deletion. So one document is
//! both the mirror and the tombstone, and a write by an older ticket changes neither.

mod pending;
mod read;
mod save;
mod stored;
mod tombstones;

use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::Collection;

use super::MongoRunStore;
use super::collections::{LOGGED_MODELS, MODEL_VERSIONS, MODELS, at_primary};
use super::failure::failed;
use super::retry::retried;
use crate::error::Result;
use crate::registry::{RegistryCollection, field};

pub(crate) use save::SavedDocuments;
pub(crate) use stored::{LiveLoggedModel, LiveModel, LiveVersion};

/// How many documents one request names.
const CHUNK: usize = 1_000;

/// One of the three collections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RegistryStore<'a> {
    store: &'a MongoRunStore,
    which: RegistryCollection,
}

impl<'a> RegistryStore<'a> {
    pub(crate) fn of(store: &'a MongoRunStore, which: RegistryCollection) -> Self {
        Self { store, which }
    }

    /// The name of the collection in MongoDB.
    fn name(self) -> &'static str {
        match self.which {
            RegistryCollection::Models => MODELS,
            RegistryCollection::Versions => MODEL_VERSIONS,
            RegistryCollection::LoggedModels => LOGGED_MODELS,
        }
    }

    /// Reads decide writes, so they go to the primary.
    fn collection(self) -> Collection<Document> {
        let database = at_primary(self.store).database;
        database.collection(self.name())
    }

    async fn find(self, filter: Document, fields: &[&str]) -> Result<Vec<Document>> {
        let projection: Document = fields
            .iter()
            .map(|name| ((*name).to_owned(), 1.into()))
            .collect();
        let collection = self.collection();
        let find = || async {
            let find = collection.find(filter.clone());
            let found = find.projection(projection.clone()).await?;
            found.try_collect::<Vec<_>>().await
        };
        let name = self.name();
        retried(find)
            .await
            .map_err(|error| failed(format!("cannot read collection {name}"), error))
    }
}

/// A filter for documents that are not deleted.
fn live() -> Document {
    doc! { field::DELETED_AT: { "$exists": false } }
}
