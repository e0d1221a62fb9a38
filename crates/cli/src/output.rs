//! Rendering of results: tables, mongosh expressions, dates.

use std::borrow::Cow;

use bson::{Bson, DateTime};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

use crate::secret::masked;
use crate::terminal;

/// A table that is wider than the terminal may break longer words, but never ids.
const UNBROKEN_WIDTH: usize = 10;
const PADDING: usize = 2;

/// A table as wide as the terminal or `COLUMNS`. Without either, as in a pipe, it is as wide as its cells.
pub(crate) fn table(header: &[String], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(header);
    let mut least: Vec<usize> = header.iter().map(|name| least_width(name, false)).collect();
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| printable_lines(cell)).collect();
        for ((cell, name), least) in cells.iter().zip(header).zip(&mut least) {
            *least = least_width(cell, holds_ids(name)).max(*least);
        }
        table.add_row(cells);
    }
    if let Some(width) = terminal::width() {
        table
            .set_width(width)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_constraints(least.into_iter().map(|least| {
                let least = u16::try_from(least + PADDING).unwrap_or(u16::MAX);
                ColumnConstraint::LowerBoundary(Width::Fixed(least))
            }));
    }
    table
}

/// The least width that breaks no id and no short word of the cell.
fn least_width(cell: &str, is_id: bool) -> usize {
    let width = |word: &str| {
        let width = word.chars().count();
        if is_id || holds_id(word) {
            width
        } else {
            width.min(UNBROKEN_WIDTH)
        }
    };
    cell.split_whitespace().map(width).max().unwrap_or_default()
}

/// Whether a column of this name holds only ids.
fn holds_ids(name: &str) -> bool {
    name == "_id" || name == "run" || name.ends_with(".id")
}

/// Whether the word contains an id of MLflow, as `m-…` and links to runs do.
fn holds_id(word: &str) -> bool {
    let mut parts = word.split(|c: char| !c.is_ascii_hexdigit());
    parts.any(|part| part.len() == 32)
}

/// The text with control characters escaped, for terminals.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(terminal::is_unprintable) {
        return text.into();
    }
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' | '\r' | '\n' => printable.extend(c.escape_default()),
            c if terminal::is_unprintable(c) => printable.extend(c.escape_unicode()),
            c => printable.push(c),
        }
    }
    printable.into()
}

/// Keeps the line breaks of a cell and masks credentials.
fn printable_lines(cell: &str) -> String {
    let cell = masked(cell);
    let lines: Vec<_> = cell.split('\n').map(printable).collect();
    lines.join("\n")
}

/// Milliseconds of the years 1 to 9999, which `ISODate` can parse.
const ISO_DATE_MILLIS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// JavaScript moves keys that look like array indexes to the front of an object, and drops `__proto__`.
fn is_moved_by_javascript(key: &str) -> bool {
    key == "__proto__" || (!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A filter as an expression for mongosh: JSON, with constructors for values that JSON lacks.
pub(crate) fn mongosh(value: &Bson) -> String {
    match value {
        Bson::Document(document) if document.is_empty() => "{}".into(),
        // A `Map` keeps the order of keys that an object would move.
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
            Ok(text) if ISO_DATE_MILLIS.contains(&date.timestamp_millis()) => {
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

/// A date for people, such as `5 min ago (2026-03-01T12:00:00Z)`.
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
