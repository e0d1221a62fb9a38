//! Times as people write them.

use bson::DateTime;

use crate::error::{Error, Result};

/// The time that a text names: a date, a date and time (of this machine's zone unless it says which), or a span back from now.
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
    let now = jiff::ZonedDateTime::now();
    let timestamp = if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        Some(timestamp)
    } else if let Ok(date) = text.parse::<jiff::civil::DateTime>() {
        date.to_zoned_datetime(now.time_zone().clone())
            .ok()
            .map(|zoned| zoned.timestamp())
    } else {
        text.parse::<jiff::Span>()
            .ok()
            .and_then(|span| now.checked_sub(span.abs()).ok())
            .map(|zoned| zoned.timestamp())
    };
    let timestamp = timestamp.ok_or_else(|| {
        Error::invalid_argument("time", format!("{text:?} is neither a date nor a time span; write 2026-03-01, 2026-03-01T12:00:00Z, 7d or 12h"))
    })?;
    Ok(DateTime::from_millis(timestamp.as_millisecond()))
}
