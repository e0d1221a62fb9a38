//! How results look: tables, JSON, CSV.

use std::borrow::Cow;

use bson::{Bson, DateTime};
use comfy_table::{ContentArrangement, Table, presets};

/// A table as wide as the terminal; in a pipe, as wide as its cells.
pub(crate) fn table(header: &[String], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|cell| printable_lines(cell)));
    }
    table
}

/// A text as a terminal may show it: what would command the terminal is spelled out.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable.into()
}

/// The lines of a cell stay.
fn printable_lines(cell: &str) -> String {
    let lines: Vec<_> = cell.split('\n').map(printable).collect();
    lines.join("\n")
}

/// Times that a text of four digits for the year can name.
const WRITABLE_MILLIS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// Keys of objects that look like indexes of arrays come first in JavaScript, and `__proto__` is no key at all.
fn is_moved_by_javascript(key: &str) -> bool {
    key == "__proto__" || (!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A filter as mongosh reads it: JSON, but for what JSON has no words for.
pub(crate) fn mongosh(value: &Bson) -> String {
    match value {
        Bson::Document(document) if document.is_empty() => "{}".into(),
        // JavaScript puts such keys elsewhere, a map keeps them where they are.
        Bson::Document(document) if document.keys().any(|key| is_moved_by_javascript(key)) => {
            let fields = document
                .iter()
                .map(|(key, value)| format!("[{}, {}]", quoted(key), mongosh(value)));
            format!("new Map([{}])", fields.collect::<Vec<_>>().join(", "))
        }
        Bson::Document(document) => {
            let fields = document
                .iter()
                .map(|(key, value)| format!("{}: {}", quoted(key), mongosh(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        Bson::Array(values) => format!(
            "[{}]",
            values.iter().map(mongosh).collect::<Vec<_>>().join(", ")
        ),
        Bson::String(text) => quoted(text),
        Bson::DateTime(date) => match date.try_to_rfc3339_string() {
            Ok(text) if WRITABLE_MILLIS.contains(&date.timestamp_millis()) => {
                format!("ISODate({})", quoted(&text))
            }
            _ => format!("new Date({})", date.timestamp_millis()),
        },
        Bson::Int64(number) => format!("Long(\"{number}\")"),
        Bson::Double(number) if number.is_nan() => "NaN".into(),
        Bson::Double(number) if number.is_infinite() => if *number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .into(),
        Bson::Double(number) if number.fract() == 0.0 => format!("Double({number})"),
        Bson::ObjectId(id) => format!("ObjectId(\"{id}\")"),
        other => other.clone().into_relaxed_extjson().to_string(),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A date for people: how long ago, and when.
pub(crate) fn ago(date: DateTime) -> String {
    let when = date.try_to_rfc3339_string().unwrap_or_default();
    let seconds = (DateTime::now().timestamp_millis() - date.timestamp_millis()) / 1000;
    match seconds {
        ..0 => format!("at {when}"),
        0..120 => format!("{seconds} s ago ({when})"),
        120..7_200 => format!("{} min ago ({when})", seconds / 60),
        7_200..172_800 => format!("{} h ago ({when})", seconds / 3_600),
        _ => format!("{} days ago ({when})", seconds / 86_400),
    }
}
