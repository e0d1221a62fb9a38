//! Counts runs by reference, and lists the versions with which runs name a model.

use std::collections::BTreeSet;
use std::time::Duration;

use bson::raw::RawDocumentBuf;
use bson::{Bson, Document, doc};
use futures::future::try_join_all;
use futures::{FutureExt as _, TryStreamExt as _};
use mongodb::Collection;
use mongodb::action::Action as _;
use mongodb::options::Hint;

use super::{Extent, Lookup, Neighbours, cannot_read, with_index};
use crate::error::Result;
use crate::mongo::failure::{code, code_of};
use crate::node::{Direction, Kind, Node};

/// The number of runs that have a reference.
pub(crate) struct Tally {
    pub(crate) node: Node,
    pub(crate) runs: u64,
    /// Whether the run that the node's key names is one of them.
    pub(crate) is_own: bool,
}

impl Neighbours<'_> {
    /// The references that the lookup finds, each with its number of runs as far as it is counted. The filter does not apply.
    pub(crate) async fn tally(&self, lookup: &Lookup, extent: Extent<'_>) -> Result<Vec<Tally>> {
        // No index lists the paths of a run, so all runs that read them are read.
        let is_limited = !lookup.kind.has_paths();
        let limit = is_limited.then(|| extent.limit());
        let found = self.tally_together(lookup, limit).await?;
        match is_limited && extent.is_exceeded_by(&found) {
            true => self.tally_apart(lookup, extent).await,
            false => Ok(found),
        }
    }

    /// The same with one query, which reads no more runs than this limit.
    pub(super) async fn tally_together(
        &self,
        lookup: &Lookup,
        limit: Option<i64>,
    ) -> Result<Vec<Tally>> {
        let spec = lookup.kind.spec();
        let mut entry = doc! { "key": format!("$$this.{}", spec.key) };
        if let Some(detail) = spec.detail {
            entry.insert("detail", format!("$$this.{}", detail.field));
        }
        let path = format!("${}", lookup.kind.path(lookup.direction));
        // An entry for each origin makes one edge, so the entries are merged first.
        let distinct =
            doc! { "$setUnion": [{ "$map": { "input": path, "in": entry } }, Vec::<Bson>::new()] };
        let mut found = Vec::new();
        for (filter, inner) in lookup.filters().into_iter().zip(lookup.element_filters()) {
            let mut pipeline = vec![doc! { "$match": filter }];
            pipeline.extend(limit.map(|limit| doc! { "$limit": limit }));
            pipeline.extend([
                doc! { "$project": { "entry": &distinct } },
                doc! { "$unwind": "$entry" },
                doc! { "$match": inner },
                doc! { "$group": {
                    "_id": "$entry",
                    "runs": { "$sum": 1 },
                    "is_own": { "$max": { "$eq": ["$_id", "$entry.key"] } },
                } },
            ]);
            let counts = self
                .run_collections()
                .map(|(runs, _)| self.tally_in(runs, &pipeline, lookup).boxed());
            found.extend(try_join_all(counts).await?.into_iter().flatten());
        }
        Ok(found)
    }

    /// The distinct details of this key on one side of runs, up to the limit.
    pub(crate) async fn details(
        &self,
        direction: Direction,
        kind: Kind,
        key: &str,
        limit: usize,
    ) -> Result<BTreeSet<Option<String>>> {
        let lookup = Lookup {
            direction,
            kind,
            keys: [key.into()].into_iter().collect(),
            details: None,
        };
        let scans = self
            .run_collections()
            .map(|(runs, _)| details(runs, &lookup, key, limit, self.max_time).boxed());
        Ok(try_join_all(scans).await?.into_iter().flatten().collect())
    }

    async fn tally_in(
        &self,
        runs: Collection<RawDocumentBuf>,
        pipeline: &[Document],
        lookup: &Lookup,
    ) -> Result<Vec<Tally>> {
        let aggregate = async |index: Option<&'static str>| {
            runs.aggregate(pipeline.to_vec())
                .allow_disk_use(true)
                .optional(self.max_time, |aggregate, time| aggregate.max_time(time))
                .optional(index, |aggregate, index| {
                    aggregate.hint(Hint::Name(index.to_owned()))
                })
                .await
        };
        let count = async {
            let counted = with_index(Some(lookup.index()), aggregate).await?;
            counted.try_collect::<Vec<Document>>().await
        };
        let counted = count.await.map_err(cannot_read)?;
        let counts = counted.iter().filter_map(|counted| {
            let entry = counted.get_document("_id").ok()?;
            let key = entry.get_str("key").ok()?;
            let runs = match counted.get("runs")? {
                Bson::Int32(runs) => i64::from(*runs),
                Bson::Int64(runs) => *runs,
                _ => return None,
            };
            Some(Tally {
                node: Node::stored(lookup.kind, key, entry.get_str("detail").ok()),
                runs: runs.unsigned_abs(),
                is_own: counted.get_bool("is_own").unwrap_or_default(),
            })
        });
        Ok(counts.collect())
    }
}

/// Jumps from key to key of the index, so that the cost does not depend on the number of runs for each key.
async fn details(
    runs: Collection<RawDocumentBuf>,
    lookup: &Lookup,
    key: &str,
    limit: usize,
    max_time: Option<Duration>,
) -> Result<BTreeSet<Option<String>>> {
    let mut found = BTreeSet::new();
    let Some(detail) = lookup.kind.spec().detail else {
        return Ok(found);
    };
    let key_field = lookup.kind.key_path(lookup.direction);
    let detail_field = format!("{}.{}", lookup.kind.path(lookup.direction), detail.field);
    let bound = |key: &str, detail: Bson| doc! { &key_field: key, &detail_field: detail };
    // The text with a NUL appended is the next text in index order.
    let max = bound(&format!("{key}\0"), Bson::MinKey);
    let mut min = bound(key, Bson::MinKey);
    while found.len() < limit {
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
        let detail = next.get_str(&detail_field).ok();
        found.insert(detail.map(str::to_owned));
        let after = detail.map_or(Bson::from(""), |detail| format!("{detail}\0").into());
        min = bound(key, after);
    }
    Ok(found)
}

async fn details_without_index(
    runs: Collection<RawDocumentBuf>,
    lookup: &Lookup,
) -> Result<BTreeSet<Option<String>>> {
    let spec = lookup.kind.spec();
    let path = format!("${}", lookup.kind.path(lookup.direction));
    let mut fields = doc! { "key": format!("$entry.{}", spec.key) };
    if let Some(detail) = spec.detail {
        fields.insert("detail", format!("$entry.{}", detail.field));
    }
    let find = async {
        let pipeline = lookup
            .filters()
            .into_iter()
            .map(|filter| doc! { "$match": filter })
            .chain([
                doc! { "$project": { "entry": path } },
                doc! { "$unwind": "$entry" },
                doc! { "$group": { "_id": fields } },
            ]);
        let found = runs.aggregate(pipeline).await?;
        found.try_collect::<Vec<Document>>().await
    };
    let found = find.await.map_err(cannot_read)?;
    let entries = found
        .iter()
        .filter_map(|entry| entry.get_document("_id").ok());
    let of_key = entries.filter(|entry| {
        let key = entry.get_str("key");
        key.is_ok_and(|key| lookup.keys.contains(key))
    });
    Ok(of_key
        .map(|entry| entry.get_str("detail").ok().map(str::to_owned))
        .collect())
}
