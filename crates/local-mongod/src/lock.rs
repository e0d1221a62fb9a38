//! [`Lock`]: allows one supervisor at a time, and records where commands reach it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Error as IoError, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::Stdio;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::connection::Connection;
use crate::error::io_error;
use crate::folder::Folder;
use crate::sockets::Sockets;
use crate::{Result, own_path};

/// The lock that a supervisor and its `mongod` hold. It is free when both have ended, even by a kill.
#[derive(Debug)]
pub(crate) struct Lock(File);

/// The supervisor that holds the lock. The record names its sockets, since `XDG_RUNTIME_DIR` may differ between sessions.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Holder {
    process: u32,
    machine: String,
    sockets: PathBuf,
}

impl Lock {
    /// Takes the lock; `None` at once if another process holds it.
    pub(crate) fn try_take(folder: &Folder) -> Result<Option<Self>> {
        let path = folder.lock_file();
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        let file = own_path::open(&path, &options).map_err(io_error("cannot open", &path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(io_error("cannot lock", &path)(error.into())),
        }
    }

    /// Records where commands reach this process.
    pub(crate) fn announce(&mut self, folder: &Folder, sockets: &Sockets) -> Result<()> {
        let holder = Holder {
            process: std::process::id(),
            machine: this_machine(),
            sockets: sockets.path().to_path_buf(),
        };
        self.write(&holder)
            .map_err(io_error("cannot write", &folder.lock_file()))
    }

    /// The lock as the standard input of a child, which then holds it as well.
    pub(crate) fn inherited(&self) -> std::io::Result<Stdio> {
        Ok(Stdio::from(self.0.try_clone()?))
    }

    fn write(&mut self, holder: &Holder) -> std::io::Result<()> {
        let text = serde_json::to_vec(holder)
            .map_err(|error| IoError::new(ErrorKind::InvalidData, error))?;
        self.0.set_len(0)?;
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(&text)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.process, self.machine)
    }
}

/// The supervisor that took the lock last. It may have ended since.
pub(crate) fn holder(folder: &Folder) -> Option<Holder> {
    let mut file = own_path::open(&folder.lock_file(), OpenOptions::new().read(true)).ok()?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Connects to the running supervisor; `None` if there is none.
pub(crate) async fn connect_to_holder(folder: &Folder) -> Option<Connection> {
    let sockets = Sockets::verify(holder(folder)?.sockets).ok()?;
    Connection::connect(&sockets.control()).await
}

fn this_machine() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
