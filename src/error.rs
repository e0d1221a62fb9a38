//! [`Error`]: the one error type of this crate.

mod mlflow_code;

use std::error::Error as StdError;

pub use mlflow_code::MlflowCode;

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed. `Display` says what failed and what to do; [`source`](StdError::source) is the cause.
///
/// No message holds a password, a token or a connection string. Variants may gain fields: match with `..`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An invalid argument, found before any request.
    #[error("{argument}: {reason}")]
    #[non_exhaustive]
    InvalidArgument {
        /// The argument, as the caller knows it.
        argument: &'static str,
        /// Why it is invalid, and what is accepted.
        reason: String,
        /// Where in the text of the argument the error is, if it is a text with a grammar.
        position: Option<TextPosition>,
    },

    /// A filter that this store cannot evaluate exactly, or that callers may not use.
    #[error("{what} is not supported: {hint}")]
    #[non_exhaustive]
    Unsupported {
        /// The operator or field.
        what: String,
        /// What to do instead.
        hint: String,
    },

    /// MongoDB refused a command, or did not answer.
    #[error("MongoDB: {doing}")]
    #[non_exhaustive]
    Mongo {
        /// What failed.
        doing: String,
        /// The error of the driver or the server.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The operation cannot use this database.
    #[error("database {database:?}: {reason}")]
    #[non_exhaustive]
    Database {
        /// The database's name.
        database: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },

    /// A migration cannot be applied.
    #[error("migration {name}: {reason}")]
    #[non_exhaustive]
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
    #[non_exhaustive]
    Leased {
        /// What the lease protects.
        what: &'static str,
        /// The process that holds it.
        holder: String,
        /// When the lease ends if it is not renewed.
        until: String,
    },

    /// This process was suspended for longer than its lease lasted, so another process may have begun the same work.
    #[error(
        "the lease of {what} expired before this process renewed it, so the work was stopped; run it again"
    )]
    #[non_exhaustive]
    LeaseLost {
        /// What the lease protected.
        what: String,
    },

    /// A stored document that is not a run, or lacks a field.
    #[error("document {id} of collection `runs`: {reason}")]
    #[non_exhaustive]
    Document {
        /// The document's `_id`, as text.
        id: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The tracking server answered with an error.
    #[error("MLflow: {call} {url}: {answer}")]
    #[non_exhaustive]
    Mlflow {
        /// The REST call, such as `runs/search`.
        call: &'static str,
        /// The URL asked, without credentials.
        url: String,
        /// The HTTP status.
        status: u16,
        /// MLflow's error code; `None` for an answer without one, such as that of a proxy or a login page.
        code: Option<MlflowCode>,
        /// The answer, with MLflow's own message, and what to do.
        answer: String,
    },

    /// The server answered with success, but not as a tracking server does: with a web page, or with truncated JSON.
    #[error("MLflow: {call} {url}: {answer}")]
    #[non_exhaustive]
    MlflowProtocol {
        /// The REST call, such as `runs/search`.
        call: &'static str,
        /// The URL asked, without credentials.
        url: String,
        /// How the answer differs from MLflow's.
        answer: String,
        /// The error of the parser; `None` for an answer that was parsed, but contradicts the request.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },

    /// An answer of the tracking server exceeds the size limit.
    #[error("MLflow: {call}: the answer is over the limit of {bytes} bytes")]
    #[non_exhaustive]
    PageTooLarge {
        /// The REST call, such as `runs/search`.
        call: &'static str,
        /// The limit.
        bytes: usize,
    },

    /// The tracking server could not be reached.
    #[error("MLflow: {call} {url}: no answer")]
    #[non_exhaustive]
    MlflowUnreachable {
        /// The REST call, such as `runs/search`.
        call: &'static str,
        /// The URL asked, without credentials.
        url: String,
        /// The error of the network.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The run is deleted in MLflow, so no lineage can be registered on it.
    #[error("run {run} is deleted in MLflow; restore it first")]
    #[non_exhaustive]
    RunDeleted {
        /// The run.
        run: String,
    },

    /// Another program overwrote the lineage tags after every attempt to set them.
    #[error(
        "another program overwrote the lineage tags of run {run} {attempts} times; register again when that program has ended"
    )]
    #[non_exhaustive]
    TagsOverwritten {
        /// The run.
        run: String,
        /// How many times the tags were set.
        attempts: usize,
    },

    /// MLflow has the lineage tags, but the mirror could not be written.
    #[error(
        "MLflow has the lineage of run {run}, but the mirror could not be written; the next sync mirrors it"
    )]
    #[non_exhaustive]
    MirrorBehind {
        /// The run.
        run: String,
        /// Why the mirror could not be written.
        source: Box<Self>,
    },

    /// A failure of a file, a folder, a process or a socket of this machine.
    #[error("{doing}")]
    #[non_exhaustive]
    Io {
        /// What failed, with the path.
        doing: String,
        /// The error of the system.
        source: std::io::Error,
    },
}

/// A place in a text, counted in characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TextPosition {
    /// The line.
    pub line: usize,
    /// The column in that line.
    pub column: usize,
}

/// What has to change before a failed operation can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// Nothing: the same request may succeed when it is repeated.
    Retry,
    /// Something outside this process, such as a server, another program or a setting. A later pass may succeed.
    Outside,
    /// The version of this program.
    Upgrade,
}

impl Error {
    /// An [`Error::InvalidArgument`].
    pub fn invalid_argument(argument: &'static str, reason: impl Into<String>) -> Self {
        Self::InvalidArgument {
            argument,
            reason: reason.into(),
            position: None,
        }
    }

    /// The same error, with this position in the text of the argument.
    pub(crate) fn at(mut self, at: TextPosition) -> Self {
        if let Self::InvalidArgument { position, .. } = &mut self {
            *position = Some(at);
        }
        self
    }

    /// The same error, with the name that the caller gives to the argument.
    #[must_use]
    pub fn of_argument(mut self, name: &'static str) -> Self {
        if let Self::InvalidArgument { argument, .. } = &mut self {
            *argument = name;
        }
        self
    }

    /// An [`Error::Unsupported`].
    pub fn unsupported(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unsupported {
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// Whether this is a transient error of MLflow: the same request may succeed when it is repeated.
    ///
    /// Errors of MongoDB are never transient here. The store has already retried them for as long as an election takes.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.remedy() == Remedy::Retry
    }

    /// Whether this process can never succeed, whatever changes in MLflow or MongoDB.
    pub(crate) fn is_permanent(&self) -> bool {
        self.remedy() == Remedy::Upgrade
    }

    fn remedy(&self) -> Remedy {
        match self {
            Self::Mlflow { status, code, .. } => {
                if is_transient_answer(*status, code.as_ref()) {
                    Remedy::Retry
                } else {
                    Remedy::Outside
                }
            }
            // An answer that could not be parsed may be truncated, or from a proxy. A retry may bring the server's own answer.
            Self::MlflowProtocol { source, .. } => {
                if source.is_some() {
                    Remedy::Retry
                } else {
                    Remedy::Outside
                }
            }
            Self::MlflowUnreachable { .. } => Remedy::Retry,
            Self::Mongo { .. }
            | Self::Leased { .. }
            | Self::LeaseLost { .. }
            | Self::Document { .. }
            | Self::PageTooLarge { .. }
            | Self::RunDeleted { .. }
            | Self::TagsOverwritten { .. }
            | Self::MirrorBehind { .. }
            // MLflow may list a missing name later, and an operator can remove documents of other programs.
            | Self::InvalidArgument { .. }
            | Self::Unsupported { .. }
            | Self::Database { .. }
            | Self::Io { .. } => Remedy::Outside,
            Self::Migration { .. } => Remedy::Upgrade,
        }
    }
}

/// Whether MLflow's code is transient. For any other code, whether MLflow's own clients retry the HTTP status.
fn is_transient_answer(status: u16, code: Option<&MlflowCode>) -> bool {
    match (status, code) {
        (
            _,
            Some(
                MlflowCode::InternalError
                | MlflowCode::TemporarilyUnavailable
                | MlflowCode::DeadlineExceeded
                | MlflowCode::RequestLimitExceeded
                | MlflowCode::ResourceExhausted,
            ),
        ) => true,
        // MLflow answers some permanent errors with status 500 too, such as FEATURE_DISABLED.
        (500, Some(_)) => false,
        (status, _) => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, MlflowCode};

    fn answer(status: u16, code: Option<&str>) -> Error {
        Error::Mlflow {
            call: "runs/search",
            url: "http://localhost".into(),
            status,
            code: code.map(MlflowCode::from),
            answer: "words".into(),
        }
    }

    fn protocol(source: Option<&str>) -> Error {
        Error::MlflowProtocol {
            call: "runs/search",
            url: "http://localhost".into(),
            answer: "words".into(),
            source: source.map(Into::into),
        }
    }

    #[test]
    fn errors_that_mlflows_own_clients_retry_are_transient() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(answer(status, None).is_transient(), "{status}");
        }
        for status in [302, 400, 401, 403, 404, 409, 501] {
            assert!(!answer(status, None).is_transient(), "{status}");
        }
        for (status, code, expected) in [
            (500, "INTERNAL_ERROR", true),
            (503, "TEMPORARILY_UNAVAILABLE", true),
            (429, "REQUEST_LIMIT_EXCEEDED", true),
            (503, "A_CODE_OF_A_PROXY", true),
            (500, "FEATURE_DISABLED", false),
            (500, "INVALID_STATE", false),
            (404, "RESOURCE_DOES_NOT_EXIST", false),
        ] {
            let error = answer(status, Some(code));
            assert_eq!(error.is_transient(), expected, "{status} {code}");
        }
    }

    #[test]
    fn a_truncated_answer_is_transient_and_one_that_contradicts_the_request_is_not() {
        assert!(protocol(Some("end of file")).is_transient());
        assert!(!protocol(None).is_transient());
    }

    #[test]
    fn only_an_error_that_needs_another_version_of_this_program_is_permanent() {
        let refused = answer(403, Some("PERMISSION_DENIED"));
        let lost = Error::LeaseLost { what: "it".into() };
        let argument = Error::invalid_argument("experiment", "MLflow shows none of this name");
        let other_source = Error::Database {
            database: "d".into(),
            reason: "it mirrors another server".into(),
        };
        for error in [refused, protocol(None), lost, argument, other_source] {
            assert!(!error.is_permanent() && !error.is_transient(), "{error}");
        }
        let newer = Error::Migration {
            name: "9999_later".into(),
            reason: "it is of a newer program".into(),
        };
        assert!(newer.is_permanent() && !newer.is_transient(), "{newer}");
    }
}
