//! What is asked of a store: a filter, an order, a limit.

use std::time::Duration;

use bson::{Bson, Document, doc};

use super::next_page::rest_of;
use super::order::{self, Order, Sorting};
use super::{Query, check, render};
use crate::error::Result;
use crate::node::Refused;
use crate::run::{Run, field};

/// A search for runs, made from a [`Query`] or from any BSON [`Document`].
///
/// ```
/// use bson::doc;
/// use runlineage::{Query, Search};
///
/// let newest = Search::from(Query::new().with_input_model("churn", None))
///     .sort(doc! { "start_time": -1, "_id": -1 })
///     .limit(20);
/// let native = Search::from(doc! { "metrics.auc": { "$gt": 0.9 } });
/// # let _ = (newest, native);
/// ```
#[derive(Debug, Clone)]
pub struct Search {
    filters: Vec<Filter>,
    refused: Option<Refused>,
    pub(crate) sort: Option<Document>,
    /// Where MongoDB's own sort would not give the order: the stages that do.
    pub(crate) sort_stages: Option<Vec<Document>>,
    pub(crate) limit: Option<u32>,
    pub(crate) skip: Option<u64>,
    pub(crate) projection: Option<Document>,
    pub(crate) max_time: Option<Duration>,
}

/// A part of what is searched for, in the form that the caller gave.
#[derive(Debug, Clone)]
enum Filter {
    Query(Query),
    Document(Document),
}

impl Search {
    /// How long the server may work on a checked search, unless [`max_time`](Self::max_time) says otherwise.
    pub const CHECKED_TIME: Duration = Duration::from_secs(30);
    /// How many runs a checked search gives, unless [`limit`](Self::limit) says otherwise.
    pub const CHECKED_LIMIT: u32 = 100_000;

    /// A search with a filter from outside: from a user, a file, the network.
    ///
    /// It holds only what is allowed, and nothing of it is sent where it holds anything else:
    ///
    /// - the operators [`OPERATORS`](crate::query::OPERATORS), each with an operand of its kind. No code, no expressions, no patterns;
    /// - fields of a run, [`FIELD_ROOTS`](crate::query::FIELD_ROOTS), whose names hold no `$` in front, nothing that looks like one, nothing invisible;
    /// - texts, numbers, booleans, null, dates, and arrays and objects of them;
    /// - within the bounds [`MAX_DEPTH`](crate::query::MAX_DEPTH), [`MAX_LIST`](crate::query::MAX_LIST), [`MAX_NODES`](crate::query::MAX_NODES),
    ///   [`MAX_PATH`](crate::query::MAX_PATH), [`MAX_TEXT`](crate::query::MAX_TEXT) and [`MAX_BYTES`](crate::query::MAX_BYTES).
    ///
    /// It ends after [`CHECKED_TIME`](Self::CHECKED_TIME) and [`CHECKED_LIMIT`](Self::CHECKED_LIMIT) unless told otherwise. As
    /// many runs as the limit mean that there may be more.
    ///
    /// ```
    /// use bson::doc;
    /// use runlineage::Search;
    ///
    /// assert!(Search::checked(doc! { "metrics.auc": { "$gt": 0.9 } }).is_ok());
    /// assert!(Search::checked(doc! { "$where": "sleep(1000)" }).is_err());
    /// assert!(Search::checked(doc! { "inputs.models": { "$elemMatch": { "$expr": true } } }).is_err());
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) names what is not allowed.
    pub fn checked(filter: Document) -> Result<Self> {
        check::check(&filter)?;
        Ok(Self::from(filter)
            .max_time(Self::CHECKED_TIME)
            .limit(Self::CHECKED_LIMIT))
    }

    /// The newest runs first, in a stable order that an index serves.
    #[must_use]
    pub fn newest_first(self) -> Self {
        self.sort(doc! { field::START_TIME: -1, field::ID: -1 })
    }

    /// Only what comes after this run in the order of the search: the next page, after the last run of this one.
    ///
    /// The order, set before, is one of `_id`, or of `start_time` and then `_id` in the same direction, as
    /// [`newest_first`](Self::newest_first) sets it; other orders are refused when the search is made. A page costs the same
    /// however far it lies from the first, and no run is skipped or shown twice while others come and go.
    ///
    /// ```
    /// # use futures::TryStreamExt;
    /// # use runlineage::{MongoRunStore, Query, Run, RunStore, Search};
    /// # async fn example(store: MongoRunStore) -> runlineage::Result<()> {
    /// let page = || Search::from(Query::new().with_exp_id("12")).newest_first().limit(1_000);
    /// let mut runs: Vec<Run> = store.find_runs(page()).await?.try_collect().await?;
    /// while let Some(last) = runs.last() {
    ///     runs = store.find_runs(page().after(last)).await?.try_collect().await?;
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn after(self, run: &Run) -> Self {
        match rest_of(self.sort.as_ref(), run) {
            Ok(rest) => self.and(rest),
            Err(refused) => Self {
                refused: self.refused.or(Some(refused)),
                ..self
            },
        }
    }

    /// The order of the runs, as MongoDB's `sort` takes it. Unset: in no particular order.
    #[must_use]
    pub fn sort(self, sort: Document) -> Self {
        Self {
            sort: Some(sort),
            sort_stages: None,
            ..self
        }
    }

    /// The order of the runs by these fields, the first one counting most, as MLflow sorts: numbers, NaN, texts, then the
    /// runs without a value, whichever way the order goes.
    #[must_use]
    pub fn order_by(self, orders: impl IntoIterator<Item = Order>) -> Self {
        let orders: Vec<Order> = orders.into_iter().collect();
        match order::sorting(&orders) {
            Sorting::Native(sort) => self.sort(sort),
            Sorting::Stages { before, sort } => Self {
                sort: None,
                sort_stages: Some(vec![before, doc! { "$sort": sort }]),
                ..self
            },
        }
    }

    /// At most this many runs; 0 means all.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        Self {
            limit: (limit > 0).then_some(limit),
            ..self
        }
    }

    /// Leaves out this many runs at the start; which ones these are is certain only with a sort that orders every two runs.
    #[must_use]
    pub fn skip(self, skip: u64) -> Self {
        Self {
            skip: Some(skip),
            ..self
        }
    }

    /// Only these fields, as MongoDB's `projection` takes them; `_id` is always there, and `start_time` beside named fields, for
    /// [`after`](Self::after) goes on from them.
    #[must_use]
    pub fn projection(self, mut projection: Document) -> Self {
        let names = |value: &Bson| {
            !matches!(
                value,
                Bson::Int32(0) | Bson::Int64(0) | Bson::Boolean(false)
            )
        };
        if projection.values().any(names) {
            projection.insert(field::START_TIME, 1);
        }
        projection.insert(field::ID, 1);
        Self {
            projection: Some(projection),
            ..self
        }
    }

    /// Ends the search with an error after this much work of the server.
    #[must_use]
    pub fn max_time(self, max_time: Duration) -> Self {
        Self {
            max_time: Some(max_time),
            ..self
        }
    }

    /// Both this filter and that one, within the tighter of the bounds of both. The order, the projection and the skip are
    /// those of whichever search has them; two different ones are a bad argument, which is returned when the search is made.
    #[must_use]
    pub fn and(mut self, other: impl Into<Self>) -> Self {
        let other = other.into();
        self.filters.extend(other.filters);
        self.refused = self.refused.or(other.refused);
        self.max_time = [self.max_time, other.max_time].into_iter().flatten().min();
        self.limit = [self.limit, other.limit].into_iter().flatten().min();
        let refused = &mut self.refused;
        self.sort = only(self.sort, other.sort, "sort", refused);
        self.sort_stages = only(self.sort_stages, other.sort_stages, "sort", refused);
        if self.sort.is_some() && self.sort_stages.is_some() {
            refused.get_or_insert(two("sort"));
        }
        self.projection = only(self.projection, other.projection, "projection", refused);
        self.skip = only(self.skip, other.skip, "skip", refused);
        self
    }

    /// Whether the runs come in an order.
    pub(crate) fn is_sorted(&self) -> bool {
        self.sort.is_some() || self.sort_stages.is_some()
    }

    /// The filter as MongoDB takes it.
    ///
    /// # Errors
    /// The first bad argument of the search, or of the query it was made from.
    pub fn filter(&self) -> Result<Document> {
        if let Some(refused) = &self.refused {
            return Err(refused.to_error());
        }
        let rendered = self.filters.iter().map(|filter| match filter {
            Filter::Query(query) => query.render(),
            Filter::Document(filter) => Ok(filter.clone()),
        });
        Ok(render::all(rendered.collect::<Result<Vec<_>>>()?))
    }
}

/// What one of two searches says; both may say the same.
fn only<T: PartialEq>(
    mine: Option<T>,
    theirs: Option<T>,
    what: &'static str,
    refused: &mut Option<Refused>,
) -> Option<T> {
    if let (Some(mine), Some(theirs)) = (&mine, &theirs)
        && mine != theirs
    {
        refused.get_or_insert(two(what));
    }
    mine.or(theirs)
}

fn two(what: &'static str) -> Refused {
    Refused::argument(
        what,
        "two searches that are joined have different ones; set it on the joined search",
    )
}

impl From<Document> for Search {
    fn from(filter: Document) -> Self {
        Self::of(Filter::Document(filter))
    }
}

impl From<Query> for Search {
    fn from(query: Query) -> Self {
        Self::of(Filter::Query(query))
    }
}

impl From<&Query> for Search {
    fn from(query: &Query) -> Self {
        query.clone().into()
    }
}

impl Search {
    fn of(filter: Filter) -> Self {
        Self {
            filters: vec![filter],
            refused: None,
            sort: None,
            sort_stages: None,
            limit: None,
            skip: None,
            projection: None,
            max_time: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::doc;

    use super::Search;

    #[test]
    fn a_checked_search_is_bounded_until_it_is_told_otherwise() {
        let checked = || Search::checked(doc! { "status": "FAILED" }).unwrap();
        let bounds = |search: Search| (search.limit, search.max_time);
        let default = (Some(Search::CHECKED_LIMIT), Some(Search::CHECKED_TIME));
        assert_eq!(bounds(checked()), default);
        let minute = Duration::from_secs(60);
        assert_eq!(
            bounds(checked().limit(0).max_time(minute)),
            (None, Some(minute))
        );
        // Whichever of two searches takes the other in, neither loses its bounds.
        let mine = || Search::from(doc! { "user": "ana" });
        assert_eq!(bounds(mine().and(checked())), default);
        assert_eq!(bounds(checked().and(mine())), default);
        assert_eq!(
            bounds(mine().limit(5).max_time(minute).and(checked())),
            (Some(5), Some(Search::CHECKED_TIME))
        );
    }

    #[test]
    fn searches_that_are_joined_keep_the_order_of_either_and_refuse_two() {
        let newest = || Search::from(doc! {}).newest_first();
        let plain = || Search::from(doc! { "user": "ana" });
        for joined in [
            plain().and(newest()),
            newest().and(plain()),
            newest().and(newest()),
        ] {
            assert_eq!(joined.sort, newest().sort);
            assert!(joined.filter().is_ok());
        }
        let by_name = plain().sort(doc! { "name": 1 });
        let refused = by_name.and(newest()).filter().unwrap_err().to_string();
        assert!(refused.starts_with("sort:"), "{refused}");
        let skipping = |skip| plain().skip(skip);
        assert!(skipping(1).and(skipping(2)).filter().is_err());
        assert_eq!(plain().and(skipping(2)).skip, Some(2));
    }

    #[test]
    fn a_filter_too_large_as_a_whole_is_refused() {
        let texts = vec!["x".repeat(30_000); 50];
        let filter = doc! { "tags.a": { "$in": texts } };
        assert!(Search::checked(filter).is_err());
    }
}
