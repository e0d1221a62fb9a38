//! `--where`: a text in the manner of MLflow, or a MongoDB filter as JSON.

use std::fmt;

use bson::Bson;
use runlineage::{Error, Query, Search};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::connect::usage;

pub(super) fn parse(condition: &str) -> Result<Search, Error> {
    let text = condition.trim_start();
    if text.is_empty() {
        return Err(usage(
            "--where",
            "it is empty; write a condition such as \"metrics.auc > 0.9\"",
        ));
    }
    // A text begins with none of these; JSON that is no object gets its own answer.
    if text.starts_with(['{', '[']) {
        return json(text);
    }
    // Whole, so that the columns of an error are those of what was written.
    match condition.parse::<Query>() {
        Err(Error::InvalidArgument { reason, .. }) => Err(usage("--where", reason)),
        query => Ok(query?.into()),
    }
}

fn json(text: &str) -> Result<Search, Error> {
    let example = "write a MongoDB filter such as '{\"metrics.auc\": {\"$gt\": 0.9}}'";
    let Unambiguous(value) = serde_json::from_str(text)
        .map_err(|error| usage("--where", format!("it is not JSON: {error}; {example}")))?;
    if !value.is_object() {
        return Err(usage(
            "--where",
            format!("it is JSON, but not an object; {example}"),
        ));
    }
    match Bson::try_from(value) {
        Ok(Bson::Document(filter)) => Search::checked(filter),
        Ok(_) => Err(usage(
            "--where",
            format!("it is a value of Extended JSON, not a filter; {example}"),
        )),
        Err(error) => Err(usage(
            "--where",
            format!("it is not Extended JSON: {error}; {example}"),
        )),
    }
}

/// JSON of which no object names a key twice: of two, the first would be lost, and more runs would match.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
                // It would be rounded on its way into the filter.
                i64::try_from(value)
                    .map(Value::from)
                    .map_err(|_| E::custom(format!("{value} is beyond 64 bits")))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(Unambiguous(value)) = values.next_element()? {
                    list.push(value);
                }
                Ok(list.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
                let mut object = serde_json::Map::new();
                while let Some((key, Unambiguous(value))) = fields.next_entry::<String, _>()? {
                    if object.contains_key(&key) {
                        return Err(A::Error::custom(format!(
                            "the key {key:?} stands twice; join both with $and"
                        )));
                    }
                    object.insert(key, value);
                }
                Ok(object.into())
            }
        }

        deserializer.deserialize_any(Reader).map(Self)
    }
}
