//! How MongoDB is to serve a search: which index, where the server's own choice may be bad.

use bson::{Bson, Document, doc};

use super::mongo::{MongoRunStore, RUNS, failed};
use crate::error::Result;
use crate::query::{IndexedTerm, Search, indexed_terms, is_served};

/// So few matches that no other index needs to be looked at.
const FEW: i64 = 200;
/// How far the matches of one term are counted: from here on, which term is the smallest matters less than the order.
const PROBE: i64 = 1_000;
/// What is left of a probe's use after this much of the server's time.
const PROBE_MILLIS: i64 = 2_000;

/// How MongoDB serves a search: the indexes it reads, and what it examined.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The indexes read, in the plan's order; none where the collection itself is read.
    pub indexes: Vec<String>,
    /// Whether every run, or every key of an index, may be looked at.
    pub examines_all: bool,
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
    /// # Errors
    /// As [`RunStore::find_runs`](super::RunStore::find_runs).
    pub async fn explain(&self, search: impl Into<Search> + Send) -> Result<Plan> {
        self.explained(search.into(), "executionStats").await
    }

    /// Whether an index leads to the runs of a search; where not, every run of the mirror is looked at.
    ///
    /// MongoDB is asked only where the filter alone does not tell.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`](super::RunStore::find_runs).
    pub async fn is_indexed(&self, search: impl Into<Search> + Send) -> Result<bool> {
        let search = search.into();
        if search.filter().is_ok_and(is_served) {
            return Ok(true);
        }
        let plan = self.explained(search, "queryPlanner").await?;
        Ok(!plan.examines_all)
    }

    async fn explained(&self, search: Search, verbosity: &str) -> Result<Plan> {
        let (filter, search) = search.take_filter()?;
        let hint = self.hint(&filter).await;
        let mut find = doc! { "find": RUNS, "filter": filter };
        if let Some(sort) = search.sort {
            find.insert("sort", sort);
        }
        if let Some(projection) = search.projection {
            find.insert("projection", projection);
        }
        if let Some(limit) = search.limit {
            find.insert("limit", i64::from(limit));
        }
        if let Some(skip) = search.skip {
            find.insert("skip", i64::try_from(skip).unwrap_or(i64::MAX));
        }
        if let Some(hint) = hint {
            find.insert("hint", hint);
        }
        let mut command = doc! { "explain": find, "verbosity": verbosity };
        if let Some(time) = search.max_time {
            command.insert(
                "maxTimeMS",
                i64::try_from(time.as_millis()).unwrap_or(i64::MAX),
            );
        }
        let explained = self.database().run_command(command).await;
        explained
            .map(Plan::from_explain)
            .map_err(|error| failed("cannot explain the search", error))
    }

    /// The index to insist on where several terms joined by AND have one each: one whose term has few matches.
    ///
    /// The planner tries each for a moment and keeps the one that finds a match first, which on runs in the order of their
    /// time can be the worst. Its choice stands where the terms all have many matches, and where anything here fails.
    pub(super) async fn hint(&self, filter: &Document) -> Option<&'static str> {
        let mut terms = indexed_terms(filter);
        if terms.len() < 2 || terms.iter().any(|term| term.index == "_id_") {
            return None;
        }
        terms.sort_by_key(|term| usual_matches(term.index));
        // The first with so few matches will do: to look at the others costs more than they could save.
        for term in &terms {
            if self.count_up_to(term, FEW).await? < FEW {
                return Some(term.index);
            }
        }
        let counts = terms.iter().map(|term| self.count_up_to(term, PROBE));
        let counts = futures::future::join_all(counts).await;
        let smallest = terms.iter().zip(counts).min_by_key(|(_, count)| *count);
        smallest
            .filter(|(_, count)| count.is_some_and(|count| count < PROBE))
            .map(|(term, _)| term.index)
    }

    /// How many matches a term has, up to a bound; where keys alone tell, no run is read.
    async fn count_up_to(&self, term: &IndexedTerm, bound: i64) -> Option<i64> {
        let count = doc! {
            "count": RUNS,
            "query": &term.filter,
            "limit": bound,
            "hint": term.index,
            "maxTimeMS": PROBE_MILLIS,
        };
        let counted = self.database().run_command(count).await.ok()?;
        match counted.get("n") {
            Some(Bson::Int32(count)) => Some(i64::from(*count)),
            Some(Bson::Int64(count)) => Some(*count),
            _ => None,
        }
    }
}

/// Indexes in the order of how many runs share a value, as a rule: what was read of one run comes before a whole experiment.
fn usual_matches(index: &str) -> usize {
    const ORDER: [&str; 12] = [
        "output_runs",
        "output_paths",
        "input_runs",
        "input_paths",
        "parent",
        "name",
        "output_models",
        "input_models",
        "newest_of_exp",
        "newest_of_exp_name",
        "newest_of_user",
        "newest_of_status",
    ];
    let place = ORDER.iter().position(|other| *other == index);
    place.unwrap_or(ORDER.len())
}

impl Plan {
    fn from_explain(explained: Document) -> Self {
        let mut plan = Self::default();
        let winning = explained
            .get_document("queryPlanner")
            .and_then(|planner| planner.get_document("winningPlan"));
        if let Ok(winning) = winning {
            plan.walk(winning);
        }
        if let Ok(stats) = explained.get_document("executionStats") {
            let count = |name: &str| match stats.get(name) {
                Some(Bson::Int32(count)) => u64::try_from(*count).unwrap_or_default(),
                Some(Bson::Int64(count)) => u64::try_from(*count).unwrap_or_default(),
                _ => 0,
            };
            plan.keys_examined = count("totalKeysExamined");
            plan.runs_examined = count("totalDocsExamined");
            plan.runs_found = count("nReturned");
            plan.millis = count("executionTimeMillis");
        }
        plan.explained = explained;
        plan
    }

    fn walk(&mut self, stage: &Document) {
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
