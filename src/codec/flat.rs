//! The tags, params and metrics of a stored run under the flat keys of MLflow, read in place.

use std::borrow::Cow;
use std::collections::HashMap;

use bson::Bson;
use bson::raw::{RawArray, RawBsonRef, RawDocument};

use super::nest::is_mlflow;
use super::value;
use crate::error::{Error, Result};
use crate::run::{Run, field};

/// The tags, the params or the metrics of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// The tags.
    Tags,
    /// The params.
    Params,
    /// The metrics.
    Metrics,
}

/// A value under a flat key.
#[derive(Debug, Clone, Copy)]
pub struct FlatValue<'a> {
    key: &'a str,
    of: Data,
    stored: Stored<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Stored<'a> {
    /// The decoded value, which encodes back into MLflow's text.
    Value(RawBsonRef<'a>),
    /// MLflow's text, where the decoded value would not.
    Text(&'a str),
}

impl Data {
    /// The field of the document: `tags`, `params` or `metrics`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tags => field::TAGS,
            Self::Params => field::PARAMS,
            Self::Metrics => field::METRICS,
        }
    }

    /// Shows each value of the run once, in no particular order.
    ///
    /// # Errors
    /// [`Error::Document`] if the document does not have the shape that this crate writes.
    pub fn each(self, run: &Run, mut show: impl FnMut(FlatValue<'_>)) -> Result<()> {
        let read = self.read(run.as_raw(), &mut show);
        read.map_err(|reason| Error::Document {
            id: run.id().to_owned(),
            reason,
        })
    }

    fn read(
        self,
        document: &RawDocument,
        show: &mut impl FnMut(FlatValue<'_>),
    ) -> Result<(), String> {
        let mirror = part(document, field::MIRROR);
        let apart = |list: &'static str| -> Result<Vec<(&str, RawBsonRef<'_>)>, String> {
            let entries = mirror.and_then(|mirror| part(mirror, list)?.get_array(self.name()).ok());
            entries.map_or(Ok(Vec::new()), |entries| {
                pairs(entries).ok_or_else(|| malformed(list))
            })
        };
        let unnested = apart(field::UNNESTED)?;
        let mut exact = HashMap::new();
        for (key, text) in apart(field::TEXT)? {
            let text = text.as_str().ok_or_else(|| malformed(field::TEXT))?;
            // A nested key holds an object, so the keys below it are not MLflow's. An unnested key has longer keys beside it.
            let is_object = !unnested.iter().any(|(other, _)| *other == key);
            exact.insert(key, (text, is_object));
        }
        if let Some(tree) = part(document, self.name()) {
            let mut key = String::new();
            let mut leaf = |key: &str, value: RawBsonRef<'_>| {
                if !is_covered(&exact, key) {
                    show(FlatValue {
                        key,
                        of: self,
                        stored: Stored::Value(value),
                    });
                }
            };
            flatten(tree, &mut key, &mut leaf).map_err(|error| error.to_string())?;
        }
        for (key, value) in unnested {
            if !exact.contains_key(key) {
                show(FlatValue {
                    key,
                    of: self,
                    stored: Stored::Value(value),
                });
            }
        }
        for (key, (text, _)) in exact {
            show(FlatValue {
                key,
                of: self,
                stored: Stored::Text(text),
            });
        }
        Ok(())
    }
}

impl<'a> FlatValue<'a> {
    /// The key in MLflow.
    #[must_use]
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// The exact text in MLflow. A metric gives the shortest text of its number.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        match self.stored {
            Stored::Text(text) => text.into(),
            Stored::Value(RawBsonRef::String(text)) => {
                let is_plain = self.is_mlflow() || value::decode(text).is_none();
                match is_plain {
                    true => text.into(),
                    false => value::dumps(&Bson::from(text)).into(),
                }
            }
            Stored::Value(value) => {
                value::encode(&Bson::try_from(value).unwrap_or(Bson::Null)).into()
            }
        }
    }

    /// The decoded value, as mlopus decodes it.
    #[must_use]
    pub fn value(&self) -> Bson {
        match self.stored {
            Stored::Value(value) => Bson::try_from(value).unwrap_or(Bson::Null),
            Stored::Text(text) if self.is_mlflow() => text.into(),
            Stored::Text(text) => value::decode(text).unwrap_or_else(|| text.into()),
        }
    }

    /// The number of a metric; `None` for a value of another type.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self.stored {
            Stored::Value(RawBsonRef::Double(number)) => Some(number),
            Stored::Value(RawBsonRef::Int32(number)) => Some(number.into()),
            Stored::Value(RawBsonRef::Int64(number)) => Some(number as f64),
            _ => None,
        }
    }

    fn is_mlflow(&self) -> bool {
        self.of == Data::Tags && is_mlflow(self.key)
    }
}

/// Whether an exact text stands for the key, or for the object around it.
fn is_covered(exact: &HashMap<&str, (&str, bool)>, key: &str) -> bool {
    if exact.is_empty() {
        return false;
    }
    let is_object = |key: &str| exact.get(key).is_some_and(|(_, is_object)| *is_object);
    exact.contains_key(key)
        || key
            .match_indices('.')
            .any(|(end, _)| is_object(&key[..end]))
}

fn flatten(
    tree: &RawDocument,
    key: &mut String,
    leaf: &mut impl FnMut(&str, RawBsonRef<'_>),
) -> bson::error::Result<()> {
    let parent = key.len();
    for field in tree {
        let (name, value) = field?;
        if parent > 0 {
            key.push('.');
        }
        key.push_str(name.as_str());
        match value {
            RawBsonRef::Document(inner) if !inner.is_empty() => flatten(inner, key, leaf)?,
            value => leaf(key, value),
        }
        key.truncate(parent);
    }
    Ok(())
}

fn part<'a>(document: &'a RawDocument, name: &str) -> Option<&'a RawDocument> {
    document.get_document(name).ok()
}

/// The entries `{key, value}` of a list under `mirror`.
fn pairs(entries: &RawArray) -> Option<Vec<(&str, RawBsonRef<'_>)>> {
    let each = entries.into_iter();
    each.map(|entry| {
        let entry = entry.ok()?.as_document()?;
        Some((entry.get_str("key").ok()?, entry.get("value").ok()??))
    })
    .collect()
}

fn malformed(list: &str) -> String {
    format!("{list} does not have the shape that runlineage writes")
}
