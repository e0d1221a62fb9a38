//! Renders a query as a MongoDB filter, in the form that its indexes serve best.

use std::ops::Bound;

use bson::{Bson, DateTime, Document, doc};

use super::{Query, Term, prefix};
use crate::node::{Detail, Direction, Kind, Node};
use crate::run::field;

/// The filter of all terms. It joins them with `$and`, because a document keeps only the last of two equal keys.
pub(super) fn all_of(terms: &[Term]) -> Document {
    all(terms.iter().map(term))
}

/// Joins filters with `$and`, without empty filters, which every run matches.
pub(super) fn all(filters: impl IntoIterator<Item = Document>) -> Document {
    let filters = filters.into_iter().filter(|filter| !filter.is_empty());
    combine("$and", filters.collect())
}

/// Joins filters with `$or`.
pub(super) fn any(filters: impl IntoIterator<Item = Document>) -> Document {
    combine("$or", filters.into_iter().collect())
}

fn term(term: &Term) -> Document {
    match term {
        Term::Node { direction, node } => self::node(*direction, node),
        Term::OneOf {
            direction,
            kind,
            key,
            details,
        } => entry(*direction, *kind, key, doc! { "$in": details }.into()),
        Term::WithoutDetail {
            direction,
            kind,
            key,
        } => entry(*direction, *kind, key, doc! { "$exists": false }.into()),
        Term::Under { direction, node } => under(*direction, node),
        Term::Path {
            direction,
            kind,
            path,
            under,
        } => path_of_any(*direction, *kind, path, *under),
        Term::NoReference(direction) => Kind::of_direction(*direction)
            .map(|kind| (kind.key_path(*direction), doc! { "$exists": false }.into()))
            .collect(),
        Term::Attribute(attribute, text) => attribute.equal(text),
        Term::Exists(attribute) => doc! { attribute.path(): { "$exists": true } },
        // The builder has refused the empty prefix.
        Term::NamePrefix(prefix) => doc! { field::NAME: prefix::begins_with(prefix) },
        Term::Time(time_field, from, to) => doc! { time_field.path(): between(from, to) },
        Term::Data { filter, .. } => filter.clone(),
        Term::Problems => doc! { field::PROBLEM_KEYS: { "$exists": true } },
        Term::AnyOf(queries) => any(rendered(queries)),
        Term::NoneOf(queries) => doc! { "$nor": rendered(queries).collect::<Vec<_>>() },
    }
}

fn rendered(queries: &[Query]) -> impl Iterator<Item = Document> + '_ {
    queries.iter().map(|query| all_of(&query.terms))
}

fn node(direction: Direction, node: &Node) -> Document {
    match node.detail() {
        None => doc! { node.kind().key_path(direction): node.key() },
        Some(detail) => entry(direction, node.kind(), node.key(), detail.into()),
    }
}

/// The filter of an entry with this key and, if the kind has details, with a detail that meets this condition.
fn entry(direction: Direction, kind: Kind, key: &str, detail: Bson) -> Document {
    let Some(Detail { field, .. }) = kind.spec().detail else {
        return doc! { kind.key_path(direction): key };
    };
    // `$elemMatch` requires both fields of the same entry, and gives the index tight bounds on both.
    doc! { kind.path(direction): { "$elemMatch": { kind.spec().key: key, field: detail } } }
}

/// The filter of a path of a key, and of every path below it.
fn under(direction: Direction, node: &Node) -> Document {
    let (Some(Detail { field, .. }), Some(path)) = (node.kind().spec().detail, node.detail())
    else {
        return self::node(direction, node);
    };
    doc! { node.kind().path(direction): { "$elemMatch": {
        node.kind().spec().key: node.key(),
        "$or": [{ field: path }, { field: below(path) }],
    } } }
}

fn path_of_any(direction: Direction, kind: Kind, path: &str, under: bool) -> Document {
    let field = kind.spec().detail.map_or("", |detail| detail.field);
    let array = kind.path(direction);
    let exactly = doc! { format!("{array}.{field}"): path };
    if !under {
        return exactly;
    }
    // Without `$elemMatch`, a multikey index uses only one of the two bounds.
    any([
        exactly,
        doc! { array: { "$elemMatch": { field: below(path) } } },
    ])
}

/// The range of the paths below this path. `0` is the character after `/`.
fn below(path: &str) -> Document {
    doc! { "$gte": format!("{path}/"), "$lt": format!("{path}0") }
}

fn between(from: &Bound<DateTime>, to: &Bound<DateTime>) -> Document {
    let from = match from {
        Bound::Included(from) => Some(("$gte", *from)),
        Bound::Excluded(from) => Some(("$gt", *from)),
        Bound::Unbounded => None,
    };
    let to = match to {
        Bound::Included(to) => Some(("$lte", *to)),
        Bound::Excluded(to) => Some(("$lt", *to)),
        Bound::Unbounded => None,
    };
    let bounds = from.into_iter().chain(to);
    bounds
        .map(|(operator, time)| (operator.to_owned(), time.into()))
        .collect()
}

fn combine(operator: &str, mut documents: Vec<Document>) -> Document {
    if documents.len() > 1 {
        return doc! { operator: documents };
    }
    documents.pop().unwrap_or_default()
}
