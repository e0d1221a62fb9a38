//! The folder of the sockets, closed to other users and with a path short enough for a socket.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::io_error;
use crate::folder::{Folder, create_private};
use crate::own_path::verify_owner;
use crate::{Error, Result, own_path};

/// `sun_path` holds 108 bytes, the last of them zero.
const SOCKET_PATH_LIMIT: usize = 107;

/// A folder that only this user can enter. Nothing else protects the database, which has no password.
#[derive(Debug, Clone)]
pub(crate) struct Sockets(PathBuf);

impl Sockets {
    /// Verifies an existing folder.
    pub(crate) fn verify(path: PathBuf) -> Result<Self> {
        let metadata = path
            .symlink_metadata()
            .map_err(io_error("cannot read folder", &path))?;
        if !metadata.is_dir() {
            return Err(Error::local(format!(
                "{} is not a folder; remove it",
                path.display()
            )));
        }
        verify_owner(&path, &metadata)?;
        if metadata.mode() & 0o077 != 0 {
            return Err(Error::local(format!(
                "other users can enter folder {path}; run `chmod 700 {path}` if you trust its contents",
                path = path.display()
            )));
        }
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The socket of the supervisor.
    pub(crate) fn control(&self) -> PathBuf {
        self.0.join("c.sock")
    }

    /// The socket of `mongod`.
    pub(crate) fn mongod(&self) -> PathBuf {
        self.0.join("m.sock")
    }

    /// The connection string of `mongod`.
    pub(crate) fn uri(&self) -> String {
        let mut uri = String::from("mongodb://");
        for byte in self.mongod().as_os_str().as_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    uri.push(char::from(*byte));
                }
                _ => uri.push_str(&format!("%{byte:02X}")),
            }
        }
        uri.push('/');
        uri
    }
}

/// Creates the folder for the sockets of the database in `folder`: below `given` if it is set, else below the session's
/// runtime folder, else in `folder` itself, else below the folder for temporary files.
pub(crate) fn choose(given: Option<&Path>, folder: &Folder) -> Result<Sockets> {
    let user = rustix::process::geteuid().as_raw();
    let name = short_name(folder);
    let candidates = match (given, session_folder()) {
        (Some(base), _) => vec![(base.join("runlineage"), Some(name))],
        (None, Some(base)) => vec![(base.join("runlineage"), Some(name))],
        (None, None) => vec![
            (folder.path().join("run"), None),
            (
                std::env::temp_dir().join(format!("runlineage-{user}")),
                Some(name),
            ),
        ],
    };
    let mut too_long = String::new();
    for (base, name) in candidates {
        let path = name.as_ref().map_or(base.clone(), |name| base.join(name));
        let length = path.join("m.sock").as_os_str().len();
        if length > SOCKET_PATH_LIMIT {
            too_long = format!("{} ({length} bytes)", path.join("m.sock").display());
            continue;
        }
        // Each level is verified: a user who may write in the upper folder could replace the lower one.
        create_private(&base)?;
        let sockets = Sockets::verify(base)?;
        own_path::resolve(&sockets.0)?;
        if name.is_none() {
            return Ok(sockets);
        }
        create_private(&path)?;
        return Sockets::verify(path);
    }
    Err(Error::local(format!(
        "socket path {too_long} is too long, {SOCKET_PATH_LIMIT} bytes is the system's limit; set XDG_RUNTIME_DIR to a \
         folder of your own with a shorter path"
    )))
}

/// `XDG_RUNTIME_DIR`, if it is a folder of this user. After `su` it is often another user's.
fn session_folder() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?);
    let metadata = path.metadata().ok()?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    (path.is_absolute() && metadata.is_dir() && own).then_some(path)
}

/// A short name that is different for databases in different folders.
fn short_name(folder: &Folder) -> String {
    let hash = Sha256::digest(folder.path().as_os_str().as_bytes());
    hash[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uri_encodes_every_character_that_could_end_the_host() {
        let sockets = Sockets(PathBuf::from("/run/a b/ü%?@:"));
        assert_eq!(
            sockets.uri(),
            "mongodb://%2Frun%2Fa%20b%2F%C3%BC%25%3F%40%3A%2Fm.sock/"
        );
    }
}
