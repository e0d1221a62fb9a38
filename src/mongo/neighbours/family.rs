//! The parents and children of runs, by the tag `mlflow.parentRunId`.

use std::collections::BTreeSet;

use bson::{Bson, Document, doc};
use futures::TryStreamExt as _;
use mongodb::action::Action as _;

use super::{CHUNK, Neighbours, cannot_read, chunks};
use crate::error::Result;
use crate::run::field;

/// A run and its parent, by their ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChildOf {
    pub(crate) parent: String,
    pub(crate) child: String,
}

impl Neighbours<'_> {
    /// The parents of these runs.
    pub(crate) async fn parents(&self, runs: &BTreeSet<String>) -> Result<Vec<ChildOf>> {
        self.family(field::ID, runs, None).await
    }

    /// The children of these runs, at most this many.
    pub(crate) async fn children(
        &self,
        runs: &BTreeSet<String>,
        limit: usize,
    ) -> Result<Vec<ChildOf>> {
        self.family(field::PARENT, runs, Some(limit)).await
    }

    async fn family(
        &self,
        by: &str,
        keys: &BTreeSet<String>,
        limit: Option<usize>,
    ) -> Result<Vec<ChildOf>> {
        let limit = limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let mut found = Vec::new();
        for keys in chunks(keys, CHUNK) {
            let filter = doc! { "$and": [
                { by: { "$in": keys } },
                { field::PARENT: { "$exists": true } },
            ] };
            for (runs, _) in self.run_collections() {
                let runs = runs.clone_with_type::<Document>();
                let find = async {
                    let find = runs.find(filter.clone());
                    find.projection(doc! { field::PARENT: 1 })
                        // The same runs each time, if the limit cuts.
                        .sort(doc! { field::PARENT: 1, field::ID: 1 })
                        .optional(limit, |find, limit| find.limit(limit))
                        .optional(self.max_time, |find, time| find.max_time(time))
                        .await?
                        .try_collect::<Vec<_>>()
                        .await
                };
                let runs = find.await.map_err(cannot_read)?;
                found.extend(runs.iter().filter_map(child_of));
            }
        }
        Ok(found)
    }
}

fn child_of(run: &Document) -> Option<ChildOf> {
    let mut segments = field::PARENT.split('.');
    let tags = run.get(segments.next()?)?;
    let parent = segments.try_fold(tags, |value, segment| value.as_document()?.get(segment));
    Some(ChildOf {
        parent: parent.and_then(Bson::as_str)?.to_owned(),
        child: run.get_str(field::ID).ok()?.to_owned(),
    })
}
