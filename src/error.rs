//! The one error type: what was under way, and what to do about it.

use std::error::Error as StdError;

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong. `Display` says what was under way; [`source`](StdError::source) says what came of it.
///
/// No message holds a password, a token or a connection string.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument that cannot mean anything, found before anything was sent.
    #[error("{argument}: {reason}")]
    Argument {
        /// The argument, as the caller knows it.
        argument: &'static str,
        /// Why it is refused, and what would be accepted.
        reason: String,
    },

    /// A filter that this store cannot evaluate exactly, or that is not allowed from outside.
    #[error("{what} is not supported: {hint}")]
    Unsupported {
        /// The operator or field.
        what: String,
        /// What to do instead.
        hint: String,
    },

    /// MongoDB refused or did not answer.
    #[error("MongoDB: {doing}")]
    Mongo {
        /// What was under way.
        doing: String,
        /// What the driver or the server said.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The database is not one that this operation can work on.
    #[error("database {database:?}: {reason}")]
    Database {
        /// The database's name.
        database: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },

    /// A migration cannot be applied.
    #[error("migration {name}: {reason}")]
    Migration {
        /// The migration's file name without its ending.
        name: String,
        /// What is wrong, and what to do.
        reason: String,
    },

    /// Another process holds the lease.
    #[error(
        "{what} is already under way: {holder} holds the lease until {until}; try again then, or stop that process"
    )]
    Leased {
        /// What the lease protects.
        what: &'static str,
        /// The process that holds it.
        holder: String,
        /// When the lease ends if it is not renewed.
        until: String,
    },

    /// A stored document that is not a run, or lacks what was asked of it.
    #[error("document {id} of collection `runs`: {reason}")]
    Document {
        /// The document's `_id`, as text.
        id: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The tracking server answered with an error, or with something that is not MLflow.
    #[error("MLflow: {call} {url}: {answer}")]
    Mlflow {
        /// The REST call, such as `runs/search`.
        call: &'static str,
        /// The URL asked, without credentials.
        url: String,
        /// What was answered, with MLflow's own words.
        answer: String,
        /// MLflow's `error_code`, or the HTTP status as text where there is none.
        code: String,
    },

    /// One answer of the tracking server is larger than this program holds.
    #[error("MLflow: {call}: an answer of over {bytes} bytes")]
    PageTooLarge {
        /// The REST call, such as `runs/search`.
        call: &'static str,
        /// The bound.
        bytes: usize,
    },

    /// The tracking server could not be asked.
    #[error("MLflow: {call} {url}: no answer")]
    MlflowUnreachable {
        /// The REST call, such as `runs/search`.
        call: &'static str,
        /// The URL asked, without credentials.
        url: String,
        /// What the network said.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// MLflow took the lineage tags, but the mirror could not be written.
    #[error(
        "MLflow holds the lineage of run {run} now, the mirror does not yet: the next sync brings it in"
    )]
    MirrorBehind {
        /// The run.
        run: String,
        /// Why the mirror could not be written.
        source: Box<Self>,
    },

    /// A file, a folder, a process or a socket of this machine.
    #[error("{doing}")]
    Io {
        /// What was under way, with the path.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn argument(argument: &'static str, reason: impl Into<String>) -> Self {
        Self::Argument {
            argument,
            reason: reason.into(),
        }
    }

    /// Whether MLflow failed in a way that passes by itself, and still did after the retries.
    pub(crate) fn is_passing(&self) -> bool {
        const PASSING: [&str; 11] = [
            "408",
            "429",
            "500",
            "502",
            "503",
            "504",
            "INTERNAL_ERROR",
            "TEMPORARILY_UNAVAILABLE",
            "DEADLINE_EXCEEDED",
            "REQUEST_LIMIT_EXCEEDED",
            "RESOURCE_EXHAUSTED",
        ];
        match self {
            Self::Mlflow { code, .. } => PASSING.contains(&code.as_str()),
            Self::MlflowUnreachable { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn unsupported(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unsupported {
            what: what.into(),
            hint: hint.into(),
        }
    }
}
