//! [`Neighbours`]: the runs that read or wrote a node, and the registry records that link it to other nodes.
//!
//! The queries include deleted runs, since their lineage remains true.

mod crowd;
mod family;
mod kept;
mod lookup;
mod registry;
mod stored;
mod survey;
mod tally;

use std::collections::BTreeSet;
use std::time::Duration;

use bson::raw::RawDocumentBuf;
use bson::{Bson, Document, doc};
use futures::future::try_join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use futures::{FutureExt as _, join};
use mongodb::Collection;
use mongodb::action::Action as _;
use mongodb::options::Hint;
use mongodb::raw_batch_cursor::RawBatch;

use super::MongoRunStore;
use super::collections::Collections;
use super::failure::{code, code_of, failed};
use crate::error::Result;
use crate::node::Direction;
use crate::run::{Run, field};

pub(crate) use crowd::Extent;
pub(crate) use family::ChildOf;
pub(crate) use kept::KeptCounts;
use lookup::Sought;
pub(crate) use lookup::{Details, Lookup};
pub(crate) use registry::{
    LoggedModel, LoggedModelsBy, RegisteredModel, RegisteredVersion, VersionsBy, version_id,
};
pub(crate) use stored::{StoredFacts, StoredRun};
use survey::Filled;
pub(crate) use tally::Tally;

/// The largest number of keys in one query.
const CHUNK: usize = 10_000;

/// How many queries of one look-up run at the same time.
const CONCURRENT: usize = 4;

/// The largest number of runs in a batch. MongoDB gathers a batch while the one before it is parsed.
const BATCH: u32 = 1_000;

/// A limit leaves room for runs that `take` drops.
const SMALL_LIMIT: i64 = 50;

/// How many runs are parsed in a row. Between them, the request for the next batch gets its turn.
const TURN: usize = 50;

/// Reads the neighbours of nodes from the mirror.
pub(crate) struct Neighbours<'a> {
    store: &'a MongoRunStore,
    /// An additional filter on runs.
    filter: Option<Document>,
    with_facts: bool,
    max_time: Option<Duration>,
    filled: Filled,
}

/// What happens to a run that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Keep,
    Drop,
    /// The run is dropped, and reading stops.
    Stop,
}

type RawRuns = Collection<RawDocumentBuf>;

/// Decides what happens to each run of one query.
pub(crate) type Take<'t> = Box<dyn FnMut(&StoredRun) -> Reading + Send + 't>;

/// A query for runs.
struct Find<'q> {
    filter: &'q Document,
    fields: Document,
    index: Option<&'static str>,
    limit: Option<i64>,
}

/// What a query found.
struct Found {
    runs: Vec<StoredRun>,
    /// Whether the limit of the query may have left runs out.
    is_limited: bool,
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
            max_time: max_time.or(store.max_time),
            filled: Filled::ALL,
        }
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
        let mut missing: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        for (runs, is_deleted) in self.run_collections() {
            let before = found.len();
            for ids in chunks(&missing, CHUNK) {
                let filter = self.filtered(doc! { field::ID: { "$in": ids } }, is_filtered);
                let find = self.find(&filter, None, is_deleted);
                let take = Box::new(|_: &StoredRun| Reading::Keep);
                found.extend(self.read(&runs, is_deleted, &find, take).await?.runs);
            }
            // Most runs are not deleted, so few are left to look for among those that are.
            for run in &found[before..] {
                missing.remove(run.node.key());
            }
        }
        Ok(found)
    }

    /// The runs that have one of the references, as far as `take` keeps them. `few` is how many may be enough. Each reading has a `take` of
    /// its own, so that what is kept does not depend on which of them is the fastest.
    pub(crate) async fn users<'t>(
        &self,
        lookup: &Lookup,
        few: usize,
        take: &(dyn Fn() -> Take<'t> + Sync),
    ) -> Result<Vec<StoredRun>> {
        let reads = lookup.parts().into_iter().map(|part| async move {
            let filter = &self.filtered(part.filter(), true);
            let reads = self.run_collections().map(|(runs, is_deleted)| {
                let find = self.find(filter, Some(lookup.index()), is_deleted);
                async move { self.read_few(&runs, is_deleted, find, few, take).await }.boxed()
            });
            let found = try_join_all(reads).await?;
            Ok(found.into_iter().flatten().collect::<Vec<_>>())
        });
        let found = stream::iter(reads).buffered(CONCURRENT);
        found.try_concat().await
    }

    /// Reads the runs with a limit if few may be enough, and once more without it if they are not. MongoDB closes the cursor of a query
    /// that reaches its limit.
    async fn read_few<'t>(
        &self,
        runs: &RawRuns,
        is_deleted: bool,
        find: Find<'_>,
        few: usize,
        take: &(dyn Fn() -> Take<'t> + Sync),
    ) -> Result<Vec<StoredRun>> {
        // At one more, `take` stops.
        let limit = i64::try_from(few).map(|few| few.saturating_add(1).max(SMALL_LIMIT));
        let limit = limit.ok().filter(|limit| *limit < i64::from(BATCH));
        let limited = Find { limit, ..find };
        let found = self.read(runs, is_deleted, &limited, take()).await?;
        if !found.is_limited {
            return Ok(found.runs);
        }
        let all = Find {
            limit: None,
            ..limited
        };
        Ok(self.read(runs, is_deleted, &all, take()).await?.runs)
    }

    /// The runs with these ids, with inputs, tags and params.
    pub(crate) async fn whole_runs(&self, ids: &BTreeSet<String>) -> Result<Vec<Run>> {
        // `mirror` keeps the exact texts and the keys that do not nest.
        let fields = doc! {
            Direction::Input.field(): 1,
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
                    let find = find.projection(fields.clone());
                    let find = find.optional(self.max_time, |find, time| find.max_time(time));
                    find.await?.try_collect::<Vec<_>>().await
                };
                for run in find.await.map_err(cannot_read)? {
                    found.push(Run::try_from(run)?);
                }
            }
        }
        Ok(found)
    }

    /// The query for what a walk needs of runs.
    fn find<'q>(
        &self,
        filter: &'q Document,
        index: Option<&'static str>,
        is_deleted: bool,
    ) -> Find<'q> {
        let mut fields = doc! { Direction::Input.field(): 1, Direction::Output.field(): 1 };
        if self.with_facts {
            fields.extend(StoredFacts::FIELDS.map(|field| (field.to_owned(), Bson::from(1))));
        }
        if is_deleted {
            fields.insert(format!("{}.{}", field::MIRROR, field::PURGED), 1);
        }
        Find {
            filter,
            fields,
            index,
            limit: None,
        }
    }

    async fn read(
        &self,
        runs: &RawRuns,
        is_deleted: bool,
        find: &Find<'_>,
        mut take: Take<'_>,
    ) -> Result<Found> {
        let sent = async |index: Option<&'static str>| {
            runs.find(find.filter.clone())
                .projection(find.fields.clone())
                .batch_size(BATCH)
                .optional(find.limit, |find, limit| find.limit(limit))
                .optional(self.max_time, |find, time| find.max_time(time))
                .optional(index, |find, index| find.hint(Hint::Name(index.to_owned())))
                .batch()
                .await
        };
        let mut batches = with_index(find.index, sent).await.map_err(cannot_read)?;
        let (mut found, mut read) = (Vec::new(), 0);
        let mut take = |run: &StoredRun| {
            read += 1;
            take(run)
        };
        let mut batch = batches.next().await;
        while let Some(current) = batch {
            let current = current.map_err(cannot_read)?;
            let parsing = parse(&current, is_deleted, &mut take, &mut found);
            let (next, goes_on) = join!(batches.next(), parsing);
            if !goes_on? {
                return Ok(Found {
                    runs: found,
                    is_limited: false,
                });
            }
            batch = next;
        }
        Ok(Found {
            runs: found,
            is_limited: find.limit.is_some_and(|limit| read >= limit),
        })
    }

    fn run_collections(&self) -> impl Iterator<Item = (RawRuns, bool)> {
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

/// Parses the runs of a batch and keeps those that `take` keeps. Returns whether reading goes on.
async fn parse(
    batch: &RawBatch,
    is_deleted: bool,
    take: &mut (dyn FnMut(&StoredRun) -> Reading + Send),
    found: &mut Vec<StoredRun>,
) -> Result<bool> {
    let documents = batch.doc_slices().map_err(cannot_read)?;
    for (place, document) in documents.into_iter().enumerate() {
        if place % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        let document = document.map_err(|error| cannot_read(error.into()))?;
        let Some(document) = document.as_document() else {
            return Err(cannot_read(mongodb::error::Error::custom(
                "a batch contains a value that is not a document",
            )));
        };
        let run = StoredRun::parse(document, is_deleted)?;
        match take(&run) {
            Reading::Keep => found.push(run),
            Reading::Drop => {}
            Reading::Stop => return Ok(false),
        }
    }
    Ok(true)
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

fn chunks(
    keys: impl IntoIterator<Item = impl AsRef<str>>,
    size: usize,
) -> impl Iterator<Item = Vec<Bson>> {
    let mut keys = keys.into_iter();
    std::iter::from_fn(move || {
        let chunk = keys.by_ref().take(size);
        let chunk: Vec<Bson> = chunk.map(|key| Bson::from(key.as_ref())).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn cannot_read(error: mongodb::error::Error) -> crate::Error {
    failed("cannot read the lineage of the graph", error)
}
