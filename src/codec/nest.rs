//! Nests flat keys at their dots, and recovers the exact texts of MLflow from the nested document.

use std::collections::{BTreeMap, HashSet};

use bson::{Bson, Document, doc};

use super::flat::Data;
use super::value;
use crate::error::Result;
use crate::run::{Run, field};

/// The maximum number of segments of a nested key. BSON and its readers limit the depth of a document, and the value may
/// be nested as well.
const MAX_SEGMENTS: usize = 30;

/// Flat entries as a stored run has them: the tree, and what the tree cannot express.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Nested {
    pub(crate) tree: Document,
    /// `{key, value}` for each key that cannot be nested.
    pub(crate) unnested: Vec<Document>,
    /// `{key, value}` for each text whose decoded value does not encode back into it.
    pub(crate) text: Vec<Document>,
}

/// The texts of a run's tags and params in MLflow, by their flat keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Texts {
    /// Tag key → its text in MLflow.
    pub tags: BTreeMap<String, String>,
    /// Param key → its text in MLflow.
    pub params: BTreeMap<String, String>,
}

impl Texts {
    /// Recovers the exact text of every tag and param in MLflow from a stored run.
    ///
    /// # Errors
    /// [`Error::Document`](crate::Error::Document) if the document does not have the shape that this crate writes.
    pub fn of(run: &Run) -> Result<Self> {
        let texts = |data: Data| {
            let mut texts = BTreeMap::new();
            let read = data.each(run, |value| {
                drop(texts.insert(value.key().to_owned(), value.text().into_owned()));
            });
            read.map(|()| texts)
        };
        Ok(Self {
            tags: texts(Data::Tags)?,
            params: texts(Data::Params)?,
        })
    }
}

/// The text that MLflow shows for one tag, param or metric of a stored run. A metric gives the shortest text of its number.
///
/// `root` is `tags`, `params` or `metrics`. `None` if the run does not have the key, even if it has longer keys below it.
#[must_use]
pub fn text_of(document: &Document, root: &str, key: &str) -> Option<String> {
    let mirror = document.get_document(field::MIRROR).ok();
    let apart = |list: &str| {
        let lists = mirror?.get_document(list).ok()?;
        let mut entries = lists
            .get_array(root)
            .ok()?
            .iter()
            .filter_map(Bson::as_document);
        let entry = entries.find(|entry| entry.get_str("key").is_ok_and(|other| other == key))?;
        entry.get("value")
    };
    if let Some(text) = apart(field::TEXT).and_then(Bson::as_str) {
        return Some(text.to_owned());
    }
    let value = match apart(field::UNNESTED) {
        Some(value) => value,
        None => match nested(document.get_document(root).ok()?, key)? {
            Bson::Document(longer) if !longer.is_empty() => return None,
            value => value,
        },
    };
    Some(match root {
        field::TAGS => encode_tag(key, value),
        _ => value::encode(value),
    })
}

fn nested<'a>(tree: &'a Document, key: &str) -> Option<&'a Bson> {
    match key.split_once('.') {
        None => tree.get(key),
        Some((first, rest)) => nested(tree.get_document(first).ok()?, rest),
    }
}

/// Nests tags, and decodes all but `mlflow.*`.
pub(crate) fn tags(texts: &BTreeMap<&str, &str>) -> Nested {
    let decoded = |key: &str, text: &str| {
        if is_mlflow(key) {
            None
        } else {
            value::decode(text)
        }
    };
    nest_texts(texts, decoded, encode_tag)
}

/// Nests and decodes params.
pub(crate) fn params(texts: &BTreeMap<&str, &str>) -> Nested {
    nest_texts(
        texts,
        |_, text| value::decode(text),
        |_, value| value::encode(value),
    )
}

/// Nests metrics.
pub(crate) fn metrics(values: &BTreeMap<&str, f64>) -> Nested {
    nest(
        values
            .iter()
            .map(|(key, value)| (*key, Bson::Double(*value)))
            .collect(),
    )
}

fn nest_texts(
    texts: &BTreeMap<&str, &str>,
    decode: impl Fn(&str, &str) -> Option<Bson>,
    encode: impl Fn(&str, &Bson) -> String,
) -> Nested {
    let mut apart = Vec::new();
    let decoded = texts
        .iter()
        .map(|(key, text)| {
            let value = decode(key, text).unwrap_or_else(|| Bson::from(*text));
            if is_ambiguous(&value) || encode(key, &value) != *text {
                apart.push(doc! { "key": *key, "value": *text });
            }
            (*key, value)
        })
        .collect();
    Nested {
        text: apart,
        ..nest(decoded)
    }
}

/// Whether the tree cannot tell the text of this value: it does not show where a key ends and an object begins, and
/// MongoDB does not tell a negative zero from zero.
pub(crate) fn is_ambiguous(value: &Bson) -> bool {
    match value {
        Bson::Document(object) => !object.is_empty(),
        Bson::Array(values) => values.iter().any(has_negative_zero),
        value => has_negative_zero(value),
    }
}

fn has_negative_zero(value: &Bson) -> bool {
    match value {
        Bson::Double(number) => *number == 0.0 && number.is_sign_negative(),
        Bson::Array(values) => values.iter().any(has_negative_zero),
        Bson::Document(object) => object.values().any(has_negative_zero),
        _ => false,
    }
}

fn nest(values: Vec<(&str, Bson)>) -> Nested {
    let mut longer: HashSet<&str> = HashSet::new();
    for (key, _) in values.iter().filter(|(key, _)| can_nest(key)) {
        longer.extend(key.match_indices('.').map(|(end, _)| &key[..end]));
    }
    let mut nested = Nested::default();
    for (key, value) in values {
        if !can_nest(key) || longer.contains(key) {
            nested.unnested.push(doc! { "key": key, "value": value });
        } else {
            insert(&mut nested.tree, key, value);
        }
    }
    nested
}

/// Whether a key can be nested: each of its segments has to be a valid field name.
pub(crate) fn can_nest(key: &str) -> bool {
    let nameable =
        |segment: &str| !(segment.is_empty() || segment.starts_with('$') || segment.contains('\0'));
    key.split('.').count() <= MAX_SEGMENTS && key.split('.').all(nameable)
}

fn insert(tree: &mut Document, key: &str, value: Bson) {
    match key.split_once('.') {
        None => drop(tree.insert(key, value)),
        Some((first, rest)) => {
            let inner = tree
                .entry(first.to_owned())
                .or_insert_with(|| Bson::Document(Document::new()));
            if let Bson::Document(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

fn encode_tag(key: &str, value: &Bson) -> String {
    match value {
        Bson::String(text) if is_mlflow(key) => text.clone(),
        _ => value::encode(value),
    }
}

/// Whether MLflow itself sets the tag. Like mlopus, the codec does not decode it.
pub(crate) fn is_mlflow(key: &str) -> bool {
    key.split('.').next() == Some("mlflow")
}
