//! Counts the runs of references that very many runs have, from the keys of indexes and up to a limit.

use std::collections::BTreeSet;

use bson::doc;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use mongodb::action::Action as _;
use mongodb::options::Hint;

use super::tally::FEW;
use super::{
    CONCURRENT, Details, Lookup, Neighbours, RawRuns, Sought, Tally, cannot_read, with_index,
};
use crate::error::Result;
use crate::node::{Kind, Node};

/// The largest number of index keys in a batch.
const KEYS: u32 = 20_000;

/// How far the runs of references are counted.
#[derive(Clone, Copy)]
pub(crate) struct Extent<'a> {
    /// Counting a reference stops above this number of runs.
    pub(crate) most: u64,
    /// The references that the graph shows, whose runs are counted. Of any other one, it is enough that a run has it.
    pub(crate) shown: &'a BTreeSet<Node>,
    /// The references at which the graph starts.
    pub(crate) starts: &'a BTreeSet<Node>,
}

impl<'a> Extent<'a> {
    /// MongoDB returns one key more than is counted, which shows that there are more.
    pub(super) fn limit(self) -> i64 {
        i64::try_from(self.most.saturating_add(1)).unwrap_or(i64::MAX)
    }

    /// The starts with this key.
    pub(super) fn starts_of(self, kind: Kind, key: &str) -> impl Iterator<Item = &'a Node> {
        let starts = self.starts.range(Node::stored(kind, key, None)..);
        starts.take_while(move |start| start.kind() == kind && start.key() == key)
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
                && !of_key.has_few_details()
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
        for (key, Sought { is_any, named }) in &lookup.keys {
            let details = if kind.spec().detail.is_none() {
                Details::from([None])
            } else if *is_any {
                let limit = usize::try_from(extent.limit()).unwrap_or(usize::MAX);
                let mut listed = self.details(direction, kind, key, limit).await?;
                // The list may be cut; the references that were named are counted in any case.
                if listed.len() >= limit {
                    listed.extend(named.iter().cloned());
                }
                listed
            } else if lookup.has_few_details() {
                named.clone()
            } else {
                let listed = self.details(direction, kind, key, named.len()).await?;
                match listed.len() < named.len() {
                    true => listed,
                    false => named.clone(),
                }
            };
            let of_key = details.iter().map(Option::as_deref);
            let of_key = of_key.map(|detail| Node::stored(kind, key, detail));
            nodes.extend(of_key.filter(|node| lookup.finds(node)));
        }
        let tallies = nodes.into_iter().map(|node| async move {
            let limit = match extent.shown.contains(&node) {
                true => extent.limit(),
                false => 1,
            };
            Ok(Tally {
                runs: self.count(lookup, &node, limit).await?,
                node,
                // A key is the id of a run only for artifacts, which are not counted here.
                is_own: false,
            })
        });
        let tallies = stream::iter(tallies.collect::<Vec<_>>()).buffered(CONCURRENT);
        let found = tallies.try_filter(|tally| std::future::ready(tally.runs > 0));
        found.try_collect().await
    }

    /// The number of runs that have exactly this reference, counted up to the limit in each collection.
    async fn count(&self, lookup: &Lookup, node: &Node, limit: i64) -> Result<u64> {
        let mut counted = 0;
        for (runs, _) in self.run_collections() {
            let count = async |index: Option<&'static str>| match index {
                Some(index) => self.count_keys(&runs, index, lookup, node, limit).await,
                None => {
                    let filter = Lookup::exact(lookup.direction, node);
                    runs.count_documents(filter)
                        .limit(limit.unsigned_abs())
                        .optional(self.max_time, |count, time| count.max_time(time))
                        .await
                }
            };
            let count = with_index(Some(lookup.index()), count).await;
            counted += count.map_err(cannot_read)?;
        }
        Ok(counted)
    }

    /// The same from the keys of the index, which takes a fifth of the time: a filter on two fields of an array would read each run.
    async fn count_keys(
        &self,
        runs: &RawRuns,
        index: &'static str,
        lookup: &Lookup,
        node: &Node,
        limit: i64,
    ) -> mongodb::error::Result<u64> {
        let (min, max) = lookup.bounds(node);
        let mut batches = runs
            .find(doc! {})
            .hint(Hint::Name(index.to_owned()))
            .min(min)
            .max(max)
            .return_key(true)
            .limit(limit)
            .batch_size(KEYS)
            .optional(self.max_time, |find, time| find.max_time(time))
            .batch()
            .await?;
        let mut counted = 0;
        while let Some(batch) = batches.try_next().await? {
            counted += batch.doc_slices()?.into_iter().count() as u64;
        }
        Ok(counted)
    }
}
