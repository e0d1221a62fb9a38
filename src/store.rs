//! [`RunStore`]: what finds runs, and its contract.

pub(crate) mod lease;
#[cfg(all(feature = "cli", unix))]
pub mod local;
pub(crate) mod migrate;
pub(crate) mod mongo;
pub(crate) mod plan;
pub(crate) mod retry;
pub(crate) mod save;
pub(crate) mod search;

use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::error::Result;
use crate::query::Search;
use crate::run::Run;

/// The runs of a search, as they come.
pub type RunStream = BoxStream<'static, Result<Run>>;

/// Finds runs by what they read and wrote, and by whatever else a run has.
///
/// Every implementation keeps this contract, and one suite of tests holds them to it:
///
/// - a run is in the stream exactly if the filter matches it as MongoDB means it, and it is there once;
/// - no match is an empty stream, not an error;
/// - what a store cannot evaluate exactly is [`Error::Unsupported`](crate::Error::Unsupported), never a guess;
/// - a stream that ends without an error is complete.
pub trait RunStore: Send + Sync {
    /// Streams the runs that match; callers use [`find_runs`](RunStore::find_runs).
    fn search_runs(&self, search: Search) -> BoxFuture<'_, Result<RunStream>>;

    /// Streams the runs that match; no match is an empty stream, not an error.
    ///
    /// Takes a [`Query`](crate::Query), a [`Search`] or a BSON [`Document`](bson::Document).
    fn find_runs(&self, search: impl Into<Search>) -> BoxFuture<'_, Result<RunStream>>
    where
        Self: Sized,
    {
        self.search_runs(search.into())
    }
}

impl dyn RunStore + '_ {
    /// Streams the runs that match, as [`RunStore::find_runs`] does.
    pub fn find_runs(&self, search: impl Into<Search>) -> BoxFuture<'_, Result<RunStream>> {
        self.search_runs(search.into())
    }
}
