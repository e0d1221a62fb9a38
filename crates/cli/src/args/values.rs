//! What single arguments hold, parsed once: pairs, durations, names of databases.

use std::str::FromStr;
use std::time::Duration;

/// A key and its value.
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

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<jiff::SignedDuration>().ok();
    let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
    duration
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "write a number with its unit, such as 60s, 5m or 1h".to_owned())
}

/// A database's name, by MongoDB's rules.
pub(super) fn parse_database(name: &str) -> Result<String, String> {
    let name = name.trim();
    let refused = |c: char| matches!(c, '/' | '\\' | '.' | ' ' | '"' | '$') || c.is_control();
    if name.is_empty() || name.len() > 63 || name.contains(refused) {
        return Err(
            "MongoDB names a database by 1 to 63 bytes without / \\ . \" $ and spaces, such as runlineage".into(),
        );
    }
    Ok(name.to_owned())
}
