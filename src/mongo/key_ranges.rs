//! Which keys of its index a term reads, where MongoDB's `count` would read the runs as well.

use bson::{Bson, Document};

use super::indexes::Index;
use super::terms::{Term, within};

/// Keys of an index from `min` on and before `max`.
#[derive(Debug, PartialEq)]
pub(super) struct KeyRange {
    pub(super) min: Document,
    pub(super) max: Document,
}

/// What a condition leaves of one field's values.
enum Values<'a> {
    Some(Vec<&'a str>),
    Between(&'a str, &'a str),
}

/// The ranges of a condition on one element of an array; `None` where the condition has another form.
///
/// An index over arrays does not say which fields belong to one element, so MongoDB looks that up in each run. How many keys
/// the index makes it read is told by the index alone.
pub(super) fn of_element(term: &Term) -> Option<Vec<KeyRange>> {
    let (array, condition) = term.filter.iter().next()?;
    let element = condition.as_document()?.get_document("$elemMatch").ok()?;
    let mut prefix: Vec<&str> = Vec::new();
    let mut last = Values::Some(Vec::new());
    for (path, _) in term.index.keys {
        let condition = within(path, array).and_then(|field| element.get(field));
        let Some(values) = condition.and_then(values) else {
            break;
        };
        if let Values::Some(values) = &last {
            // Before this field, there is one value each: else its values lie in many ranges.
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
        // Right after a text comes the same text and a NUL.
        Values::Some(values) => {
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
        Bson::String(value) => Some(Values::Some(vec![value])),
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
            Some(Values::Some(any.filter(|any| !any.is_empty())?))
        }
        _ => None,
    }
}

/// From one value on and before another, of the field after the prefix.
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
    use crate::mongo::terms::parts;

    fn ranges(query: Query) -> Option<Vec<KeyRange>> {
        let parts = parts(&query.render().unwrap());
        assert_eq!(parts.len(), 1, "{query}");
        of_element(&parts[0][0])
    }

    fn range(min: Document, max: Document) -> KeyRange {
        KeyRange { min, max }
    }

    #[test]
    fn a_version_a_path_and_what_lies_under_it_are_ranges_of_keys() {
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
        // What has no version is counted among all of the model.
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
    fn what_keys_alone_tell_needs_no_range() {
        assert_eq!(ranges(Query::new().with_input_model("churn", None)), None);
        assert_eq!(ranges(Query::new().with_exp_id("1")), None);
    }
}
