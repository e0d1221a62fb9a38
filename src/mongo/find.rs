//! Searching the mirror: runs as they come, counts, distinct values and facets.

use bson::raw::RawDocumentBuf;
use bson::{Bson, Document, doc};
use futures::future::{BoxFuture, ready};
use futures::stream::{BoxStream, TryStreamExt};
use mongodb::options::Hint;
use serde::de::DeserializeOwned;

use super::{MongoRunStore, failed};
use crate::error::{Error, Result};
use crate::node::{Direction, Kind};
use crate::query::Search;
use crate::run::{Run, field};
use crate::store::{RunStore, RunStream};

/// What runs are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Facet {
    /// The experiment: `{id, name}`.
    Exp,
    /// MLflow's word for the state.
    Status,
    /// Who started the run.
    User,
    /// The nodes of a kind on one side, such as the models read: `{name, version}`. A run counts once for each.
    Nodes(Direction, Kind),
}

/// How many of the runs share a value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FacetCount {
    /// The value; null where a run has none.
    pub value: Bson,
    /// How many runs have it.
    pub runs: u64,
}

impl MongoRunStore {
    /// Streams the runs that match a query, a search or a native filter; no match is an empty stream, not an error.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for the first bad argument of the query; [`Error::Mongo`] when MongoDB does not answer, refuses the
    /// filter, or takes longer than the search allows.
    pub fn find_runs(&self, search: impl Into<Search>) -> BoxFuture<'_, Result<RunStream>> {
        RunStore::find_runs(self, search.into())
    }

    /// Streams the documents of the runs that match, as they come from the database.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`].
    pub async fn find_raw(
        &self,
        search: impl Into<Search> + Send,
    ) -> Result<BoxStream<'static, Result<RawDocumentBuf>>> {
        let found = self.found(search.into()).await?;
        Ok(found.read(Ok))
    }

    /// Streams the runs that match as values of the caller's own type.
    ///
    /// ```no_run
    /// # use futures::TryStreamExt;
    /// # async fn example(store: runlineage::MongoRunStore) -> runlineage::Result<()> {
    /// #[derive(serde::Deserialize)]
    /// struct Auc {
    ///     #[serde(rename = "_id")]
    ///     id: String,
    ///     metrics: std::collections::BTreeMap<String, f64>,
    /// }
    ///
    /// let query = runlineage::Query::new().with_input_model("churn", "3");
    /// let runs: Vec<Auc> = store.find_runs_as(query).await?.try_collect().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`RunStore::find_runs`]; the stream ends with [`Error::Document`] where a run does not have the type's shape.
    pub async fn find_runs_as<T>(
        &self,
        search: impl Into<Search> + Send,
    ) -> Result<BoxStream<'static, Result<T>>>
    where
        T: DeserializeOwned + Unpin + Send + Sync + 'static,
    {
        let found = self.found(search.into()).await?;
        Ok(found.read(|document| {
            let value = bson::deserialize_from_slice(document.as_bytes());
            value.map_err(|error| Error::Document {
                id: document.get_str(field::ID).unwrap_or("?").to_owned(),
                reason: error.to_string(),
            })
        }))
    }

    /// How many runs match; order and projection are not looked at, limit and skip are.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`].
    pub async fn count_runs(&self, search: impl Into<Search> + Send) -> Result<u64> {
        let search = search.into();
        let choice = IndexChooser::for_all(self, &search).choose().await?;
        let runs = self.runs();
        let count = |hint| {
            let mut count = runs.count_documents(choice.filter.clone());
            if let Some(max_time) = search.max_time {
                count = count.max_time(max_time);
            }
            if let Some(limit) = search.limit {
                count = count.limit(limit.into());
            }
            if let Some(skip) = search.skip {
                count = count.skip(skip);
            }
            if let Some(hint) = hint {
                count = count.hint(hint);
            }
            count.into_future()
        };
        choice
            .send(count)
            .await
            .map_err(|error| failed("cannot count runs", error))
    }

    /// The distinct values of a field among the runs that match, each once; elements of arrays count one by one.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`]; [`Error::Mongo`] where they do not fit 16 MB.
    pub async fn distinct(
        &self,
        field: &str,
        search: impl Into<Search> + Send,
    ) -> Result<Vec<Bson>> {
        let search = search.into();
        let filter = search.filter()?;
        let runs = self.runs();
        let mut distinct = runs.distinct(field, filter);
        if let Some(max_time) = search.max_time {
            distinct = distinct.max_time(max_time);
        }
        distinct
            .await
            .map_err(|error| failed(format!("cannot list the values of {field}"), error))
    }

    /// How many of the runs that match share each value, the most frequent first; counted by the database.
    ///
    /// The limit of the search bounds the values, not the runs.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`].
    pub async fn facet(
        &self,
        facet: Facet,
        search: impl Into<Search> + Send,
    ) -> Result<Vec<FacetCount>> {
        let search = search.into();
        let filter = search.filter()?;
        let (filter, hint) = self.planned(filter, &search).await;
        let mut pipeline = vec![doc! { "$match": filter }];
        pipeline.extend(facet.stages());
        pipeline.push(doc! { "$sort": { "runs": -1, "_id": 1 } });
        if let Some(limit) = search.limit {
            pipeline.push(doc! { "$limit": i64::from(limit) });
        }
        let runs = self.runs();
        // MongoDB 5 does not go to disk unasked.
        let mut aggregate = runs.aggregate(pipeline).allow_disk_use(true);
        if let Some(max_time) = search.max_time {
            aggregate = aggregate.max_time(max_time);
        }
        if let Some(hint) = hint {
            aggregate = aggregate.hint(Hint::Name(hint.to_owned()));
        }
        let counted = aggregate
            .await
            .map_err(|error| failed("cannot count runs by value", error))?;
        counted
            .map_err(interrupted)
            .and_then(|counted| ready(FacetCount::try_from(counted)))
            .try_collect()
            .await
    }
}

impl RunStore for MongoRunStore {
    fn find_runs(&self, search: Search) -> BoxFuture<'_, Result<RunStream>> {
        Box::pin(async move {
            let found = self.found(search).await?;
            Ok(found.read(Run::try_from))
        })
    }
}

impl Facet {
    /// Groups by a field, or by the elements of an array of which each counts once a run.
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
            Self::Exp => vec![by(
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

fn interrupted(error: mongodb::error::Error) -> Error {
    failed("cannot read on in the count", error)
}
