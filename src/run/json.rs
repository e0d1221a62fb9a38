//! A stored run as relaxed Extended JSON, straight from its bytes.

use std::io::Write as _;

use bson::raw::{RawArray, RawBsonRef, RawDocument};
use bson::{Bson, DateTime};

use super::Run;
use crate::error::Result;

impl Run {
    /// Appends the stored document as one line of relaxed Extended JSON, its fields in their own order.
    ///
    /// ```
    /// # use bson::doc;
    /// # use runlineage::Run;
    /// let run = Run::try_from(&doc! { "_id": "8f2c", "metrics": { "auc": 0.9, "steps": 3_i64 } })?;
    /// let mut line = Vec::new();
    /// run.write_json(&mut line)?;
    /// assert_eq!(line, br#"{"_id":"8f2c","metrics":{"auc":0.9,"steps":3}}"#);
    /// # Ok::<(), runlineage::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Document`](crate::Error::Document) when the stored bytes are not valid BSON.
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<()> {
        document(self.as_raw(), out).map_err(|error| self.malformed(error))
    }
}

type Written = Result<(), Box<dyn std::error::Error>>;

fn document(fields: &RawDocument, out: &mut Vec<u8>) -> Written {
    out.push(b'{');
    let mut first = true;
    for field in fields {
        let (name, field) = field?;
        if !first {
            out.push(b',');
        }
        first = false;
        text(name.as_str(), out)?;
        out.push(b':');
        value(field, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn array(elements: &RawArray, out: &mut Vec<u8>) -> Written {
    out.push(b'[');
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        value(element?, out)?;
    }
    out.push(b']');
    Ok(())
}

fn value(value: RawBsonRef<'_>, out: &mut Vec<u8>) -> Written {
    match value {
        RawBsonRef::String(value) => text(value, out)?,
        RawBsonRef::Document(value) => document(value, out)?,
        RawBsonRef::Array(value) => array(value, out)?,
        RawBsonRef::Int32(value) => write!(out, "{value}")?,
        RawBsonRef::Int64(value) => write!(out, "{value}")?,
        RawBsonRef::Double(value) if value.is_finite() => serde_json::to_writer(out, &value)?,
        RawBsonRef::Boolean(true) => out.extend_from_slice(b"true"),
        RawBsonRef::Boolean(false) => out.extend_from_slice(b"false"),
        RawBsonRef::Null => out.extend_from_slice(b"null"),
        RawBsonRef::DateTime(value) => date(value, out)?,
        // What no run of this program holds, as the library that owns the format writes it.
        other => serde_json::to_writer(out, &Bson::try_from(other)?.into_relaxed_extjson())?,
    }
    Ok(())
}

fn text(text: &str, out: &mut Vec<u8>) -> Written {
    let plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
    if text.as_bytes().iter().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return Ok(());
    }
    Ok(serde_json::to_writer(out, text)?)
}

/// Dates of the years 1970 to 9999 are written for people, others as their milliseconds.
fn date(date: DateTime, out: &mut Vec<u8>) -> Written {
    let millis = date.timestamp_millis();
    if (0..=253_402_300_799_999).contains(&millis) {
        write!(out, "{{\"$date\":\"{}\"}}", date.try_to_rfc3339_string()?)?;
    } else {
        write!(out, "{{\"$date\":{{\"$numberLong\":\"{millis}\"}}}}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;
    use bson::spec::BinarySubtype;
    use bson::{Binary, Bson, DateTime, Document, Regex, Timestamp, doc};
    use proptest::prelude::*;

    use crate::Run;

    fn written(document: &Document) -> String {
        let mut out = Vec::new();
        Run::try_from(document)
            .expect("it has an id")
            .write_json(&mut out)
            .expect("the bytes are BSON");
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    /// As text, in the document's order: a number read back from JSON may be the one beside it.
    fn expected(document: Document) -> String {
        Bson::Document(document).into_relaxed_extjson().to_string()
    }

    #[test]
    fn every_type_is_written_as_the_bson_library_writes_it() {
        let document = doc! {
            "_id": "8f2c", "é\"\\\n": "\u{1}\u{7f}😀\"", "nan": f64::NAN, "inf": f64::NEG_INFINITY, "zero": -0.0, "whole": 3.0, "tiny": 5e-324,
            "big": i64::MAX, "small": i64::MIN, "int": -7, "yes": true, "no": false, "null": Bson::Null, "empty": {}, "list": [1, [], {"a": [null]}],
            "now": DateTime::from_millis(1_700_000_000_123), "epoch": DateTime::from_millis(0), "whole_second": DateTime::from_millis(1_000),
            "before": DateTime::from_millis(-1), "last": DateTime::from_millis(253_402_300_799_999),
            "oid": ObjectId::from_bytes([7; 12]), "code": Bson::JavaScriptCode("x".into()), "min": Bson::MinKey,
            "bytes": Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2] },
            "pattern": Regex { pattern: "a".try_into().expect("no NUL"), options: "i".try_into().expect("no NUL") },
            "stamp": Timestamp { time: 1, increment: 2 },
        };
        assert_eq!(written(&document), expected(document));
    }

    #[test]
    fn a_date_past_the_year_9999_keeps_its_milliseconds() {
        // The bson library writes another date there.
        let date = DateTime::from_millis(253_402_300_800_000);
        assert_eq!(
            written(&doc! { "_id": "8f2c", "after": date }),
            r#"{"_id":"8f2c","after":{"$date":{"$numberLong":"253402300800000"}}}"#
        );
    }

    fn any_value() -> impl Strategy<Value = Bson> {
        let leaf = prop_oneof![
            any::<String>().prop_map(Bson::String),
            any::<i32>().prop_map(Bson::Int32),
            any::<i64>().prop_map(Bson::Int64),
            any::<f64>().prop_map(Bson::Double),
            any::<bool>().prop_map(Bson::Boolean),
            (-300_000_000_000_000_i64..253_402_300_800_000)
                .prop_map(|millis| Bson::DateTime(DateTime::from_millis(millis))),
            Just(Bson::Null),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Bson::Array),
                prop::collection::vec(("[^\0]{0,6}", inner), 0..6)
                    .prop_map(|fields| Bson::Document(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_a_run_holds_is_written_as_the_bson_library_writes_it(value in any_value()) {
            let document = doc! { "_id": "8f2c", "value": value };
            prop_assert_eq!(written(&document), expected(document));
        }
    }
}
