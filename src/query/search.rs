//! [`Search`]: a filter with an order, a limit, a projection and a time limit.

use std::time::Duration;

use bson::{Bson, Document, doc};

use super::next_page::filter_after;
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
    /// The aggregation stages that sort, where MongoDB's own sort would give another order.
    pub(crate) sort_stages: Option<Vec<Document>>,
    pub(crate) limit: Option<u32>,
    pub(crate) skip: Option<u64>,
    pub(crate) projection: Option<Document>,
    pub(crate) max_time: Option<Duration>,
}

/// One part of the filter, as the caller gave it.
#[derive(Debug, Clone)]
enum Filter {
    Query(Query),
    Document(Document),
}

impl Search {
    /// The time limit of a checked search, until [`max_time`](Self::max_time) sets another one.
    pub const CHECKED_TIME: Duration = Duration::from_secs(30);
    /// The maximum number of runs of a checked search, until [`limit`](Self::limit) sets another one.
    pub const CHECKED_LIMIT: u32 = 100_000;

    /// A search with an untrusted filter: from a user, a file or the network.
    ///
    /// The filter may hold only the following. Anything else is an error, and no part of the filter reaches the server.
    ///
    /// - The operators [`OPERATORS`](crate::query::OPERATORS), each with an operand of its type: no code, no expressions and
    ///   no regular expressions.
    /// - The fields of a run, [`FIELD_ROOTS`](crate::query::FIELD_ROOTS). Their names may not begin with `$` or a character
    ///   that looks like it, and may not hold invisible characters.
    /// - Texts, numbers, booleans, null, dates, and arrays and objects of these.
    /// - At most [`MAX_DEPTH`](crate::query::MAX_DEPTH), [`MAX_LIST`](crate::query::MAX_LIST), [`MAX_NODES`](crate::query::MAX_NODES),
    ///   [`MAX_PATH`](crate::query::MAX_PATH), [`MAX_TEXT`](crate::query::MAX_TEXT) and [`MAX_BYTES`](crate::query::MAX_BYTES).
    ///
    /// The search has the time limit [`CHECKED_TIME`](Self::CHECKED_TIME) and the limit [`CHECKED_LIMIT`](Self::CHECKED_LIMIT)
    /// until the caller sets others. If it returns as many runs as its limit, more runs may match.
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
    /// [`Error::Unsupported`](crate::Error::Unsupported) names the first part of the filter that is not allowed.
    pub fn checked(filter: Document) -> Result<Self> {
        check::check(&filter)?;
        Ok(Self::from(filter)
            .max_time(Self::CHECKED_TIME)
            .limit(Self::CHECKED_LIMIT))
    }

    /// Sorts the newest runs first, in a stable order that an index serves.
    #[must_use]
    pub fn newest_first(self) -> Self {
        self.sort(doc! { field::START_TIME: -1, field::ID: -1 })
    }

    /// Only the runs that sort after this run: the next page, if this is the last run of a page.
    ///
    /// Set the order first: by `_id`, or by `start_time` and then `_id` in the same direction, as
    /// [`newest_first`](Self::newest_first) does. With any other order, the search fails. Every page costs the same, however
    /// far it is from the first. Runs that appear or disappear meanwhile never make a page skip or repeat another run.
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
        match filter_after(self.sort.as_ref(), run) {
            Ok(rest) => self.and(rest),
            Err(refused) => Self {
                refused: self.refused.or(Some(refused)),
                ..self
            },
        }
    }

    /// Sorts the runs by a MongoDB `sort` document. Without a sort, the order of the runs is unspecified.
    #[must_use]
    pub fn sort(self, sort: Document) -> Self {
        Self {
            sort: Some(sort),
            sort_stages: None,
            ..self
        }
    }

    /// Sorts the runs by these fields, the first field first, as MLflow does: numbers, then NaN, then texts, then runs
    /// without a value, in either direction.
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

    /// Returns at most this many runs; 0 means no limit.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        Self {
            limit: (limit > 0).then_some(limit),
            ..self
        }
    }

    /// Skips this many runs at the start. Which runs these are is certain only with a total order, such as one that ends
    /// in `_id`.
    #[must_use]
    pub fn skip(self, skip: u64) -> Self {
        Self {
            skip: Some(skip),
            ..self
        }
    }

    /// Returns only these fields, given as a MongoDB `projection`. The result always has `_id`, and `start_time` if the
    /// projection names fields to include, because [`after`](Self::after) needs both.
    #[must_use]
    pub fn projection(self, mut projection: Document) -> Self {
        let includes = |value: &Bson| {
            !matches!(
                value,
                Bson::Int32(0) | Bson::Int64(0) | Bson::Boolean(false)
            )
        };
        if projection.values().any(includes) {
            projection.insert(field::START_TIME, 1);
        }
        projection.insert(field::ID, 1);
        Self {
            projection: Some(projection),
            ..self
        }
    }

    /// Fails the search once the server has worked on it for this long.
    #[must_use]
    pub fn max_time(self, max_time: Duration) -> Self {
        Self {
            max_time: Some(max_time),
            ..self
        }
    }

    /// Joins two searches: the runs match both filters, within the lower limit and the shorter time limit. The order, the
    /// projection and the skip come from the search that sets them. If both set different ones, the search fails.
    #[must_use]
    pub fn and(mut self, other: impl Into<Self>) -> Self {
        let other = other.into();
        self.filters.extend(other.filters);
        self.refused = self.refused.or(other.refused);
        self.max_time = [self.max_time, other.max_time].into_iter().flatten().min();
        self.limit = [self.limit, other.limit].into_iter().flatten().min();
        let refused = &mut self.refused;
        self.sort = joined(self.sort, other.sort, "sort", refused);
        self.sort_stages = joined(self.sort_stages, other.sort_stages, "sort", refused);
        if self.sort.is_some() && self.sort_stages.is_some() {
            refused.get_or_insert(conflict("sort"));
        }
        self.projection = joined(self.projection, other.projection, "projection", refused);
        self.skip = joined(self.skip, other.skip, "skip", refused);
        self
    }

    /// Whether the search sets an order.
    pub(crate) fn is_sorted(&self) -> bool {
        self.sort.is_some() || self.sort_stages.is_some()
    }

    /// The MongoDB filter.
    ///
    /// # Errors
    /// The first bad argument of the search or of its query.
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

/// The setting of two joined searches, which must not differ.
fn joined<T: PartialEq>(
    mine: Option<T>,
    theirs: Option<T>,
    what: &'static str,
    refused: &mut Option<Refused>,
) -> Option<T> {
    if let (Some(mine), Some(theirs)) = (&mine, &theirs)
        && mine != theirs
    {
        refused.get_or_insert(conflict(what));
    }
    mine.or(theirs)
}

fn conflict(what: &'static str) -> Refused {
    Refused::argument(
        what,
        "the two joined searches set different values; set it once, on the joined search",
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
    fn a_checked_search_is_bounded_until_the_caller_sets_other_bounds() {
        let checked = || Search::checked(doc! { "status": "FAILED" }).unwrap();
        let bounds = |search: Search| (search.limit, search.max_time);
        let default = (Some(Search::CHECKED_LIMIT), Some(Search::CHECKED_TIME));
        assert_eq!(bounds(checked()), default);
        let minute = Duration::from_secs(60);
        assert_eq!(
            bounds(checked().limit(0).max_time(minute)),
            (None, Some(minute))
        );
        // Joining keeps the bounds, whichever of the two searches comes first.
        let mine = || Search::from(doc! { "user": "ana" });
        assert_eq!(bounds(mine().and(checked())), default);
        assert_eq!(bounds(checked().and(mine())), default);
        assert_eq!(
            bounds(mine().limit(5).max_time(minute).and(checked())),
            (Some(5), Some(Search::CHECKED_TIME))
        );
    }

    #[test]
    fn joined_searches_keep_one_order_and_refuse_two_different_ones() {
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
    fn a_filter_of_too_many_bytes_in_all_is_refused() {
        let texts = vec!["x".repeat(30_000); 50];
        let filter = doc! { "tags.a": { "$in": texts } };
        assert!(Search::checked(filter).is_err());
    }
}
