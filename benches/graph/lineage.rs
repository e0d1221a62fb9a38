//! Runs with lineage of a known form among runs as a large team has them.

use mongodb::bson::raw::RawDocumentBuf;
use mongodb::bson::{Bson, Document, doc};

use crate::generator::{self, Random};

/// How many runs stem from one, itself included, in nine levels.
pub(crate) const TREE: u64 = 13_000;
/// How many runs are in the chain.
pub(crate) const CHAIN: u64 = 551;
/// How many runs read what a run of the tree wrote, as a rule.
const FAN: u64 = 3;

pub(crate) fn tree_id(n: u64) -> String {
    format!(
        "{:x}",
        0x7ee0_0000_0000_0000_0000_0000_0000_0000_u128 | u128::from(Random(n).next())
    )
}

pub(crate) fn chain_id(n: u64) -> String {
    format!(
        "{:x}",
        0xc4a1_0000_0000_0000_0000_0000_0000_0000_u128 | u128::from(Random(n).next())
    )
}

/// The n-th of `count` runs. Those of the tree and of the chain lie among the others, as they would in time.
pub(crate) fn run(n: u64, count: u64) -> RawDocumentBuf {
    let apart = (count / (TREE + CHAIN + 1)).max(1);
    let (special, is_special) = (n / apart, n.is_multiple_of(apart));
    if is_special && special < TREE {
        let mut random = Random(special);
        let mut read = Vec::new();
        if let Some(parent) = special.checked_sub(1) {
            read.push(parent / FAN);
            if random.below(2) == 0 {
                // A second way to the same run.
                read.push(parent / FAN / 2);
            }
        }
        let read = read.into_iter().map(tree_id).collect();
        return with_lineage(n, count, &tree_id(special), read);
    }
    if is_special && special < TREE + CHAIN {
        let place = special - TREE;
        let read = place.checked_sub(1).map(chain_id);
        return with_lineage(n, count, &chain_id(place), read.into_iter().collect());
    }
    generator::run(n, count)
}

fn with_lineage(n: u64, count: u64, id: &str, read: Vec<String>) -> RawDocumentBuf {
    let run = generator::run(n, count);
    let mut run = Document::try_from(run.as_ref()).unwrap_or_default();
    let read: Vec<Bson> = read
        .into_iter()
        .map(|id| doc! { "id": id, "path": "data/part.parquet", "from": "tag" }.into())
        .collect();
    let wrote = doc! { "id": id, "path": "data/part.parquet", "from": "tag" };
    run.insert("_id", id);
    run.insert("inputs", doc! { "models": [], "runs": read });
    run.insert("outputs", doc! { "models": [], "runs": [wrote] });
    RawDocumentBuf::try_from(&run).unwrap_or_default()
}
