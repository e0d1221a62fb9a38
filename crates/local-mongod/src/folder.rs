//! The folder with the data, the lock and the logs of the local database.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::io_error;
use crate::{Error, Result, own_path};

/// A folder that exists, belongs to this user and that other users cannot change. Its path is absolute and without links.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Creates the folder, or verifies an existing one.
    pub(crate) fn prepare(given: Option<&Path>) -> Result<Self> {
        let path = match given {
            Some(path) => path.to_path_buf(),
            None => in_user_data()?,
        };
        create_private(&path)?;
        // Under sudo, files of root would lock users out of their own folder.
        Ok(Self(own_path::resolve(&path)?))
    }

    /// A folder that the parent process has [prepared](Self::prepare).
    pub(crate) fn already_prepared(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The data folder of `mongod`.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub(crate) fn lock_file(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn mongod_log(&self) -> PathBuf {
        self.0.join("mongod.log")
    }

    pub(crate) fn supervisor_log(&self) -> PathBuf {
        self.0.join("supervisor.log")
    }
}

/// Creates a folder and its missing parents, accessible to this user alone. An existing folder stays unchanged.
pub(crate) fn create_private(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io_error("cannot create folder", path))
}

fn in_user_data() -> Result<PathBuf> {
    let folders = directories::BaseDirs::new().ok_or_else(|| {
        Error::local("this user has no home folder; set HOME or XDG_DATA_HOME to a folder")
    })?;
    Ok(folders.data_dir().join("runlineage").join("db"))
}
