//! The experiments, models and runs that a MongoDB filter names.

use bson::{Bson, Document};
use runlineage::lineage::{Direction, Kind};
use runlineage::{Node, Query};

/// A query of the same names as the filter: the texts that it compares with `=`, `$eq` and `$in`.
pub(super) fn names(filter: &Document) -> Query {
    let mut names = Vec::new();
    visit(filter, "", &mut names);
    Query::new().with_all_of(names)
}

fn visit(filter: &Document, path: &str, names: &mut Vec<Query>) {
    for (key, value) in filter {
        match (key.as_str(), value) {
            ("$and" | "$or" | "$nor", Bson::Array(filters)) => {
                for filter in filters.iter().filter_map(Bson::as_document) {
                    visit(filter, path, names);
                }
            }
            ("$eq", Bson::String(text)) => names.extend(name(path, text)),
            ("$in", Bson::Array(values)) => {
                let texts = values.iter().filter_map(Bson::as_str);
                names.extend(texts.filter_map(|text| name(path, text)));
            }
            ("$elemMatch" | "$not", Bson::Document(filter)) => visit(filter, path, names),
            (operator, _) if operator.starts_with('$') => {}
            (field, value) => {
                let path = match path {
                    "" => field.to_owned(),
                    path => format!("{path}.{field}"),
                };
                match value {
                    Bson::String(text) => names.extend(name(&path, text)),
                    Bson::Document(operators) => visit(operators, &path, names),
                    _ => {}
                }
            }
        }
    }
}

/// `None` for a field that names nothing, such as the status.
fn name(path: &str, text: &str) -> Option<Query> {
    if text.is_empty() {
        return None;
    }
    match path {
        "exp.id" => return Some(Query::new().with_exp_id(text)),
        "exp.name" => return Some(Query::new().with_exp_name(text)),
        "_id" => return Some(Query::new().with_id(text)),
        "tags.mlflow.parentRunId" => return Some(Query::new().with_parent(text)),
        _ => {}
    }
    Direction::BOTH.into_iter().find_map(|direction| {
        let kind = Kind::of_direction(direction).find(|kind| {
            let spec = kind.spec();
            path == format!("{}.{}.{}", direction.field(), spec.field, spec.key)
        })?;
        let node = Node::new(kind, text, None).ok()?;
        Some(match direction {
            Direction::Input => Query::new().with_input(node),
            Direction::Output => Query::new().with_output(node),
        })
    })
}
