//! Counts the runs of references that very many runs have. MongoDB would read all of these runs to count them, so it stops at a limit.

use bson::Document;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use mongodb::action::Action as _;
use mongodb::options::Hint;

use super::tally::FEW;
use super::{CONCURRENT, Details, Lookup, Neighbours, Tally, cannot_read, with_index};
use crate::error::Result;
use crate::node::Node;

/// To look for so few versions of a model is cheaper than to list all that it has.
const FEW_DETAILS: usize = 10;

/// How far the runs of references are counted.
#[derive(Clone, Copy)]
pub(crate) struct Extent<'a> {
    /// Counting a reference stops above this number of runs.
    pub(crate) most: u64,
    /// The references whose runs are counted. Of any other one, it is enough that a run has it.
    pub(crate) is_counted: &'a (dyn Fn(&Node) -> bool + Sync),
}

impl Extent<'_> {
    /// MongoDB reads one run more than is counted, which shows that there are more.
    pub(super) fn limit(self) -> i64 {
        i64::try_from(self.most.saturating_add(1)).unwrap_or(i64::MAX)
    }
}

impl Neighbours<'_> {
    /// The references that the lookup finds, with a query for each key, and for each reference of a key that is too large for that.
    pub(super) async fn tally_apart(
        &self,
        lookup: &Lookup,
        extent: Extent<'_>,
    ) -> Result<Vec<Tally>> {
        let keys = lookup.by_key().map(|of_key| async move {
            if lookup.keys.len() > 1
                && let Some(found) = self.tally_together(&of_key, Some(FEW)).await?
            {
                return Ok(found);
            }
            self.tally_each(&of_key, extent).await
        });
        let found = stream::iter(keys.collect::<Vec<_>>()).buffered(CONCURRENT);
        found.try_concat().await
    }

    /// The references of a lookup with one key, with a query for each reference.
    async fn tally_each(&self, lookup: &Lookup, extent: Extent<'_>) -> Result<Vec<Tally>> {
        let Lookup {
            direction, kind, ..
        } = *lookup;
        let mut nodes = Vec::new();
        for (key, details) in &lookup.keys {
            let details = match (kind.spec().detail, details) {
                (None, _) => Details::from([None]),
                (Some(_), Some(details)) if details.len() <= FEW_DETAILS => details.clone(),
                (Some(_), _) => {
                    let limit = usize::try_from(extent.limit()).unwrap_or(usize::MAX);
                    self.details(direction, kind, key, limit).await?
                }
            };
            let of_key = details.iter().map(Option::as_deref);
            let of_key = of_key.map(|detail| Node::stored(kind, key, detail));
            nodes.extend(of_key.filter(|node| lookup.finds(node)));
        }
        let tallies = nodes.into_iter().map(|node| async move {
            let filter = Lookup::exact(direction, &node);
            let limit = match (extent.is_counted)(&node) {
                true => extent.limit(),
                false => 1,
            };
            Ok(Tally {
                runs: self.count(lookup.index(), &filter, limit).await?,
                node,
                // A key is the id of a run only for artifacts, which are not counted here.
                is_own: false,
            })
        });
        let tallies = stream::iter(tallies.collect::<Vec<_>>()).buffered(CONCURRENT);
        let found = tallies.try_filter(|tally| std::future::ready(tally.runs > 0));
        found.try_collect().await
    }

    /// The number of runs that match, counted up to the limit in each collection.
    async fn count(&self, index: &'static str, filter: &Document, limit: i64) -> Result<u64> {
        let mut counted = 0;
        for (runs, _) in self.run_collections() {
            let count = async |index: Option<&'static str>| {
                runs.count_documents(filter.clone())
                    .limit(limit.unsigned_abs())
                    .optional(self.max_time, |count, time| count.max_time(time))
                    .optional(index, |count, index| {
                        count.hint(Hint::Name(index.to_owned()))
                    })
                    .await
            };
            counted += with_index(Some(index), count).await.map_err(cannot_read)?;
        }
        Ok(counted)
    }
}
