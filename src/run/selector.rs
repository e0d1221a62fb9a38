//! [`ExperimentSelector`]: an experiment by its id or its name.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Selects an experiment by its id or its name: `12` or `churn`. `id:12` and `name:churn` say which of the two is meant.
///
/// ```
/// use runlineage::ExperimentSelector;
///
/// let either = ExperimentSelector::from("12");
/// assert!(either.matches("12", "churn") && either.matches("7", "12"));
/// let id = ExperimentSelector::from("id:12");
/// assert!(id.matches("12", "churn") && !id.matches("7", "12"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExperimentSelector {
    /// Its id or its name.
    Either(String),
    /// Its id.
    Id(String),
    /// Its name.
    Name(String),
}

impl ExperimentSelector {
    /// Whether an experiment of this id and name is selected.
    #[must_use]
    pub fn matches(&self, id: &str, name: &str) -> bool {
        match self {
            Self::Either(text) => text == id || text == name,
            Self::Id(text) => text == id,
            Self::Name(text) => text == name,
        }
    }

    /// The id or the name.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Either(text) | Self::Id(text) | Self::Name(text) => text,
        }
    }
}

impl From<&str> for ExperimentSelector {
    fn from(text: &str) -> Self {
        if let Some(id) = text.strip_prefix("id:") {
            Self::Id(id.to_owned())
        } else if let Some(name) = text.strip_prefix("name:") {
            Self::Name(name.to_owned())
        } else {
            Self::Either(text.to_owned())
        }
    }
}

impl From<String> for ExperimentSelector {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl FromStr for ExperimentSelector {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl fmt::Display for ExperimentSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Either(text) => f.write_str(text),
            Self::Id(id) => write!(f, "id:{id}"),
            Self::Name(name) => write!(f, "name:{name}"),
        }
    }
}
