//! The columns of a table or CSV.

use std::str::FromStr;

use runlineage::Error;
use runlineage::query::Field;

/// A column: a field of a run, or the link to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedColumn {
    /// As typed, trimmed. It is the header of the column.
    pub name: String,
    /// What stands in the column.
    pub what: Column,
}

/// What stands in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// A field of the run.
    Field(Field),
    /// The page of the run in MLflow.
    Link,
}

impl NamedColumn {
    /// The link to the run. It is not a field of the run.
    pub fn link() -> Self {
        Self {
            name: "url".into(),
            what: Column::Link,
        }
    }

    /// The field; `None` for the link.
    pub fn field(&self) -> Option<&Field> {
        match &self.what {
            Column::Field(field) => Some(field),
            Column::Link => None,
        }
    }
}

impl FromStr for NamedColumn {
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
