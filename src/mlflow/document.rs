//! [`map`]: maps a run of MLflow to its document in collection `runs`.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, DateTime, Document, doc};
use sha2::{Digest, Sha256};

use super::native;
use super::wire::RawRun;
use crate::codec::nest::{self, Nested};
use crate::codec::tags;
use crate::error::Result;
use crate::node::{Direction, Kind, Node, Origin, Reference};
use crate::run::lineage::Entry;
use crate::run::{Problem, Run, field, lineage};

/// A part of every fingerprint. After a change of this number, the next full pass rewrites every run.
const MAPPING_VERSION: u32 = 3;

/// Many readers of BSON, such as Python's, can hold only dates of the years 1 to 9999.
pub(super) const READABLE_MILLIS: std::ops::RangeInclusive<i64> =
    -62_135_596_800_000..=253_402_300_799_999;

/// Maps a run and the name of its experiment. Equal inputs give equal documents.
pub(crate) fn map(raw: &RawRun, exp_name: &str) -> Result<Run> {
    let tag_texts: BTreeMap<&str, &str> = by_key(
        raw.data
            .tags
            .iter()
            .map(|tag| (tag.key.as_str(), tag.value.as_str())),
    );
    let param_texts = by_key(
        raw.data
            .params
            .iter()
            .map(|param| (param.key.as_str(), param.value.as_str())),
    );
    let metric_values = by_key(
        raw.data
            .metrics
            .iter()
            .map(|metric| (metric.key.as_str(), metric.value)),
    );
    let (references, mut problems) = tags::read(tag_texts.iter().map(|(key, text)| (*key, *text)));
    let mut entries: Vec<Entry> = references.into_iter().map(Entry::from).collect();
    let (native, unread) = native::read(raw);
    let fingerprint = fingerprint(
        raw,
        exp_name,
        &tag_texts,
        &param_texts,
        &metric_values,
        &native,
    );
    entries.extend(native);
    problems.extend(unread);
    let tags = nest::tags(&tag_texts);
    let params = nest::params(&param_texts);
    let metrics = nest::metrics(&metric_values);

    let info = &raw.info;
    let mut document = doc! { field::ID: &info.run_id };
    let mut put = |name: &str, value: Option<Bson>| value.map(|value| document.insert(name, value));
    put(field::NAME, non_empty(info.run_name.as_deref()));
    put(
        field::EXP,
        Some(doc! { "id": &info.experiment_id, "name": exp_name }.into()),
    );
    put(field::STATUS, non_empty(info.status.as_deref()));
    put(
        field::START_TIME,
        info.start_time
            .map(|millis| date(field::START_TIME, millis, &mut problems)),
    );
    put(
        field::END_TIME,
        info.end_time
            .map(|millis| date(field::END_TIME, millis, &mut problems)),
    );
    let tag = |key: &str| tag_texts.get(key).copied().filter(|text| !text.is_empty());
    let artifact_uri = info.artifact_uri.as_deref();
    let repo = tag("artifacts_repo").or(artifact_uri);
    put(field::REPO, non_empty(repo));
    let user = info.user_id.as_deref().filter(|user| *user != "unknown");
    put(field::USER, non_empty(tag("mlflow.user").or(user)));
    for direction in Direction::BOTH {
        let side = lineage::to_side(direction, &entries);
        put(direction.field(), Some(side.into()));
    }

    let mut mirror = doc! { field::FINGERPRINT: fingerprint };
    if let Some(uri) = non_empty(artifact_uri.filter(|_| repo != artifact_uri)) {
        mirror.insert(field::ARTIFACT_URI, uri);
    }
    let mut text = Document::new();
    let mut unnested = Document::new();
    for (name, nested) in [
        (field::TAGS, tags),
        (field::PARAMS, params),
        (field::METRICS, metrics),
    ] {
        let Nested {
            tree,
            unnested: apart,
            text: exact,
        } = nested;
        put(name, Some(tree.into()));
        if !apart.is_empty() {
            unnested.insert(name, apart);
        }
        if !exact.is_empty() {
            text.insert(name, exact);
        }
    }
    for (name, part) in [(field::TEXT, text), (field::UNNESTED, unnested)] {
        if !part.is_empty() {
            mirror.insert(name, part);
        }
    }
    if !problems.is_empty() {
        let problems = problems
            .into_iter()
            .map(|Problem { key, reason }| doc! { "key": key, "reason": reason });
        mirror.insert(field::PROBLEMS, problems.collect::<Vec<_>>());
    }
    document.insert(field::MIRROR, mirror);
    Run::try_from(&document)
}

/// What MLflow itself records that a run read and wrote.
pub(crate) fn native_nodes(raw: &RawRun) -> BTreeSet<(Direction, Node)> {
    let (entries, _) = native::read(raw);
    let nodes = entries.into_iter().map(|entry| entry.reference);
    nodes
        .map(|reference| (reference.direction, reference.node))
        .collect()
}

fn by_key<'a, V>(pairs: impl Iterator<Item = (&'a str, V)>) -> BTreeMap<&'a str, V> {
    pairs.collect()
}

fn non_empty(text: Option<&str>) -> Option<Bson> {
    text.filter(|text| !text.is_empty()).map(Bson::from)
}

fn date(name: &str, millis: i64, problems: &mut Vec<Problem>) -> Bson {
    if READABLE_MILLIS.contains(&millis) {
        return Bson::DateTime(DateTime::from_millis(millis));
    }
    problems.push(Problem {
        key: name.to_owned(),
        reason: "the time is outside the years 1 to 9999, so its milliseconds are stored as text"
            .into(),
    });
    Bson::String(millis.to_string())
}

/// A hash of all inputs of the mapping. Each part is hashed with its length, and pairs are hashed in the order of their keys.
fn fingerprint(
    raw: &RawRun,
    exp_name: &str,
    tags: &BTreeMap<&str, &str>,
    params: &BTreeMap<&str, &str>,
    metrics: &BTreeMap<&str, f64>,
    native: &[Entry],
) -> String {
    let mut hash = Sha256::new();
    let mut put = |part: Option<&[u8]>| {
        hash.update(
            part.map_or(u64::MAX, |part| part.len() as u64)
                .to_le_bytes(),
        );
        hash.update(part.unwrap_or_default());
    };
    let info = &raw.info;
    put(Some(&MAPPING_VERSION.to_le_bytes()));
    put(Some(exp_name.as_bytes()));
    for text in [
        Some(&info.run_id),
        info.run_name.as_ref(),
        Some(&info.experiment_id),
        info.user_id.as_ref(),
        info.status.as_ref(),
        info.artifact_uri.as_ref(),
    ] {
        put(text.map(String::as_bytes));
    }
    for millis in [info.start_time, info.end_time] {
        put(millis
            .map(i64::to_le_bytes)
            .as_ref()
            .map(<[u8; 8]>::as_slice));
    }
    for texts in [tags, params] {
        put(Some(&(texts.len() as u64).to_le_bytes()));
        for (key, text) in texts {
            put(Some(key.as_bytes()));
            put(Some(text.as_bytes()));
        }
    }
    for (key, value) in metrics {
        put(Some(key.as_bytes()));
        put(Some(&value.to_bits().to_le_bytes()));
    }
    // Model inputs are left out: `runs/search` does not show them.
    let is_shown = |entry: &&Entry| {
        let Reference { node, origin, .. } = &entry.reference;
        node.kind() != Kind::LOGGED_MODEL || *origin != Origin::Inputs
    };
    for entry in native.iter().filter(is_shown) {
        put(entry.to_document().to_vec().ok().as_deref());
    }
    hex::encode(hash.finalize())
}
