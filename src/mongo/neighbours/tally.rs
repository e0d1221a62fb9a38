//! Counts runs by reference, and lists the versions with which runs name a model.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bson::{Bson, Document, doc};
use futures::future::try_join_all;
use futures::{FutureExt as _, TryStreamExt as _};
use mongodb::action::Action as _;
use mongodb::options::Hint;

use super::lookup::after;
use super::{Details, Extent, Find, Lookup, Neighbours, RawRuns, Reading, StoredRun, cannot_read};
use crate::error::Result;
use crate::hash::{FastMap, FastSet};
use crate::mongo::failure::{code, code_of};
use crate::node::{Direction, Kind, Node};

/// So many runs are read to count them. More are counted in the index or by MongoDB.
pub(super) const FEW: usize = 200;

/// The number of runs that have a reference.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) node: Node,
    pub(crate) runs: u64,
    /// Whether the run that the node's key names is one of them.
    pub(crate) is_own: bool,
}

impl Neighbours<'_> {
    /// The references that the lookup finds, each with its number of runs as far as it is counted. The filter does not apply.
    pub(crate) async fn tally(&self, lookup: &Lookup, extent: Extent<'_>) -> Result<Vec<Tally>> {
        let Some(kept) = &self.store.kept_counts else {
            return self.tally_anew(lookup, extent).await;
        };
        let (mut found, rest) = kept.split(lookup, extent);
        if !rest.keys.is_empty() {
            let counted = self.tally_anew(&rest, extent).await?;
            kept.keep(&rest, extent, &counted);
            found.extend(counted);
        }
        Ok(found)
    }

    async fn tally_anew(&self, lookup: &Lookup, extent: Extent<'_>) -> Result<Vec<Tally>> {
        // No index lists the paths of a run, so all runs that read them are read.
        let limit = (!lookup.kind.has_paths()).then_some(FEW);
        match self.tally_together(lookup, limit).await? {
            Some(found) => Ok(found),
            None => self.tally_apart(lookup, extent).await,
        }
    }

    /// The same with one query for all references; `None` if there are more runs than this limit.
    pub(super) async fn tally_together(
        &self,
        lookup: &Lookup,
        limit: Option<usize>,
    ) -> Result<Option<Vec<Tally>>> {
        let counted = Mutex::new(Counts::default());
        let counts = || counted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_exceeded = |counts: &Counts| limit.is_some_and(|limit| counts.runs > limit);
        for part in &lookup.parts() {
            let take = |run: &StoredRun| {
                let mut counts = counts();
                counts.add(run, part);
                match is_exceeded(&counts) {
                    true => Reading::Stop,
                    false => Reading::Drop,
                }
            };
            let filter = &part.filter();
            let take = &take;
            let reads = self.run_collections().map(|(runs, is_deleted)| {
                let find = Find {
                    filter,
                    fields: doc! { lookup.kind.path(lookup.direction): 1 },
                    index: Some(lookup.index()),
                    limit: limit.and_then(|limit| i64::try_from(limit).ok()?.checked_add(1)),
                };
                async move { self.read(&runs, is_deleted, &find, Box::new(take)).await }.boxed()
            });
            try_join_all(reads).await?;
        }
        let counts = std::mem::take(&mut *counts());
        Ok((!is_exceeded(&counts)).then(|| counts.into_tallies()))
    }

    /// The distinct details of this key on one side of runs, up to the limit.
    pub(crate) async fn details(
        &self,
        direction: Direction,
        kind: Kind,
        key: &str,
        limit: usize,
    ) -> Result<Details> {
        let mut lookup = Lookup::new(direction, kind);
        lookup.add(key.into(), None);
        let scans = self
            .run_collections()
            .map(|(runs, _)| details(runs, &lookup, key, limit, self.max_time).boxed());
        Ok(try_join_all(scans).await?.into_iter().flatten().collect())
    }
}

/// The references of runs that were read.
#[derive(Default)]
struct Counts {
    runs: usize,
    /// The number of runs of each reference, and whether the run that its key names is one of them.
    found: FastMap<Node, (u64, bool)>,
}

impl Counts {
    fn add(&mut self, run: &StoredRun, lookup: &Lookup) {
        self.runs += 1;
        let wanted = run.references.iter().map(|reference| &reference.node);
        let wanted = wanted.filter(|node| lookup.finds(node));
        // A reference with several origins makes one edge.
        let distinct: FastSet<&Node> = wanted.collect();
        for node in distinct {
            let (runs, is_own) = self.found.entry(node.clone()).or_default();
            *runs += 1;
            *is_own |= run.node.key() == node.key();
        }
    }

    fn into_tallies(self) -> Vec<Tally> {
        let found = self.found.into_iter();
        found
            .map(|(node, (runs, is_own))| Tally { node, runs, is_own })
            .collect()
    }
}

/// Jumps from key to key of the index, so that the cost does not depend on the number of runs for each key.
async fn details(
    runs: RawRuns,
    lookup: &Lookup,
    key: &str,
    limit: usize,
    max_time: Option<Duration>,
) -> Result<Details> {
    let mut found = Details::new();
    let Some(detail) = lookup.kind.spec().detail else {
        return Ok(found);
    };
    let detail_field = format!("{}.{}", lookup.kind.path(lookup.direction), detail.field);
    let max = lookup.index_key(&after(key), Bson::MinKey);
    let mut min = lookup.index_key(key, Bson::MinKey);
    while found.len() < limit {
        let is_past_numbers = min.get_str(&detail_field).is_ok();
        let next = runs
            .clone_with_type::<Document>()
            .find_one(doc! {})
            .hint(Hint::Name(lookup.index().to_owned()))
            .min(min)
            .max(max.clone())
            .return_key(true)
            .optional(max_time, |find, time| find.max_time(time))
            .await;
        let next = match next {
            Err(error) if code_of(&error) == Some(code::BAD_VALUE) => {
                return details_without_index(runs, lookup).await;
            }
            next => next.map_err(cannot_read)?,
        };
        let Some(next) = next else { break };
        let after = match next.get(&detail_field) {
            Some(Bson::String(detail)) => {
                found.insert(Some(detail.clone()));
                after(detail)
            }
            None | Some(Bson::Null) => {
                found.insert(None);
                String::new()
            }
            // Another program wrote the value. In the order of an index, texts may follow numbers, but no other type.
            Some(_) if is_past_numbers => break,
            Some(_) => String::new(),
        };
        min = lookup.index_key(key, after.into());
    }
    Ok(found)
}

async fn details_without_index(runs: RawRuns, lookup: &Lookup) -> Result<Details> {
    let spec = lookup.kind.spec();
    let path = format!("${}", lookup.kind.path(lookup.direction));
    let mut fields = doc! { "key": format!("$entry.{}", spec.key) };
    if let Some(detail) = spec.detail {
        fields.insert("detail", format!("$entry.{}", detail.field));
    }
    let find = async {
        let pipeline = [
            doc! { "$match": lookup.filter() },
            doc! { "$project": { "entry": path } },
            doc! { "$unwind": "$entry" },
            doc! { "$group": { "_id": fields } },
        ];
        let found = runs.aggregate(pipeline).await?;
        found.try_collect::<Vec<Document>>().await
    };
    let found = find.await.map_err(cannot_read)?;
    let entries = found
        .iter()
        .filter_map(|entry| entry.get_document("_id").ok());
    let of_key = entries.filter(|entry| {
        let key = entry.get_str("key");
        key.is_ok_and(|key| lookup.keys.contains_key(key))
    });
    Ok(of_key
        .map(|entry| entry.get_str("detail").ok().map(str::to_owned))
        .collect())
}
