//! How MongoDB serves a search, as it explains it.

use bson::{Bson, Document, doc};
use mongodb::options::Hint;

use super::MongoRunStore;
use super::batches::pipeline;
use super::chooser::IndexChooser;
use super::collections::{Collections, RUNS};
use super::failure::failed;
use super::indexes::{INDEXES, Index};
use super::terms::is_served;
use crate::error::Result;
use crate::query::Search;

/// How MongoDB serves a search: the indexes it reads, and what it examined.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct QueryPlan {
    /// The indexes read, in the plan's order; none where the collection itself is read.
    pub indexes: Vec<String>,
    /// Whether every run, or every key of an index, may be looked at.
    pub examines_all: bool,
    /// Whether the runs are sorted after they were read, since no index holds the order.
    pub sorts: bool,
    /// Keys of indexes that were examined.
    pub keys_examined: u64,
    /// Runs that were examined.
    pub runs_examined: u64,
    /// Runs that were found.
    pub runs_found: u64,
    /// How long the server worked, in milliseconds.
    pub millis: u64,
    /// MongoDB's own `explain`.
    pub explained: Document,
}

impl MongoRunStore {
    /// Runs a search, and tells how MongoDB served it; the runs themselves are not sent.
    ///
    /// It is the plan that [`find_runs`](Self::find_runs) has for the same search: the index is chosen by the same rule.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`](crate::RunStore::find_runs).
    pub async fn explain(&self, search: impl Into<Search> + Send) -> Result<QueryPlan> {
        explained(self, &search.into(), "executionStats").await
    }

    /// Whether an index leads to the runs of a search; where not, every run of the mirror is looked at.
    ///
    /// MongoDB's plan is asked for only where the filter alone does not tell, or an index is missing.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`](crate::RunStore::find_runs).
    pub async fn is_indexed(&self, search: impl Into<Search> + Send) -> Result<bool> {
        let search = search.into();
        if search.filter().is_ok_and(|filter| is_served(&filter)) && has_all_indexes(self).await {
            return Ok(true);
        }
        let plan = explained(self, &search, "queryPlanner").await?;
        Ok(!plan.examines_all)
    }

    /// Whether an index holds the order of a search; where not, all of its matches are read before the first is sent.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`](crate::RunStore::find_runs).
    pub async fn is_order_indexed(&self, search: impl Into<Search> + Send) -> Result<bool> {
        let search = search.into();
        if search.sort_stages.is_some() {
            return Ok(false);
        }
        let plan = explained(self, &search, "queryPlanner").await?;
        Ok(!plan.sorts)
    }
}

/// How MongoDB serves the command that [`MongoRunStore::find_runs`] sends.
async fn explained(store: &MongoRunStore, search: &Search, verbosity: &str) -> Result<QueryPlan> {
    let choice = IndexChooser::for_runs(store, search).choose().await?;
    let command = command(&choice.filter, search);
    let explain = async |hint: Option<Hint>| {
        let mut command = command.clone();
        if let Some(Hint::Name(index)) = hint {
            command.insert("hint", index);
        }
        let mut explain = doc! { "explain": command, "verbosity": verbosity };
        if let Some(time) = search.max_time {
            let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
            explain.insert("maxTimeMS", millis);
        }
        Collections::of(store).read(explain).await
    };
    let explained = choice.send(explain).await;
    explained
        .map(QueryPlan::from_explain)
        .map_err(|error| failed("cannot explain the search", error))
}

/// The command that searches, as text of the protocol.
fn command(filter: &Document, search: &Search) -> Document {
    if let Some(pipeline) = pipeline(filter, search) {
        return doc! { "aggregate": RUNS, "pipeline": pipeline, "cursor": {}, "allowDiskUse": true };
    }
    let mut find = doc! { "find": RUNS, "filter": filter };
    if let Some(sort) = &search.sort {
        find.insert("sort", sort);
    }
    if let Some(projection) = &search.projection {
        find.insert("projection", projection);
    }
    if let Some(limit) = search.limit {
        find.insert("limit", i64::from(limit));
    }
    if let Some(skip) = search.skip {
        find.insert("skip", i64::try_from(skip).unwrap_or(i64::MAX));
    }
    find
}

/// Whether no index of the table is missing: somebody may have dropped one.
async fn has_all_indexes(store: &MongoRunStore) -> bool {
    let names = Collections::of(store).runs().list_index_names().await;
    names.is_ok_and(|names| {
        let is_there = |index: &Index| names.iter().any(|name| name == index.name);
        INDEXES.iter().all(is_there)
    })
}

impl QueryPlan {
    fn from_explain(explained: Document) -> Self {
        let mut plan = Self::default();
        // Where the server computes the order, the search for the runs is the first of several stages.
        let stages = explained.get_array("stages").ok();
        let stage = |stage: &Bson| stage.as_document().cloned();
        let first = stages.and_then(|stages| stages.first().and_then(stage));
        let cursor = first.and_then(|first| first.get_document("$cursor").ok().cloned());
        let search = cursor.as_ref().unwrap_or(&explained);
        let winning = search
            .get_document("queryPlanner")
            .and_then(|planner| planner.get_document("winningPlan"));
        if let Ok(winning) = winning {
            plan.walk(winning);
        }
        if let Ok(stats) = search.get_document("executionStats") {
            plan.keys_examined = count(stats, "totalKeysExamined");
            plan.runs_examined = count(stats, "totalDocsExamined");
            plan.runs_found = count(stats, "nReturned");
            plan.millis = count(stats, "executionTimeMillis");
        }
        let last = stages.and_then(|stages| stages.last().and_then(stage));
        if let Some(last) = last.filter(|last| last.contains_key("nReturned")) {
            plan.runs_found = count(&last, "nReturned");
        }
        plan.explained = explained;
        plan
    }

    fn walk(&mut self, stage: &Document) {
        self.sorts |= stage.get_str("stage").is_ok_and(|stage| stage == "SORT");
        self.examines_all |= stage
            .get_str("stage")
            .is_ok_and(|stage| stage == "COLLSCAN");
        if let Ok(index) = stage.get_str("indexName") {
            self.indexes.push(index.to_owned());
            self.examines_all |= stage.get_document("indexBounds").is_ok_and(is_whole);
        }
        for (_, value) in stage {
            match value {
                Bson::Document(inner) => self.walk(inner),
                Bson::Array(inner) => inner
                    .iter()
                    .filter_map(Bson::as_document)
                    .for_each(|inner| self.walk(inner)),
                _ => {}
            }
        }
    }
}

fn count(stats: &Document, name: &str) -> u64 {
    match stats.get(name) {
        Some(Bson::Int32(count)) => u64::try_from(*count).unwrap_or_default(),
        Some(Bson::Int64(count)) => u64::try_from(*count).unwrap_or_default(),
        _ => 0,
    }
}

/// Whether the first field of an index is not bounded, or only by having no value: that may be so in nearly every run.
fn is_whole(bounds: &Document) -> bool {
    let first = bounds.values().next().and_then(Bson::as_array);
    first.is_some_and(|ranges| {
        ranges.iter().any(|range| {
            matches!(
                range.as_str(),
                Some("[MinKey, MaxKey]" | "[MaxKey, MinKey]" | "[null, null]")
            )
        })
    })
}
