//! Finds the index that serves each term of a filter. The filter alone decides; no server is asked.

use std::cmp::Reverse;

use bson::{Bson, Document};

use super::indexes::{Coverage, INDEXES, Index};
use crate::run::field;

/// A condition, and an index that holds every run that fulfils it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Term {
    pub(super) filter: Document,
    pub(super) index: &'static Index,
}

/// One operand of a filter's AND: a single term, or an OR of terms with different indexes.
pub(super) type Conjunct = Vec<Term>;

/// The conjuncts of a filter that indexes serve.
///
/// A range of start times is added to each term that has an index on its field followed by the start time. Without such a term,
/// the range is a conjunct of its own.
pub(super) fn conjuncts(filter: &Document) -> Vec<Conjunct> {
    let mut conjuncts = Vec::new();
    collect(filter, &mut conjuncts);
    // An OR of ranges stays apart: the index bounds of one term hold one range.
    let is_time = |conjunct: &Conjunct| matches!(&conjunct[..], [term] if term.filter.contains_key(field::START_TIME));
    let Some(time) = conjuncts.iter().position(is_time) else {
        return conjuncts;
    };
    let time = conjuncts.swap_remove(time);
    conjuncts.retain(|conjunct| !is_time(conjunct));
    let mut is_added = false;
    for term in conjuncts.iter_mut().flatten() {
        is_added |= term.add_time(&time[0].filter);
    }
    if !is_added {
        conjuncts.push(time);
    }
    conjuncts
}

/// Whether the filter alone shows that an index serves the search. `false` means that only the server's plan can tell.
pub(super) fn is_served(filter: &Document) -> bool {
    let is_inner_served = |inner: &Bson| inner.as_document().is_some_and(is_served);
    let mut terms = filter.iter();
    terms.any(|(key, value)| match (key.as_str(), value) {
        ("$and", Bson::Array(all)) => all.iter().any(is_inner_served),
        ("$or", Bson::Array(any)) => !any.is_empty() && any.iter().all(is_inner_served),
        (key, value) => index_of(key, value).is_some(),
    })
}

fn collect(filter: &Document, conjuncts: &mut Vec<Conjunct>) {
    for (key, value) in filter {
        match (key.as_str(), value) {
            ("$and", Bson::Array(all)) => all
                .iter()
                .filter_map(Bson::as_document)
                .for_each(|filter| collect(filter, conjuncts)),
            ("$or", Bson::Array(any)) => conjuncts.extend(alternatives(any).map(merged)),
            (key, value) => conjuncts.extend(Term::new(key, value).map(|term| vec![term])),
        }
    }
}

/// The terms of an OR and of the ORs nested in it; `None` if an index is missing for any of them.
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

/// Merges alternatives that share one index into a single term.
pub(super) fn merged(alternatives: Vec<Term>) -> Conjunct {
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

    /// The alternatives of an OR; of any other term, the term itself.
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

    /// The same condition with an index that returns its runs ordered by start time; `None` if no index does.
    pub(super) fn by_time(&self) -> Option<Self> {
        let index = self.index.by_time()?;
        // Only under a single value of the leading field are the keys ordered by start time.
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

    /// Adds a range of start times if an index holds the term's field followed by the start time; returns whether it did.
    fn add_time(&mut self, time: &Document) -> bool {
        let Some(mut with_time) = self.by_time() else {
            return false;
        };
        with_time.filter.extend(time.clone());
        *self = with_time;
        true
    }
}

/// The index with the most fields that a condition bounds.
fn index_of(key: &str, condition: &Bson) -> Option<&'static Index> {
    let element = condition
        .as_document()
        .and_then(|condition| condition.get_document("$elemMatch").ok());
    let bounded = INDEXES.iter().filter_map(|index| {
        let bounded = match element {
            Some(element) => bounded_fields(index, key, element),
            None => usize::from(index.leading_field() == key && bounds(index, condition)),
        };
        (bounded > 0).then_some((bounded, index))
    });
    let most = bounded.min_by_key(|(bounded, index)| (Reverse(*bounded), index.typical_runs));
    match most {
        Some((_, index)) => Some(index),
        None => index_of_alternatives(key, element?.get_array("$or").ok()?),
    }
}

/// How many leading fields of an index the conditions on one array element bound.
fn bounded_fields(index: &Index, array: &str, element: &Document) -> usize {
    let fields = index.keys.iter().map_while(|(path, _)| {
        let condition = element.get(within(path, array)?)?;
        bounds(index, condition).then_some(())
    });
    fields.count()
}

/// The index for alternatives on one field of an array element, such as a path or all paths below it.
fn index_of_alternatives(array: &str, any: &[Bson]) -> Option<&'static Index> {
    let mut indexes = INDEXES.iter();
    indexes.find(|index| {
        let is_bounded = |alternative: &Bson| {
            let alternative = alternative.as_document();
            let field = within(index.leading_field(), array);
            let condition = field.and_then(|field| alternative?.get(field));
            condition.is_some_and(|condition| bounds(index, condition))
        };
        !any.is_empty() && any.iter().all(is_bounded)
    })
}

/// The part of `path` below `array`; `None` if the path names no field of the array's elements.
pub(super) fn within<'a>(path: &'a str, array: &str) -> Option<&'a str> {
    path.strip_prefix(array)?.strip_prefix('.')
}

/// Whether a condition bounds the keys to scan, and matches no run that a sparse or partial index leaves out.
fn bounds(index: &Index, condition: &Bson) -> bool {
    // A run that lacks the field matches null, and a sparse index leaves it out.
    let is_indexed = |value: &Bson| matches!(value, Bson::String(_) | Bson::DateTime(_));
    let Bson::Document(condition) = condition else {
        return is_indexed(condition);
    };
    let mut operators = condition.iter();
    operators.any(|(operator, operand)| match operator.as_str() {
        "$eq" | "$gt" | "$gte" | "$lt" | "$lte" => is_indexed(operand),
        "$in" => operand
            .as_array()
            .is_some_and(|values| !values.is_empty() && values.iter().all(is_indexed)),
        "$exists" => index.coverage == Coverage::FewRuns && operand.as_bool() == Some(true),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use bson::{Bson, DateTime, doc};

    use super::{Conjunct, conjuncts, is_served};
    use crate::Query;

    fn indexes(query: Query) -> Vec<Vec<&'static str>> {
        let filter = query.render().expect("the query is valid");
        let names = |conjunct: Conjunct| conjunct.into_iter().map(|term| term.index.name).collect();
        conjuncts(&filter).into_iter().map(names).collect()
    }

    #[test]
    fn each_term_of_an_and_has_its_index() {
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
    fn alternatives_with_one_index_are_merged_and_others_are_not() {
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
    fn a_range_of_start_times_is_added_to_terms_whose_index_holds_the_time() {
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
    fn an_or_of_start_times_is_a_conjunct_of_its_own() {
        let early = Query::new().with_start_time(..DateTime::from_millis(1));
        let late = Query::new().with_start_time(DateTime::from_millis(9)..);
        let query = Query::new().with_any_of([early, late]).with_exp_id("1");
        let filter = query.render().expect("the query is valid");
        let conjuncts = conjuncts(&filter);
        let mut terms: Vec<_> = conjuncts.iter().flatten().collect();
        terms.sort_by_key(|term| term.index.name);
        assert_eq!(terms.len(), 2, "{terms:?}");
        let names = [terms[0].index.name, terms[1].index.name];
        assert_eq!(names, ["newest", "newest_of_exp"]);
        // Each term is counted by its alternatives: those of the experiment's term must name the experiment.
        assert_eq!(terms[1].filter, doc! { "exp.id": "1" });
        assert_eq!(terms[0].alternatives().len(), 2);
    }

    #[test]
    fn a_condition_that_a_missing_field_fulfils_uses_no_sparse_index() {
        for filter in [
            doc! { "name": { "$eq": Bson::Null } },
            doc! { "name": { "$in": ["a", Bson::Null] } },
            doc! { "name": { "$in": [] } },
            doc! { "tags.mlflow.parentRunId": Bson::Null },
            doc! { "end_time": { "$lte": Bson::Null } },
            doc! { "inputs.runs": { "$elemMatch": { "id": { "$exists": true }, "$or": [{ "path": Bson::Null }] } } },
        ] {
            assert_eq!(conjuncts(&filter), Vec::<Conjunct>::new(), "{filter}");
            assert!(!is_served(&filter), "{filter}");
        }
    }

    #[test]
    fn an_or_is_served_if_every_alternative_is() {
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
