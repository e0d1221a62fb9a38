//! The columns of a table or CSV.

use std::str::FromStr;

use runlineage::Error;
use runlineage::query::Field;

/// A column: a field of a run, or the link to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnArg {
    /// As typed, trimmed. It is the header of the column.
    pub(crate) name: String,
    pub(crate) what: Column,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Column {
    Field(Field),
    Link,
}

impl ColumnArg {
    /// The column that `--ui-url` adds. It is not a field of the run.
    pub(crate) fn link() -> Self {
        Self {
            name: "url".into(),
            what: Column::Link,
        }
    }

    pub(crate) fn field(&self) -> Option<&Field> {
        match &self.what {
            Column::Field(field) => Some(field),
            Column::Link => None,
        }
    }
}

impl FromStr for ColumnArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = text.trim();
        if name == Self::link().name {
            return Ok(Self::link());
        }
        Ok(Self {
            name: name.to_owned(),
            what: Column::Field(name.parse()?),
        })
    }
}
