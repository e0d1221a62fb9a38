//! What is asked of a store: a filter, an order, a limit.

use std::time::Duration;

use bson::{Document, doc};

use super::Query;
use crate::error::Result;

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
#[derive(Debug)]
pub struct Search {
    filter: Result<Document>,
    pub(crate) sort: Option<Document>,
    pub(crate) limit: Option<u32>,
    pub(crate) skip: Option<u64>,
    pub(crate) projection: Option<Document>,
    pub(crate) max_time: Option<Duration>,
}

impl Search {
    /// The order of the runs, as MongoDB's `sort` takes it. Unset: in no particular order.
    #[must_use]
    pub fn sort(self, sort: Document) -> Self {
        Self {
            sort: Some(sort),
            ..self
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

    /// Leaves out this many runs at the start.
    #[must_use]
    pub fn skip(self, skip: u64) -> Self {
        Self {
            skip: Some(skip),
            ..self
        }
    }

    /// Only these fields, as MongoDB's `projection` takes them; `_id` is always there.
    #[must_use]
    pub fn projection(self, mut projection: Document) -> Self {
        projection.insert("_id", 1);
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

    /// Both this filter and that one.
    #[must_use]
    pub fn and(self, other: impl Into<Self>) -> Self {
        let filter = match (self.filter, other.into().filter) {
            (Ok(mine), Ok(theirs)) if theirs.is_empty() => Ok(mine),
            (Ok(mine), Ok(theirs)) if mine.is_empty() => Ok(theirs),
            (Ok(mine), Ok(theirs)) => Ok(doc! { "$and": [mine, theirs] }),
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
        Self { filter, ..self }
    }

    /// The filter as MongoDB takes it.
    ///
    /// # Errors
    /// The first bad argument of the query it was made from.
    pub fn into_filter(self) -> Result<Document> {
        self.filter
    }

    /// The filter taken out, and the rest of the search; a bad argument ends it here.
    pub(crate) fn take_filter(mut self) -> Result<(Document, Self)> {
        let filter = std::mem::replace(&mut self.filter, Ok(Document::new()))?;
        Ok((filter, self))
    }
}

impl From<Document> for Search {
    fn from(filter: Document) -> Self {
        Self {
            filter: Ok(filter),
            sort: None,
            limit: None,
            skip: None,
            projection: None,
            max_time: None,
        }
    }
}

impl From<Query> for Search {
    fn from(query: Query) -> Self {
        Self {
            filter: query.render(),
            ..Document::new().into()
        }
    }
}

impl From<&Query> for Search {
    fn from(query: &Query) -> Self {
        Self {
            filter: query.render(),
            ..Document::new().into()
        }
    }
}
