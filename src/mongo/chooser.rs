//! Which index serves a search: the one function that says so for searches, counts, facets and explanations.

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use futures::future::join_all;
use mongodb::options::Hint;

use super::MongoRunStore;
use super::collections::{Collections, RUNS};
use super::failure::{code, code_of};
use super::indexes::{BY_ID, Holds, INDEXES, Index};
use super::key_ranges::{self, KeyRange};
use super::terms::{Part, Term, one_of, parts};
use crate::error::Result;
use crate::query::Search;
use crate::run::field;

/// So few matches are read at once, whatever is wanted.
const FEW: i64 = 200;
/// An index of which a value has no more runs as a rule is counted alone first.
const HANDFUL: u32 = 5;
/// How far matches are counted, round after round until a term has fewer: those of the term that has the fewest as a rule, and
/// those of the others. More than in the last round take longer to count than a wrong index costs as a rule.
const ROUNDS: [(i64, i64); 3] = [(1_000, FEW), (4_000, 1_000), (10_000, 10_000)];
/// As many results end the server's own trial of its plans: where no more are wanted, the plan that finds them first is right.
const TRIAL: u64 = 101;
/// How many terms are counted.
const MAX_TERMS: usize = 8;
/// How long the server may count; what is not known by then plays no part.
const COUNTING: Duration = Duration::from_secs(2);

/// Chooses the index of one search.
///
/// The server tries each index for a moment and keeps the one that finds most by then, which on runs in the order of their
/// time can be the worst for the rest. So where terms with an index each are joined by AND, their matches are counted in
/// [`ROUNDS`], and the index with the fewest is insisted on.
///
/// - Where an order is wanted that an index may hold, only an index that holds it is worth a second round: by another one, all
///   matches were read before the first run is sent.
/// - Where no more is wanted than the trial finds, or no term has fewer than the last round counts, the choice is the server's.
///
/// No index is insisted on but that of a term which every match fulfils: a sparse one would lose the others without an error.
pub(super) struct IndexChooser<'a> {
    store: &'a MongoRunStore,
    search: &'a Search,
    order: Order,
    /// At most how many runs.
    wanted: Option<u32>,
    /// When counting has to end.
    deadline: Instant,
}

/// In which order runs are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// All matches are read: none is wanted, or one that no index holds.
    None,
    /// That of the time, which indexes hold for one value of another field each.
    ByTime,
    /// One that an index may hold, of which the server makes what it can.
    Other,
}

/// The filter to send, and the index to insist on; with none, the server chooses.
pub(super) struct Choice {
    pub(super) filter: Document,
    index: Option<&'static str>,
}

impl<'a> IndexChooser<'a> {
    /// For what finds runs in the search's order.
    pub(super) fn for_runs(store: &'a MongoRunStore, search: &'a Search) -> Self {
        Self {
            order: search.sort.as_ref().map_or(Order::None, Order::of),
            // A computed order needs all matches.
            wanted: search.limit.filter(|_| search.sort_stages.is_none()),
            ..Self::for_all(store, search)
        }
    }

    /// For what looks at all matches, in whatever order.
    pub(super) fn for_all(store: &'a MongoRunStore, search: &'a Search) -> Self {
        let time = search.max_time.unwrap_or(COUNTING).min(COUNTING);
        Self {
            store,
            search,
            order: Order::None,
            wanted: None,
            deadline: Instant::now() + time,
        }
    }

    /// Chooses; what cannot be counted is no error, the server's own choice stands then.
    pub(super) async fn choose(&self) -> Result<Choice> {
        let filter = self.search.filter()?;
        let term = self.best(parts(&filter)).await;
        Ok(match term {
            Some(term) => Choice {
                index: Some(term.index.name),
                filter: narrowed(filter, term.filter),
            },
            None => Choice {
                filter,
                index: None,
            },
        })
    }

    async fn best(&self, parts: Vec<Part>) -> Option<Term> {
        // Nothing is found sooner than by the id, and the server knows that.
        if parts.iter().flatten().any(|term| term.index == BY_ID) {
            return None;
        }
        if let [part] = &parts[..] {
            // With a range of times, the server may take the index of all times instead of the one that holds both.
            let term = single(part).filter(|term| term.filter.len() > 1)?;
            if self.order == Order::None || self.is_in_order(part) {
                return Some(term.clone());
            }
        }
        let skip = self.search.skip.unwrap_or_default();
        if self
            .wanted
            .is_some_and(|wanted| skip.saturating_add(wanted.into()) <= TRIAL)
        {
            return None;
        }
        let mut parts = self.candidates(parts);
        if let Some(term) = self.handful(&parts).await {
            return Some(term);
        }
        for round in ROUNDS {
            match self.round(parts, round).await {
                Round::Chosen(term) => return term,
                Round::More(rest) => parts = rest,
            }
            if self.order != Order::None {
                parts.retain(|part| self.is_in_order(part));
            }
        }
        None
    }

    /// The parts to count, the one that has the fewest matches as a rule first.
    fn candidates(&self, mut parts: Vec<Part>) -> Vec<Part> {
        if self.order == Order::ByTime {
            for part in &mut parts {
                if let [term] = &mut part[..]
                    && let Some(ordered) = term.by_time()
                {
                    *term = ordered;
                }
            }
        }
        let usual_runs = |part: &Part| part.iter().map(|term| term.index.usual_runs).sum::<u32>();
        parts.sort_by_key(usual_runs);
        let mut candidates: Vec<Part> = Vec::new();
        let mut room = MAX_TERMS;
        for part in parts {
            if part.len() <= room && !candidates.contains(&part) {
                room -= part.len();
                candidates.push(part);
            }
        }
        candidates
    }

    /// The first term, where it has few matches as a rule and has few now: to count the others would cost more than it saves.
    async fn handful(&self, parts: &[Part]) -> Option<Term> {
        let first = parts.first().and_then(|part| single(part))?;
        if first.index.usual_runs > HANDFUL || self.count(first, FEW).await? >= FEW {
            return None;
        }
        Some(first.clone())
    }

    /// Counts all parts at once; those of which an index is missing play no part.
    async fn round(&self, parts: Vec<Part>, (first, others): (i64, i64)) -> Round {
        let bounds: Vec<i64> = parts
            .iter()
            .enumerate()
            .map(|(index, part)| {
                let is_far = index == 0 && self.is_worth_counting_on(part, others);
                if is_far { first } else { others }
            })
            .collect();
        let counts = parts.iter().zip(&bounds);
        let counts = counts.map(|(part, bound)| self.count_each(part, *bound));
        let counts = join_all(counts).await;
        let mut fewer: Vec<(i64, Part)> = Vec::new();
        let mut rest = Vec::new();
        for ((part, bound), counts) in parts.iter().zip(bounds).zip(counts) {
            let Some(counts) = counts else { continue };
            let part = matched(part, &counts);
            let count = counts.iter().sum();
            if count < bound {
                fewer.push((count, part));
            } else {
                rest.push(part);
            }
        }
        if fewer.is_empty() {
            return Round::More(rest);
        }
        // Of few matches, an index to insist on is better than alternatives that are left to the server.
        fewer.sort_by_key(|(count, part)| (*count < FEW && single(part).is_none(), *count));
        let fewest = fewer.first().and_then(|(_, part)| single(part));
        Round::Chosen(fewest.cloned())
    }

    /// Whether a part may be chosen with more than a few matches, and is told apart from one with few by one count.
    fn is_worth_counting_on(&self, part: &[Term], others: i64) -> bool {
        let mut alternatives = part.iter().flat_map(Term::alternatives);
        let is_exact =
            others > FEW || alternatives.all(|term| key_ranges::of_element(&term).is_none());
        is_exact && (self.order == Order::None || self.is_in_order(part))
    }

    fn is_in_order(&self, part: &[Term]) -> bool {
        let by_time = |term: &Term| term.by_time().as_ref() == Some(term);
        self.order == Order::ByTime && single(part).is_some_and(by_time)
    }

    /// How many matches each term of a part has, up to a bound; `None` where that cannot be told.
    async fn count_each(&self, part: &[Term], bound: i64) -> Option<Vec<i64>> {
        let counts = join_all(part.iter().map(|term| self.count(term, bound))).await;
        counts.into_iter().collect()
    }

    /// How many matches a term has, up to a bound.
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

    /// By MongoDB's own count, which looks at keys alone.
    async fn count_runs(&self, term: &Term, bound: i64) -> Option<i64> {
        let is_of_element = |condition: &Bson| {
            let condition = condition.as_document();
            condition.is_some_and(|condition| condition.contains_key("$elemMatch"))
        };
        if bound > FEW && term.filter.values().any(is_of_element) {
            // It would read the runs, which may cost more than a wrong index.
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

    /// Few keys are listed. Of more it is only asked whether there are as many as the bound; fewer count as half of it.
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

    /// The server ends a count that takes too long: to drop it here would close its connection.
    fn millis_left(&self) -> Option<i64> {
        let left = self.deadline.checked_duration_since(Instant::now())?;
        i64::try_from(left.as_millis().max(1)).ok()
    }
}

impl Choice {
    /// The name of the index to insist on.
    pub(super) fn index(&self) -> Option<&'static str> {
        self.index
    }

    /// Sends a command with the index, and without it where the server has no index of that name.
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
            // The name of an index that is missing means nothing to the server.
            Err(error) if code_of(&error) == Some(code::BAD_VALUE) => command(None).await,
            sent => sent,
        }
    }
}

/// What a round of counts says.
enum Round {
    /// Some part has fewer matches: this is its term, unless its alternatives are left to the server.
    Chosen(Option<Term>),
    /// None has: these may be counted further.
    More(Vec<Part>),
}

/// The alternatives that any run matches now: an experiment is mostly known by its id or by its name.
fn matched(part: &[Term], counts: &[i64]) -> Part {
    let counted = part.iter().zip(counts);
    let matched: Part = counted
        .filter(|(_, count)| **count > 0)
        .map(|(term, _)| term.clone())
        .collect();
    if matched.is_empty() {
        return part.iter().take(1).cloned().collect();
    }
    one_of(matched)
}

/// The term of a part; alternatives that different indexes find have none.
fn single(part: &[Term]) -> Option<&Term> {
    match part {
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
            // An index can be read from both ends.
            [(field::START_TIME, Some(one)), (field::ID, Some(other))] => one == other,
            _ => false,
        };
        let first = sort.keys().next();
        let leads = |index: &Index| {
            index.holds == Holds::EveryRun
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

/// The filter, so that the bounds of the term's index are taken from the term: one that is an alternative is set beside it.
fn narrowed(filter: Document, term: Document) -> Document {
    if term.iter().all(|(key, value)| joins(&filter, key, value)) {
        return filter;
    }
    doc! { "$and": [filter, term] }
}

/// Whether a filter joins a condition to the others by AND.
fn joins(filter: &Document, key: &str, value: &Bson) -> bool {
    let all = filter.get_array("$and").ok().into_iter().flatten();
    let mut inner = all.filter_map(Bson::as_document);
    filter.get(key) == Some(value) || inner.any(|filter| joins(filter, key, value))
}
