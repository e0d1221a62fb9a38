//! [`Refusal`]: why a question has no answer, and what to ask instead.

use rmcp::schemars::{self, JsonSchema};
use runlineage::Error;
use serde::Serialize;
use serde_json::{Value, json};

/// Why a question has no answer.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Refusal {
    /// What is wrong, and what to do.
    message: String,
    /// The argument that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    argument: Option<String>,
    /// The line of the error in the text of the argument, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// The column of the error in that line, in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    /// The existing names that are most like an unknown one. They come from the mirror, so they stand apart from the message.
    #[serde(skip)]
    nearest: Vec<Value>,
}

impl Refusal {
    pub(crate) fn of(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// An argument that cannot be used.
    pub(crate) fn argument(name: &'static str, reason: &str) -> Self {
        Self {
            argument: Some(name.to_owned()),
            ..Self::of(format!("{name}: {reason}"))
        }
    }

    /// Adds the existing names that are most like an unknown one.
    pub(crate) fn with_nearest(self, nearest: Vec<Value>) -> Self {
        Self { nearest, ..self }
    }

    /// What the mirror has of the names in question.
    pub(crate) fn data(&mut self) -> Option<Value> {
        let nearest = std::mem::take(&mut self.nearest);
        (!nearest.is_empty()).then(|| json!({ "nearest": nearest }))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match &error {
            Error::InvalidArgument {
                argument, position, ..
            } => Self {
                argument: Some((*argument).to_owned()),
                line: position.map(|position| position.line),
                column: position.map(|position| position.column),
                ..Self::of(error.to_string())
            },
            Error::Unsupported { .. } => Self::of(error.to_string()),
            // The cause may name servers, which are no business of an assistant, so only the log has it.
            _ => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "a question could not be answered");
                Self::of(error.to_string())
            }
        }
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        tracing::warn!(%error, "an answer could not be written");
        Self::of("the answer cannot be written as JSON")
    }
}
