//! [`QueryPlan`]: how MongoDB executes a search.

use bson::{Bson, Document, doc};
use mongodb::action::Action as _;
use mongodb::options::Hint;

use super::MongoRunStore;
use super::batches::pipeline;
use super::chooser::IndexChooser;
use super::collections::{Collections, RUNS};
use super::failure::failed;
use super::indexes::{BY_ID, INDEXES, Index};
use super::terms::{Conjunct, conjuncts, is_served};
use crate::error::Result;
use crate::query::Search;

/// How MongoDB executes a search: the indexes it uses, and how much it examined.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct QueryPlan {
    /// The indexes used, in the plan's order; empty for a collection scan.
    pub indexes: Vec<String>,
    /// Whether the plan may examine every run, or every key of an index.
    pub examines_all: bool,
    /// Whether MongoDB sorts the runs after reading all of them, because the index does not hold the order.
    pub sorts: bool,
    /// How many index keys MongoDB examined.
    pub keys_examined: u64,
    /// How many runs MongoDB examined.
    pub runs_examined: u64,
    /// How many runs matched.
    pub runs_found: u64,
    /// How long the execution took on the server, in milliseconds.
    pub millis: u64,
    /// MongoDB's own `explain` document.
    pub explained: Document,
}

impl MongoRunStore {
    /// Executes a search and returns its query plan, without the runs.
    ///
    /// [`find_runs`](Self::find_runs) has the same plan for the same search, since both choose the index by the same rule.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`](crate::RunStore::find_runs).
    pub async fn explain(&self, search: impl Into<Search> + Send) -> Result<QueryPlan> {
        explained(self, &search.into(), "executionStats").await
    }

    /// Whether an index serves the search; if not, MongoDB scans the whole collection.
    ///
    /// Asks MongoDB for its plan only if the filter alone does not tell, or if an index is missing.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`](crate::RunStore::find_runs).
    pub async fn is_indexed(&self, search: impl Into<Search> + Send) -> Result<bool> {
        let search = search.into();
        if let Ok(filter) = search.filter()
            && is_served(&filter)
            // Nobody can drop the index on ids.
            && (names_ids(&filter) || has_all_indexes(self).await)
        {
            return Ok(true);
        }
        let plan = explained(self, &search, "queryPlanner").await?;
        Ok(!plan.examines_all)
    }

    /// Whether an index holds the order of the search; if not, MongoDB reads and sorts all matches before it sends the first.
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

/// Explains the command that [`MongoRunStore::find_runs`] sends.
async fn explained(store: &MongoRunStore, search: &Search, verbosity: &str) -> Result<QueryPlan> {
    let choice = IndexChooser::for_runs(store, search).choose().await?;
    let command = command(&choice.filter, search);
    let explain = async |hint: Option<Hint>| {
        let mut command = command.clone();
        if let Some(Hint::Name(index)) = hint {
            command.insert("hint", index);
        }
        let mut explain = doc! { "explain": command, "verbosity": verbosity };
        if let Some(time) = store.max_time_of(search) {
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

/// The database command that the driver sends for the search.
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

/// Whether every match has one of the ids that the filter names.
fn names_ids(filter: &Document) -> bool {
    let are_ids =
        |terms: &Conjunct| !terms.is_empty() && terms.iter().all(|term| term.index == BY_ID);
    conjuncts(filter).iter().any(are_ids)
}

/// Whether all indexes of the table exist. An administrator may have dropped one.
async fn has_all_indexes(store: &MongoRunStore) -> bool {
    let runs = Collections::of(store).runs();
    let names = runs
        .list_index_names()
        .optional(store.max_time, |list, time| list.max_time(time))
        .await;
    names.is_ok_and(|names| {
        let is_there = |index: &Index| names.iter().any(|name| name == index.name);
        INDEXES.iter().all(is_there)
    })
}

impl QueryPlan {
    fn from_explain(explained: Document) -> Self {
        let mut plan = Self::default();
        // In an aggregation, the first stage is the search.
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
            self.examines_all |= stage.get_document("indexBounds").is_ok_and(are_open);
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

/// Whether the bounds of an index's leading field are open, or match only runs without the field, which may be nearly all runs.
fn are_open(bounds: &Document) -> bool {
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
