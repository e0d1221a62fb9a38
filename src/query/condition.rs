//! [`Condition`]: the condition on the value of a tag, a param or a metric.

use bson::{Document, doc};

use super::data_key::{DataKey, Root};
use super::render;
use crate::node::Refused;

/// A condition on the value of a tag, a param or a metric. A bare text or number converts into equality with it.
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
/// The BSON of conditions on a metric ([`with_param`](crate::Query::with_param) and [`with_tag`](crate::Query::with_tag)
/// show the equality of texts):
///
/// ```
/// # use {bson::{Document, doc}, runlineage::Query, runlineage::query::Condition};
/// let auc = |test| Query::new().with_metric("auc", test).render();
/// // A key that cannot be nested is in `mirror.unnested`.
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
/// // Texts that begin with `train` sort before `traio`.
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
/// The BSON of conditions on a param or a tag. Their values can be any JSON. The mirror keeps the text of a value in
/// `mirror.text` if the decoded value does not encode back into it:
///
/// ```
/// # use {bson::{Document, doc}, runlineage::Query, runlineage::query::Condition};
/// let lr = |test| Query::new().with_param("lr", test).render();
/// // An object with keys does not count as a value of `lr`: `lr.x` is nested in it.
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
/// // Compares the decoded value if `mirror.text` has no text of the key, else that text.
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
pub struct Condition(pub(super) Form);

/// The value that a condition compares with.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Operand {
    /// Equal to this text in MLflow, character by character.
    Text(String),
    /// Equal to this number, in any notation.
    Integer(i64),
    /// Equal to this number, in any notation.
    Float(f64),
}

/// The forms of a condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    In(Vec<Operand>),
    NotIn(Vec<Operand>),
    Range(&'static str, Operand),
    Prefix(String),
    Exists,
    Missing,
}

impl Condition {
    /// Equal to `value`.
    pub fn eq(value: impl Into<Operand>) -> Self {
        Self(Form::In(vec![value.into()]))
    }

    /// Present and not equal to `value`. To match runs without the key as well, use [`Query::with_none_of`](crate::Query::with_none_of).
    pub fn ne(value: impl Into<Operand>) -> Self {
        Self(Form::NotIn(vec![value.into()]))
    }

    /// A number less than `number`.
    pub fn lt(number: impl Into<Operand>) -> Self {
        Self(Form::Range("$lt", number.into()))
    }

    /// A number less than or equal to `number`.
    pub fn le(number: impl Into<Operand>) -> Self {
        Self(Form::Range("$lte", number.into()))
    }

    /// A number greater than `number`.
    pub fn gt(number: impl Into<Operand>) -> Self {
        Self(Form::Range("$gt", number.into()))
    }

    /// A number greater than or equal to `number`.
    pub fn ge(number: impl Into<Operand>) -> Self {
        Self(Form::Range("$gte", number.into()))
    }

    /// Equal to one of `values`.
    pub fn is_in<V: Into<Operand>>(values: impl IntoIterator<Item = V>) -> Self {
        Self(Form::In(values.into_iter().map(Into::into).collect()))
    }

    /// Present and equal to none of `values`.
    pub fn is_none_of<V: Into<Operand>>(values: impl IntoIterator<Item = V>) -> Self {
        Self(Form::NotIn(values.into_iter().map(Into::into).collect()))
    }

    /// Present, with any value.
    #[must_use]
    pub fn exists() -> Self {
        Self(Form::Exists)
    }

    /// Absent.
    #[must_use]
    pub fn missing() -> Self {
        Self(Form::Missing)
    }

    /// Present, with a text in MLflow that begins with `prefix`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self(Form::Prefix(prefix.into()))
    }

    pub(super) fn render(&self, root: Root, key: &str) -> Result<Document, Refused> {
        if key.is_empty() {
            return Err(Refused::argument(
                root.singular(),
                "the key must not be empty",
            ));
        }
        let at = DataKey { root, key };
        match &self.0 {
            Form::In(values) | Form::NotIn(values) if values.is_empty() => Err(Refused::argument(
                root.singular(),
                "the list of values must not be empty",
            )),
            Form::In(values) => Ok(render::any(at.equal_to_each(values)?)),
            Form::NotIn(values) => Ok(render::all([
                at.exists(),
                doc! { "$nor": at.equal_to_each(values)? },
            ])),
            Form::Range(operator, value) => at.range(operator, value),
            Form::Prefix(text) => at.prefix(text),
            Form::Exists => Ok(at.exists()),
            Form::Missing => Ok(doc! { "$nor": [at.exists()] }),
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
