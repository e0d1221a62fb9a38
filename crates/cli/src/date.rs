//! Dates and times in arguments.

use bson::DateTime;
use runlineage::Error;
use runlineage::query::parse_time_from;

use crate::connect::usage;

/// Parses a date, a date and time, or a span back from now, such as `7d`.
pub(crate) fn parse(argument: &'static str, text: &str) -> Result<DateTime, Error> {
    parse_from(argument, text, DateTime::now())
}

/// As [`parse`], with spans counted back from `now`.
pub(crate) fn parse_from(
    argument: &'static str,
    text: &str,
    now: DateTime,
) -> Result<DateTime, Error> {
    parse_time_from(text, now).map_err(|error| match error {
        Error::InvalidArgument { reason, .. } => usage(argument, reason),
        error => error,
    })
}
