//! Compares one mirrored run with the same run in MLflow, first text by text and then as a whole document.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::codec::nest::Texts;
use crate::error::{Error, Result};
use crate::mlflow::document;
use crate::mlflow::wire::RawRun;
use crate::node::{Direction, Kind, Node, Origin};
use crate::registry::{Projected, with_projected};
use crate::run::lineage::FROM;
use crate::run::{Run, field};

/// A run, a registered model, a version or a logged model whose stored document differs from what MLflow shows.
///
/// JSON has the id of a run under the key `run`, and the text of any other node under the key `node`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// What differs. The key of a document that is no run is its `_id` as text.
    pub node: Node,
    /// `missing`: not mirrored. `extra`: mirrored, but not shown by MLflow as active. `stale`: mirrored with other contents.
    pub kind: &'static str,
    /// How it differs.
    pub what: String,
}

impl Difference {
    /// The id of a run, the text of any other node, such as `model:churn:3`.
    #[must_use]
    pub fn subject(&self) -> String {
        if self.node.kind() == Kind::RUN {
            self.node.key().to_owned()
        } else {
            self.node.to_string()
        }
    }

    pub(super) fn missing(node: Node) -> Self {
        Self::new(node, "missing", "it is not mirrored")
    }

    pub(super) fn extra(node: Node, what: impl Into<String>) -> Self {
        Self::new(node, "extra", what)
    }

    pub(super) fn stale(node: Node, what: String) -> Self {
        Self::new(node, "stale", what)
    }

    fn new(node: Node, kind: &'static str, what: impl Into<String>) -> Self {
        Self {
            node,
            kind,
            what: what.into(),
        }
    }
}

impl Serialize for Difference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_run = self.node.kind() == Kind::RUN;
        let mut fields = serializer.serialize_struct("Difference", 3)?;
        fields.serialize_field(if is_run { "run" } else { "node" }, &self.subject())?;
        fields.serialize_field("kind", self.kind)?;
        fields.serialize_field("what", &self.what)?;
        fields.end()
    }
}

/// A run as a node, whatever its id looks like.
pub(super) fn run_node(id: &str) -> Node {
    Node::stored(Kind::RUN, id, None)
}

/// The difference between the stored run and what MLflow shows; `None` when they are equal.
pub(super) fn compare(
    raw: &RawRun,
    exp_name: &str,
    stored: Option<&Run>,
    projected: Projected,
) -> Result<Option<Difference>> {
    let id = &raw.info.run_id;
    let Some(stored) = stored else {
        return Ok((!raw.is_deleted()).then(|| Difference::missing(run_node(id))));
    };
    if raw.is_deleted() {
        return Ok(Some(Difference::extra(
            run_node(id),
            "it is deleted in MLflow",
        )));
    }
    let what = match differing_raw(raw, exp_name, stored) {
        Ok(None) => differing_document(raw, exp_name, stored, projected)?,
        Ok(what) => what,
        // A document of another program may not have the shape of a run.
        Err(Error::Document { reason, .. }) => Some(reason),
        Err(error) => return Err(error),
    };
    Ok(what.map(|what| Difference::stale(run_node(id), what)))
}

/// Compares MLflow's raw fields with those that the stored document gives back.
///
/// It does not map the raw fields first, so that it also finds faults of the mapping itself.
fn differing_raw(raw: &RawRun, exp_name: &str, stored: &Run) -> Result<Option<String>> {
    let info = &raw.info;
    let document = stored.to_document()?;
    let text = |path: &str| document.get_str(path).unwrap_or_default().to_owned();
    let exp = stored.exp();
    let exp = exp.as_ref();
    let pairs = [
        (
            "name",
            text(field::NAME),
            info.run_name.clone().unwrap_or_default(),
        ),
        (
            "status",
            text(field::STATUS),
            info.status.clone().unwrap_or_default(),
        ),
        ("user", text(field::USER), user(raw)),
        ("repo", text(field::REPO), repo(raw)),
        (
            "artifact_uri",
            stored.artifact_uri().unwrap_or_default().to_owned(),
            raw.info.artifact_uri.clone().unwrap_or_default(),
        ),
        (
            "exp.id",
            exp.map(|exp| exp.id.clone()).unwrap_or_default(),
            info.experiment_id.clone(),
        ),
        (
            "exp.name",
            exp.and_then(|exp| exp.name.clone()).unwrap_or_default(),
            exp_name.to_owned(),
        ),
        (
            "start_time",
            millis(&document, field::START_TIME),
            info.start_time
                .map_or_else(String::new, |millis| millis.to_string()),
        ),
        (
            "end_time",
            millis(&document, field::END_TIME),
            info.end_time
                .map_or_else(String::new, |millis| millis.to_string()),
        ),
    ];
    for (what, mirrored, original) in pairs {
        if mirrored != original {
            return Ok(Some(format!(
                "{what}: {mirrored:?}, in MLflow {original:?}"
            )));
        }
    }
    let texts = Texts::of(stored)?;
    for (what, mirrored, originals) in [
        ("tag", texts.tags, &raw.data.tags),
        ("param", texts.params, &raw.data.params),
    ] {
        let originals: BTreeMap<_, _> = originals
            .iter()
            .map(|text| (text.key.clone(), text.value.clone()))
            .collect();
        if let Some(key) = differing_key(&mirrored, &originals, |a, b| a == b) {
            return Ok(Some(format!(
                "{what} {key:?}: {:?}, in MLflow {:?}",
                mirrored.get(&key),
                originals.get(&key)
            )));
        }
    }
    let mirrored = metrics(&document);
    let originals: BTreeMap<_, _> = raw
        .data
        .metrics
        .iter()
        .map(|metric| (metric.key.clone(), metric.value))
        .collect();
    let same = |a: &f64, b: &f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    Ok(differing_key(&mirrored, &originals, same).map(|key| {
        format!(
            "metric {key:?}: {:?}, in MLflow {:?}",
            mirrored.get(&key),
            originals.get(&key)
        )
    }))
}

/// Compares the whole document, lineage included, with the document that a sync would write now.
fn differing_document(
    raw: &RawRun,
    exp_name: &str,
    stored: &Run,
    projected: Projected,
) -> Result<Option<String>> {
    let mut would_be = with_projected(&document::map(raw, exp_name)?, projected)?;
    let mut is = stored.to_document()?;
    if let Ok(mirror) = is.get_document_mut(field::MIRROR) {
        for field in [field::TICKET, field::CHANGED_AT, field::REGISTRY] {
            mirror.remove(field);
        }
    }
    for document in [&mut would_be, &mut is] {
        remove_model_inputs(document);
    }
    Ok(differing_field(&would_be, &is))
}

/// The first field that differs between what would be written now and what is stored, with both values.
pub(super) fn differing_field(would_be: &Document, is: &Document) -> Option<String> {
    let fields = would_be.keys().chain(is.keys());
    // Compared as bytes: as numbers, NaN would differ from itself.
    let bytes = |document: &Document, field: &str| {
        document
            .get(field)
            .map(|value| doc! { "v": value }.to_vec().ok())
    };
    let differing = fields
        .into_iter()
        .find(|field| bytes(would_be, field) != bytes(is, field));
    differing.map(|field| {
        format!(
            "{field}: {}, should be {}",
            shown(is.get(field)),
            shown(would_be.get(field))
        )
    })
}

/// Removes the logged models that MLflow records as inputs of a run: only `runs/get` shows them.
fn remove_model_inputs(document: &mut Document) {
    let field = Kind::LOGGED_MODEL.spec().field;
    let Ok(inputs) = document.get_document_mut(Direction::Input.field()) else {
        return;
    };
    let Ok(array) = inputs.get_array_mut(field) else {
        return;
    };
    array.retain(|entry| {
        let from = entry
            .as_document()
            .and_then(|entry| entry.get_str(FROM).ok());
        from != Some(Origin::Inputs.as_str())
    });
    if array.is_empty() {
        inputs.remove(field);
    }
}

fn user(raw: &RawRun) -> String {
    let user = raw.info.user_id.clone().filter(|user| user != "unknown");
    tag(raw, "mlflow.user").or(user).unwrap_or_default()
}

fn repo(raw: &RawRun) -> String {
    let repo = tag(raw, "artifacts_repo").or_else(|| raw.info.artifact_uri.clone());
    repo.unwrap_or_default()
}

fn tag(raw: &RawRun, key: &str) -> Option<String> {
    let tag = raw.data.tags.iter().find(|tag| tag.key == key)?;
    Some(tag.value.clone()).filter(|text| !text.is_empty())
}

fn differing_key<V>(
    a: &BTreeMap<String, V>,
    b: &BTreeMap<String, V>,
    same: impl Fn(&V, &V) -> bool,
) -> Option<String> {
    let differs = |key: &&String| match (a.get(*key), b.get(*key)) {
        (Some(a), Some(b)) => !same(a, b),
        _ => true,
    };
    a.keys().chain(b.keys()).find(differs).cloned()
}

fn millis(document: &Document, field: &str) -> String {
    match document.get(field) {
        Some(Bson::DateTime(date)) => date.timestamp_millis().to_string(),
        Some(Bson::String(text)) => text.clone(),
        _ => String::new(),
    }
}

fn metrics(document: &Document) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    let mut open: Vec<(String, &Document)> = document
        .get_document(field::METRICS)
        .map(|tree| (String::new(), tree))
        .into_iter()
        .collect();
    while let Some((prefix, tree)) = open.pop() {
        for (name, value) in tree {
            match value {
                Bson::Document(inner) => open.push((format!("{prefix}{name}."), inner)),
                Bson::Double(value) => drop(metrics.insert(format!("{prefix}{name}"), *value)),
                _ => {}
            }
        }
    }
    let unnested = document
        .get_document(field::MIRROR)
        .and_then(|mirror| mirror.get_document(field::UNNESTED))
        .and_then(|unnested| unnested.get_array(field::METRICS));
    for entry in unnested.into_iter().flatten().filter_map(Bson::as_document) {
        if let (Ok(key), Ok(value)) = (entry.get_str("key"), entry.get_f64("value")) {
            metrics.insert(key.to_owned(), value);
        }
    }
    metrics
}

fn shown(value: Option<&Bson>) -> String {
    let text = value.map_or_else(|| "absent".to_owned(), ToString::to_string);
    text.char_indices()
        .nth(200)
        .map_or_else(|| text.clone(), |(end, _)| format!("{}…", &text[..end]))
}
