//! The error of this crate: what is wrong with this machine's folders or its `mongod`, and what to do.

use std::path::Path;

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the private local database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder, the `mongod` or the supervisor is not one that can be used.
    #[error("local database: {reason}")]
    #[non_exhaustive]
    Unusable {
        /// What is wrong, and what to do.
        reason: String,
    },

    /// A file, a folder, a process or a socket of this machine.
    #[error("local database: {doing}")]
    #[non_exhaustive]
    Io {
        /// What was under way, with the path.
        doing: String,
        /// What the system said.
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

/// An [`Error::Io`] with what was under way at `path`.
pub(crate) fn io_error(doing: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let doing = format!("{doing} {}", path.display());
    move |source| Error::Io { doing, source }
}
