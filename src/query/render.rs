//! Renders a query as the filter that MongoDB serves from an index.

use bson::{Document, doc};

use super::Term;
use crate::lineage::Entry;

/// All of the terms. One term stands alone: a `doc!` with one key twice would keep the last only.
pub(super) fn all_of(terms: &[Term]) -> Document {
    combine("$and", terms.iter().map(term).collect())
}

fn term(term: &Term) -> Document {
    match term {
        Term::Entry(entry) => self::entry(entry),
        Term::AnyOf(queries) => combine(
            "$or",
            queries.iter().map(|query| all_of(&query.terms)).collect(),
        ),
    }
}

fn entry(
    Entry {
        side,
        kind,
        key,
        value,
    }: &Entry,
) -> Document {
    match value {
        None => doc! { format!("{side}.{kind}.{}", kind.key_field()): key },
        // `$elemMatch` keeps both fields within one entry, and gets tight bounds on both.
        Some(value) => doc! {
            format!("{side}.{kind}"): {
                "$elemMatch": { kind.key_field(): key, kind.value_field(): value }
            }
        },
    }
}

fn combine(operator: &str, mut documents: Vec<Document>) -> Document {
    if documents.len() > 1 {
        return doc! { operator: documents };
    }
    documents.pop().unwrap_or_default()
}
