//! Times as people write them.

use bson::DateTime;

use crate::error::{Error, Result};

/// The time that a text names: a date, a date and time (in UTC unless it says which zone), or a span back from now.
///
/// ```
/// # use runlineage::query::parse_time;
/// assert_eq!(parse_time("2026-03-01T12:00:00Z")?.timestamp_millis(), 1_772_366_400_000);
/// assert!(parse_time("7d").is_ok() && parse_time("yesterday").is_err());
/// # Ok::<(), runlineage::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidArgument`] when it is none of these.
pub fn parse_time(text: &str) -> Result<DateTime> {
    parse_time_from(text, DateTime::now())
}

/// Like [`parse_time`], with spans back from this moment, such as a server's own time.
///
/// # Errors
/// As [`parse_time`].
pub fn parse_time_from(text: &str, now: DateTime) -> Result<DateTime> {
    let timestamp = if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        Some(timestamp)
    } else if let Ok(date) = text.parse::<jiff::civil::DateTime>() {
        // One rule everywhere: what is printed is in UTC, and so is what is typed.
        let zoned = date.to_zoned_datetime(jiff::tz::TimeZone::UTC);
        zoned.ok().map(|zoned| zoned.timestamp())
    } else {
        let now = jiff::Timestamp::from_millisecond(now.timestamp_millis()).ok();
        let now = now.map(|now| now.to_zoned_datetime(jiff::tz::TimeZone::UTC));
        let span = text.parse::<jiff::Span>().ok();
        let then = span.and_then(|span| now?.checked_sub(span.abs()).ok());
        then.map(|then| then.timestamp())
    };
    let timestamp = timestamp.ok_or_else(|| Error::invalid_argument("time", unreadable(text)))?;
    Ok(DateTime::from_millis(timestamp.as_millisecond()))
}

fn unreadable(text: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 4 && text.as_bytes().get(digits) == Some(&b'-') {
        return format!("{shown:?} lies past the year 9999, the last one that dates can hold");
    }
    format!(
        "{shown:?} is neither a time nor a span back from now; write 2026-03-01, 2026-03-01T12:00:00Z, 7d or 12h"
    )
}
