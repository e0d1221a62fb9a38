//! The error of this crate, which says what is wrong with the folders or the `mongod` of this machine, and what to do.

use std::path::Path;

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the local database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder, the `mongod` or the supervisor cannot be used.
    #[error("local database: {reason}")]
    #[non_exhaustive]
    Unusable {
        /// What is wrong, and what to do.
        reason: String,
    },

    /// The operating system refused an operation on a file, a folder, a process or a socket.
    #[error("local database: {doing}")]
    #[non_exhaustive]
    Io {
        /// The failed operation, with the path.
        doing: String,
        /// The system's error.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn local(reason: impl Into<String>) -> Self {
        Self::Unusable {
            reason: reason.into(),
        }
    }
}

/// Makes an [`Error::Io`] from the operation, its path and the system's error.
pub(crate) fn io_error(doing: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let doing = format!("{doing} {}", path.display());
    move |source| Error::Io { doing, source }
}
