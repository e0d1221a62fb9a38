//! [`Error`]: why a server cannot start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a server cannot start. `Display` says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}; choose another address or port, such as --listen 127.0.0.1:0 for any free port"
    )]
    #[non_exhaustive]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },

    /// Other computers could reach the server, and nothing would keep them from reading.
    #[error(
        "{address} can be reached from other computers; add --token-file FILE, or --no-auth behind a proxy that checks who asks"
    )]
    #[non_exhaustive]
    Open {
        /// The address.
        address: SocketAddr,
    },

    /// A token file cannot be read or written.
    #[error("cannot use the token file {path:?}: {reason}")]
    #[non_exhaustive]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },

    /// The system gives no random bytes, so no token can be made.
    #[error("the system gives no random bytes, so no token can be made: {reason}")]
    #[non_exhaustive]
    Random {
        /// What the system said.
        reason: String,
    },

    /// The metrics cannot be set up.
    #[error("cannot collect metrics: {reason}")]
    #[non_exhaustive]
    Metrics {
        /// What is wrong.
        reason: String,
    },
}
