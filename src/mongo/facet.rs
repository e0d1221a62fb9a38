//! Facets and distinct values of the runs that match a search.

use std::future::ready;

use bson::{Bson, Document, doc};
use futures::stream::TryStreamExt;
use mongodb::Cursor;
use mongodb::action::Action as _;

use super::MongoRunStore;
use super::chooser::{Choice, IndexChooser};
use super::collections::Collections;
use super::failure::failed;
use crate::error::{Error, Result};
use crate::node::{Direction, Kind};
use crate::query::Search;
use crate::run::field;

/// The field by whose values a facet counts the runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Facet {
    /// The experiment: `{id, name}`.
    Experiment,
    /// MLflow's status, such as `FINISHED`.
    Status,
    /// The user who started the run.
    User,
    /// The nodes of a kind in one direction, such as input models: `{name, version}`. A run counts once for each of its nodes.
    Nodes(Direction, Kind),
}

/// A value, and how many of the runs have it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FacetCount {
    /// The value; null for runs without the field.
    pub value: Bson,
    /// How many runs have the value.
    pub runs: u64,
}

impl MongoRunStore {
    /// Counts the runs that match by value, the most frequent value first. MongoDB does the counting.
    ///
    /// The limit of the search bounds the number of values, not of runs.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`](crate::RunStore::find_runs).
    pub async fn facet(
        &self,
        facet: Facet,
        search: impl Into<Search> + Send,
    ) -> Result<Vec<FacetCount>> {
        let search = search.into();
        let choice = IndexChooser::for_all(self, &search).choose().await?;
        let mut stages = facet.stages();
        stages.push(doc! { "$sort": { "runs": -1, "_id": 1 } });
        stages.extend(
            search
                .limit
                .map(|limit| doc! { "$limit": i64::from(limit) }),
        );
        let cannot = |error| failed("cannot count runs by value", error);
        let counted = aggregate(self, &search, &choice, stages).await;
        counted
            .map_err(cannot)?
            .map_err(cannot)
            .and_then(|counted| ready(FacetCount::try_from(counted)))
            .try_collect()
            .await
    }

    /// The distinct values of a field among the runs that match. Each element of an array is a value.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`](crate::RunStore::find_runs); [`Error::Mongo`] if the values exceed 16 MB.
    pub async fn distinct(
        &self,
        field: &str,
        search: impl Into<Search> + Send,
    ) -> Result<Vec<Bson>> {
        let search = search.into();
        let choice = IndexChooser::for_all(self, &search).choose().await?;
        let cannot = |error| failed(format!("cannot list the values of {field}"), error);
        // `distinct` takes a hint only since MongoDB 7.1, so a hinted one is an aggregation. Without a hint, `distinct` itself
        // may need no more than one index key for each value.
        let stages = choice.index().and_then(|_| distinct_stages(field));
        let Some(stages) = stages else {
            let runs = Collections::of(self).runs();
            let distinct = runs.distinct(field, choice.filter);
            let time = self.max_time_of(&search);
            let distinct = distinct.optional(time, |distinct, time| distinct.max_time(time));
            return distinct.await.map_err(cannot);
        };
        let values = aggregate(self, &search, &choice, stages).await;
        values
            .map_err(cannot)?
            .map_ok(|mut value| value.remove(field::ID).unwrap_or(Bson::Null))
            .try_collect()
            .await
            .map_err(cannot)
    }
}

/// Sends an aggregation of the search's filter, followed by `stages`.
async fn aggregate(
    store: &MongoRunStore,
    search: &Search,
    choice: &Choice,
    stages: Vec<Document>,
) -> mongodb::error::Result<Cursor<Document>> {
    let mut pipeline = vec![doc! { "$match": &choice.filter }];
    pipeline.extend(stages);
    let runs = Collections::of(store).runs();
    let aggregate = async |hint| {
        // MongoDB 5 uses the disk for large groups only if it is allowed to.
        runs.aggregate(pipeline.clone())
            .allow_disk_use(true)
            .optional(store.max_time_of(search), |aggregate, time| {
                aggregate.max_time(time)
            })
            .optional(hint, |aggregate, hint| aggregate.hint(hint))
            .await
    };
    choice.send(aggregate).await
}

/// The `distinct` command as aggregation stages: at each field of the path, it descends into an array, one level deep.
///
/// `None` for a path with a number, which may be an array index.
fn distinct_stages(path: &str) -> Option<Vec<Document>> {
    let is_name = |name: &str| {
        let is_array_index = name.bytes().all(|byte| byte.is_ascii_digit());
        !is_array_index && !name.starts_with('$') && !name.contains('\0')
    };
    let mut stages = Vec::new();
    let mut parent = "$$ROOT".to_owned();
    for name in path.split('.') {
        if !is_name(name) {
            return None;
        }
        if !stages.is_empty() {
            // `distinct` does not descend into an array that is an element of an array.
            stages
                .push(doc! { "$match": { "$expr": { "$eq": [{ "$type": "$value" }, "object"] } } });
        }
        stages.push(doc! { "$project": { field::ID: 0, "value": format!("{parent}.{name}") } });
        let unwind = doc! { "path": "$value", "preserveNullAndEmptyArrays": true };
        stages.push(doc! { "$unwind": unwind });
        // Null is a value; a missing field is not.
        stages.push(doc! { "$match": { "value": { "$exists": true } } });
        parent = "$value".to_owned();
    }
    stages.push(doc! { "$group": { field::ID: "$value" } });
    Some(stages)
}

impl Facet {
    /// The stages that group by a field, or by the elements of an array. Equal elements of one run count once.
    fn stages(self) -> Vec<Document> {
        let by = |value: Bson| doc! { "$group": { "_id": value, "runs": { "$sum": 1 } } };
        let nodes = |direction: Direction, kind: Kind| {
            let (path, spec) = (kind.path(direction), kind.spec());
            let fields = [Some(spec.key), spec.detail.map(|detail| detail.field)];
            let fields = fields.into_iter().flatten();
            let node: Document = fields
                .map(|field| (field.to_owned(), format!("${path}.{field}").into()))
                .collect();
            vec![
                doc! { "$project": { &path: 1 } },
                doc! { "$unwind": format!("${path}") },
                doc! { "$group": { "_id": { "run": "$_id", "node": node } } },
                by("$_id.node".into()),
            ]
        };
        match self {
            Self::Experiment => vec![by(
                bson::bson!({ "id": format!("${}.id", field::EXP), "name": format!("${}.name", field::EXP) }),
            )],
            Self::Status => vec![by(format!("${}", field::STATUS).into())],
            Self::User => vec![by(format!("${}", field::USER).into())],
            Self::Nodes(direction, kind) => nodes(direction, kind),
        }
    }
}

impl TryFrom<Document> for FacetCount {
    type Error = Error;

    fn try_from(counted: Document) -> Result<Self> {
        let runs = match counted.get("runs") {
            Some(Bson::Int32(runs)) => u64::try_from(*runs).unwrap_or_default(),
            Some(Bson::Int64(runs)) => u64::try_from(*runs).unwrap_or_default(),
            _ => {
                return Err(Error::Document {
                    id: "of a facet".into(),
                    reason: "it has no count".into(),
                });
            }
        };
        let value = counted.get("_id").cloned().unwrap_or(Bson::Null);
        Ok(Self { value, runs })
    }
}
