//! [`RunStore`]: what finds runs, and its contract.

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
    /// Streams the runs that match; no match is an empty stream, not an error.
    ///
    /// The stores' own `find_runs` take a [`Query`](crate::Query) or a [`Document`](bson::Document) as well; on a
    /// `&dyn RunStore`, write `store.find_runs(query.into())`.
    fn find_runs(&self, search: Search) -> BoxFuture<'_, Result<RunStream>>;
}
