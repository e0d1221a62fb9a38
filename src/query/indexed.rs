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

/// What a filter joins by AND: each part is one term, or alternatives by OR that different indexes find.
///
/// A range of start times joins the terms of which an index holds the time as well; where there is none, it is a part itself.
pub(crate) fn indexed_parts(filter: &Document) -> Vec<Vec<IndexedTerm>> {
    let mut parts = Vec::new();
    collect(filter, &mut parts);
    let is_time = |part: &[IndexedTerm]| matches!(part, [term] if term.index == "newest");
    let Some(time) = parts.iter().position(|part| is_time(part)) else {
        return parts;
    };
    let time = parts.swap_remove(time);
    parts.retain(|part| !is_time(part));
    let mut joined = false;
    for term in parts.iter_mut().flatten() {
        joined |= term.join(&time[0].filter);
    }
    if !joined {
        parts.push(time);
    }
    parts
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

fn collect(filter: &Document, parts: &mut Vec<Vec<IndexedTerm>>) {
    for (key, value) in filter {
        match (key.as_str(), value) {
            ("$and", Bson::Array(all)) => all
                .iter()
                .filter_map(Bson::as_document)
                .for_each(|filter| collect(filter, parts)),
            ("$or", Bson::Array(any)) => {
                let alternatives: Option<Vec<IndexedTerm>> = any.iter().map(alternative).collect();
                parts.extend(alternatives.and_then(|alternatives| one_index(value, alternatives)));
            }
            (key, value) => parts.extend(IndexedTerm::new(key, value).map(|term| vec![term])),
        }
    }
}

fn alternative(filter: &Bson) -> Option<IndexedTerm> {
    let filter = filter.as_document().filter(|filter| filter.len() == 1)?;
    filter
        .iter()
        .find_map(|(key, value)| IndexedTerm::new(key, value))
}

/// Alternatives that one index finds are one term of it.
fn one_index(any: &Bson, alternatives: Vec<IndexedTerm>) -> Option<Vec<IndexedTerm>> {
    let index = alternatives.first()?.index;
    if alternatives.iter().any(|term| term.index != index) {
        return Some(alternatives);
    }
    let mut filter = Document::new();
    filter.insert("$or", any.clone());
    Some(vec![IndexedTerm { filter, index }])
}

impl IndexedTerm {
    fn new(key: &str, value: &Bson) -> Option<Self> {
        let index = index_of(key, value)?;
        let mut filter = Document::new();
        filter.insert(key, value.clone());
        Some(Self { filter, index })
    }

    /// Takes a range of start times in, where an index holds the term's one field and then the time.
    fn join(&mut self, time: &Document) -> bool {
        let index = match self.index {
            "input_models" if self.filter.contains_key("inputs.models.name") => {
                "newest_users_of_model"
            }
            index if index.starts_with("newest_of_") => index,
            _ => return false,
        };
        // A range of the first field leaves the second one unbounded.
        if !self
            .filter
            .values()
            .all(|value| matches!(value, Bson::String(_)))
        {
            return false;
        }
        self.index = index;
        self.filter.extend(time.clone());
        true
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
        if !alternatives.iter().all(narrowed) {
            return None;
        }
    }
    index(&format!("{key}.{field}"))
}

/// Whether a test bounds what is looked at in an index, and asks only for what a sparse one holds.
fn is_narrowing(value: &Bson) -> bool {
    let is_held = |value: &Bson| matches!(value, Bson::String(_) | Bson::DateTime(_));
    match value {
        Bson::Document(test) => test
            .iter()
            .any(|(operator, operand)| match operator.as_str() {
                "$eq" | "$gt" | "$gte" | "$lt" | "$lte" => is_held(operand),
                "$in" => operand
                    .as_array()
                    .is_some_and(|values| !values.is_empty() && values.iter().all(is_held)),
                _ => false,
            }),
        value => is_held(value),
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, DateTime, doc};

    use super::{IndexedTerm, indexed_parts, is_served};
    use crate::Query;

    fn indexes(query: Query) -> Vec<Vec<&'static str>> {
        let filter = query.render().expect("the query is fine");
        let names = |part: Vec<IndexedTerm>| part.into_iter().map(|term| term.index).collect();
        indexed_parts(&filter).into_iter().map(names).collect()
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
                ["input_models"],
                ["input_paths"],
                ["output_runs"],
                ["input_runs"],
                ["newest_of_exp"]
            ]
        );
    }

    #[test]
    fn alternatives_of_one_index_are_one_term_and_others_stay_apart() {
        let any = [("a", None), ("b", None)]
            .map(|(run, path)| Query::new().with_input_artifact(run, path));
        let query = Query::new().with_any_of(any).with_exp("1");
        assert_eq!(
            indexes(query),
            [
                vec!["input_runs"],
                vec!["newest_of_exp", "newest_of_exp_name"]
            ]
        );
        let unserved = [Query::new().with_exp_id("1"), Query::new().without_inputs()];
        assert_eq!(
            indexes(Query::new().with_any_of(unserved)),
            Vec::<Vec<&str>>::new()
        );
    }

    #[test]
    fn a_range_of_start_times_joins_the_index_that_holds_the_time() {
        let since = || Query::new().with_start_time(DateTime::from_millis(0)..);
        assert_eq!(indexes(since()), [["newest"]]);
        assert_eq!(
            indexes(since().with_input_model("churn", None).with_user("ana")),
            [["newest_of_user"], ["newest_users_of_model"]]
        );
        assert_eq!(
            indexes(since().with_input_model("churn", "3")),
            [["input_models"], ["newest"]]
        );
    }

    #[test]
    fn what_asks_for_nothing_is_in_no_sparse_index() {
        for filter in [
            doc! { "name": { "$eq": Bson::Null } },
            doc! { "name": { "$in": ["a", Bson::Null] } },
            doc! { "name": { "$in": [] } },
            doc! { "tags.mlflow.parentRunId": Bson::Null },
            doc! { "end_time": { "$lte": Bson::Null } },
            doc! { "inputs.runs": { "$elemMatch": { "id": { "$exists": true }, "$or": [{ "path": Bson::Null }] } } },
        ] {
            assert_eq!(
                indexed_parts(&filter),
                Vec::<Vec<IndexedTerm>>::new(),
                "{filter}"
            );
            assert!(!is_served(&filter), "{filter}");
        }
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
