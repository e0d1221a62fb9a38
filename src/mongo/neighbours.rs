//! [`Neighbours`]: the runs that read or wrote a node, and the registry records that link it to other nodes.
//!
//! The queries include deleted runs, since their lineage remains true.

mod family;
mod lookup;
mod registry;
mod tally;

use std::collections::BTreeSet;
use std::time::Duration;

use bson::{Bson, Document, doc};
use futures::future::try_join_all;
use futures::{FutureExt, StreamExt, TryStreamExt};
use mongodb::Collection;
use mongodb::action::Action as _;
use mongodb::options::Hint;

use super::MongoRunStore;
use super::batches::documents;
use super::collections::Collections;
use super::failure::{code, code_of, failed};
use crate::error::Result;
use crate::node::{Direction, Reference};
use crate::run::{Run, field};

pub(crate) use family::ChildOf;
pub(crate) use lookup::Lookup;
pub(crate) use registry::{LoggedModel, LoggedModelsBy, RegisteredVersion, VersionsBy, version_id};
pub(crate) use tally::Tally;

/// The largest number of keys in one query.
const CHUNK: usize = 10_000;

/// Reads the neighbours of nodes from the mirror.
pub(crate) struct Neighbours<'a> {
    store: &'a MongoRunStore,
    /// An additional filter on runs.
    filter: Option<Document>,
    with_facts: bool,
    max_time: Option<Duration>,
    filled: Filled,
}

/// The collections that were not empty when the walk began. Queries of empty collections are skipped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled {
    deleted_runs: bool,
    versions: bool,
    logged_models: bool,
}

/// A mirrored run.
pub(crate) struct StoredRun {
    pub(crate) run: Run,
    /// The run's inputs and outputs.
    pub(crate) references: Vec<Reference>,
    pub(crate) is_deleted: bool,
}

/// What happens to a run that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Keep,
    Drop,
    /// The run is dropped, and reading stops.
    Stop,
}

impl<'a> Neighbours<'a> {
    /// Reads from this mirror. Runs have to match the filter; `with_facts` includes name, status, times and user.
    pub(crate) fn of(
        store: &'a MongoRunStore,
        filter: Option<Document>,
        with_facts: bool,
        max_time: Option<Duration>,
    ) -> Self {
        Self {
            store,
            filter,
            with_facts,
            max_time,
            filled: Filled {
                deleted_runs: true,
                versions: true,
                logged_models: true,
            },
        }
    }

    /// Finds out which collections are not empty.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) when MongoDB does not answer, as of each method.
    pub(crate) async fn survey(&self) -> Result<Filled> {
        let collections = Collections::of(self.store);
        let (deleted_runs, versions, logged_models) = futures::try_join!(
            is_filled(collections.deleted_runs()),
            is_filled(collections.model_versions()),
            is_filled(collections.logged_models()),
        )?;
        Ok(Filled {
            deleted_runs,
            versions,
            logged_models,
        })
    }

    /// Skips queries of the collections that are empty.
    pub(crate) fn ask_only(&mut self, filled: Filled) {
        self.filled = filled;
    }

    /// The mirrored runs with these ids, in no particular order; only those that match the filter, if `is_filtered`.
    pub(crate) async fn runs(
        &self,
        ids: &BTreeSet<String>,
        is_filtered: bool,
    ) -> Result<Vec<StoredRun>> {
        let mut found = Vec::new();
        for ids in chunks(ids, CHUNK) {
            let filter = self.filtered(doc! { field::ID: { "$in": ids } }, is_filtered);
            found.extend(self.find_runs(&filter, None, &|_| Reading::Keep).await?);
        }
        Ok(found)
    }

    /// The runs that have one of the references, as far as `take` keeps them.
    pub(crate) async fn users(
        &self,
        lookup: &Lookup,
        take: &(dyn Fn(&StoredRun) -> Reading + Sync),
    ) -> Result<Vec<StoredRun>> {
        let mut found = Vec::new();
        for filter in lookup.filters() {
            let filter = self.filtered(filter, true);
            found.extend(self.find_runs(&filter, Some(lookup.index()), take).await?);
        }
        Ok(found)
    }

    /// The runs with these ids, with tags and params.
    pub(crate) async fn whole_runs(&self, ids: &BTreeSet<String>) -> Result<Vec<Run>> {
        // `mirror` keeps the exact texts and the keys that do not nest.
        let fields = doc! {
            field::TAGS: 1,
            field::PARAMS: 1,
            format!("{}.{}", field::MIRROR, field::TEXT): 1,
            format!("{}.{}", field::MIRROR, field::UNNESTED): 1,
            format!("{}.{}", field::MIRROR, field::QUARANTINED): 1,
        };
        let mut found = Vec::new();
        for ids in chunks(ids, CHUNK) {
            for (runs, _) in self.run_collections() {
                let find = async {
                    let find = runs.find(doc! { field::ID: { "$in": &ids } });
                    let found = find.projection(fields.clone()).await?;
                    found.try_collect::<Vec<_>>().await
                };
                for run in find.await.map_err(cannot_read)? {
                    found.push(Run::try_from(run)?);
                }
            }
        }
        Ok(found)
    }

    async fn find_runs(
        &self,
        filter: &Document,
        index: Option<&'static str>,
        take: &(dyn Fn(&StoredRun) -> Reading + Sync),
    ) -> Result<Vec<StoredRun>> {
        let reads = self
            .run_collections()
            .map(|(runs, is_deleted)| self.read(runs, is_deleted, filter, index, take).boxed());
        Ok(try_join_all(reads).await?.into_iter().flatten().collect())
    }

    async fn read(
        &self,
        runs: Collection<bson::raw::RawDocumentBuf>,
        is_deleted: bool,
        filter: &Document,
        index: Option<&'static str>,
        take: &(dyn Fn(&StoredRun) -> Reading + Sync),
    ) -> Result<Vec<StoredRun>> {
        let mut fields = doc! { Direction::Input.field(): 1, Direction::Output.field(): 1 };
        if self.with_facts {
            fields.extend(FACTS.map(|field| (field.to_owned(), Bson::from(1))));
        }
        if is_deleted {
            fields.insert("mirror.purged", 1);
        }
        let find = async |index: Option<&'static str>| {
            runs.find(filter.clone())
                .projection(fields.clone())
                .optional(index, |find, index| find.hint(Hint::Name(index.to_owned())))
                .batch()
                .await
        };
        let mut batches = with_index(index, find).await.map_err(cannot_read)?;
        let mut found = Vec::new();
        while let Some(batch) = batches.next().await {
            let batch = batch.and_then(|batch| documents(&batch));
            for document in batch.map_err(cannot_read)? {
                let run = Run::try_from(document)?;
                let references = run.references().collect::<Result<_>>()?;
                let run = StoredRun {
                    run,
                    references,
                    is_deleted,
                };
                match take(&run) {
                    Reading::Keep => found.push(run),
                    Reading::Drop => {}
                    Reading::Stop => return Ok(found),
                }
            }
        }
        Ok(found)
    }

    fn run_collections(
        &self,
    ) -> impl Iterator<Item = (Collection<bson::raw::RawDocumentBuf>, bool)> {
        let collections = Collections::of(self.store);
        let deleted = self.filled.deleted_runs;
        let deleted = deleted.then(|| (collections.deleted_runs(), true));
        [(collections.runs(), false)].into_iter().chain(deleted)
    }

    fn filtered(&self, filter: Document, is_filtered: bool) -> Document {
        match &self.filter {
            Some(other) if is_filtered => doc! { "$and": [filter, other.clone()] },
            _ => filter,
        }
    }
}

/// The fields of a run that become facts of a node.
const FACTS: [&str; 6] = [
    field::NAME,
    field::EXP,
    field::STATUS,
    field::START_TIME,
    field::END_TIME,
    field::USER,
];

async fn is_filled<T: Send + Sync + serde::de::DeserializeOwned>(
    collection: Collection<T>,
) -> Result<bool> {
    let any = collection
        .clone_with_type::<Document>()
        .find_one(doc! {})
        .projection(doc! { field::ID: 1 })
        .await;
    Ok(any.map_err(cannot_read)?.is_some())
}

/// Sends a command with an index hint, and without the hint if the index does not exist yet.
async fn with_index<T, F>(
    index: Option<&'static str>,
    command: impl Fn(Option<&'static str>) -> F,
) -> mongodb::error::Result<T>
where
    F: Future<Output = mongodb::error::Result<T>>,
{
    match command(index).await {
        Err(error) if index.is_some() && code_of(&error) == Some(code::BAD_VALUE) => {
            command(None).await
        }
        sent => sent,
    }
}

fn chunks(keys: &BTreeSet<String>, size: usize) -> impl Iterator<Item = Vec<String>> {
    let keys: Vec<String> = keys.iter().cloned().collect();
    let chunks: Vec<Vec<String>> = keys.chunks(size).map(<[String]>::to_vec).collect();
    chunks.into_iter()
}

fn cannot_read(error: mongodb::error::Error) -> crate::Error {
    failed("cannot read the lineage of the graph", error)
}
