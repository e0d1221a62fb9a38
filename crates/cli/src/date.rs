//! Dates as people type them.

use bson::DateTime;
use runlineage::Error;
use runlineage::query::parse_time_from;

use crate::connect::usage;

/// A date and time, a date, or how long ago.
pub(crate) fn parse(argument: &'static str, text: &str) -> Result<DateTime, Error> {
    parse_from(argument, text, DateTime::now())
}

/// The same, with what is so long ago counted back from this moment.
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
