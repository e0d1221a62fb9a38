//! The terms of lineage: a [`Node`] that lineage connects, the [`Direction`] in which a run refers to it, and the [`Origin`] of
//! that fact in MLflow.

mod builders;
mod kinds;
#[cfg(test)]
mod kinds_tests;
mod lineage;
mod text;

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

pub(crate) use builders::named_builders;
pub use kinds::{Detail, Kind, KindSpec};
pub use lineage::{Details, Inputs, Lineage, LineageInfo, Outputs};
pub(crate) use text::is_run_id;
pub use text::{ModelPointer, NodeArg, PointsTo};

/// A thing that lineage connects, such as a run, a version of a model, or a path among the artifacts of a run.
///
/// A node prints as a text and parses from it. The text percent-encodes `%`, and each separator inside a key or a version:
///
/// ```
/// use runlineage::Node;
///
/// let node = Node::model("churn", "3")?;
/// assert_eq!(node.to_string(), "model:churn:3");
/// assert_eq!("models:/churn/3".parse::<Node>()?, node);
/// assert_eq!(Node::model("a:b", None)?.to_string(), "model:a%3Ab");
/// assert_eq!(Node::artifact("8f2c", "data/x")?.to_string(), "artifact:8f2c/data/x");
/// # Ok::<(), runlineage::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    kind: Kind,
    // Walks clone nodes very often, so clones share their texts.
    key: Arc<str>,
    detail: Option<Arc<str>>,
}

/// Whether a run read or wrote a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The run read the node.
    Input,
    /// The run wrote the node.
    Output,
}

/// The record in MLflow that names a reference. The field `from` of a stored entry holds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// A lineage tag of the run.
    #[default]
    Tag,
    /// MLflow's registry of models, or its records of logged models.
    Registry,
    /// MLflow's own record of the run's inputs.
    Inputs,
    /// MLflow's own record of the run's outputs.
    Outputs,
    /// Metrics of a logged model that name the run.
    Metrics,
    /// An evaluation of a model by the run.
    Evaluate,
}

/// A node that a run read or wrote, and the origin of this fact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Whether the run read or wrote the node.
    pub direction: Direction,
    /// The node.
    pub node: Node,
    /// The record in MLflow that names the node.
    pub origin: Origin,
}

/// An invalid argument of a builder. Builders never fail: they keep the first one, and the first use of the value returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    Argument {
        argument: &'static str,
        reason: &'static str,
    },
    Unsupported {
        what: &'static str,
        hint: &'static str,
    },
}

impl Node {
    /// A node of this kind. An empty detail counts as none. A path loses its leading and trailing slashes, as in mlopus.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the key, such as a model's name, is empty, and for a detail of a kind that has none.
    pub fn new<'a>(kind: Kind, key: &str, detail: impl Into<Option<&'a str>>) -> Result<Self> {
        Self::checked(kind, key, detail.into()).map_err(|refused| refused.to_error())
    }

    /// A run.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn run(id: &str) -> Result<Self> {
        Self::new(Kind::RUN, id, None)
    }

    /// A model, or one version of it.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn model<'a>(name: &str, version: impl Into<Option<&'a str>>) -> Result<Self> {
        Self::new(Kind::MODEL, name, version)
    }

    /// The artifacts of a run, or a path among them.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn artifact<'a>(run_id: &str, path: impl Into<Option<&'a str>>) -> Result<Self> {
        Self::new(Kind::ARTIFACT, run_id, path)
    }

    /// A dataset, or one content of it.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn dataset<'a>(name: &str, digest: impl Into<Option<&'a str>>) -> Result<Self> {
        Self::new(Kind::DATASET, name, digest)
    }

    /// A logged model.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn logged_model(id: &str) -> Result<Self> {
        Self::new(Kind::LOGGED_MODEL, id, None)
    }

    /// A prompt, or one version of it.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn prompt<'a>(name: &str, version: impl Into<Option<&'a str>>) -> Result<Self> {
        Self::new(Kind::PROMPT, name, version)
    }

    /// The kind of the node.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The id or the name, such as a run's id or a model's name.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The same text as [`key`](Self::key), shared with the node.
    pub(crate) fn shared_key(&self) -> Arc<str> {
        Arc::clone(&self.key)
    }

    /// The same text as [`detail`](Self::detail), shared with the node.
    pub(crate) fn shared_detail(&self) -> Option<Arc<str>> {
        self.detail.clone()
    }

    /// The version or the path. In a query, `None` matches any of them. In lineage, `None` means that none is recorded.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// A node from a document or a tag. It is not checked, because no caller could correct it.
    pub(crate) fn stored(kind: Kind, key: &str, detail: Option<&str>) -> Self {
        Self {
            kind,
            key: key.into(),
            detail: detail.map(Arc::from),
        }
    }

    pub(crate) fn checked(kind: Kind, key: &str, detail: Option<&str>) -> Result<Self, Refused> {
        if key.is_empty() {
            return Err(Refused::argument(kind.spec().key_means, "it is empty"));
        }
        let detail = detail.map(|detail| match kind.has_paths() {
            true => detail.trim_matches('/'),
            false => detail,
        });
        let detail = detail.filter(|detail| !detail.is_empty());
        if detail.is_some() && kind.spec().detail.is_none() {
            let reason = "it has neither a version nor a path";
            return Err(Refused::argument(kind.spec().key_means, reason));
        }
        Ok(Self {
            kind,
            key: key.into(),
            detail: detail.map(Arc::from),
        })
    }
}

impl Direction {
    /// Both directions, inputs first.
    pub const BOTH: [Self; 2] = [Self::Input, Self::Output];

    /// The field of a run's document for this direction.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Input => "inputs",
            Self::Output => "outputs",
        }
    }

    pub(crate) fn of_field(field: &str) -> Option<Self> {
        Self::BOTH
            .into_iter()
            .find(|direction| direction.field() == field)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Output => "output",
        })
    }
}

impl Origin {
    /// Every origin.
    pub const ALL: [Self; 6] = [
        Self::Tag,
        Self::Registry,
        Self::Inputs,
        Self::Outputs,
        Self::Metrics,
        Self::Evaluate,
    ];

    /// The text of this origin in the field `from`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Registry => "registry",
            Self::Inputs => "inputs",
            Self::Outputs => "outputs",
            Self::Metrics => "metrics",
            Self::Evaluate => "evaluate",
        }
    }

    /// The origin of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.as_str() == word)
    }
}

impl Reference {
    /// A reference that a lineage tag records.
    pub(crate) fn tagged(direction: Direction, node: Node) -> Self {
        Self {
            direction,
            node,
            origin: Origin::Tag,
        }
    }
}

impl Refused {
    pub(crate) fn argument(argument: &'static str, reason: &'static str) -> Self {
        Self::Argument { argument, reason }
    }

    pub(crate) fn to_error(&self) -> Error {
        match self {
            Self::Argument { argument, reason } => Error::invalid_argument(argument, *reason),
            Self::Unsupported { what, hint } => Error::unsupported(*what, *hint),
        }
    }
}
