//! Checks that no other user can replace a path, and opens files without following links.
//!
//! A folder is only as safe as every folder above it: a user who may write in a parent can replace the folder.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::io_error;
use crate::{Error, Result};

const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// The kernel's limit. Links may form a cycle.
const MAX_LINKS: u32 = 40;

/// Resolves the links of a path, and verifies that only this user and root can change the folder there.
///
/// In a folder with the sticky bit, such as `/tmp`, users cannot replace the files of others. That is enough for a parent, but
/// not for the folder itself, in which they could create new files.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path).map_err(io_error("cannot read folder", path))?;
    let mut left = reversed(&path);
    let mut resolved = PathBuf::from("/");
    let mut links = 0;
    verify_step(&resolved)?;
    while let Some(name) = left.pop() {
        if name == ".." {
            resolved.pop();
            continue;
        }
        let next = resolved.join(&name);
        if !verify_step(&next)?.is_symlink() {
            resolved = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Error::local(format!(
                "{} contains a link that leads to itself; remove the link",
                path.display()
            )));
        }
        let target = next
            .read_link()
            .map_err(io_error("cannot read link", &next))?;
        if target.is_absolute() {
            resolved = PathBuf::from("/");
        }
        left.extend(reversed(&target));
    }
    let metadata = verify_step(&resolved)?;
    verify_owner(&resolved, &metadata)?;
    refuse_writable(&resolved, &metadata)?;
    Ok(resolved)
}

/// Whether other users may create files in the folder.
pub(crate) fn is_writable_by_others(folder: &Path) -> bool {
    folder
        .metadata()
        .is_ok_and(|metadata| metadata.mode() & WRITABLE_BY_OTHERS != 0)
}

pub(crate) fn verify_owner(path: &Path, metadata: &Metadata) -> Result<()> {
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() == user {
        return Ok(());
    }
    Err(foreign(path, metadata))
}

/// Opens a file, or creates it if the options say so. Refuses symbolic links and files with more than one hard link.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> std::io::Result<File> {
    // To open a named pipe would block until another process reads it. Regular files are not affected.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = options
        .clone()
        .mode(0o600)
        .custom_flags(flags.cast_signed())
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => planted(),
            _ => error,
        })?;
    let metadata = file.metadata()?;
    let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
    // The number of links is 0 if the file was removed since it was opened.
    if metadata.is_file() && is_own && metadata.nlink() <= 1 {
        Ok(file)
    } else {
        Err(planted())
    }
}

fn planted() -> IoError {
    IoError::new(
        ErrorKind::PermissionDenied,
        "it is a link, or not a file of this user; remove it",
    )
}

/// The components of a path, the last one first.
fn reversed(path: &Path) -> Vec<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().rev().filter_map(name).collect()
}

/// Verifies a folder or a link on the way to the resolved path.
fn verify_step(path: &Path) -> Result<Metadata> {
    let metadata = path
        .symlink_metadata()
        .map_err(io_error("cannot read folder", path))?;
    let user = rustix::process::geteuid().as_raw();
    // In a container, root's folders may appear to belong to another user id. The owner of `/` can replace everything anyway.
    let owner_of_root = Path::new("/").metadata().map_or(0, |root| root.uid());
    if ![0, user, owner_of_root].contains(&metadata.uid()) {
        return Err(foreign(path, &metadata));
    }
    if metadata.is_dir() && metadata.mode() & STICKY == 0 {
        refuse_writable(path, &metadata)?;
    }
    Ok(metadata)
}

fn refuse_writable(path: &Path, metadata: &Metadata) -> Result<()> {
    if metadata.mode() & WRITABLE_BY_OTHERS == 0 {
        return Ok(());
    }
    Err(Error::local(format!(
        "other users may write in folder {path}, so they could replace the database or its programs; run \
         `chmod go-w {path}` if you trust its contents, or set XDG_DATA_HOME and XDG_RUNTIME_DIR to folders of your own",
        path = path.display()
    )))
}

fn foreign(path: &Path, metadata: &Metadata) -> Error {
    Error::local(format!(
        "folder {} belongs to user id {}, but this command runs as user id {}; run it as the owner, or set XDG_DATA_HOME \
         and XDG_RUNTIME_DIR to folders of your own",
        path.display(),
        metadata.uid(),
        rustix::process::geteuid().as_raw(),
    ))
}
