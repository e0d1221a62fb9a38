//! Paths that no other user can change, and files in them that are opened as they are.
//!
//! A folder is as safe as every folder above it: who may write in one of those may put another one in its place.

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

/// As the kernel: links that lead to each other have no end.
const MOST_LINKS: u32 = 40;

/// The path without links, once it is sure that only this user and root can change what stands there.
///
/// In a folder with the sticky bit, such as `/tmp`, others cannot replace what is not theirs; that serves for the folders
/// above, not for the folder itself, where they could put files of names that are not taken yet.
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
        if links > MOST_LINKS {
            return Err(Error::local(format!(
                "{} is a link that leads to itself",
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

/// Whether others may put a file into the folder.
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

/// Opens a file that is there, or makes it if the options say so: never through a link, and never a file that also stands
/// elsewhere.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> std::io::Result<File> {
    // Not blocking: a pipe would wait for somebody who reads it. It changes nothing for a file.
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
    // None is left where a file was removed while it was opened.
    if metadata.is_file() && is_own && metadata.nlink() <= 1 {
        Ok(file)
    } else {
        Err(planted())
    }
}

fn planted() -> IoError {
    IoError::new(
        ErrorKind::PermissionDenied,
        "it is a link, or no file of this user's own; remove it",
    )
}

/// The names of a path, the last one first.
fn reversed(path: &Path) -> Vec<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().rev().filter_map(name).collect()
}

/// A folder or a link on the way.
fn verify_step(path: &Path) -> Result<Metadata> {
    let metadata = path
        .symlink_metadata()
        .map_err(io_error("cannot read folder", path))?;
    let user = rustix::process::geteuid().as_raw();
    // In a container, root's folders may seem to be nobody's; who owns the topmost one can do anything anyway.
    let owner_of_all = Path::new("/").metadata().map_or(0, |root| root.uid());
    if ![0, user, owner_of_all].contains(&metadata.uid()) {
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
        "other users may write in folder {path}, and so could replace the database or what starts it; run \
         `chmod go-w {path}` if you trust what is in it, or set XDG_DATA_HOME and XDG_RUNTIME_DIR to folders of your own",
        path = path.display()
    )))
}

fn foreign(path: &Path, metadata: &Metadata) -> Error {
    Error::local(format!(
        "folder {} belongs to user id {}, this command runs as user id {}; run it as that user, or set XDG_DATA_HOME and \
         XDG_RUNTIME_DIR to folders of your own",
        path.display(),
        metadata.uid(),
        rustix::process::geteuid().as_raw(),
    ))
}
