//! Decodes the text of a tag or param as mlopus does, and encodes a value as Python's `json.dumps` does.

use std::fmt::Write as _;

use bson::{Bson, Document};
use jiter::JsonValue;

/// The maximum nesting of a decoded value. BSON and its readers limit the depth of a document, and the key takes a part
/// of it.
const MAX_DEPTH: usize = 50;

/// Parses a text as JSON after replacing doubled quotes. `None` if the text is no JSON; the text is then the value.
///
/// Also `None` for JSON that BSON cannot store or a plain filter cannot query: integers beyond 64 bits, numbers that are
/// not finite, nesting over 50, and object keys that are empty, start with `$`, or hold a dot or NUL.
pub(crate) fn decode(text: &str) -> Option<Bson> {
    let first = *text.as_bytes().first()?;
    // Most params are plain words. Their first byte tells, without a parse, that they are not JSON.
    if !matches!(
        first,
        b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b' ' | b'\t' | b'\n' | b'\r'
    ) {
        return None;
    }
    let parsed = if text.contains("''") {
        JsonValue::parse_owned(
            undouble_quotes(text).as_bytes(),
            false,
            jiter::PartialMode::Off,
        )
    } else {
        JsonValue::parse(text.as_bytes(), false)
    };
    to_bson(&parsed.ok()?, 0)
}

/// The text in MLflow of a decoded value, unless `mirror.text` has another one.
pub(crate) fn encode(value: &Bson) -> String {
    match value {
        Bson::String(text) if decode(text).is_none() => text.clone(),
        _ => dumps(value),
    }
}

/// Encodes a value as Python's `json.dumps` does: in ASCII, with a space after `,` and `:`.
pub(crate) fn dumps(value: &Bson) -> String {
    let mut out = String::new();
    dump(value, &mut out);
    out
}

pub(crate) fn double_quotes(text: &str) -> String {
    text.replace('\'', "''")
}

pub(crate) fn undouble_quotes(text: &str) -> String {
    text.replace("''", "'")
}

fn to_bson(value: &JsonValue<'_>, depth: usize) -> Option<Bson> {
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match value {
        JsonValue::Null => Bson::Null,
        JsonValue::Bool(value) => Bson::Boolean(*value),
        JsonValue::Int(value) => i32::try_from(*value).map_or(Bson::Int64(*value), Bson::Int32),
        JsonValue::BigInt(_) => return None,
        JsonValue::Float(value) if value.is_finite() => Bson::Double(*value),
        JsonValue::Float(_) => return None,
        JsonValue::Str(value) => Bson::String(value.to_string()),
        JsonValue::Array(values) => Bson::Array(
            values
                .iter()
                .map(|value| to_bson(value, depth + 1))
                .collect::<Option<_>>()?,
        ),
        JsonValue::Object(entries) => {
            let mut document = Document::new();
            for (key, value) in entries.iter() {
                if key.is_empty() || key.starts_with('$') || key.contains(['.', '\0']) {
                    return None;
                }
                document.insert(key.as_ref(), to_bson(value, depth + 1)?);
            }
            Bson::Document(document)
        }
    })
}

fn dump(value: &Bson, out: &mut String) {
    match value {
        Bson::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Bson::Int32(value) => {
            let _ = write!(out, "{value}");
        }
        Bson::Int64(value) => {
            let _ = write!(out, "{value}");
        }
        Bson::Double(value) => dump_float(*value, out),
        Bson::String(value) => dump_string(value, out),
        Bson::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                dump(value, out);
            }
            out.push(']');
        }
        Bson::Document(document) => {
            out.push('{');
            for (index, (key, value)) in document.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                dump_string(key, out);
                out.push_str(": ");
                dump(value, out);
            }
            out.push('}');
        }
        // Decoded JSON has no other types.
        _ => out.push_str("null"),
    }
}

fn dump_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// Writes a float as Python's `repr` does: the shortest digits, with an exponent below 1e-4 and from 1e16 on.
fn dump_float(value: f64, out: &mut String) {
    if !value.is_finite() {
        out.push_str(match value {
            _ if value.is_nan() => "NaN",
            _ if value > 0.0 => "Infinity",
            _ => "-Infinity",
        });
        return;
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        let _ = write!(out, "{value:?}");
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{digits}e{sign}{:02}", exponent.abs());
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, bson};

    use super::{decode, dumps, encode};

    #[test]
    fn json_is_decoded_and_every_other_text_is_the_value() {
        let decoded: Vec<_> = [
            "3",
            "0.50",
            "true",
            "null",
            r#""abc""#,
            r#"["1", "it''s"]"#,
            r#"{"a": {"b": 1}}"#,
        ]
        .map(decode)
        .into();
        let expected = vec![
            Some(Bson::Int32(3)),
            Some(Bson::Double(0.5)),
            Some(Bson::Boolean(true)),
            Some(Bson::Null),
            Some(bson!("abc")),
            Some(bson!(["1", "it's"])),
            Some(bson!({ "a": { "b": 1 } })),
        ];
        assert_eq!(decoded, expected);
        for text in [
            "",
            "adam",
            "''",
            "it''s",
            "NaN",
            "Infinity",
            "1e999",
            "12345678901234567890",
            "01",
            "'1'",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn json_that_bson_cannot_query_stays_a_text_as_a_whole() {
        let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
        for text in [
            r#"{"": 1}"#,
            r#"{"$oid": 1}"#,
            r#"{"a.b": 1}"#,
            r#"{"a\u0000": 1}"#,
            r#"[{"x": 1e999}]"#,
            &deep,
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn a_value_encodes_as_in_python() {
        let cases = [
            ("1.0", "1.0"),
            ("1e16", "1e+16"),
            ("123456789012345.6", "123456789012345.6"),
            ("1e15", "1000000000000000.0"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1.5e300", "1.5e+300"),
            ("-0.0", "-0.0"),
            ("5e-324", "5e-324"),
            (r#""é😀\u007f""#, r#""\u00e9\ud83d\ude00\u007f""#),
            (
                r#"{"b":1,"a":[null,true]}"#,
                r#"{"b": 1, "a": [null, true]}"#,
            ),
            (r#"{"a":1,"b":2,"a":3}"#, r#"{"a": 3, "b": 2}"#),
        ];
        for (text, expected) in cases {
            assert_eq!(
                decode(text).as_ref().map(dumps).as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn an_encoded_string_decodes_to_itself() {
        for value in ["adam", "123", "\"", "[1]", "null", "", "it's", "''"] {
            let value = Bson::from(value);
            let text = encode(&value);
            assert_eq!(
                decode(&text).unwrap_or_else(|| Bson::from(text.as_str())),
                value,
                "{text}"
            );
        }
    }
}
