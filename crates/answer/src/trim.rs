//! Reduces runs to the requested columns, and MLflow's exact texts to those of the columns.

use bson::{Bson, Document};
use runlineage::Run;
use runlineage::query::Field;

use super::NamedColumn;

/// The projection of the columns. No field of it contains another one, which MongoDB would refuse.
pub fn projection(columns: &[NamedColumn]) -> Document {
    let mut fields: Vec<String> = columns
        .iter()
        .filter_map(NamedColumn::field)
        .flat_map(Field::stored_in)
        .collect();
    if columns.iter().any(|column| column.field().is_none()) {
        // The link contains the id of the experiment.
        fields.push("exp".to_owned());
    }
    let is_within = |field: &str, other: &String| {
        let rest = field.strip_prefix(other.as_str());
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    let outer = fields
        .iter()
        .filter(|field| !fields.iter().any(|other| is_within(field, other)));
    outer.map(|field| (field.clone(), Bson::Int32(1))).collect()
}

/// The run without the entries of `mirror` that are about other keys than those of the columns.
pub(super) fn to_columns(run: &Run, columns: &[NamedColumn]) -> runlineage::Result<Run> {
    let is_of_mirror = |column: &NamedColumn| {
        let path = column.field().map(Field::path).unwrap_or_default();
        path.split('.').next() == Some("mirror")
    };
    if columns.iter().any(is_of_mirror) {
        return Ok(run.clone());
    }
    let keys: Vec<(&str, &str)> = columns
        .iter()
        .filter_map(|column| column.field()?.data())
        .collect();
    let mut document = run.to_document()?;
    if let Some(Bson::Document(mirror)) = document.remove("mirror") {
        let lists = mirror.into_iter();
        let lists = lists.filter_map(|(list, roots)| Some((list, of_keys(roots, &keys)?)));
        let mirror: Document = lists.collect();
        if !mirror.is_empty() {
            document.insert("mirror", mirror);
        }
    }
    Run::try_from(&document)
}

/// The entries of these keys in a list under `mirror`, such as the exact texts. `None` if there are none.
fn of_keys(roots: Bson, keys: &[(&str, &str)]) -> Option<Bson> {
    let Bson::Document(roots) = roots else {
        return None;
    };
    let left = roots.into_iter().filter_map(|(root, entries)| {
        let Bson::Array(mut entries) = entries else {
            return None;
        };
        entries.retain(|entry| {
            let key = entry
                .as_document()
                .and_then(|entry| entry.get_str("key").ok());
            key.is_some_and(|key| keys.contains(&(root.as_str(), key)))
        });
        (!entries.is_empty()).then_some((root, Bson::from(entries)))
    });
    let left: Document = left.collect();
    (!left.is_empty()).then_some(left.into())
}
