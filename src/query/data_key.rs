//! [`DataKey`]: the key of a tag, a param or a metric, and the MongoDB filters on its value.
//!
//! The mirror keeps a value in one of two places, so a filter has to cover both: in the nested tree, or in
//! `mirror.unnested` where the key could not be nested. `mirror.text` holds the exact text of MLflow for values that do
//! not encode back into it.

use bson::{Bson, Document, doc};

use super::condition::Operand;
use super::prefix::{begins_a_decoded_text, begins_with, check_prefix};
use super::render;
use crate::codec::nest::{can_nest, is_ambiguous, is_mlflow};
use crate::codec::value::{decode, encode};
use crate::node::Refused;

/// The parts of a run that MLflow keys with flat, dotted names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Root {
    Tags,
    Params,
    Metrics,
}

/// The key of a tag, a param or a metric.
#[derive(Clone, Copy)]
pub(super) struct DataKey<'a> {
    pub(super) root: Root,
    pub(super) key: &'a str,
}

impl DataKey<'_> {
    fn equal(self, value: &Operand) -> Result<Document, Refused> {
        match value {
            Operand::Text(_) if self.root == Root::Metrics => Err(Refused::argument(
                "metric",
                "a metric is a number; compare it with a number without quotes",
            )),
            Operand::Text(text) => Ok(self.equals_text(text)),
            number => Ok(self.value_passes(&[(String::new(), self.number("$eq", number))])),
        }
    }

    pub(super) fn equal_to_each(self, values: &[Operand]) -> Result<Vec<Document>, Refused> {
        values.iter().map(|value| self.equal(value)).collect()
    }

    pub(super) fn range(self, operator: &str, value: &Operand) -> Result<Document, Refused> {
        match value {
            Operand::Text(_) => Err(Refused::argument(
                self.root.singular(),
                "<, <=, > and >= compare numbers; write the number without quotes",
            )),
            Operand::Float(number) if number.is_nan() => Err(Refused::argument(
                self.root.singular(),
                "NaN has no order; compare with = or !=",
            )),
            number => Ok(self.value_passes(&[(String::new(), self.number(operator, number))])),
        }
    }

    fn number(self, operator: &str, number: &Operand) -> Document {
        let number = match number {
            Operand::Text(text) => Bson::from(text.as_str()),
            Operand::Integer(number) => {
                i32::try_from(*number).map_or(Bson::Int64(*number), Bson::Int32)
            }
            Operand::Float(number) => Bson::Double(*number),
        };
        let mut tests = doc! { operator: number };
        if self.root != Root::Metrics {
            tests.insert("$not", doc! { "$type": "array" });
        }
        tests
    }

    /// The text in MLflow equals `text`. If the decoded value encodes back into `text`, the filter compares the value and
    /// requires that `mirror.text` has no other text. If not, it compares `mirror.text`.
    fn equals_text(self, text: &str) -> Document {
        if self.is_undecoded() {
            return self.value_passes(&[(String::new(), doc! { "$eq": text })]);
        }
        let value = decode(text).unwrap_or_else(|| Bson::from(text));
        if is_ambiguous(&value) || encode(&value) != text {
            let text_path = format!("mirror.text.{}", self.root.name());
            return doc! { text_path: { "$elemMatch": { "key": self.key, "value": text } } };
        }
        let mut tests = Vec::new();
        exactly(&value, String::new(), &mut tests);
        render::all([self.value_passes(&tests), self.without_other_text()])
    }

    pub(super) fn prefix(self, text: &str) -> Result<Document, Refused> {
        if self.root == Root::Metrics {
            return Err(Refused::argument(
                "metric",
                "a metric is a number and has no prefix; compare it with =, <, <=, > or >=",
            ));
        }
        check_prefix(text)?;
        let range = begins_with(text);
        if self.is_undecoded() {
            return Ok(self.value_passes(&[(String::new(), range)]));
        }
        if begins_a_decoded_text(text) {
            return Err(Refused::argument(
                "prefix",
                "a text with this prefix may be a number or JSON, which the mirror stores decoded; compare with = or with a number",
            ));
        }
        let text_path = format!("mirror.text.{}", self.root.name());
        let mut plain = range.clone();
        plain.insert("$not", doc! { "$type": "array" });
        let mut alternatives = vec![
            render::all([
                self.value_passes(&[(String::new(), plain)]),
                self.without_other_text(),
            ]),
            doc! { text_path: { "$elemMatch": { "key": self.key, "value": range } } },
        ];
        // The mirror stores these words decoded, and keeps no text for them.
        let words = ["true", "false", "null", "{}"];
        alternatives.extend(
            words
                .iter()
                .filter(|word| word.starts_with(text))
                .map(|word| self.equals_text(word)),
        );
        Ok(render::any(alternatives))
    }

    pub(super) fn exists(self) -> Document {
        let unnested = doc! { format!("mirror.unnested.{}.key", self.root.name()): self.key };
        if !can_nest(self.key) {
            return unnested;
        }
        let path = format!("{}.{}", self.root.name(), self.key);
        if self.root == Root::Metrics {
            return render::any([doc! { path: { "$type": "number" } }, unnested]);
        }
        // A document here can consist of longer keys. It is the value of this key only if `mirror.text` has its text.
        let text_path = format!("mirror.text.{}.key", self.root.name());
        render::any([
            doc! { &path: { "$type": ["string", "number", "bool", "null", "array"] } },
            doc! { path: { "$eq": {} } },
            doc! { text_path: self.key },
            unnested,
        ])
    }

    /// The value passes the tests, each at its path below the key, in the nested tree or in `mirror.unnested`.
    fn value_passes(self, tests: &[(String, Document)]) -> Document {
        let mut entry = doc! { "key": self.key };
        entry.extend(
            tests
                .iter()
                .map(|(below, tests)| (format!("value{below}"), tests.into())),
        );
        let unnested =
            doc! { format!("mirror.unnested.{}", self.root.name()): { "$elemMatch": entry } };
        if !can_nest(self.key) {
            return unnested;
        }
        let path = format!("{}.{}", self.root.name(), self.key);
        let tree = tests
            .iter()
            .map(|(below, tests)| (format!("{path}{below}"), tests.into()))
            .collect();
        render::any([tree, unnested])
    }

    /// `mirror.text` has no text of this key.
    fn without_other_text(self) -> Document {
        doc! { format!("mirror.text.{}.key", self.root.name()): { "$ne": self.key } }
    }

    /// Whether the mirror stores the text undecoded: it does so for the tags that MLflow sets itself.
    fn is_undecoded(self) -> bool {
        self.root == Root::Tags && is_mlflow(self.key)
    }
}

impl Root {
    /// Parses the name of a root, as MLflow and the stored document write it.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "params" | "param" | "parameters" | "parameter" => Self::Params,
            "tags" | "tag" => Self::Tags,
            "metrics" | "metric" => Self::Metrics,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Params => "params",
            Self::Metrics => "metrics",
        }
    }

    pub(super) fn singular(self) -> &'static str {
        match self {
            Self::Tags => "tag",
            Self::Params => "param",
            Self::Metrics => "metric",
        }
    }
}

/// Adds tests that only `value` passes. A plain `$eq` is not enough: MongoDB treats 1 and 1.0 as equal, and matches an
/// array by each of its elements.
fn exactly(value: &Bson, below: String, tests: &mut Vec<(String, Document)>) {
    let no_array = doc! { "$type": "array" };
    match value {
        Bson::Array(elements) => {
            let size = i64::try_from(elements.len()).unwrap_or(i64::MAX);
            tests.push((
                below.clone(),
                doc! { "$eq": value.clone(), "$size": i32::try_from(size).unwrap_or(i32::MAX) },
            ));
            for (index, element) in elements.iter().enumerate() {
                exactly(element, format!("{below}.{index}"), tests);
            }
        }
        Bson::Document(object) => {
            tests.push((
                below.clone(),
                doc! { "$eq": value.clone(), "$not": no_array },
            ));
            for (key, value) in object {
                exactly(value, format!("{below}.{key}"), tests);
            }
        }
        Bson::Null => tests.push((below, doc! { "$type": "null", "$not": no_array })),
        _ => {
            let mut exact = doc! { "$eq": value.clone() };
            match value {
                Bson::Int32(_) => drop(exact.insert("$type", "int")),
                Bson::Int64(_) => drop(exact.insert("$type", "long")),
                Bson::Double(_) => drop(exact.insert("$type", "double")),
                _ => {}
            }
            exact.insert("$not", no_array);
            tests.push((below, exact));
        }
    }
}
