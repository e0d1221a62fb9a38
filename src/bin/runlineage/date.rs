//! Dates as people type them.

use bson::DateTime;
use jiff::{Span, Timestamp, ZonedDateTime, civil};
use runlineage::Error;

use crate::connect::usage;

/// A date and time, a date, or how long ago.
pub(crate) fn parse(argument: &'static str, text: &str) -> Result<DateTime, Error> {
    let now = ZonedDateTime::now();
    let parsed = if let Ok(timestamp) = text.parse::<Timestamp>() {
        Some(timestamp)
    } else if let Ok(date) = text.parse::<civil::DateTime>() {
        let zoned = date.to_zoned_datetime(now.time_zone().clone());
        zoned.ok().map(|zoned| zoned.timestamp())
    } else {
        let span = text.parse::<Span>().ok();
        let before = span.and_then(|span| now.checked_sub(span.abs()).ok());
        before.map(|zoned| zoned.timestamp())
    };
    let timestamp = parsed.ok_or_else(|| {
        usage(
            argument,
            format!(
                "{text:?} is neither a date nor a time span; write 2026-03-01, 2026-03-01T12:00:00Z, 7d or 12h"
            ),
        )
    })?;
    Ok(DateTime::from_millis(timestamp.as_millisecond()))
}
