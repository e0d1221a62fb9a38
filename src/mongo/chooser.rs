//! [`IndexChooser`]: the index hint of a search. Finds, counts, facets, distinct values and explanations all take theirs from here.

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use futures::future::join_all;
use mongodb::options::Hint;

use super::MongoRunStore;
use super::collections::{Collections, RUNS};
use super::failure::{code, code_of};
use super::indexes::{BY_ID, Coverage, INDEXES, Index};
use super::key_ranges::{self, KeyRange};
use super::terms::{Conjunct, Term, conjuncts, merged};
use crate::error::Result;
use crate::query::Search;
use crate::run::field;

/// With fewer matches than this, an index is hinted even if it does not hold the search's order: the sort costs little.
const FEW: i64 = 200;
/// A term whose index typically has this many runs a value, or fewer, is counted before the others and alone.
const HANDFUL: u32 = 5;
/// The rounds of counts: the bound for the first term, which typically has the fewest matches, and the bound for the other terms.
/// The rounds end when a term has fewer matches than its bound. To count past the last bounds would typically cost more than a
/// wrong index.
const ROUNDS: [(i64, i64); 3] = [(1_000, FEW), (4_000, 1_000), (10_000, 10_000)];
/// The query planner ends its trial of the plans at this many results. For a search that asks for no more, the plan that
/// returns them first is the best one.
const TRIAL_RESULTS: u64 = 101;
/// How many terms are counted at most.
const MAX_TERMS: usize = 8;
/// How long the server may count. A term whose count is not known by then is not hinted.
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);

/// Chooses the index of one search.
///
/// MongoDB's query planner tries each index for a moment and keeps the one that returned the most runs. Where runs are clustered
/// by start time, that index can be the worst one for the rest of the search. So the chooser counts the matches of each term of
/// an AND, in [`ROUNDS`], and hints the index of the term with the fewest.
///
/// - If an index can hold the search's order, only indexes that hold it take part after the first round. With any other index,
///   MongoDB reads and sorts all matches before it sends the first run.
/// - The planner chooses if the search asks for at most [`TRIAL_RESULTS`] runs, or if no term has fewer matches than the last
///   round's bound.
///
/// The hinted index always belongs to a term that every match fulfils. A sparse or partial index of any other term would lose
/// runs without an error.
pub(super) struct IndexChooser<'a> {
    store: &'a MongoRunStore,
    search: &'a Search,
    order: Order,
    /// The limit of the search, if MongoDB can stop reading there.
    limit: Option<u32>,
    /// When counting has to end.
    deadline: Instant,
}

/// The order of the runs that a search asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// No order, or one that no index holds. MongoDB reads all matches.
    None,
    /// By start time. Several indexes hold this order under one value of another field.
    ByTime,
    /// Another order that an index may hold. Only an index with few matches is hinted; otherwise the query planner decides.
    Other,
}

/// The filter to send, and the index to hint.
pub(super) struct Choice {
    pub(super) filter: Document,
    /// `None` leaves the choice to the query planner.
    index: Option<&'static str>,
}

impl<'a> IndexChooser<'a> {
    /// For a command that returns runs in the search's order.
    pub(super) fn for_runs(store: &'a MongoRunStore, search: &'a Search) -> Self {
        Self {
            order: search.sort.as_ref().map_or(Order::None, Order::of),
            // An order that MongoDB computes needs all matches.
            limit: search.limit.filter(|_| search.sort_stages.is_none()),
            ..Self::for_all(store, search)
        }
    }

    /// For a command that reads all matches, in any order.
    pub(super) fn for_all(store: &'a MongoRunStore, search: &'a Search) -> Self {
        let time = store
            .max_time_of(search)
            .unwrap_or(COUNT_TIMEOUT)
            .min(COUNT_TIMEOUT);
        Self {
            store,
            search,
            order: Order::None,
            limit: None,
            deadline: Instant::now() + time,
        }
    }

    /// Chooses an index. A failed count is not an error: without counts, the query planner chooses.
    pub(super) async fn choose(&self) -> Result<Choice> {
        let filter = self.search.filter()?;
        let term = self.best(conjuncts(&filter)).await;
        Ok(match term {
            Some(term) => Choice {
                index: Some(term.index.name),
                filter: and_term(filter, term.filter),
            },
            None => Choice {
                filter,
                index: None,
            },
        })
    }

    async fn best(&self, conjuncts: Vec<Conjunct>) -> Option<Term> {
        // A lookup by id is the fastest plan, and the query planner always takes it.
        if conjuncts.iter().flatten().any(|term| term.index == BY_ID) {
            return None;
        }
        if let [conjunct] = &conjuncts[..] {
            // The planner may prefer the index on start time alone to the one that holds the term's field and the time.
            let term = single(conjunct).filter(|term| term.filter.len() > 1)?;
            if self.order == Order::None || self.is_in_order(conjunct) {
                return Some(term.clone());
            }
        }
        let skip = self.search.skip.unwrap_or_default();
        if self
            .limit
            .is_some_and(|limit| skip.saturating_add(limit.into()) <= TRIAL_RESULTS)
        {
            return None;
        }
        let mut candidates = self.candidates(conjuncts);
        if let Some(term) = self.handful(&candidates).await {
            return Some(term);
        }
        for bounds in ROUNDS {
            match self.round(candidates, bounds).await {
                Round::Chosen(term) => return term,
                Round::Undecided(rest) => candidates = rest,
            }
            if self.order != Order::None {
                candidates.retain(|conjunct| self.is_in_order(conjunct));
            }
        }
        None
    }

    /// The conjuncts to count, ordered by their typical number of matches.
    fn candidates(&self, mut conjuncts: Vec<Conjunct>) -> Vec<Conjunct> {
        if self.order == Order::ByTime {
            for conjunct in &mut conjuncts {
                if let [term] = &mut conjunct[..]
                    && let Some(ordered) = term.by_time()
                {
                    *term = ordered;
                }
            }
        }
        let typical_runs = |conjunct: &Conjunct| {
            conjunct
                .iter()
                .map(|term| term.index.typical_runs)
                .sum::<u32>()
        };
        conjuncts.sort_by_key(typical_runs);
        let mut candidates: Vec<Conjunct> = Vec::new();
        let mut terms_left = MAX_TERMS;
        for conjunct in conjuncts {
            if conjunct.len() <= terms_left && !candidates.contains(&conjunct) {
                terms_left -= conjunct.len();
                candidates.push(conjunct);
            }
        }
        candidates
    }

    /// The first term, if it typically has a handful of matches and now has fewer than [`FEW`]. To read these matches costs less
    /// than to count the other terms.
    async fn handful(&self, candidates: &[Conjunct]) -> Option<Term> {
        let first = candidates.first().and_then(|conjunct| single(conjunct))?;
        if first.index.typical_runs > HANDFUL || self.count(first, FEW).await? >= FEW {
            return None;
        }
        Some(first.clone())
    }

    /// Counts all candidates concurrently, and drops those whose index is missing.
    async fn round(&self, candidates: Vec<Conjunct>, (first, others): (i64, i64)) -> Round {
        let bounds: Vec<i64> = candidates
            .iter()
            .enumerate()
            .map(|(index, conjunct)| {
                let is_further = index == 0 && self.may_count_further(conjunct, others);
                if is_further { first } else { others }
            })
            .collect();
        let counts = candidates.iter().zip(&bounds);
        let counts = counts.map(|(conjunct, bound)| self.count_each(conjunct, *bound));
        let counts = join_all(counts).await;
        let mut below_bound: Vec<(i64, Conjunct)> = Vec::new();
        let mut rest = Vec::new();
        for ((conjunct, bound), counts) in candidates.iter().zip(bounds).zip(counts) {
            let Some(counts) = counts else { continue };
            let conjunct = with_matches(conjunct, &counts);
            let count = counts.iter().sum();
            if count < bound {
                below_bound.push((count, conjunct));
            } else {
                rest.push(conjunct);
            }
        }
        if below_bound.is_empty() {
            return Round::Undecided(rest);
        }
        // An OR over several indexes cannot be hinted. One with few matches therefore comes after every single term.
        below_bound
            .sort_by_key(|(count, conjunct)| (*count < FEW && single(conjunct).is_none(), *count));
        let fewest = below_bound.first();
        Round::Chosen(fewest.and_then(|(_, conjunct)| single(conjunct)).cloned())
    }

    /// Whether the first conjunct is counted up to its own bound in a round where `others` bounds the rest.
    ///
    /// That is useful only if the conjunct may be chosen with more than [`FEW`] matches. And the count must tell whether there
    /// are fewer than [`FEW`], which [`count_keys`](Self::count_keys) with a higher bound does not.
    fn may_count_further(&self, conjunct: &[Term], others: i64) -> bool {
        let mut alternatives = conjunct.iter().flat_map(Term::alternatives);
        let is_exact =
            others > FEW || alternatives.all(|term| key_ranges::of_element(&term).is_none());
        is_exact && (self.order == Order::None || self.is_in_order(conjunct))
    }

    fn is_in_order(&self, conjunct: &[Term]) -> bool {
        let by_time = |term: &Term| term.by_time().as_ref() == Some(term);
        self.order == Order::ByTime && single(conjunct).is_some_and(by_time)
    }

    /// How many matches each term of a conjunct has, up to a bound; `None` if a count fails.
    async fn count_each(&self, conjunct: &[Term], bound: i64) -> Option<Vec<i64>> {
        let counts = join_all(conjunct.iter().map(|term| self.count(term, bound))).await;
        counts.into_iter().collect()
    }

    /// How many matches a term has, up to a bound for each of its alternatives.
    async fn count(&self, term: &Term, bound: i64) -> Option<i64> {
        let alternatives = term.alternatives();
        let counts = alternatives
            .iter()
            .map(async |term| match key_ranges::of_element(term) {
                Some(ranges) => self.count_keys(term, &ranges, bound).await,
                None => self.count_runs(term, bound).await,
            });
        let counts: Option<Vec<i64>> = join_all(counts).await.into_iter().collect();
        Some(counts?.iter().sum())
    }

    /// Counts by MongoDB's `count`, which reads index keys alone.
    async fn count_runs(&self, term: &Term, bound: i64) -> Option<i64> {
        let is_of_element = |condition: &Bson| {
            let condition = condition.as_document();
            condition.is_some_and(|condition| condition.contains_key("$elemMatch"))
        };
        if bound > FEW && term.filter.values().any(is_of_element) {
            // MongoDB would read the documents to count them, which may cost more than a wrong index.
            return Some(bound);
        }
        let count = doc! {
            "count": RUNS,
            "query": &term.filter,
            "limit": bound,
            "hint": term.index.name,
            "maxTimeMS": self.millis_left()?,
        };
        let counted = Collections::of(self.store).read(count).await.ok()?;
        match counted.get("n") {
            Some(Bson::Int32(count)) => Some(i64::from(*count)),
            Some(Bson::Int64(count)) => Some(*count),
            _ => None,
        }
    }

    /// Lists the keys if the bound is [`FEW`]. With a higher bound, only asks whether there are that many; if not, the count is
    /// taken to be half the bound.
    async fn count_keys(&self, term: &Term, ranges: &[KeyRange], bound: i64) -> Option<i64> {
        let skipped = if bound > FEW { bound - 1 } else { 0 };
        let time = self.millis_left()?;
        let list = ranges.iter().map(|range| {
            let find = doc! {
                "find": RUNS,
                "hint": term.index.name,
                "min": &range.min,
                "max": &range.max,
                "returnKey": true,
                "skip": skipped,
                "limit": bound - skipped,
                "batchSize": bound - skipped,
                "singleBatch": true,
                "maxTimeMS": time,
            };
            Collections::of(self.store).read(find)
        });
        let mut count = 0;
        for listed in join_all(list).await {
            let listed = listed.ok()?;
            let batch = listed
                .get_document("cursor")
                .ok()?
                .get_array("firstBatch")
                .ok()?;
            count += match (skipped, batch.len()) {
                (0, keys) => i64::try_from(keys).ok()?,
                (_, 0) => bound / 2,
                _ => bound,
            };
        }
        Some(count)
    }

    /// The `maxTimeMS` of the next count; `None` after the deadline. The server ends a count, since to drop its future here
    /// would close the connection.
    fn millis_left(&self) -> Option<i64> {
        let left = self.deadline.checked_duration_since(Instant::now())?;
        i64::try_from(left.as_millis().max(1)).ok()
    }
}

impl Choice {
    /// The name of the index to hint.
    pub(super) fn index(&self) -> Option<&'static str> {
        self.index
    }

    /// Sends a command with the hint, and repeats it without one if the server has no index of that name.
    pub(super) async fn send<T, F>(
        &self,
        command: impl Fn(Option<Hint>) -> F,
    ) -> mongodb::error::Result<T>
    where
        F: Future<Output = mongodb::error::Result<T>>,
    {
        let Some(index) = self.index else {
            return command(None).await;
        };
        match command(Some(Hint::Name(index.to_owned()))).await {
            // MongoDB refuses a hint that names a missing index.
            Err(error) if code_of(&error) == Some(code::BAD_VALUE) => command(None).await,
            sent => sent,
        }
    }
}

/// The result of a round of counts.
enum Round {
    /// A conjunct has fewer matches than its bound. This is its term; `None` leaves an OR over several indexes to the planner.
    Chosen(Option<Term>),
    /// No conjunct has. The next round counts these further.
    Undecided(Vec<Conjunct>),
}

/// Drops the alternatives of an OR that no run matches. Of "experiment by id or by name", mostly one alternative remains.
///
/// A count of zero is always exact: the index holds no key for that alternative.
fn with_matches(conjunct: &[Term], counts: &[i64]) -> Conjunct {
    let counted = conjunct.iter().zip(counts);
    let matching: Conjunct = counted
        .filter(|(_, count)| **count > 0)
        .map(|(term, _)| term.clone())
        .collect();
    if matching.is_empty() {
        return conjunct.iter().take(1).cloned().collect();
    }
    merged(matching)
}

/// The term of a conjunct that can be hinted; `None` for an OR over several indexes.
fn single(conjunct: &[Term]) -> Option<&Term> {
    match conjunct {
        [term] => Some(term),
        _ => None,
    }
}

impl Order {
    fn of(sort: &Document) -> Self {
        let directions: Vec<(&str, Option<i64>)> = sort
            .iter()
            .map(|(field, direction)| (field.as_str(), sign(direction)))
            .collect();
        let is_by_time = match directions[..] {
            [(field::START_TIME, Some(_))] => true,
            // MongoDB can traverse an index in both directions.
            [(field::START_TIME, Some(one)), (field::ID, Some(other))] => one == other,
            _ => false,
        };
        let first = sort.keys().next();
        let leads = |index: &Index| {
            index.coverage == Coverage::EveryRun
                && first.is_some_and(|first| first == index.leading_field())
        };
        match is_by_time {
            true => Self::ByTime,
            false if INDEXES.iter().any(leads) => Self::Other,
            false => Self::None,
        }
    }
}

fn sign(direction: &Bson) -> Option<i64> {
    match direction {
        Bson::Int32(direction) => Some(i64::from(direction.signum())),
        Bson::Int64(direction) => Some(direction.signum()),
        Bson::Double(direction) => Some(direction.signum() as i64),
        _ => None,
    }
}

/// The filter with the term as a condition of its AND, so that MongoDB takes the index bounds from the term. A filter that
/// holds the condition already stays as it is.
fn and_term(filter: Document, term: Document) -> Document {
    if term
        .iter()
        .all(|(key, value)| has_conjunct(&filter, key, value))
    {
        return filter;
    }
    doc! { "$and": [filter, term] }
}

/// Whether a condition is an operand of the filter's AND.
fn has_conjunct(filter: &Document, key: &str, value: &Bson) -> bool {
    let all = filter.get_array("$and").ok().into_iter().flatten();
    let mut inner = all.filter_map(Bson::as_document);
    filter.get(key) == Some(value) || inner.any(|filter| has_conjunct(filter, key, value))
}
