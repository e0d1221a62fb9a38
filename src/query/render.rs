//! Renders a query as a MongoDB filter, in the form that its indexes serve best.

use std::ops::Bound;

use bson::{Bson, DateTime, Document, doc};

use super::{Query, Term, prefix};
use crate::node::{Detail, Direction, Kind, Node, Origin};
use crate::run::field;
use crate::run::lineage::FROM;

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
        Term::OfOrigin(origin, term) => lineage(term, Some(*origin)),
        Term::Node { .. }
        | Term::OneOf { .. }
        | Term::WithoutDetail { .. }
        | Term::Under { .. }
        | Term::Path { .. } => lineage(term, None),
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

/// The filter of a condition on lineage, of which only entries of this origin count.
fn lineage(term: &Term, origin: Option<Origin>) -> Document {
    match term {
        Term::Node { direction, node } => self::node(*direction, node, origin),
        Term::OneOf {
            direction,
            kind,
            key,
            details,
        } => {
            let detail = Some(doc! { "$in": details }.into());
            entry(*direction, *kind, key, detail, origin)
        }
        Term::WithoutDetail {
            direction,
            kind,
            key,
        } => {
            let absent = Some(doc! { "$exists": false }.into());
            entry(*direction, *kind, key, absent, origin)
        }
        Term::Under { direction, node } => under(*direction, node, origin),
        Term::Path {
            direction,
            kind,
            path,
            under,
        } => path_of_any(*direction, *kind, path, *under, origin),
        other => self::term(other),
    }
}

fn node(direction: Direction, node: &Node, origin: Option<Origin>) -> Document {
    let detail = node.detail().map(Bson::from);
    entry(direction, node.kind(), node.key(), detail, origin)
}

/// The filter of an entry with this key and, if the kind has details, with a detail that meets this condition.
fn entry(
    direction: Direction,
    kind: Kind,
    key: &str,
    detail: Option<Bson>,
    origin: Option<Origin>,
) -> Document {
    let spec = kind.spec();
    let detail = spec.detail.zip(detail);
    if detail.is_none() && origin.is_none() {
        return doc! { kind.key_path(direction): key };
    }
    // `$elemMatch` requires all fields of the same entry, and gives the index tight bounds on key and detail.
    let mut element = doc! { spec.key: key };
    element.extend(detail.map(|(Detail { field, .. }, detail)| (field.to_owned(), detail)));
    doc! { kind.path(direction): { "$elemMatch": from(element, origin) } }
}

/// The conditions on one entry, and its origin.
fn from(mut element: Document, origin: Option<Origin>) -> Document {
    element.extend(origin.map(|origin| (FROM.to_owned(), origin.as_str().into())));
    element
}

/// The filter of a path of a key, and of every path below it.
fn under(direction: Direction, node: &Node, origin: Option<Origin>) -> Document {
    let (Some(Detail { field, .. }), Some(path)) = (node.kind().spec().detail, node.detail())
    else {
        return self::node(direction, node, origin);
    };
    let element = doc! {
        node.kind().spec().key: node.key(),
        "$or": [{ field: path }, { field: below(path) }],
    };
    doc! { node.kind().path(direction): { "$elemMatch": from(element, origin) } }
}

fn path_of_any(
    direction: Direction,
    kind: Kind,
    path: &str,
    under: bool,
    origin: Option<Origin>,
) -> Document {
    let field = kind.spec().detail.map_or("", |detail| detail.field);
    let array = kind.path(direction);
    let exactly = match origin {
        None => doc! { format!("{array}.{field}"): path },
        Some(_) => doc! { &array: { "$elemMatch": from(doc! { field: path }, origin) } },
    };
    if !under {
        return exactly;
    }
    // Without `$elemMatch`, a multikey index uses only one of the two bounds.
    let below = from(doc! { field: below(path) }, origin);
    any([exactly, doc! { array: { "$elemMatch": below } }])
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
