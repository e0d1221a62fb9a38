//! The source of a mirror, and [`Freshness`]: when the mirror was last synced.

use bson::{DateTime, Document, doc};
use futures::TryStreamExt;
use mongodb::action::Action as _;
use mongodb::options::ReturnDocument;

use super::collections::{Collections, MIGRATIONS};
use super::failure::failed;
use super::migrate::count_pending;
use super::retry::retried;
use super::{MongoRunStore, majority};
use crate::error::{Error, Result};

/// The source of a mirror, and when it was last synced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Freshness {
    /// The tracking server that the database mirrors; `None` before the first sync.
    pub source: Option<String>,
    /// When the last complete full pass over all experiments began. Everything in MLflow at that time is mirrored.
    pub full_pass: Option<DateTime>,
    /// When the last complete quick pass over all experiments began.
    pub quick_pass: Option<DateTime>,
    /// How many migrations of this program are pending. Until they are applied, searches may be slow.
    pub pending_migrations: usize,
}

impl MongoRunStore {
    /// The source of the mirror, and when its last passes began.
    ///
    /// # Errors
    /// [`Error::Mongo`] if MongoDB does not answer.
    pub async fn freshness(&self) -> Result<Freshness> {
        // A single request, since it is a large part of the time of a short command.
        let pipeline = [
            doc! { "$match": { "_id": "source" } },
            doc! { "$unionWith": MIGRATIONS },
        ];
        let read = async {
            let state = Collections::of(self).state();
            let cursor = state
                .aggregate(pipeline)
                .optional(self.max_time, |aggregate, time| aggregate.max_time(time))
                .await?;
            cursor.try_collect::<Vec<Document>>().await
        };
        let read = read
            .await
            .map_err(|error| failed("cannot read when the mirror was last synced", error))?;
        let applied = read.iter().filter_map(|record| record.get_i32("_id").ok());
        let source = read.iter().find(|state| state.get_str("_id").is_ok());
        let date = |name: &str| source?.get_datetime(name).ok().copied();
        Ok(Freshness {
            source: source
                .and_then(|state| state.get_str("name").ok())
                .map(str::to_owned),
            full_pass: date("full_pass"),
            quick_pass: date("quick_pass"),
            pending_migrations: count_pending(applied),
        })
    }
}

/// Records the tracking server that this database mirrors; fails if it mirrors another one. Model names and experiment ids
/// are unique within one source only.
///
/// # Errors
/// [`Error::Database`] names both servers.
pub(crate) async fn claim_source(store: &MongoRunStore, source: &str) -> Result<()> {
    let claim = || async {
        Collections::of(store)
            .state()
            .find_one_and_update(
                doc! { "_id": "source" },
                doc! { "$setOnInsert": { "name": source } },
            )
            .upsert(true)
            .return_document(ReturnDocument::After)
            .write_concern(majority())
            .await
    };
    let claimed = retried(claim)
        .await
        .map_err(|error| failed("cannot record the source of the mirror", error))?;
    match claimed
        .as_ref()
        .and_then(|state| state.get_str("name").ok())
    {
        Some(name) if name == source => Ok(()),
        name => Err(Error::Database {
            database: store.database().name().to_owned(),
            reason: format!(
                "it mirrors {:?}, not {source:?}; use another database or, if both are the same server, pass the first name as `--source`",
                name.unwrap_or("?")
            ),
        }),
    }
}
