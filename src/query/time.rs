//! Parses times as users write them.

use bson::DateTime;

use crate::error::{Error, Result};

/// Parses a date, a date and time, or a span before now such as `7d`. A time without a zone is in UTC.
///
/// ```
/// # use runlineage::query::parse_time;
/// assert_eq!(parse_time("2026-03-01T12:00:00Z")?.timestamp_millis(), 1_772_366_400_000);
/// assert!(parse_time("7d").is_ok() && parse_time("yesterday").is_err());
/// # Ok::<(), runlineage::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidArgument`] if the text is none of these.
pub fn parse_time(text: &str) -> Result<DateTime> {
    parse_time_from(text, DateTime::now())
}

/// Like [`parse_time`], but spans count back from `now`, such as the time of a server.
///
/// # Errors
/// As [`parse_time`].
pub fn parse_time_from(text: &str, now: DateTime) -> Result<DateTime> {
    let timestamp = if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        Some(timestamp)
    } else if let Ok(date) = text.parse::<jiff::civil::DateTime>() {
        // UTC, because every printed time is in UTC as well.
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
        return format!("{shown:?} lies past the year 9999, the last year that dates can hold");
    }
    format!(
        "{shown:?} is neither a time nor a span before now; write 2026-03-01, 2026-03-01T12:00:00Z, 7d or 12h"
    )
}
