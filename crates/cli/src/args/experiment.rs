//! An experiment by its id or its name, or by the one that is meant.

use std::convert::Infallible;
use std::str::FromStr;

use runlineage::Query;

/// An experiment: `12` or `churn`, and `id:12` or `name:churn` where one could be taken for the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExperimentArg {
    Either(String),
    Id(String),
    Name(String),
}

impl ExperimentArg {
    pub(crate) fn query(&self) -> Query {
        match self {
            Self::Either(text) => Query::new().with_exp(text),
            Self::Id(id) => Query::new().with_exp_id(id),
            Self::Name(name) => Query::new().with_exp_name(name),
        }
    }

    /// The id or the name.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Either(text) | Self::Id(text) | Self::Name(text) => text,
        }
    }
}

impl FromStr for ExperimentArg {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if let Some(id) = text.strip_prefix("id:") {
            Self::Id(id.to_owned())
        } else if let Some(name) = text.strip_prefix("name:") {
            Self::Name(name.to_owned())
        } else {
            Self::Either(text.to_owned())
        })
    }
}
