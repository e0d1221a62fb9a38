//! A condition in the style of MLflow's `filter_string`, or a MongoDB filter as JSON.

use std::fmt;

use bson::Bson;
use runlineage::{Error, Origin, Query, Search};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::filter_names;

/// A parsed condition.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The search of the condition alone.
    pub search: Search,
    /// Names the same experiments, models and runs as the condition.
    pub names: Query,
    is_text: bool,
}

impl Condition {
    /// Limits lineage to this origin. A MongoDB filter names origins itself, as in `{"from": "registry"}`.
    #[must_use]
    pub fn of_origin(self, origin: Origin) -> Self {
        if !self.is_text {
            return self;
        }
        let names = self.names.of_origin(origin);
        Self {
            search: Search::from(&names),
            names,
            ..self
        }
    }
}

/// Parses a condition. `argument` names it in errors.
///
/// # Errors
/// [`Error::InvalidArgument`] or [`Error::Unsupported`] says what cannot be used.
pub fn parse_condition(argument: &'static str, condition: &str) -> Result<Condition, Error> {
    let text = condition.trim_start();
    if text.is_empty() {
        return Err(Error::invalid_argument(
            argument,
            "the condition is empty; write one such as \"metrics.auc > 0.9\"",
        ));
    }
    // No text begins with a bracket, so a JSON array gets the error about JSON.
    if text.starts_with(['{', '[']) {
        return json(argument, text);
    }
    // Untrimmed, so that the columns in an error are those of the argument.
    match condition.parse::<Query>() {
        Err(error) => Err(error.of_argument(argument)),
        query => {
            let names = query?;
            Ok(Condition {
                search: Search::from(&names),
                names,
                is_text: true,
            })
        }
    }
}

fn json(argument: &'static str, text: &str) -> Result<Condition, Error> {
    let example = "write a MongoDB filter such as '{\"metrics.auc\": {\"$gt\": 0.9}}'";
    let Unambiguous(value) = serde_json::from_str(text).map_err(|error| {
        Error::invalid_argument(
            argument,
            format!("this is not valid JSON: {error}; {example}"),
        )
    })?;
    if !value.is_object() {
        return Err(Error::invalid_argument(
            argument,
            format!("the JSON is not an object; {example}"),
        ));
    }
    match Bson::try_from(value) {
        Ok(Bson::Document(filter)) => Ok(Condition {
            // First, since it bounds the depth of the filter.
            search: Search::checked(filter.clone())?,
            names: filter_names::names(&filter),
            is_text: false,
        }),
        Ok(_) => Err(Error::invalid_argument(
            argument,
            format!("this is an Extended JSON value, not a filter; {example}"),
        )),
        Err(error) => Err(Error::invalid_argument(
            argument,
            format!("this is not valid Extended JSON: {error}; {example}"),
        )),
    }
}

/// JSON without duplicate keys. A parser would keep only the last of two values, and more runs would match.
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
                // BSON has no such integer, and a double would be rounded.
                i64::try_from(value)
                    .map(Value::from)
                    .map_err(|_| E::custom(format!("{value} does not fit a signed 64-bit integer")))
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
                            "the key {key:?} occurs twice; combine the two conditions with $and"
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
