//! Searching the mirror: runs as they come, and how many there are.

use bson::raw::RawDocumentBuf;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use mongodb::action::Action as _;

use super::MongoRunStore;
use super::batches::Found;
use super::chooser::IndexChooser;
use super::collections::Collections;
use super::failure::failed;
use crate::error::Result;
use crate::query::Search;
use crate::run::Run;
use crate::store::{RunStore, RunStream};

impl MongoRunStore {
    /// Streams the runs that match a query, a search or a native filter; no match is an empty stream, not an error.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for the first bad argument of the query; [`Error::Mongo`](crate::Error::Mongo) when MongoDB does not answer, refuses the
    /// filter, or takes longer than the search allows.
    pub fn find_runs(&self, search: impl Into<Search>) -> BoxFuture<'_, Result<RunStream>> {
        RunStore::find_runs(self, search.into())
    }

    /// Streams the documents of the runs that match, as they come from the database.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`].
    pub async fn find_raw(
        &self,
        search: impl Into<Search> + Send,
    ) -> Result<BoxStream<'static, Result<RawDocumentBuf>>> {
        let found = Found::send(self, &search.into()).await?;
        Ok(found.read(Ok))
    }

    /// How many runs match; order and projection are not looked at, limit and skip are.
    ///
    /// # Errors
    /// As [`RunStore::find_runs`].
    pub async fn count_runs(&self, search: impl Into<Search> + Send) -> Result<u64> {
        let search = search.into();
        let choice = IndexChooser::for_all(self, &search).choose().await?;
        let count = async |hint| {
            let runs = Collections::of(self).runs();
            runs.count_documents(choice.filter.clone())
                .optional(search.max_time, |count, time| count.max_time(time))
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
            let found = Found::send(self, &search).await?;
            Ok(found.read(Run::try_from))
        })
    }
}
