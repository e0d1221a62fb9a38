//! [`DeletedRun`]: a tombstone, as readers see it.

use bson::{DateTime, doc};
use mongodb::action::Action as _;

use super::MongoRunStore;
use super::collections::Collections;
use super::failure::failed;
use crate::error::Result;
use crate::run::{Run, field};

/// A run that was deleted in MLflow, in its last mirrored state.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeletedRun {
    /// The run; only its id if it was purged.
    pub run: Run,
    /// When a sync found the run deleted, by the clock of the MongoDB server.
    pub deleted_at: Option<DateTime>,
    /// Whether everything but the id was removed from the mirror.
    pub purged: bool,
}

impl MongoRunStore {
    /// The deleted run with this id; `None` if MLflow still has the run, or if the mirror never had it.
    ///
    /// # Errors
    /// As [`get_run`](Self::get_run).
    pub async fn get_deleted_run(&self, id: &str) -> Result<Option<DeletedRun>> {
        let deleted_runs = Collections::of(self).deleted_runs();
        let found = deleted_runs
            .find_one(doc! { field::ID: id })
            .optional(self.max_time, |find, time| find.max_time(time))
            .await;
        let found =
            found.map_err(|error| failed(format!("cannot read deleted run {id}"), error))?;
        let Some(document) = found else {
            return Ok(None);
        };
        let mirror = document.get_document(field::MIRROR).ok();
        Ok(Some(DeletedRun {
            deleted_at: mirror.and_then(|mirror| mirror.get_datetime(field::CHANGED_AT).ok()),
            purged: mirror.is_some_and(|mirror| mirror.get_bool(field::PURGED).unwrap_or_default()),
            run: document.try_into()?,
        }))
    }
}
