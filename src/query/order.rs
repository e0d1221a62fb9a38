//! [`Order`]: a field to sort runs by, as in MLflow's `order_by`, and the MongoDB sort for it.

use std::fmt;
use std::str::FromStr;

use bson::{Bson, Document, doc};

use super::Field;
use crate::error::{Error, Result};
use crate::run::field;

/// A field to sort runs by, and the direction: `start_time DESC`, `-start_time`, `` metrics.`val loss` ``.
///
/// As in MLflow, numbers come first in either direction, then NaN, then texts, then the runs without a value.
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

/// Fields that every run has. MongoDB's own order, which an index can serve, is right for them in both directions.
const ALWAYS_PRESENT: [&str; 5] = [
    field::ID,
    field::START_TIME,
    field::EXP_ID,
    field::EXP_NAME,
    field::STATUS,
];

/// The temporary field that holds the sort keys of a run.
const KEYS: &str = "__order";

impl Order {
    /// The field to sort by.
    #[must_use]
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// The same field in the opposite direction.
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

    /// Whether MongoDB's own order is right. MongoDB sorts missing values first, so they are last in a descending order.
    fn is_native(&self) -> bool {
        let is_always_present = || ALWAYS_PRESENT.contains(&self.field.path().as_str());
        self.field.data().is_none() && (self.descending || is_always_present())
    }

    /// The value to sort by, and its group: 0 for numbers, 1 for NaN, 2 for other values, 3 for no value.
    fn keys(&self) -> (Bson, Document) {
        let value = self.field.value_expression();
        let group = doc! { "$switch": { "branches": [
            { "case": { "$eq": [&value, f64::NAN] }, "then": 1 },
            { "case": { "$isNumber": &value }, "then": 0 },
            { "case": { "$in": [{ "$type": &value }, ["missing", "null", "undefined"]] }, "then": 3 },
            // An object consists of longer keys, so this key itself has no value.
            { "case": { "$and": [self.field.data().is_some(), { "$eq": [{ "$type": &value }, "object"] }] }, "then": 3 },
        ], "default": 2 } };
        (value, group)
    }
}

/// The sort of a search: MongoDB's own `sort`, or aggregation stages that first compute sort keys.
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
    // Runs with equal keys need a stable order.
    sort.insert(field::ID, 1);
    Sorting::Stages {
        before: doc! { "$set": { KEYS: keys } },
        sort,
    }
}

/// The stage that removes the sort keys from the result.
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

    fn sorting_of(texts: &[&str]) -> Sorting {
        let orders: Vec<Order> = texts.iter().map(|text| text.parse().unwrap()).collect();
        sorting(&orders)
    }

    #[test]
    fn fields_in_the_native_order_use_a_plain_sort() {
        for (texts, expected) in [
            (
                &["-start_time", "run_id DESC"][..],
                doc! { "start_time": -1, "_id": -1 },
            ),
            (&["attributes.start_time asc"], doc! { "start_time": 1 }),
            (&["end_time DESC"], doc! { "end_time": -1 }),
        ] {
            assert_eq!(sorting_of(texts), Sorting::Native(expected));
        }
    }

    #[test]
    fn the_groups_of_values_keep_their_order_in_both_directions() {
        for (text, direction) in [
            ("metrics.auc", 1),
            ("metrics.auc DESC", -1),
            ("-metrics.auc", -1),
        ] {
            let Sorting::Stages { sort, .. } = sorting_of(&[text]) else {
                panic!("{text} needs sort keys")
            };
            assert_eq!(
                sort,
                doc! { "__order.g0": 1, "__order.v0": direction, "_id": 1 }
            );
        }
        assert!(matches!(
            sorting_of(&["end_time ASC"]),
            Sorting::Stages { .. }
        ));
    }
}
