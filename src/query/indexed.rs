//! Which index serves which term of a filter, told from the filter alone.

use bson::{Bson, Document};

/// A condition that every match fulfils, and the index that finds all that fulfil it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IndexedTerm {
    pub(crate) filter: Document,
    pub(crate) index: &'static str,
}

/// Fields that begin an index of `migrations/`.
const INDEXES: [(&str, &str); 14] = [
    ("_id", "_id_"),
    ("inputs.models.name", "input_models"),
    ("inputs.runs.id", "input_runs"),
    ("inputs.runs.path", "input_paths"),
    ("outputs.models.name", "output_models"),
    ("outputs.runs.id", "output_runs"),
    ("outputs.runs.path", "output_paths"),
    ("exp.id", "newest_of_exp"),
    ("exp.name", "newest_of_exp_name"),
    ("status", "newest_of_status"),
    ("user", "newest_of_user"),
    ("name", "name"),
    ("tags.mlflow.parentRunId", "parent"),
    ("start_time", "newest"),
];

/// The terms joined by AND that an index finds; ranges of time are left out, for they say little by themselves.
pub(crate) fn indexed_terms(filter: &Document) -> Vec<IndexedTerm> {
    let mut terms = Vec::new();
    collect(filter, &mut terms);
    terms
}

/// Whether some index leads to the matches; where this says no, the server's planner knows better.
pub(crate) fn is_served(filter: &Document) -> bool {
    filter
        .iter()
        .any(|(key, value)| match (key.as_str(), value) {
            ("$and", Bson::Array(all)) => all.iter().filter_map(Bson::as_document).any(is_served),
            ("$or", Bson::Array(any)) => {
                !any.is_empty()
                    && any
                        .iter()
                        .all(|filter| filter.as_document().is_some_and(is_served))
            }
            ("end_time", value) => is_narrowing(value),
            ("mirror.problems.key", Bson::Document(test)) => {
                test.get_bool("$exists").unwrap_or(false)
            }
            (key, value) => index_of(key, value).is_some(),
        })
}

fn collect(filter: &Document, terms: &mut Vec<IndexedTerm>) {
    for (key, value) in filter {
        match (key.as_str(), value) {
            ("$and", Bson::Array(all)) => all
                .iter()
                .filter_map(Bson::as_document)
                .for_each(|filter| collect(filter, terms)),
            (key, value) => {
                if let Some(index) = index_of(key, value).filter(|index| *index != "newest") {
                    let mut filter = Document::new();
                    filter.insert(key, value.clone());
                    terms.push(IndexedTerm { filter, index });
                }
            }
        }
    }
}

fn index_of(key: &str, value: &Bson) -> Option<&'static str> {
    let index = |path: &str| {
        INDEXES
            .iter()
            .find(|(field, _)| *field == path)
            .map(|(_, index)| *index)
    };
    if let Some(index) = index(key) {
        return is_narrowing(value).then_some(index);
    }
    // The most telling field of an element comes first: a path, where there is one, stands beside a run in its index.
    let element = value.as_document()?.get_document("$elemMatch").ok()?;
    let field = ["name", "path", "id"]
        .into_iter()
        .find(|field| element.get(field).is_some_and(is_narrowing))
        .or_else(|| element.contains_key("$or").then_some("path"))?;
    if field == "path" && element.contains_key("$or") {
        let alternatives = element.get_array("$or").ok()?;
        let narrowed = |filter: &Bson| {
            filter
                .as_document()
                .and_then(|filter| filter.get("path"))
                .is_some_and(is_narrowing)
        };
        if !element.contains_key("id") && !alternatives.iter().all(narrowed) {
            return None;
        }
    }
    index(&format!("{key}.{field}"))
}

/// Whether a test bounds what is looked at in an index.
fn is_narrowing(value: &Bson) -> bool {
    match value {
        Bson::Document(test) => test.keys().any(|operator| {
            matches!(
                operator.as_str(),
                "$eq" | "$in" | "$gt" | "$gte" | "$lt" | "$lte"
            )
        }),
        Bson::String(_) | Bson::DateTime(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::{indexed_terms, is_served};
    use crate::Query;

    fn indexes(query: Query) -> Vec<&'static str> {
        let filter = query.render().expect("the query is fine");
        indexed_terms(&filter)
            .into_iter()
            .map(|term| term.index)
            .collect()
    }

    #[test]
    fn terms_joined_by_and_are_told_with_their_indexes() {
        let query = Query::new()
            .with_input_model("churn", "3")
            .with_input_artifact("8f2c", "data")
            .with_output_artifact("8f2c", None)
            .with_input_artifact_under("8f2c", "data")
            .with_exp_id("1")
            .with_metric("auc", 0.9);
        assert_eq!(
            indexes(query),
            [
                "input_models",
                "input_paths",
                "output_runs",
                "input_runs",
                "newest_of_exp"
            ]
        );
    }

    #[test]
    fn an_or_is_served_where_each_alternative_is() {
        assert!(is_served(
            &doc! { "$or": [{ "exp.id": "1" }, { "exp.name": "1" }] }
        ));
        assert!(!is_served(
            &doc! { "$or": [{ "exp.id": "1" }, { "metrics.auc": 1 }] }
        ));
        assert!(!is_served(
            &doc! { "$nor": [{ "exp.id": "1" }], "status": { "$ne": "FAILED" } }
        ));
        assert!(!is_served(&doc! {}));
    }
}
