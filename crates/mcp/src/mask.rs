//! Masks credentials in the addresses of an answer. What an assistant reads may leave the house.

use runlineage_answer::masked;
use serde_json::{Map, Value};

/// The value with credentials masked in each address, in keys too.
pub(crate) fn mask(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(masked(&text).into_owned()),
        Value::Array(values) => values.into_iter().map(mask).collect(),
        Value::Object(fields) => {
            let mut all = Map::new();
            for (key, value) in fields {
                insert_apart(&mut all, masked(&key).into_owned(), mask(value));
            }
            Value::Object(all)
        }
        other => other,
    }
}

/// Inserts the field under a key of its own. Two addresses may differ in their credentials alone.
pub(crate) fn insert_apart(fields: &mut Map<String, Value>, mut key: String, value: Value) {
    while fields.contains_key(&key) {
        key.push('\'');
    }
    fields.insert(key, value);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn credentials_are_masked_in_texts_lists_and_keys() {
        let value = json!({
            "source": ["s3://AKIA:secret@bucket/a", 1, null],
            "http://ana:pw1@host": { "note": "see http://ana:pw2@host/x?token=t" },
            "http://ben:pw3@host": true,
        });
        let masked = json!({
            "source": ["s3://***@bucket/a", 1, null],
            "http://***@host": { "note": "see http://***@host/x?token=***" },
            "http://***@host'": true,
        });
        assert_eq!(super::mask(value), masked);
    }
}
