//! Dates as people type them.

use bson::DateTime;
use runlineage::Error;
use runlineage::query::parse_time;

use crate::connect::usage;

/// A date and time, a date, or how long ago.
pub(crate) fn parse(argument: &'static str, text: &str) -> Result<DateTime, Error> {
    parse_time(text).map_err(|error| match error {
        Error::InvalidArgument { reason, .. } => usage(argument, reason),
        error => error,
    })
}
