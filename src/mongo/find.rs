//! Finding and counting runs.

use bson::raw::RawDocumentBuf;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use mongodb::action::Action as _;
use mongodb::options::Hint;

use super::MongoRunStore;
use super::batches::SearchCursor;
use super::chooser::IndexChooser;
use super::collections::Collections;
use super::failure::failed;
use super::indexes::BY_ID;
use crate::error::Result;
use crate::query::Search;
use crate::run::Run;
use crate::store::{RunStore, RunStream};

impl MongoRunStore {
    /// Streams the runs that match a query, a search or a native filter; no match is an empty stream, not an error.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for the first invalid argument of the query;
    /// [`Error::Mongo`](crate::Error::Mongo) if MongoDB does not answer, refuses the filter, or takes longer than the search allows.
    pub fn find_runs(&self, search: impl Into<Search>) -> BoxFuture<'_, Result<RunStream>> {
        RunStore::find_runs(self, search.into())
    }

    /// Streams the runs that match as undecoded BSON documents.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`].
    pub async fn find_raw(
        &self,
        search: impl Into<Search> + Send,
    ) -> Result<BoxStream<'static, Result<RawDocumentBuf>>> {
        let cursor = SearchCursor::open(self, &search.into()).await?;
        Ok(cursor.stream(Ok))
    }

    /// Counts the runs that match. Limit and skip apply; order and projection are ignored.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`].
    pub async fn count_runs(&self, search: impl Into<Search> + Send) -> Result<u64> {
        let search = search.into();
        let choice = IndexChooser::for_all(self, &search).choose().await?;
        let count = async |hint: Option<Hint>| {
            let runs = Collections::of(self).runs();
            // To count the keys of an index is faster than to read every run.
            let all = choice
                .filter
                .is_empty()
                .then(|| Hint::Name(BY_ID.name.to_owned()));
            let hint = hint.or(all);
            runs.count_documents(choice.filter.clone())
                .optional(self.max_time_of(&search), |count, time| {
                    count.max_time(time)
                })
                .optional(search.limit, |count, limit| count.limit(limit.into()))
                .optional(search.skip, |count, skip| count.skip(skip))
                .optional(hint, |count, hint| count.hint(hint))
                .await
        };
        choice
            .send(count)
            .await
            .map_err(|error| failed("cannot count runs", error))
    }
}

impl RunStore for MongoRunStore {
    fn find_runs(&self, search: Search) -> BoxFuture<'_, Result<RunStream>> {
        Box::pin(async move {
            let cursor = SearchCursor::open(self, &search).await?;
            Ok(cursor.stream(Run::try_from))
        })
    }
}
