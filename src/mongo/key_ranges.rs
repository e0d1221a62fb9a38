//! The index keys that an `$elemMatch` term scans.
//!
//! MongoDB's `count` of such a term reads the documents too, so the chooser counts the keys of these ranges instead.

use bson::{Bson, Document};

use super::indexes::Index;
use super::terms::{Term, within};

/// The keys of an index from `min`, inclusive, to `max`, exclusive.
#[derive(Debug, PartialEq)]
pub(super) struct KeyRange {
    pub(super) min: Document,
    pub(super) max: Document,
}

/// The values of one field that a condition allows.
enum Values<'a> {
    AnyOf(Vec<&'a str>),
    Between(&'a str, &'a str),
}

/// The key ranges of an `$elemMatch` condition; `None` for any other condition.
///
/// A multikey index does not record which fields belong to the same array element, so MongoDB checks that in each document.
/// The number of keys to scan needs no document.
pub(super) fn of_element(term: &Term) -> Option<Vec<KeyRange>> {
    let (array, condition) = term.filter.iter().next()?;
    let element = condition.as_document()?.get_document("$elemMatch").ok()?;
    let mut prefix: Vec<&str> = Vec::new();
    let mut last = Values::AnyOf(Vec::new());
    for (path, _) in term.index.keys {
        let condition = within(path, array).and_then(|field| element.get(field));
        let Some(values) = condition.and_then(values) else {
            break;
        };
        if let Values::AnyOf(values) = &last {
            // Only under single values of the fields before it do this field's values form one range.
            match values[..] {
                [] => {}
                [value] => prefix.push(value),
                _ => break,
            }
        }
        let is_range = matches!(values, Values::Between(..));
        last = values;
        if is_range {
            break;
        }
    }
    let ranges: Vec<KeyRange> = match last {
        // In MongoDB's order, the successor of a string is the string followed by NUL.
        Values::AnyOf(values) => {
            let after = |value: &str| format!("{value}\0");
            let ranges = values.into_iter();
            ranges
                .map(|value| range(term.index, &prefix, value, &after(value)))
                .collect()
        }
        Values::Between(from, to) => vec![range(term.index, &prefix, from, to)],
    };
    (!ranges.is_empty()).then_some(ranges)
}

fn values(condition: &Bson) -> Option<Values<'_>> {
    match condition {
        Bson::String(value) => Some(Values::AnyOf(vec![value])),
        Bson::Document(condition) if condition.len() == 2 => {
            let (from, to) = (
                condition.get_str("$gte").ok()?,
                condition.get_str("$lt").ok()?,
            );
            Some(Values::Between(from, to))
        }
        Bson::Document(condition) if condition.len() == 1 => {
            let any = condition.get_array("$in").ok()?;
            let any: Option<Vec<&str>> = any.iter().map(Bson::as_str).collect();
            Some(Values::AnyOf(any.filter(|any| !any.is_empty())?))
        }
        _ => None,
    }
}

/// The keys that begin with `prefix` and whose next field is at least `from` and less than `to`.
fn range(index: &Index, prefix: &[&str], from: &str, to: &str) -> KeyRange {
    let bound = |value: &str| -> Document {
        let values = prefix.iter().copied().chain([value]).map(Bson::from);
        let values = values.chain(std::iter::repeat(Bson::MinKey));
        let fields = index.keys.iter().map(|(path, _)| (*path).to_owned());
        fields.zip(values).collect()
    };
    KeyRange {
        min: bound(from),
        max: bound(to),
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, Document, doc};

    use super::{KeyRange, of_element};
    use crate::Query;
    use crate::mongo::terms::conjuncts;

    fn ranges(query: Query) -> Option<Vec<KeyRange>> {
        let conjuncts = conjuncts(&query.render().unwrap());
        assert_eq!(conjuncts.len(), 1, "{query}");
        of_element(&conjuncts[0][0])
    }

    fn range(min: Document, max: Document) -> KeyRange {
        KeyRange { min, max }
    }

    #[test]
    fn versions_and_paths_become_key_ranges() {
        let (name, version) = ("inputs.models.name", "inputs.models.version");
        let model = |from: Bson, to: Bson| {
            range(
                doc! { name: "churn", version: from },
                doc! { name: "churn", version: to },
            )
        };
        assert_eq!(
            ranges(Query::new().with_input_model("churn", "3")),
            Some(vec![model("3".into(), "3\0".into())])
        );
        assert_eq!(
            ranges(Query::new().with_input_model_versions("churn", ["3", "4"])),
            Some(vec![
                model("3".into(), "3\0".into()),
                model("4".into(), "4\0".into())
            ])
        );
        // Entries without a version cannot be told apart by key: all keys of the model count.
        assert_eq!(
            ranges(Query::new().with_input_model_without_version("churn")),
            Some(vec![range(
                doc! { name: "churn", version: Bson::MinKey },
                doc! { name: "churn\0", version: Bson::MinKey },
            )])
        );
        let (path, run) = ("outputs.runs.path", "outputs.runs.id");
        assert_eq!(
            ranges(Query::new().with_output_artifact("8f2c", "plots")),
            Some(vec![range(
                doc! { path: "plots", run: "8f2c" },
                doc! { path: "plots", run: "8f2c\0" },
            )])
        );
        assert_eq!(
            ranges(Query::new().with_output_artifact_under("8f2c", "plots")),
            Some(vec![range(doc! { run: "8f2c" }, doc! { run: "8f2c\0" },)])
        );
    }

    #[test]
    fn a_condition_that_count_answers_from_keys_has_no_ranges() {
        assert_eq!(ranges(Query::new().with_input_model("churn", None)), None);
        assert_eq!(ranges(Query::new().with_exp_id("1")), None);
    }
}
