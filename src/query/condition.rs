//! [`Condition`]: what a tag, a param or a metric has to be, and its rendering.

use bson::{Bson, Document, doc};

use super::render;
use crate::codec::nest::{can_nest, is_ambiguous, is_mlflow};
use crate::codec::value::{decode, encode};
use crate::node::Refused;

/// What a tag, a param or a metric has to be; a bare text or number means equality with it.
///
/// ```
/// use runlineage::Query;
/// use runlineage::query::Condition;
///
/// let query = Query::new()
///     .with_param("optimizer", "adam")
///     .with_param("lr", Condition::le(0.01))
///     .with_metric("auc", Condition::gt(0.9))
///     .with_tag("team", Condition::is_in(["risk", "growth"]))
///     .with_tag("release", Condition::prefix("v2-"))
///     .with_tag("reviewed", Condition::missing());
/// # assert!(query.render().is_ok());
/// ```
///
/// As BSON, of a metric; [`with_param`](crate::Query::with_param) and [`with_tag`](crate::Query::with_tag) show equality of texts:
///
/// ```
/// # use {bson::{Document, doc}, runlineage::Query, runlineage::query::Condition};
/// let auc = |test| Query::new().with_metric("auc", test).render();
/// // A metric that could not be nested stands apart.
/// let either = |test: Document| doc! { "$or": [
///     { "metrics.auc": test.clone() },
///     { "mirror.unnested.metrics": { "$elemMatch": { "key": "auc", "value": test } } },
/// ] };
/// assert_eq!(auc(Condition::eq(1))?, either(doc! { "$eq": 1 }));
/// assert_eq!(auc(Condition::lt(1))?, either(doc! { "$lt": 1 }));
/// assert_eq!(auc(Condition::le(1))?, either(doc! { "$lte": 1 }));
/// assert_eq!(auc(Condition::gt(1))?, either(doc! { "$gt": 1 }));
/// assert_eq!(auc(Condition::ge(1))?, either(doc! { "$gte": 1 }));
///
/// let (one, two) = (either(doc! { "$eq": 1 }), either(doc! { "$eq": 2 }));
/// assert_eq!(auc(Condition::is_in([1, 2]))?, doc! { "$or": [one.clone(), two.clone()] });
///
/// let exists = doc! { "$or": [{ "metrics.auc": { "$type": "number" } }, { "mirror.unnested.metrics.key": "auc" }] };
/// assert_eq!(auc(Condition::exists())?, exists);
/// assert_eq!(auc(Condition::missing())?, doc! { "$nor": [exists.clone()] });
/// assert_eq!(auc(Condition::ne(1))?, doc! { "$and": [exists.clone(), { "$nor": [one.clone()] }] });
/// assert_eq!(auc(Condition::is_none_of([1, 2]))?, doc! { "$and": [exists, { "$nor": [one, two] }] });
///
/// // What begins with `train` comes before `traio`.
/// let prefix = doc! { "$gte": "train", "$lt": "traio" };
/// assert_eq!(
///     Query::new().with_tag("mlflow.source.name", Condition::prefix("train")).render()?,
///     doc! { "$or": [
///         { "tags.mlflow.source.name": prefix.clone() },
///         { "mirror.unnested.tags": { "$elemMatch": { "key": "mlflow.source.name", "value": prefix } } },
///     ] }
/// );
/// # Ok::<(), runlineage::Error>(())
/// ```
///
/// Of a param or a tag, which can hold any JSON, and whose text is kept apart where JSON does not give it back:
///
/// ```
/// # use {bson::{Document, doc}, runlineage::Query, runlineage::query::Condition};
/// let lr = |test| Query::new().with_param("lr", test).render();
/// // Not an object with other keys: that is what `lr.x` is nested in.
/// let exists = doc! { "$or": [
///     { "params.lr": { "$type": ["string", "number", "bool", "null", "array"] } },
///     { "params.lr": { "$eq": {} } },
///     { "mirror.text.params.key": "lr" },
///     { "mirror.unnested.params.key": "lr" },
/// ] };
/// assert_eq!(lr(Condition::exists())?, exists);
/// assert_eq!(lr(Condition::missing())?, doc! { "$nor": [exists.clone()] });
///
/// let either = |test: Document| doc! { "$or": [
///     { "params.lr": test.clone() },
///     { "mirror.unnested.params": { "$elemMatch": { "key": "lr", "value": test } } },
/// ] };
/// let one = either(doc! { "$eq": 1, "$not": { "$type": "array" } });
/// assert_eq!(lr(Condition::ne(1))?, doc! { "$and": [exists, { "$nor": [one] }] });
///
/// // As it is decoded, where no other text is kept; else in that text.
/// let decoded = either(doc! { "$gte": "ad", "$lt": "ae", "$not": { "$type": "array" } });
/// let no_text = doc! { "mirror.text.params.key": { "$ne": "lr" } };
/// let text = doc! { "mirror.text.params": { "$elemMatch": { "key": "lr", "value": { "$gte": "ad", "$lt": "ae" } } } };
/// assert_eq!(
///     lr(Condition::prefix("ad"))?,
///     doc! { "$or": [{ "$and": [decoded, no_text] }, text] }
/// );
/// # Ok::<(), runlineage::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(pub(super) Kind);

/// What a test compares with: MLflow's text, or the number that it is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Operand {
    /// Exactly this text in MLflow.
    Text(String),
    /// This number, however MLflow's text writes it.
    Integer(i64),
    /// This number, however MLflow's text writes it.
    Float(f64),
}

/// The forms of a condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    In(Vec<Operand>),
    NotIn(Vec<Operand>),
    Range(&'static str, Operand),
    Prefix(String),
    Exists,
    Missing,
}

/// What of a run is kept by flat keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Root {
    Tags,
    Params,
    Metrics,
}

impl Condition {
    /// Equal to `value`.
    pub fn eq(value: impl Into<Operand>) -> Self {
        Self(Kind::In(vec![value.into()]))
    }

    /// Present and not equal to `value`. To match runs without it as well, use [`Query::with_none_of`](crate::Query::with_none_of).
    pub fn ne(value: impl Into<Operand>) -> Self {
        Self(Kind::NotIn(vec![value.into()]))
    }

    /// A number less than `number`.
    pub fn lt(number: impl Into<Operand>) -> Self {
        Self(Kind::Range("$lt", number.into()))
    }

    /// A number less than or equal to `number`.
    pub fn le(number: impl Into<Operand>) -> Self {
        Self(Kind::Range("$lte", number.into()))
    }

    /// A number greater than `number`.
    pub fn gt(number: impl Into<Operand>) -> Self {
        Self(Kind::Range("$gt", number.into()))
    }

    /// A number greater than or equal to `number`.
    pub fn ge(number: impl Into<Operand>) -> Self {
        Self(Kind::Range("$gte", number.into()))
    }

    /// Equal to one of `values`.
    pub fn is_in<V: Into<Operand>>(values: impl IntoIterator<Item = V>) -> Self {
        Self(Kind::In(values.into_iter().map(Into::into).collect()))
    }

    /// Present and equal to none of `values`.
    pub fn is_none_of<V: Into<Operand>>(values: impl IntoIterator<Item = V>) -> Self {
        Self(Kind::NotIn(values.into_iter().map(Into::into).collect()))
    }

    /// Present, with any value.
    #[must_use]
    pub fn exists() -> Self {
        Self(Kind::Exists)
    }

    /// Absent.
    #[must_use]
    pub fn missing() -> Self {
        Self(Kind::Missing)
    }

    /// MLflow's text begins with `prefix`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self(Kind::Prefix(prefix.into()))
    }

    pub(super) fn render(&self, root: Root, key: &str) -> Result<Document, Refused> {
        if key.is_empty() {
            return Err(Refused::argument(root.what(), "its key is empty"));
        }
        let at = At { root, key };
        match &self.0 {
            Kind::In(values) | Kind::NotIn(values) if values.is_empty() => Err(Refused::argument(
                root.what(),
                "\"in\" needs at least one value",
            )),
            Kind::In(values) => Ok(render::any(at.equal_to_each(values)?)),
            Kind::NotIn(values) => Ok(render::all([
                at.exists(),
                doc! { "$nor": at.equal_to_each(values)? },
            ])),
            Kind::Range(operator, value) => at.range(operator, value),
            Kind::Prefix(text) => at.prefix(text),
            Kind::Exists => Ok(at.exists()),
            Kind::Missing => Ok(doc! { "$nor": [at.exists()] }),
        }
    }
}

/// What begins with this, in the byte order that MongoDB compares texts in.
pub(super) fn begins_with(prefix: &str) -> Document {
    let mut tests = doc! { "$gte": prefix };
    if let Some(next) = successor(prefix) {
        tests.insert("$lt", next);
    }
    tests
}

pub(super) fn check_prefix(prefix: &str) -> Result<(), Refused> {
    if prefix.is_empty() {
        return Err(Refused::argument(
            "prefix",
            "it is empty, and everything begins so",
        ));
    }
    Ok(())
}

/// The first text after all that begin with this one.
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            return Some(chars.into_iter().chain([next]).collect());
        }
    }
    None
}

/// A key of MLflow under one of the three roots, wherever the mirror keeps it.
#[derive(Clone, Copy)]
struct At<'a> {
    root: Root,
    key: &'a str,
}

impl At<'_> {
    fn equal(self, value: &Operand) -> Result<Document, Refused> {
        match value {
            Operand::Text(_) if self.root == Root::Metrics => Err(Refused::argument(
                "metric",
                "it is a number, and never equals a text",
            )),
            Operand::Text(text) => Ok(self.is_text(text)),
            number => Ok(self.holds(&[(String::new(), self.number("$eq", number))])),
        }
    }

    fn equal_to_each(self, values: &[Operand]) -> Result<Vec<Document>, Refused> {
        values.iter().map(|value| self.equal(value)).collect()
    }

    fn range(self, operator: &str, value: &Operand) -> Result<Document, Refused> {
        match value {
            Operand::Text(_) => Err(Refused::argument(
                self.root.what(),
                "<, <=, > and >= compare numbers; give a number without quotes",
            )),
            Operand::Float(number) if number.is_nan() => Err(Refused::argument(
                self.root.what(),
                "NaN is neither more nor less than any number",
            )),
            number => Ok(self.holds(&[(String::new(), self.number(operator, number))])),
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

    /// MLflow's text is this. The stored value alone says so where it gives that very text back, and no other is kept.
    fn is_text(self, text: &str) -> Document {
        if self.is_plain() {
            return self.holds(&[(String::new(), doc! { "$eq": text })]);
        }
        let value = decode(text).unwrap_or_else(|| Bson::from(text));
        if is_ambiguous(&value) || encode(&value) != text {
            let kept = format!("mirror.text.{}", self.root.name());
            return doc! { kept: { "$elemMatch": { "key": self.key, "value": text } } };
        }
        let mut tests = Vec::new();
        exactly(&value, String::new(), &mut tests);
        render::all([self.holds(&tests), self.without_other_text()])
    }

    fn prefix(self, text: &str) -> Result<Document, Refused> {
        if self.root == Root::Metrics {
            return Err(Refused::argument(
                "metric",
                "it is a number, and has no prefix",
            ));
        }
        check_prefix(text)?;
        let range = begins_with(text);
        if self.is_plain() {
            return Ok(self.holds(&[(String::new(), range)]));
        }
        if begins_a_decoded_text(text) {
            return Err(Refused::argument(
                "prefix",
                "a text that begins so may be a number or JSON, which is stored decoded; compare with = or as a number",
            ));
        }
        let kept = format!("mirror.text.{}", self.root.name());
        let mut plain = range.clone();
        plain.insert("$not", doc! { "$type": "array" });
        let mut alternatives = vec![
            render::all([
                self.holds(&[(String::new(), plain)]),
                self.without_other_text(),
            ]),
            doc! { kept: { "$elemMatch": { "key": self.key, "value": range } } },
        ];
        // These words are stored decoded, and their text is the only one of theirs.
        let words = ["true", "false", "null", "{}"];
        alternatives.extend(
            words
                .iter()
                .filter(|word| word.starts_with(text))
                .map(|word| self.is_text(word)),
        );
        Ok(render::any(alternatives))
    }

    fn exists(self) -> Document {
        let unnested = format!("mirror.unnested.{}.key", self.root.name());
        let apart = doc! { unnested: self.key };
        if !can_nest(self.key) {
            return apart;
        }
        let path = format!("{}.{}", self.root.name(), self.key);
        if self.root == Root::Metrics {
            return render::any([doc! { path: { "$type": "number" } }, apart]);
        }
        // A document there may be no more than the beginning of longer keys, unless its text is kept.
        let kept = format!("mirror.text.{}.key", self.root.name());
        render::any([
            doc! { &path: { "$type": ["string", "number", "bool", "null", "array"] } },
            doc! { path: { "$eq": {} } },
            doc! { kept: self.key },
            apart,
        ])
    }

    /// The tests hold at the key and at what lies below it, in the tree or, where it could not be nested, apart.
    fn holds(self, tests: &[(String, Document)]) -> Document {
        let unnested = format!("mirror.unnested.{}", self.root.name());
        let mut entry = doc! { "key": self.key };
        entry.extend(
            tests
                .iter()
                .map(|(below, tests)| (format!("value{below}"), tests.into())),
        );
        let apart = doc! { unnested: { "$elemMatch": entry } };
        if !can_nest(self.key) {
            return apart;
        }
        let path = format!("{}.{}", self.root.name(), self.key);
        let tree = tests
            .iter()
            .map(|(below, tests)| (format!("{path}{below}"), tests.into()))
            .collect();
        render::any([tree, apart])
    }

    fn without_other_text(self) -> Document {
        doc! { format!("mirror.text.{}.key", self.root.name()): { "$ne": self.key } }
    }

    /// MLflow's own tags are stored as the text they are.
    fn is_plain(self) -> bool {
        self.root == Root::Tags && is_mlflow(self.key)
    }
}

/// Tests that a value passes and nothing else does: MongoDB takes 1 for 1.0, and an array for any of its elements.
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

/// Whether some number, list or quoted text that is stored decoded, and not kept as text, begins so.
fn begins_a_decoded_text(prefix: &str) -> bool {
    if prefix.starts_with(['[', '"']) {
        return true;
    }
    let mut rest = prefix.strip_prefix('-').unwrap_or(prefix);
    let digits = |text: &mut &str| {
        let end = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let count = text.len() - end.len();
        *text = end;
        count
    };
    let leading_zero = rest.starts_with('0');
    let whole = digits(&mut rest);
    if rest.is_empty() {
        return !(leading_zero && whole > 1);
    }
    if whole == 0 || (leading_zero && whole > 1) {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction;
        if digits(&mut rest) == 0 && !rest.is_empty() {
            return false;
        }
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        rest = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        digits(&mut rest);
    }
    rest.is_empty()
}

impl Root {
    /// The root that a word of MLflow or of the document names.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        Some(match word {
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

    fn what(self) -> &'static str {
        match self {
            Self::Tags => "tag",
            Self::Params => "param",
            Self::Metrics => "metric",
        }
    }
}

impl<V: Into<Operand>> From<V> for Condition {
    fn from(value: V) -> Self {
        Self::eq(value)
    }
}

impl From<&str> for Operand {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Operand {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i32> for Operand {
    fn from(number: i32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<i64> for Operand {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<f64> for Operand {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

#[cfg(test)]
mod tests {
    use super::{begins_a_decoded_text, successor};

    #[test]
    fn a_prefix_is_refused_exactly_where_a_decoded_text_may_begin_so() {
        for text in [
            "1", "-", "-0", "0.", "12.5", "1e", "1e+", "1.5e-3", "[", "\"a", "0",
        ] {
            assert!(begins_a_decoded_text(text), "{text}");
        }
        for text in [
            "adam", "2026-", "01", "1.x", "1e5x", "v1", "t", "{", "-x", ".5", "é",
        ] {
            assert!(!begins_a_decoded_text(text), "{text}");
        }
    }

    #[test]
    fn the_successor_comes_after_everything_that_begins_so() {
        assert_eq!(successor("train-").as_deref(), Some("train."));
        assert_eq!(successor("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{10ffff}"), None);
    }
}
