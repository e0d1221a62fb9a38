//! Which index serves which term of a filter, told from the filter alone.

use std::cmp::Reverse;

use bson::{Bson, Document};

use super::indexes::{Holds, INDEXES, Index};
use crate::run::field;

/// A condition that every match fulfils, and the index that finds all runs that fulfil it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Term {
    pub(super) filter: Document,
    pub(super) index: &'static Index,
}

/// What a filter joins by AND: one term, or alternatives by OR that different indexes find.
pub(super) type Part = Vec<Term>;

/// The parts of a filter that indexes serve.
///
/// A range of start times joins the terms of which an index holds the time as well; where there is none, it is a part itself.
pub(super) fn parts(filter: &Document) -> Vec<Part> {
    let mut parts = Vec::new();
    collect(filter, &mut parts);
    let is_time = |part: &Part| matches!(&part[..], [term] if term.index.leading_field() == field::START_TIME);
    let Some(time) = parts.iter().position(is_time) else {
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
pub(super) fn is_served(filter: &Document) -> bool {
    let is_inner_served = |inner: &Bson| inner.as_document().is_some_and(is_served);
    let mut terms = filter.iter();
    terms.any(|(key, value)| match (key.as_str(), value) {
        ("$and", Bson::Array(all)) => all.iter().any(is_inner_served),
        ("$or", Bson::Array(any)) => !any.is_empty() && any.iter().all(is_inner_served),
        (key, value) => index_of(key, value).is_some(),
    })
}

fn collect(filter: &Document, parts: &mut Vec<Part>) {
    for (key, value) in filter {
        match (key.as_str(), value) {
            ("$and", Bson::Array(all)) => all
                .iter()
                .filter_map(Bson::as_document)
                .for_each(|filter| collect(filter, parts)),
            ("$or", Bson::Array(any)) => parts.extend(alternatives(any).map(one_of)),
            (key, value) => parts.extend(Term::new(key, value).map(|term| vec![term])),
        }
    }
}

/// The terms of an OR, and of those within it; none where one of them has no index.
fn alternatives(any: &[Bson]) -> Option<Vec<Term>> {
    let mut terms = Vec::new();
    for alternative in any {
        let alternative = alternative
            .as_document()
            .filter(|filter| filter.len() == 1)?;
        let (key, value) = alternative.iter().next()?;
        match (key.as_str(), value) {
            ("$or", Bson::Array(any)) => terms.extend(alternatives(any)?),
            (key, value) => terms.push(Term::new(key, value)?),
        }
    }
    (!terms.is_empty()).then_some(terms)
}

/// Alternatives that one index finds are one term of it.
pub(super) fn one_of(alternatives: Vec<Term>) -> Part {
    let [first, others @ ..] = &alternatives[..] else {
        return alternatives;
    };
    if others.is_empty() || others.iter().any(|term| term.index != first.index) {
        return alternatives;
    }
    let index = first.index;
    let filters: Vec<Document> = alternatives.into_iter().map(|term| term.filter).collect();
    vec![Term {
        filter: bson::doc! { "$or": filters },
        index,
    }]
}

impl Term {
    fn new(key: &str, value: &Bson) -> Option<Self> {
        let index = index_of(key, value)?;
        let mut filter = Document::new();
        filter.insert(key, value.clone());
        Some(Self { filter, index })
    }

    /// The term itself, or those that it joins by OR.
    pub(super) fn alternatives(&self) -> Vec<Self> {
        let any = self.filter.get_array("$or").ok();
        let any = any.map(|any| any.iter().filter_map(Bson::as_document));
        match any {
            Some(any) => {
                let index = self.index;
                any.map(|filter| Self {
                    filter: filter.clone(),
                    index,
                })
                .collect()
            }
            None => vec![self.clone()],
        }
    }

    /// The same by the index that finds its runs in the order of their time, where one does.
    pub(super) fn by_time(&self) -> Option<Self> {
        let index = self.index.by_time()?;
        // A range of the first field leaves the time behind it in no order.
        let mut others = self
            .filter
            .iter()
            .filter(|(key, _)| *key != field::START_TIME);
        let is_one_value = others.all(|(_, value)| matches!(value, Bson::String(_)));
        is_one_value.then(|| Self {
            index,
            ..self.clone()
        })
    }

    /// Takes a range of start times in, where an index holds the term's one field and then the time.
    fn join(&mut self, time: &Document) -> bool {
        let Some(mut joined) = self.by_time() else {
            return false;
        };
        joined.filter.extend(time.clone());
        *self = joined;
        true
    }
}

/// The index of which a condition bounds the most fields.
fn index_of(key: &str, condition: &Bson) -> Option<&'static Index> {
    let element = condition
        .as_document()
        .and_then(|condition| condition.get_document("$elemMatch").ok());
    let bounded = INDEXES.iter().filter_map(|index| {
        let bounded = match element {
            Some(element) => bounded_fields(index, key, element),
            None => usize::from(index.leading_field() == key && is_narrowed(index, condition)),
        };
        (bounded > 0).then_some((bounded, index))
    });
    let most = bounded.min_by_key(|(bounded, index)| (Reverse(*bounded), index.usual_runs));
    match most {
        Some((_, index)) => Some(index),
        None => index_of_alternatives(key, element?.get_array("$or").ok()?),
    }
}

/// How many fields of an index the conditions on one element of an array bound, the leading one first.
fn bounded_fields(index: &Index, array: &str, element: &Document) -> usize {
    let fields = index.keys.iter().map_while(|(path, _)| {
        let condition = element.get(within(path, array)?)?;
        is_narrowed(index, condition).then_some(())
    });
    fields.count()
}

/// The index for alternatives on one field of an element, such as a path or what lies under it.
fn index_of_alternatives(array: &str, any: &[Bson]) -> Option<&'static Index> {
    let mut indexes = INDEXES.iter();
    indexes.find(|index| {
        let is_one_narrowed = |alternative: &Bson| {
            let alternative = alternative.as_document();
            let field = within(index.leading_field(), array);
            let condition = field.and_then(|field| alternative?.get(field));
            condition.is_some_and(|condition| is_narrowed(index, condition))
        };
        !any.is_empty() && any.iter().all(is_one_narrowed)
    })
}

/// The field of an array's elements that a path names.
pub(super) fn within<'a>(path: &'a str, array: &str) -> Option<&'a str> {
    path.strip_prefix(array)?.strip_prefix('.')
}

/// Whether a condition bounds what is looked at in an index, and asks only for what the index holds.
fn is_narrowed(index: &Index, condition: &Bson) -> bool {
    let is_held = |value: &Bson| matches!(value, Bson::String(_) | Bson::DateTime(_));
    let Bson::Document(condition) = condition else {
        return is_held(condition);
    };
    let mut operators = condition.iter();
    operators.any(|(operator, operand)| match operator.as_str() {
        "$eq" | "$gt" | "$gte" | "$lt" | "$lte" => is_held(operand),
        "$in" => operand
            .as_array()
            .is_some_and(|values| !values.is_empty() && values.iter().all(is_held)),
        "$exists" => index.holds == Holds::FewRuns && operand.as_bool() == Some(true),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use bson::{Bson, DateTime, doc};

    use super::{Part, is_served, parts};
    use crate::Query;

    fn indexes(query: Query) -> Vec<Vec<&'static str>> {
        let filter = query.render().expect("the query is fine");
        let names = |part: Part| part.into_iter().map(|term| term.index.name).collect();
        parts(&filter).into_iter().map(names).collect()
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
            assert_eq!(parts(&filter), Vec::<Part>::new(), "{filter}");
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
