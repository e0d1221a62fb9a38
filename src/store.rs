//! [`RunStore`]: the contract of every store that can be searched for runs.

use std::future::ready;

use futures::future::BoxFuture;
use futures::stream::{BoxStream, Stream, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::query::Search;
use crate::run::Run;

/// The runs that match a search, streamed as the store returns them.
pub type RunStream = BoxStream<'static, Result<Run>>;

/// Finds runs by their lineage and by any other field.
///
/// Every implementation keeps this contract, which one test suite checks for all of them:
///
/// - The stream holds each run that the filter matches exactly once, and no other run. Filters have MongoDB's semantics.
/// - No match is an empty stream, not an error.
/// - A store that cannot evaluate a filter exactly returns [`Error::Unsupported`](crate::Error::Unsupported); it never guesses.
/// - A stream that ends without an error is complete.
pub trait RunStore: Send + Sync {
    /// Streams the runs that match; no match is an empty stream, not an error.
    ///
    /// [`RunStoreExt::find`] takes a [`Query`](crate::Query) or a [`Document`](bson::Document) as well.
    fn find_runs(&self, search: Search) -> BoxFuture<'_, Result<RunStream>>;
}

/// Convenience methods of every [`RunStore`], including `dyn RunStore`.
pub trait RunStoreExt: RunStore {
    /// Streams the runs that match a query, a search or a native filter; no match is an empty stream, not an error.
    ///
    /// ```no_run
    /// # use futures::TryStreamExt;
    /// use runlineage::{Query, Run, RunStore, RunStoreExt};
    ///
    /// async fn readers(store: &dyn RunStore) -> runlineage::Result<Vec<Run>> {
    ///     let query = Query::new().with_input_model("churn", "3");
    ///     store.find(query).await?.try_collect().await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`RunStore::find_runs`].
    fn find(&self, search: impl Into<Search>) -> BoxFuture<'_, Result<RunStream>> {
        self.find_runs(search.into())
    }

    /// Streams the runs that match, each deserialized into the caller's own type.
    ///
    /// ```no_run
    /// # use futures::TryStreamExt;
    /// use runlineage::{MongoRunStore, Query, RunStoreExt};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Auc {
    ///     #[serde(rename = "_id")]
    ///     id: String,
    ///     metrics: std::collections::BTreeMap<String, f64>,
    /// }
    ///
    /// # async fn example(store: MongoRunStore) -> runlineage::Result<()> {
    /// let query = Query::new().with_input_model("churn", "3");
    /// let runs: Vec<Auc> = store.find_as(query).await?.try_collect().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`RunStore::find_runs`]; the stream ends with [`Error::Document`] at the first run that cannot be deserialized.
    fn find_as<T: DeserializeOwned + Send + 'static>(
        &self,
        search: impl Into<Search>,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<T>>>> {
        let found = self.find_runs(search.into());
        Box::pin(async move {
            let values = found.await?.and_then(|run| ready(decode(&run)));
            Ok(until_error(values).boxed())
        })
    }
}

impl<S: RunStore + ?Sized> RunStoreExt for S {}

fn decode<T: DeserializeOwned>(run: &Run) -> Result<T> {
    let value = bson::deserialize_from_slice(run.as_raw().as_bytes());
    value.map_err(|error| Error::Document {
        id: run.id().to_owned(),
        reason: error.to_string(),
    })
}

/// Ends a stream with its first error. To continue after a lost batch would leave a gap.
pub(crate) fn until_error<T>(
    items: impl Stream<Item = Result<T>>,
) -> impl Stream<Item = Result<T>> {
    items.scan(false, |failed, item| {
        let had_failed = std::mem::replace(failed, item.is_err());
        ready((!had_failed).then_some(item))
    })
}
