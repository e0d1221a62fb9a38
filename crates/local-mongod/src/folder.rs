//! The folder that holds all that stays of the local database.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::io_error;
use crate::{Error, Result, own_path};

/// A folder that exists, belongs to this user and cannot be changed by others; the path is absolute and without links.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder, or verifies the one that is there.
    pub(crate) fn prepare(given: Option<&Path>) -> Result<Self> {
        let path = match given {
            Some(path) => path.to_path_buf(),
            None => in_user_data()?,
        };
        create_private(&path)?;
        // Under sudo, files of root would lock the user out of the own folder.
        Ok(Self(own_path::resolve(&path)?))
    }

    /// A folder that [`prepare`](Self::prepare) returned in the process that started this one.
    pub(crate) fn already_prepared(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The files of `mongod`.
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

/// Makes a folder, and those above it that are missing, for this user alone; one that is there stays as it is.
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
