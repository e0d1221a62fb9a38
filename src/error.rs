//! The one error type: what was under way, and what to do about it.

mod mlflow_code;

use std::error::Error as StdError;

pub use mlflow_code::MlflowCode;

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong. `Display` says what was under way; [`source`](StdError::source) says what came of it.
///
/// No message holds a password, a token or a connection string. Variants may gain fields: match with `..`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument that cannot mean anything, found before anything was sent.
    #[error("{argument}: {reason}")]
    #[non_exhaustive]
    InvalidArgument {
        /// The argument, as the caller knows it.
        argument: &'static str,
        /// Why it is refused, and what would be accepted.
        reason: String,
    },

    /// A filter that this store cannot evaluate exactly, or that is not allowed from outside.
    #[error("{what} is not supported: {hint}")]
    #[non_exhaustive]
    Unsupported {
        /// The operator or field.
        what: String,
        /// What to do instead.
        hint: String,
    },

    /// MongoDB refused or did not answer.
    #[error("MongoDB: {doing}")]
    #[non_exhaustive]
    Mongo {
        /// What was under way.
        doing: String,
        /// What the driver or the server said.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The database is not one that this operation can work on.
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

    /// This process was held up for longer than its lease lasted, so another may have begun the same work.
    #[error(
        "the lease of {what} ended before this process renewed it, so it stopped; run it again"
    )]
    #[non_exhaustive]
    LeaseLost {
        /// What the lease protected.
        what: String,
    },

    /// A stored document that is not a run, or lacks what was asked of it.
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
        /// MLflow's error code; `None` where the answer has none, as that of a proxy or a login.
        code: Option<MlflowCode>,
        /// What was answered, with MLflow's own words.
        answer: String,
    },

    /// The server answered with success, but not as a tracking server does: with a web page, with JSON that is cut off.
    #[error("MLflow: {call} {url}: {answer}")]
    #[non_exhaustive]
    MlflowProtocol {
        /// The REST call, such as `runs/search`.
        call: &'static str,
        /// The URL asked, without credentials.
        url: String,
        /// How the answer differs from MLflow's.
        answer: String,
        /// What the parser said; `None` for an answer that could be parsed, but contradicts the request.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },

    /// One answer of the tracking server is larger than this program holds.
    #[error("MLflow: {call}: an answer of over {bytes} bytes")]
    #[non_exhaustive]
    PageTooLarge {
        /// The REST call, such as `runs/search`.
        call: &'static str,
        /// The bound.
        bytes: usize,
    },

    /// The tracking server could not be asked.
    #[error("MLflow: {call} {url}: no answer")]
    #[non_exhaustive]
    MlflowUnreachable {
        /// The REST call, such as `runs/search`.
        call: &'static str,
        /// The URL asked, without credentials.
        url: String,
        /// What the network said.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The run is deleted in MLflow, so that no lineage can be registered on it.
    #[error("run {run} is deleted in MLflow; restore it first")]
    #[non_exhaustive]
    RunDeleted {
        /// The run.
        run: String,
    },

    /// Another program wrote over the lineage tags after every attempt to set them.
    #[error(
        "another program overwrote the lineage tags of run {run} {attempts} times; register again when it has ended"
    )]
    #[non_exhaustive]
    TagsOverwritten {
        /// The run.
        run: String,
        /// How often the tags were set.
        attempts: usize,
    },

    /// MLflow took the lineage tags, but the mirror could not be written.
    #[error(
        "MLflow holds the lineage of run {run} now, the mirror does not yet: the next sync brings it in"
    )]
    #[non_exhaustive]
    MirrorBehind {
        /// The run.
        run: String,
        /// Why the mirror could not be written.
        source: Box<Self>,
    },

    /// A file, a folder, a process or a socket of this machine.
    #[error("{doing}")]
    #[non_exhaustive]
    Io {
        /// What was under way, with the path.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What it takes for work that failed to succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// A moment: the same request may succeed when it is repeated.
    Moment,
    /// Something outside this process: a server, another program, a person. A later pass may succeed.
    Outside,
    /// Another version of this program.
    AnotherProgram,
}

impl Error {
    /// An argument that cannot mean anything, and why.
    pub fn invalid_argument(argument: &'static str, reason: impl Into<String>) -> Self {
        Self::InvalidArgument {
            argument,
            reason: reason.into(),
        }
    }

    /// Something that a store cannot evaluate exactly, and what to do instead.
    pub fn unsupported(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unsupported {
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// Whether MLflow failed in a way that may pass by itself within moments, so that the same request is worth repeating.
    ///
    /// Errors of MongoDB are not: its requests were repeated already, for as long as an election takes.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.remedy() == Remedy::Moment
    }

    /// Whether no later attempt of this process can succeed, whatever becomes of the servers.
    pub(crate) fn is_permanent(&self) -> bool {
        self.remedy() == Remedy::AnotherProgram
    }

    fn remedy(&self) -> Remedy {
        match self {
            Self::Mlflow { status, code, .. } => {
                if is_transient_answer(*status, code.as_ref()) {
                    Remedy::Moment
                } else {
                    Remedy::Outside
                }
            }
            // Parsed, it says what the server does; not parsed, it may be a part of an answer, or the page of a proxy.
            Self::MlflowProtocol { source, .. } => {
                if source.is_some() {
                    Remedy::Moment
                } else {
                    Remedy::Outside
                }
            }
            Self::MlflowUnreachable { .. } => Remedy::Moment,
            Self::Mongo { .. }
            | Self::Leased { .. }
            | Self::LeaseLost { .. }
            | Self::Document { .. }
            | Self::PageTooLarge { .. }
            | Self::RunDeleted { .. }
            | Self::TagsOverwritten { .. }
            | Self::MirrorBehind { .. }
            // A name that MLflow does not show is one that it may show later, and what another program wrote can be removed.
            | Self::InvalidArgument { .. }
            | Self::Unsupported { .. }
            | Self::Database { .. }
            | Self::Io { .. } => Remedy::Outside,
            Self::Migration { .. } => Remedy::AnotherProgram,
        }
    }
}

/// By MLflow's code and, where it tells nothing, by the HTTP statuses that MLflow's own clients repeat.
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
    fn what_mlflows_own_clients_repeat_is_transient() {
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
    fn an_answer_that_was_cut_off_is_transient_and_one_that_contradicts_the_request_is_not() {
        assert!(protocol(Some("end of file")).is_transient());
        assert!(!protocol(None).is_transient());
    }

    #[test]
    fn only_another_version_of_this_program_mends_what_is_permanent() {
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
