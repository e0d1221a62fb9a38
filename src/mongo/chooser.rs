//! Which index serves a search: the one function that says so for searches, counts, facets and explanations.

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use futures::future::join_all;
use mongodb::options::Hint;

use super::MongoRunStore;
use super::collections::{Collections, RUNS};
use super::failure::{code, code_of};
use super::indexes::{BY_ID, Holds, INDEXES, Index};
use super::terms::{Part, Term, one_of, parts};
use crate::error::Result;
use crate::query::Search;
use crate::run::field;

/// So few matches that they are read at once, in whatever order they are wanted.
const FEW: i64 = 200;
/// As far as matches are counted: to count more takes longer than a wrong index as a rule.
const MANY: i64 = 10_000;
/// The same where an order is wanted: with more matches, the server finds the first ones sooner by itself.
const MANY_IN_ORDER: i64 = 4_000;
/// How many terms are counted.
const MAX_TERMS: usize = 8;
/// How long the server may count; what is not known by then plays no part.
const COUNTING: Duration = Duration::from_secs(2);

/// Chooses the index of one search.
///
/// The server tries each index for a moment and keeps the one that finds a match first, which on runs in the order of their
/// time can be the worst. So where terms with an index each are joined by AND, their matches are counted, and the index with
/// the fewest is insisted on:
///
/// - first up to [`FEW`], all at once. So few are the right ones whatever is wanted.
/// - where none has so few, up to [`MANY`], one after the other. Where an order is wanted that an index may hold, only an
///   index that holds it is worth that: by another one, all matches were read before the first run is sent.
/// - where none has that few, the choice is the server's.
///
/// No index is insisted on but that of a term which every match fulfils: a sparse one would lose the others without an error.
pub(super) struct IndexChooser<'a> {
    store: &'a MongoRunStore,
    search: &'a Search,
    order: Order,
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
            if self.order == Order::None || self.is_in_order(term) {
                return Some(term.clone());
            }
        }
        let parts = self.candidates(parts);
        let few = self.with_few(&parts).await;
        match few {
            Few::Chosen(term) => term,
            Few::None(parts) => self.with_fewest(parts).await,
        }
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

    /// Counts all parts at once; those of which an index is missing play no part.
    async fn with_few(&self, parts: &[Part]) -> Few {
        let counted = join_all(parts.iter().map(|part| self.count_each(part, FEW))).await;
        let mut few: Vec<(i64, Part)> = Vec::new();
        let mut rest = Vec::new();
        for (part, counts) in parts.iter().zip(counted) {
            let Some(counts) = counts else { continue };
            let part = matched(part, &counts);
            let count = counts.iter().sum();
            if count < FEW {
                few.push((count, part));
            } else {
                rest.push(part);
            }
        }
        if few.is_empty() {
            return Few::None(rest);
        }
        // An index to insist on is better than alternatives that are left to the server.
        few.sort_by_key(|(count, part)| (single(part).is_none(), *count));
        let fewest = few.first().and_then(|(_, part)| single(part));
        Few::Chosen(fewest.cloned())
    }

    /// Counts one part after the other, and no further than the fewest matches so far.
    async fn with_fewest(&self, parts: Vec<Part>) -> Option<Term> {
        let mut fewest = None;
        let mut bound = match self.order {
            Order::None => MANY,
            Order::ByTime | Order::Other => MANY_IN_ORDER,
        };
        for part in parts {
            let is_in_order = single(&part).is_some_and(|term| self.is_in_order(term));
            if self.order != Order::None && !is_in_order {
                continue;
            }
            let counts = self.count_each(&part, bound).await;
            if let Some(count) = counts.map(|counts| counts.iter().sum())
                && count < bound
            {
                bound = count;
                fewest = Some(part);
            }
        }
        single(&fewest?).cloned()
    }

    fn is_in_order(&self, term: &Term) -> bool {
        self.order == Order::ByTime && term.by_time().as_ref() == Some(term)
    }

    /// How many matches each term of a part has, up to a bound; `None` where that cannot be told.
    async fn count_each(&self, part: &[Term], bound: i64) -> Option<Vec<i64>> {
        let counts = join_all(part.iter().map(|term| self.count(term, bound))).await;
        counts.into_iter().collect()
    }

    /// How many matches a term has, up to a bound; where keys alone tell, no run is read.
    async fn count(&self, term: &Term, bound: i64) -> Option<i64> {
        // The server ends a count that takes too long: to drop it here would close its connection.
        let left = self.deadline.checked_duration_since(Instant::now())?;
        let count = doc! {
            "count": RUNS,
            "query": &term.filter,
            "limit": bound,
            "hint": term.index.name,
            "maxTimeMS": i64::try_from(left.as_millis().max(1)).unwrap_or(i64::MAX),
        };
        let counted = Collections::of(self.store).read(count).await.ok()?;
        match counted.get("n") {
            Some(Bson::Int32(count)) => Some(i64::from(*count)),
            Some(Bson::Int64(count)) => Some(*count),
            _ => None,
        }
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

/// What the first counts say.
enum Few {
    /// Some part has few matches: this is its term, unless its alternatives are left to the server.
    Chosen(Option<Term>),
    /// None has: these are worth another look.
    None(Vec<Part>),
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
