//! The texts of table and CSV cells.

use bson::{Bson, Document};
use runlineage::query::Field;
use runlineage::text_of;

/// The text of a field. Tags, params and metrics have the text that MLflow shows.
pub(super) fn cell(document: &Document, field: &Field) -> String {
    let own = field
        .data()
        .and_then(|(root, key)| text_of(document, root, key));
    own.unwrap_or_else(|| at_path(document, &field.path()))
}

/// The text of all values at a dotted path, through arrays.
pub fn at_path(document: &Document, path: &str) -> String {
    let mut found = Vec::new();
    collect(document, path, &mut found);
    found
        .iter()
        .map(|value| text(value))
        .collect::<Vec<_>>()
        .join(" ")
}

fn collect<'a>(document: &'a Document, path: &str, found: &mut Vec<&'a Bson>) {
    if let Some(value) = document.get(path) {
        found.push(value);
        return;
    }
    for (end, _) in path.match_indices('.') {
        match document.get(&path[..end]) {
            Some(Bson::Document(inner)) => collect(inner, &path[end + 1..], found),
            Some(Bson::Array(elements)) => {
                for element in elements.iter().filter_map(Bson::as_document) {
                    collect(element, &path[end + 1..], found);
                }
            }
            _ => {}
        }
    }
}

/// The text of a value; for a document, the texts of its values.
pub fn value_text(value: &Bson) -> String {
    match value {
        Bson::Document(fields) => {
            let values = fields.values().map(text);
            values.collect::<Vec<_>>().join(" ")
        }
        value => text(value),
    }
}

fn text(value: &Bson) -> String {
    match value {
        Bson::String(text) => text.clone(),
        Bson::DateTime(date) => date
            .try_to_rfc3339_string()
            .unwrap_or_else(|_| date.to_string()),
        Bson::Null => "null".into(),
        // The shortest text that parses back into the number: `1e-300`, not 300 zeros.
        Bson::Double(number) if number.is_infinite() => if *number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .into(),
        Bson::Double(number) => format!("{number:?}"),
        other => other.clone().into_relaxed_extjson().to_string(),
    }
}
