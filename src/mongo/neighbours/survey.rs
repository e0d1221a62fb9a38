//! [`Survey`]: what a walk asks before its first level, in one command.

use bson::{Document, doc};
use futures::TryStreamExt as _;
use mongodb::action::Action as _;

use super::registry::RegisteredModel;
use super::{Neighbours, cannot_read};
use crate::error::Result;
use crate::mongo::collections::{Collections, DELETED_RUNS, LOGGED_MODELS, MODEL_VERSIONS, MODELS};

/// What a walk asks before its first level.
pub(crate) struct Survey {
    pub(crate) filled: Filled,
    /// The registered models that have former names.
    pub(crate) renamed: Vec<RegisteredModel>,
}

/// The collections that were not empty when the walk began. Queries of empty collections are skipped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled {
    pub(super) deleted_runs: bool,
    pub(super) versions: bool,
    pub(super) logged_models: bool,
}

impl Filled {
    /// The safe answer: every collection is asked.
    pub(super) const ALL: Self = Self {
        deleted_runs: true,
        versions: true,
        logged_models: true,
    };
}

impl Neighbours<'_> {
    /// Finds out which collections are not empty, and which models were renamed.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) when MongoDB does not answer, as of each method.
    pub(crate) async fn survey(&self) -> Result<Survey> {
        let any = |collection: &str| {
            let one = doc! { "$project": { "_id": 0, "filled": { "$literal": collection } } };
            vec![doc! { "$limit": 1 }, one]
        };
        let also = |collection: &str, pipeline: Vec<Document>| {
            let of = doc! { "coll": collection, "pipeline": pipeline };
            doc! { "$unionWith": of }
        };
        let renamed = vec![
            doc! { "$match": { "former_names": { "$exists": true } } },
            doc! { "$project": { "former_names": 1 } },
        ];
        let mut pipeline = any(DELETED_RUNS);
        pipeline.extend([
            also(MODEL_VERSIONS, any(MODEL_VERSIONS)),
            also(LOGGED_MODELS, any(LOGGED_MODELS)),
            also(MODELS, renamed),
        ]);
        let deleted_runs = Collections::of(self.store).deleted_runs();
        let ask = async {
            let asked = deleted_runs
                .aggregate(pipeline)
                .optional(self.max_time, |aggregate, time| aggregate.max_time(time));
            asked.await?.try_collect::<Vec<Document>>().await
        };
        let found = ask.await.map_err(cannot_read)?;
        let is_filled = |collection| {
            let mut found = found.iter();
            found.any(|found| {
                found
                    .get_str("filled")
                    .is_ok_and(|filled| filled == collection)
            })
        };
        Ok(Survey {
            filled: Filled {
                deleted_runs: is_filled(DELETED_RUNS),
                versions: is_filled(MODEL_VERSIONS),
                logged_models: is_filled(LOGGED_MODELS),
            },
            renamed: found.iter().filter_map(RegisteredModel::of).collect(),
        })
    }
}
