//! Masks credentials in the addresses of an answer. What an assistant reads may leave the house.

use std::borrow::Cow;

use runlineage::Node;
use runlineage_answer::masked;
use serde_json::{Map, Value};

/// The value with credentials masked in each address, in keys too.
pub(crate) fn mask(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(mask_text(&text).into_owned()),
        Value::Array(values) => values.into_iter().map(mask).collect(),
        Value::Object(fields) => {
            let mut all = Map::new();
            for (key, value) in fields {
                insert_apart(&mut all, mask_text(&key).into_owned(), mask(value));
            }
            Value::Object(all)
        }
        other => other,
    }
}

/// The parts of a node are masked apart: its text encodes a colon in a name, and an `@` joins the parts of a dataset.
fn mask_text(text: &str) -> Cow<'_, str> {
    if !text.contains("//") {
        return text.into();
    }
    let node = text.parse::<Node>().ok();
    let Some(node) = node.filter(|node| node.to_string() == text) else {
        return masked(text);
    };
    let (key, detail) = (masked(node.key()), node.detail().map(masked));
    match Node::new(node.kind(), &key, detail.as_deref()) {
        Ok(node) => node.to_string().into(),
        Err(_) => masked(text),
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
            "id": "model:s3%3A//AKIA%3Asecret@bucket:s3%3A//AKIA%3Asecret@bucket",
            "from": "dataset:http://a.example@http://a.example",
        });
        let masked = json!({
            "source": ["s3://***@bucket/a", 1, null],
            "http://***@host": { "note": "see http://***@host/x?token=***" },
            "http://***@host'": true,
            "id": "model:s3%3A//***@bucket:s3%3A//***@bucket",
            "from": "dataset:http://a.example@http://a.example",
        });
        assert_eq!(super::mask(value), masked);
    }
}
