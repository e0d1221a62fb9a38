//! MongoDB's errors: their codes, which of them are transient, and their conversion into this crate's [`Error`].

use std::fmt;

use mongodb::error::{ErrorKind, RETRYABLE_WRITE_ERROR, WriteFailure};

use crate::error::Error;

/// MongoDB's error codes, named as in its manual.
pub(super) mod code {
    pub(crate) const BAD_VALUE: i32 = 2;
    pub(crate) const HOST_UNREACHABLE: i32 = 6;
    pub(crate) const HOST_NOT_FOUND: i32 = 7;
    pub(crate) const FAILED_TO_PARSE: i32 = 9;
    pub(crate) const UNAUTHORIZED: i32 = 13;
    pub(crate) const TYPE_MISMATCH: i32 = 14;
    pub(crate) const OVERFLOW: i32 = 15;
    pub(crate) const AUTHENTICATION_FAILED: i32 = 18;
    pub(crate) const INVALID_BSON: i32 = 22;
    pub(crate) const INDEX_NOT_FOUND: i32 = 27;
    pub(crate) const NAMESPACE_EXISTS: i32 = 48;
    pub(crate) const MAX_TIME_MS_EXPIRED: i32 = 50;
    pub(crate) const DOLLAR_PREFIXED_FIELD_NAME: i32 = 52;
    pub(crate) const INVALID_ID_FIELD: i32 = 53;
    pub(crate) const NOT_SINGLE_VALUE_FIELD: i32 = 54;
    pub(crate) const INVALID_DBREF: i32 = 55;
    pub(crate) const EMPTY_FIELD_NAME: i32 = 56;
    pub(crate) const DOTTED_FIELD_NAME: i32 = 57;
    pub(crate) const NETWORK_TIMEOUT: i32 = 89;
    pub(crate) const SHUTDOWN_IN_PROGRESS: i32 = 91;
    pub(crate) const DOCUMENT_VALIDATION_FAILURE: i32 = 121;
    pub(crate) const READ_CONCERN_MAJORITY_NOT_AVAILABLE_YET: i32 = 134;
    pub(crate) const CANNOT_INDEX_PARALLEL_ARRAYS: i32 = 171;
    pub(crate) const PRIMARY_STEPPED_DOWN: i32 = 189;
    pub(crate) const EXCEEDED_TIME_LIMIT: i32 = 262;
    pub(crate) const SOCKET_EXCEPTION: i32 = 9001;
    pub(crate) const LEGACY_NOT_PRIMARY: i32 = 10058;
    pub(crate) const NOT_WRITABLE_PRIMARY: i32 = 10107;
    pub(crate) const BSON_OBJECT_TOO_LARGE: i32 = 10334;
    pub(crate) const DUPLICATE_KEY: i32 = 11000;
    pub(crate) const INTERRUPTED_AT_SHUTDOWN: i32 = 11600;
    pub(crate) const INTERRUPTED_DUE_TO_REPL_STATE_CHANGE: i32 = 11602;
    pub(crate) const NOT_PRIMARY_NO_SECONDARY_OK: i32 = 13435;
    pub(crate) const NOT_PRIMARY_OR_SECONDARY: i32 = 13436;
    pub(crate) const KEY_TOO_LONG: i32 = 17280;
    pub(crate) const DOCUMENT_TOO_LARGE_AFTER_UPDATE: i32 = 17419;
    pub(crate) const DOCUMENT_TOO_LARGE_TO_INSERT: i32 = 17420;
}

/// The server is not the primary, or no longer. This group and the next two are those of the drivers' specification.
const NOT_PRIMARY: [i32; 3] = [
    code::NOT_WRITABLE_PRIMARY,
    code::NOT_PRIMARY_NO_SECONDARY_OK,
    code::LEGACY_NOT_PRIMARY,
];

/// The server is changing its state, as during an election.
const RECOVERING: [i32; 3] = [
    code::INTERRUPTED_DUE_TO_REPL_STATE_CHANGE,
    code::NOT_PRIMARY_OR_SECONDARY,
    code::PRIMARY_STEPPED_DOWN,
];

/// The server is shutting down or restarting.
const SHUTTING_DOWN: [i32; 2] = [code::INTERRUPTED_AT_SHUTDOWN, code::SHUTDOWN_IN_PROGRESS];

/// A member of the cluster did not reach another one in time. The drivers retry these too.
const UNREACHABLE: [i32; 6] = [
    code::HOST_UNREACHABLE,
    code::HOST_NOT_FOUND,
    code::NETWORK_TIMEOUT,
    code::SOCKET_EXCEPTION,
    code::READ_CONCERN_MAJORITY_NOT_AVAILABLE_YET,
    code::EXCEEDED_TIME_LIMIT,
];

/// The server refuses a document for its content.
const DOCUMENT: [i32; 17] = [
    code::BAD_VALUE,
    code::FAILED_TO_PARSE,
    code::TYPE_MISMATCH,
    code::OVERFLOW,
    code::INVALID_BSON,
    code::DOLLAR_PREFIXED_FIELD_NAME,
    code::INVALID_ID_FIELD,
    code::NOT_SINGLE_VALUE_FIELD,
    code::INVALID_DBREF,
    code::EMPTY_FIELD_NAME,
    code::DOTTED_FIELD_NAME,
    code::DOCUMENT_VALIDATION_FAILURE,
    code::CANNOT_INDEX_PARALLEL_ARRAYS,
    code::BSON_OBJECT_TOO_LARGE,
    code::KEY_TOO_LONG,
    code::DOCUMENT_TOO_LARGE_AFTER_UPDATE,
    code::DOCUMENT_TOO_LARGE_TO_INSERT,
];

/// Whether a retry of the same request may succeed, as after an election, a restart or a network failure.
pub(super) fn is_transient(error: &mongodb::error::Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::ServerSelection { .. } => true,
        _ => {
            code_of(error).is_some_and(is_transient_code)
                || error.contains_label(RETRYABLE_WRITE_ERROR)
        }
    }
}

/// Whether the server refused a document for its content, and so will refuse it again. Any other refusal may be due to the
/// server's state, and the next pass sends the document again.
pub(super) fn is_document_error(code: i32) -> bool {
    DOCUMENT.contains(&code)
}

fn is_transient_code(code: i32) -> bool {
    let groups: [&[i32]; 4] = [&NOT_PRIMARY, &RECOVERING, &SHUTTING_DOWN, &UNREACHABLE];
    groups.iter().any(|group| group.contains(&code))
}

/// The server's error code for a command, or for the single write of a command.
pub(super) fn code_of(error: &mongodb::error::Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}

/// Converts a driver error. Adds what the program was doing and, if the cause is known, what to do about it.
pub(super) fn failed(doing: impl Into<String>, error: mongodb::error::Error) -> Error {
    let mut doing = doing.into();
    let hint = match error.kind.as_ref() {
        ErrorKind::ServerSelection { .. } => {
            "; check that the server is running and that the URI names its host"
        }
        ErrorKind::Authentication { .. } => "; the user or the password is wrong",
        ErrorKind::Command(command) => match command.code {
            code::UNAUTHORIZED => {
                "; this user lacks a privilege: docs/operations.md lists the role that each command needs"
            }
            code::AUTHENTICATION_FAILED => "; the user or the password is wrong",
            code::MAX_TIME_MS_EXPIRED => {
                "; it took longer than allowed: narrow the search, or allow more time"
            }
            _ => "",
        },
        _ => "",
    };
    doing.push_str(hint);
    Error::Mongo {
        doing,
        source: Box::new(WithoutResponse(error)),
    }
}

/// The driver's error without the server's complete response, which the driver's own `Display` appends.
#[derive(Debug)]
struct WithoutResponse(mongodb::error::Error);

impl fmt::Display for WithoutResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind.as_ref() {
            ErrorKind::Command(command) => {
                let (name, code) = (&command.code_name, command.code);
                write!(f, "{name} ({code}): {}", command.message)
            }
            ErrorKind::Write(WriteFailure::WriteError(write)) => {
                write!(f, "({}): {}", write.code, write.message)
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
                let (name, code) = (&concern.code_name, concern.code);
                write!(f, "{name} ({code}): {}", concern.message)
            }
            kind => write!(f, "{kind}"),
        }
    }
}

impl std::error::Error for WithoutResponse {}

#[cfg(test)]
mod tests {
    use bson::doc;
    use mongodb::error::{CommandError, Error, ErrorKind};

    use super::{code, code_of, failed, is_document_error, is_transient};

    fn refusal(code: i32) -> Error {
        let error = doc! { "code": code, "codeName": "Name", "errmsg": "it was refused" };
        let error: CommandError = bson::deserialize_from_document(error).unwrap();
        ErrorKind::Command(error).into()
    }

    #[test]
    fn errors_of_elections_restarts_and_networks_are_transient() {
        // The retryable codes of the drivers' specification.
        for code in [
            11600, 11602, 10107, 13435, 13436, 189, 91, 7, 6, 89, 9001, 262, 134, 10058,
        ] {
            assert!(is_transient(&refusal(code)), "{code}");
            assert!(!is_document_error(code), "{code}");
        }
        for code in [13, 18, 2, 48, 50, 121, 11000, 14031] {
            assert!(!is_transient(&refusal(code)), "{code}");
        }
    }

    #[test]
    fn a_refusal_of_a_document_is_distinguished_from_the_state_of_the_server() {
        // An unknown code counts as the server's state: quarantine would drop the tags of a valid run.
        for code in [13, 24, 50, 64, 112, 365, 8000, 11000, 11601, 14031, 99_999] {
            assert!(!is_document_error(code), "{code}");
        }
        for code in [2, 121, 10334, 17419] {
            assert!(is_document_error(code), "{code}");
        }
    }

    #[test]
    fn an_error_says_what_to_do_and_omits_the_response() {
        assert_eq!(code_of(&refusal(code::BAD_VALUE)), Some(2));
        let error = failed("cannot search runs", refusal(code::UNAUTHORIZED));
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains("docs/operations.md"), "{error}");
        assert_eq!(source, "Name (13): it was refused");
    }
}
