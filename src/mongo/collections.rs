//! [`Collections`]: the collections of a mirror, and from which member of a replica set they are read.

use bson::Document;
use bson::raw::RawDocumentBuf;
use mongodb::Collection;
use mongodb::options::{DatabaseOptions, ReadPreference, SelectionCriteria};

use super::MongoRunStore;

pub(super) const RUNS: &str = "runs";
/// The tombstones: runs that are deleted in MLflow, in their last mirrored state.
pub(super) const DELETED_RUNS: &str = "deleted_runs";
/// Registered models, their versions, and logged models, as MLflow's registry has them.
pub(super) const MODELS: &str = "models";
pub(super) const MODEL_VERSIONS: &str = "model_versions";
pub(super) const LOGGED_MODELS: &str = "logged_models";
pub(super) const STATE: &str = "sync_state";
pub(super) const MIGRATIONS: &str = "migrations";
const LEASES: &str = "leases";

/// The collections of one mirror.
#[derive(Debug, Clone, Copy)]
pub(super) struct Collections<'a> {
    store: &'a MongoRunStore,
}

impl<'a> Collections<'a> {
    pub(super) fn of(store: &'a MongoRunStore) -> Self {
        Self { store }
    }

    pub(super) fn runs(self) -> Collection<RawDocumentBuf> {
        self.store.database.collection(RUNS)
    }

    pub(super) fn deleted_runs(self) -> Collection<RawDocumentBuf> {
        self.store.database.collection(DELETED_RUNS)
    }

    pub(super) fn models(self) -> Collection<Document> {
        self.store.database.collection(MODELS)
    }

    pub(super) fn model_versions(self) -> Collection<Document> {
        self.store.database.collection(MODEL_VERSIONS)
    }

    pub(super) fn logged_models(self) -> Collection<Document> {
        self.store.database.collection(LOGGED_MODELS)
    }

    pub(super) fn state(self) -> Collection<Document> {
        self.store.database.collection(STATE)
    }

    pub(super) fn migrations(self) -> Collection<Document> {
        at_primary(self.store).database.collection(MIGRATIONS)
    }

    pub(super) fn leases(self) -> Collection<Document> {
        at_primary(self.store).database.collection(LEASES)
    }

    /// Runs a command that only reads, with the URI's read preference.
    pub(super) async fn read(self, command: Document) -> mongodb::error::Result<Document> {
        let mut read = self.store.database.run_command(command);
        if let Some(criteria) = self.store.database.selection_criteria() {
            read = read.selection_criteria(criteria.clone());
        }
        read.await
    }
}

/// The same mirror, read from the primary. Reads that decide a write use it, so that they see all earlier writes.
pub(crate) fn at_primary(store: &MongoRunStore) -> MongoRunStore {
    let database = &store.database;
    let options = DatabaseOptions::builder()
        .selection_criteria(SelectionCriteria::from(ReadPreference::Primary))
        .read_concern(database.read_concern().cloned())
        .write_concern(database.write_concern().cloned())
        .build();
    let client = database.client();
    MongoRunStore {
        database: client.database_with_options(database.name(), options),
        ..store.clone()
    }
}
