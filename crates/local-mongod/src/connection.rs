//! The protocol between a command and the supervisor: the supervisor sends one reply, and the open connection keeps the
//! database running.

use std::io::{Error as IoError, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// The supervisor's reply. Different versions of this program may share a supervisor, so fields are only added.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The database is running.
    Ready { uri: String },
    /// The database cannot be started.
    Failed { reason: String },
}

/// One end of a connection between a command and the supervisor. It closes when the other process ends.
#[derive(Debug)]
pub(crate) struct Connection(UnixStream);

impl Connection {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// Connects to a supervisor; `None` if no process listens on the socket.
    pub(crate) async fn connect(path: &Path) -> Option<Self> {
        UnixStream::connect(path).await.ok().map(Self)
    }

    /// A new connection, and its other end as the standard input of a supervisor to be started.
    ///
    /// So the supervisor has a command from its start, to which it can report every error.
    pub(crate) fn for_child() -> std::io::Result<(Self, Stdio)> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let ours = UnixStream::from_std(ours)?;
        Ok((Self(ours), Stdio::from(OwnedFd::from(theirs))))
    }

    /// The supervisor's end of the connection that [`for_child`](Self::for_child) created.
    pub(crate) fn from_stdin() -> std::io::Result<Self> {
        let stream = StdUnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        stream.set_nonblocking(true)?;
        Ok(Self(UnixStream::from_std(stream)?))
    }

    pub(crate) async fn send(&mut self, reply: &Reply) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(reply)
            .map_err(|error| IoError::new(ErrorKind::InvalidData, error))?;
        line.push(b'\n');
        self.0.write_all(&line).await
    }

    /// The supervisor's reply; `None` if the supervisor ended without one.
    pub(crate) async fn receive(&mut self) -> Option<Reply> {
        let mut line = Vec::new();
        let mut reader = BufReader::new((&mut self.0).take(64 * 1024));
        reader.read_until(b'\n', &mut line).await.ok()?;
        serde_json::from_slice(&line).ok()
    }

    /// Waits until the other process closes the connection or ends.
    pub(crate) async fn closed(&self) {
        let mut ignored = [0; 64];
        while self.0.readable().await.is_ok() {
            match self.0.try_read(&mut ignored) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}
