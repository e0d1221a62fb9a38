//! Renders a query as the filter that MongoDB serves from an index.

use bson::{Document, doc};

use super::{Query, Term};
use crate::lineage::Entry;

/// All of the terms. One term stands alone: a `doc!` with one key twice would keep the last only.
pub(super) fn all_of(terms: &[Term]) -> Document {
    all(terms.iter().map(term))
}

/// All of the filters; those that everything matches are left out.
pub(super) fn all(filters: impl IntoIterator<Item = Document>) -> Document {
    let filters = filters.into_iter().filter(|filter| !filter.is_empty());
    combine("$and", filters.collect())
}

/// Any of the filters.
pub(super) fn any(filters: impl IntoIterator<Item = Document>) -> Document {
    combine("$or", filters.into_iter().collect())
}

fn term(term: &Term) -> Document {
    match term {
        Term::Entry(entry) => self::entry(entry),
        Term::Filter(filter) => filter.clone(),
        Term::AllOf(queries) => all(rendered(queries)),
        Term::AnyOf(queries) => any(rendered(queries)),
        Term::NoneOf(queries) => doc! { "$nor": rendered(queries).collect::<Vec<_>>() },
    }
}

fn rendered(queries: &[Query]) -> impl Iterator<Item = Document> + '_ {
    queries.iter().map(|query| all_of(&query.terms))
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
