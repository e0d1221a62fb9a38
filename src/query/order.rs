//! [`Order`]: what runs are sorted by, in MLflow's `order_by` form, and how MongoDB is to sort so.

use std::fmt;
use std::str::FromStr;

use bson::{Bson, Document, doc};

use super::Field;
use crate::error::{Error, Result};
use crate::run::field;

/// A field to sort runs by, and the direction: `start_time DESC`, `-start_time`, `` metrics.`val loss` ``.
///
/// Numbers come in their order both ways, then NaN, then texts, then the runs without a value, as in MLflow.
///
/// ```
/// use runlineage::query::Order;
///
/// let best: Order = "metrics.val_loss ASC".parse()?;
/// assert_eq!("-metrics.val_loss".parse::<Order>()?, best.reversed());
/// # Ok::<(), runlineage::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    field: Field,
    descending: bool,
}

/// Fields that every run has, so that MongoDB's own order, from an index, is the right one.
const ALWAYS_THERE: [&str; 5] = [
    field::ID,
    field::START_TIME,
    field::EXP_ID,
    field::EXP_NAME,
    field::STATUS,
];

/// What the sort keys of a run stand under while they are needed.
const KEYS: &str = "__order";

impl Order {
    /// The field.
    #[must_use]
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// The same field the other way.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            descending: !self.descending,
            ..self
        }
    }

    fn direction(&self) -> i32 {
        if self.descending { -1 } else { 1 }
    }

    /// MongoDB puts what is missing before everything: that is last where the order descends.
    fn is_native(&self) -> bool {
        let is_always_there = || ALWAYS_THERE.contains(&self.field.path().as_str());
        self.field.data().is_none() && (self.descending || is_always_there())
    }

    /// The value to sort by, and which group of values it is in: numbers, NaN, texts and the like, nothing.
    fn keys(&self) -> (Bson, Document) {
        let value = self.field.value_expression();
        let group = doc! { "$switch": { "branches": [
            { "case": { "$eq": [&value, f64::NAN] }, "then": 1 },
            { "case": { "$isNumber": &value }, "then": 0 },
            { "case": { "$in": [{ "$type": &value }, ["missing", "null", "undefined"]] }, "then": 3 },
            // The beginning of longer keys is no value of this one.
            { "case": { "$and": [self.field.data().is_some(), { "$eq": [{ "$type": &value }, "object"] }] }, "then": 3 },
        ], "default": 2 } };
        (value, group)
    }
}

/// How a search is sorted: by MongoDB's own `sort`, or by stages that compute the keys first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sorting {
    Native(Document),
    Stages { before: Document, sort: Document },
}

pub(super) fn sorting(orders: &[Order]) -> Sorting {
    if orders.iter().all(Order::is_native) {
        let sort = orders
            .iter()
            .map(|order| (order.field.path(), order.direction().into()));
        return Sorting::Native(sort.collect());
    }
    let (mut keys, mut sort) = (Document::new(), Document::new());
    for (index, order) in orders.iter().enumerate() {
        let (value, group) = order.keys();
        let (value_key, group_key) = (format!("v{index}"), format!("g{index}"));
        sort.insert(format!("{KEYS}.{group_key}"), 1);
        sort.insert(format!("{KEYS}.{value_key}"), order.direction());
        keys.insert(group_key, group);
        keys.insert(value_key, value);
    }
    // Equal runs come in one order, whichever way the server sorts.
    sort.insert(field::ID, 1);
    Sorting::Stages {
        before: doc! { "$set": { KEYS: keys } },
        sort,
    }
}

/// Takes the sort keys off again.
pub(crate) fn without_keys() -> Document {
    doc! { "$unset": KEYS }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}",
            self.field,
            if self.descending { "DESC" } else { "ASC" }
        )
    }
}

impl FromStr for Order {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let (text, minus) = match text.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let word = text.rsplit_once(char::is_whitespace);
        let worded = word.and_then(|(field, word)| match word.to_ascii_uppercase().as_str() {
            "DESC" => Some((field, true)),
            "ASC" => Some((field, false)),
            _ => None,
        });
        let (field, descending) = worded.unwrap_or((text, false));
        Ok(Self {
            field: field.parse().map_err(|error| match error {
                Error::InvalidArgument { reason, .. } => Error::invalid_argument("order", reason),
                error => error,
            })?,
            descending: descending != minus,
        })
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::{Order, Sorting, sorting};

    fn of(texts: &[&str]) -> Sorting {
        let orders: Vec<Order> = texts.iter().map(|text| text.parse().unwrap()).collect();
        sorting(&orders)
    }

    #[test]
    fn what_an_index_sorts_rightly_is_left_to_it() {
        for (texts, expected) in [
            (
                &["-start_time", "run_id DESC"][..],
                doc! { "start_time": -1, "_id": -1 },
            ),
            (&["attributes.start_time asc"], doc! { "start_time": 1 }),
            (&["end_time DESC"], doc! { "end_time": -1 }),
        ] {
            assert_eq!(of(texts), Sorting::Native(expected));
        }
    }

    #[test]
    fn the_groups_of_values_come_in_one_order_both_ways() {
        for (text, direction) in [
            ("metrics.auc", 1),
            ("metrics.auc DESC", -1),
            ("-metrics.auc", -1),
        ] {
            let Sorting::Stages { sort, .. } = of(&[text]) else {
                panic!("{text} needs keys")
            };
            assert_eq!(
                sort,
                doc! { "__order.g0": 1, "__order.v0": direction, "_id": 1 }
            );
        }
        assert!(matches!(of(&["end_time ASC"]), Sorting::Stages { .. }));
    }
}
