//! Values of single arguments: pairs, durations, database names.

use std::str::FromStr;
use std::time::Duration;

/// A key and its value, written `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PairArg {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for PairArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("write KEY=VALUE, such as optimizer=adam".into()),
        }
    }
}

/// A duration such as `5m` or `1d`. A day has 24 hours.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let span = text.parse::<jiff::Span>().ok();
    let duration = span.and_then(|span| {
        let days = jiff::SpanRelativeTo::days_are_24_hours();
        Duration::try_from(span.to_duration(days).ok()?).ok()
    });
    duration
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "write a number with its unit, such as 60s, 5m, 1h or 1d".to_owned())
}

/// A duration of at least a second: passes in quicker succession would only load the servers.
pub(super) fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if interval < Duration::from_secs(1) {
        return Err("this interval is too short; the least is 1s".to_owned());
    }
    Ok(interval)
}

/// A database's name, by MongoDB's rules.
pub(super) fn parse_database(name: &str) -> Result<String, String> {
    let name = name.trim();
    let refused = |c: char| matches!(c, '/' | '\\' | '.' | ' ' | '"' | '$') || c.is_control();
    if name.is_empty() || name.len() > 63 || name.contains(refused) {
        return Err(
            "a MongoDB database name has 1 to 63 bytes, without / \\ . \" $ and spaces, such as runlineage".into(),
        );
    }
    Ok(name.to_owned())
}
