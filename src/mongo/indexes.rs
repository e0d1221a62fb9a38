//! Which index is to serve a search, where the server's own choice may be bad: the one with the fewest matches.

use std::iter::{once, repeat};
use std::time::Duration;

use bson::{Bson, Document, doc};
use futures::future::try_join_all;

use super::{MongoRunStore, RUNS, failed};
use crate::error::Result;
use crate::query::{IndexedTerm, Search, indexed_parts};

/// So few matches that no other index needs to be looked at.
const FEW: i64 = 200;
/// How far the matches of the terms are counted, until one has fewer.
const BOUNDS: &[i64] = &[10_000, 100_000];
/// The same for a search with an order: with many matches, an index that holds the order finds the first ones sooner.
const BOUNDS_IN_ORDER: &[i64] = &[4_000];
/// How many terms are looked at.
const MAX_TERMS: usize = 8;
/// What is left of a probe's use after this much time.
const PROBING: Duration = Duration::from_secs(2);

/// Which indexes serve a filter, as far as the filter tells.
pub(super) enum Indexes {
    /// The server finds the right one by itself.
    Own,
    /// Of the indexes for one field and for the time, the one that holds both.
    Joined(IndexedTerm),
    /// One for each part of the filter, or several alternatives.
    Several(Vec<Vec<IndexedTerm>>),
}

impl Indexes {
    pub(super) fn of(filter: &Document) -> Self {
        let parts = indexed_parts(filter);
        let is_id = |part: &Vec<IndexedTerm>| part.iter().any(|term| term.index == "_id_");
        if parts.iter().any(is_id) {
            return Self::Own;
        }
        match &parts[..] {
            [] => Self::Own,
            // No one index holds what several alternatives find.
            [part] => match &part[..] {
                [term] if term.filter.len() > 1 => Self::Joined(term.clone()),
                _ => Self::Own,
            },
            _ => Self::Several(parts),
        }
    }
}

/// The filter, so that the bounds of the term's index are taken from the term: one that is an alternative is set beside it.
pub(super) fn narrowed(filter: Document, term: Document) -> Document {
    if term.iter().all(|(key, value)| joins(&filter, key, value)) {
        return filter;
    }
    doc! { "$and": [filter, term] }
}

/// Whether a filter joins a test to the others by AND.
fn joins(filter: &Document, key: &str, value: &Bson) -> bool {
    let all = filter.get_array("$and").ok().into_iter().flatten();
    let mut inner = all.filter_map(Bson::as_document);
    filter.get(key) == Some(value) || inner.any(|filter| joins(filter, key, value))
}

impl MongoRunStore {
    /// The filter, and the index to insist on where its parts have several: one that finds few runs.
    pub(super) async fn planned(
        &self,
        filter: Document,
        search: &Search,
    ) -> (Document, Option<&'static str>) {
        match Indexes::of(&filter) {
            Indexes::Own => (filter, None),
            Indexes::Joined(term) => {
                let is_there = self.count_up_to(&term, 1).await.is_ok();
                (filter, is_there.then_some(term.index))
            }
            Indexes::Several(parts) => match self.smallest(parts, search, false).await {
                Some(term) => (narrowed(filter, term.filter), Some(term.index)),
                None => (filter, None),
            },
        }
    }

    /// The term with the fewest matches; `None` where all have many, and where anything here fails or takes long: then
    /// the server's own choice stands. `many`: the search has more runs than a first batch, and each term as many.
    pub(super) async fn smallest(
        &self,
        parts: Vec<Vec<IndexedTerm>>,
        search: &Search,
        many: bool,
    ) -> Option<IndexedTerm> {
        let budget = search.max_time.unwrap_or(PROBING).min(PROBING);
        let bounds = match search.sort {
            Some(_) => BOUNDS_IN_ORDER,
            None => BOUNDS,
        };
        let probing = tokio::time::timeout(budget, self.fewest_matches(parts, bounds, many));
        probing.await.ok()?.ok()?
    }

    async fn fewest_matches(
        &self,
        parts: Vec<Vec<IndexedTerm>>,
        bounds: &[i64],
        many: bool,
    ) -> Result<Option<IndexedTerm>> {
        let mut looked_at = Vec::new();
        for part in parts.into_iter().take(MAX_TERMS) {
            let part = self.matched(part).await?;
            if !looked_at.contains(&part) {
                looked_at.push(part);
            }
        }
        looked_at.sort_by_key(|part| part.iter().map(|term| usual_matches(term.index)).max());
        // To look at the others would cost more than they could save.
        if let Some(first) = looked_at.first()
            && !many
            && self.count_part(first, FEW).await? < FEW
        {
            return Ok(only(first));
        }
        for bound in bounds {
            // The first has the fewest as a rule: the others keep the server from it no longer than they need to.
            let bounds = once(*bound).chain(repeat(bound / 4));
            let counts = looked_at.iter().zip(bounds).map(async |(part, bound)| {
                let count = self.count_part(part, bound).await?;
                Ok((count < bound).then_some((count, part)))
            });
            let counts = try_join_all(counts).await?;
            let smallest = counts.into_iter().flatten().min_by_key(|(count, _)| *count);
            if let Some((_, part)) = smallest {
                return Ok(only(part));
            }
        }
        Ok(None)
    }

    /// The alternatives that any run matches now: an experiment is mostly known by its id or by its name.
    async fn matched(&self, mut part: Vec<IndexedTerm>) -> Result<Vec<IndexedTerm>> {
        if part.len() == 1 {
            return Ok(part);
        }
        let counts = part.iter().map(|term| self.count_up_to(term, 1));
        let counts = try_join_all(counts).await?;
        let mut counts = counts.into_iter();
        let nothing = part.first().cloned();
        part.retain(|_| counts.next().is_some_and(|count| count > 0));
        if part.is_empty() {
            part.extend(nothing);
        }
        Ok(part)
    }

    async fn count_part(&self, part: &[IndexedTerm], bound: i64) -> Result<i64> {
        let counts = part.iter().map(|term| self.count_up_to(term, bound));
        Ok(try_join_all(counts).await?.iter().sum())
    }

    /// How many matches a term has, up to a bound; where keys alone tell, no run is read.
    async fn count_up_to(&self, term: &IndexedTerm, bound: i64) -> Result<i64> {
        let count = doc! {
            "count": RUNS,
            "query": &term.filter,
            "limit": bound,
            "hint": term.index,
            "maxTimeMS": i64::try_from(PROBING.as_millis()).unwrap_or(i64::MAX),
        };
        let counted = self.read(count).await;
        let counted = counted.map_err(|error| failed("cannot probe an index", error))?;
        Ok(match counted.get("n") {
            Some(Bson::Int32(count)) => i64::from(*count),
            Some(Bson::Int64(count)) => *count,
            _ => bound,
        })
    }
}

/// The term to insist on; alternatives that different indexes find are left to the server.
fn only(part: &[IndexedTerm]) -> Option<IndexedTerm> {
    match part {
        [term] => Some(term.clone()),
        _ => None,
    }
}

/// Indexes in the order of how many runs share a value, as a rule: what was read of one run comes before a whole experiment.
fn usual_matches(index: &str) -> usize {
    const ORDER: [&str; 14] = [
        "output_runs",
        "output_paths",
        "input_runs",
        "input_paths",
        "parent",
        "name",
        "output_models",
        "input_models",
        "newest_users_of_model",
        "newest_of_exp",
        "newest_of_exp_name",
        "newest_of_user",
        "newest",
        "newest_of_status",
    ];
    let place = ORDER.iter().position(|other| *other == index);
    place.unwrap_or(ORDER.len())
}
