//! Files that results are written to.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Writes the file. A file of this name is replaced at once, so that a reader never meets half of it.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write(path, bytes).with_context(|| {
        format!(
            "cannot write {:?}; choose a folder that exists, that has room, and that you may write to",
            path.display().to_string()
        )
    })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // The file that a link points to is replaced, not the link.
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    // A device or a pipe is written to, not replaced by a file.
    if fs::metadata(&target).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return File::options().write(true).open(&target)?.write_all(bytes);
    }
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut new = tempfile::Builder::new()
        .prefix(".runlineage-")
        // Less the umask, as of any new file.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    new.persist(&target).map_err(|error| error.error)?;
    Ok(())
}
