//! Finds, starts and stops `mongod`.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command as StdCommand, Stdio};
use std::time::Duration;

use rustix::fs::Access;
use rustix::process::{Pid, Signal};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use crate::diagnosis::{self, Disk};
use crate::error::io_error;
use crate::folder::{Folder, create_private};
use crate::lock::Lock;
use crate::sockets::Sockets;
use crate::{Error, MONGOD_STAGE, Result, SUPERVISOR_STAGE, own_path};

const OLDEST_MAJOR_VERSION: u32 = 5;

/// After a crash, `mongod` replays its journal before it accepts connections.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// `mongod` writes a last checkpoint before it exits.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

const LOG_LIMIT: u64 = 8 * 1024 * 1024;

/// A running `mongod`, a child of this process.
#[derive(Debug)]
pub(crate) struct Mongod {
    child: Child,
    folder: Folder,
}

impl Mongod {
    /// Starts `mongod` on a Unix socket alone, and returns when it accepts connections.
    pub(crate) async fn start(
        program: &Path,
        folder: &Folder,
        sockets: &Sockets,
        lock: &Lock,
    ) -> Result<Self> {
        refuse_old(program).await?;
        create_private(&folder.data())?;
        own_path::resolve(&folder.data())?;
        let child =
            spawn(program, folder, sockets, lock).map_err(io_error("cannot start", program))?;
        let mut mongod = Self {
            child,
            folder: folder.clone(),
        };
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if let Ok(ended) = timeout(Duration::from_millis(20), mongod.child.wait()).await {
                return Err(mongod.diagnose(&how_it_ended(ended)));
            }
            if UnixStream::connect(sockets.mongod()).await.is_ok() {
                return Ok(mongod);
            }
        }
        let error = mongod.diagnose(&format!("did not start within {START_TIMEOUT:?}"));
        mongod.stop().await?;
        Err(error)
    }

    /// Waits until `mongod` ends by itself, and returns the reason.
    pub(crate) async fn ended(&mut self) -> Error {
        let ended = self.child.wait().await;
        self.diagnose(&how_it_ended(ended))
    }

    /// Shuts `mongod` down cleanly, and returns when it has ended.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let failed = io_error("cannot stop mongod on", self.folder.path());
        let Some(pid) = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
        else {
            return Ok(());
        };
        let _ = rustix::process::kill_process(pid, Signal::TERM);
        match timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(ended) => ended.map(drop).map_err(failed),
            // The journal holds every acknowledged write.
            Err(_) => self.child.kill().await.map_err(failed),
        }
    }

    /// Moves the text of a log that has grown too long into a second file.
    pub(crate) fn bound_log(&self) {
        let log = self.folder.mongod_log();
        let is_long = log.symlink_metadata().map(|file| file.len() > LOG_LIMIT);
        if is_long.unwrap_or(false) {
            // The supervisor tries again some seconds later.
            let _ = move_to_second(&log);
        }
    }

    fn diagnose(&self, what_happened: &str) -> Error {
        let mut log = Vec::new();
        if let Ok(mut file) =
            own_path::open(&self.folder.mongod_log(), OpenOptions::new().read(true))
        {
            // A part of the log is better than none.
            let _ = file.read_to_end(&mut log);
        }
        Error::Unusable {
            reason: diagnosis::explain(
                what_happened,
                &String::from_utf8_lossy(&log),
                &self.folder,
                Disk::of(&self.folder),
            ),
        }
    }
}

/// The `mongod` to start: `given`, else the one in `MONGOD`, else the first in `PATH`, else the one next to this program.
///
/// Relative paths are refused: in the current folder they could name a program from an untrusted download.
pub(crate) fn find(given: Option<&Path>) -> Result<PathBuf> {
    let named = given
        .map(|path| ("the given mongod", path.to_path_buf()))
        .or_else(|| Some(("MONGOD", std::env::var_os("MONGOD")?.into())));
    if let Some((name, path)) = named {
        return executable(&path).ok_or_else(|| {
            Error::local(format!(
                "{name} is {path:?}, which is not the absolute path of an executable; set MONGOD to the absolute path of a \
                 mongod"
            ))
        });
    }
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search_path)
        .chain(beside_this_program())
        .find_map(|folder| executable(&folder.join("mongod")))
        .ok_or_else(|| {
            Error::local(
                "no mongod found: install MongoDB 5.0 or later so that its mongod is in PATH, or set MONGOD to its absolute \
                 path; in a checkout of runlineage, `make tools` installs one in .tools/bin; or pass the URI of your own \
                 server by --mongodb-uri",
            )
        })
}

/// The folder of this program, unless other users may write in it.
fn beside_this_program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folder = program.parent()?;
    (!own_path::is_writable_by_others(folder)).then(|| folder.to_path_buf())
}

/// Replaces this process by `mongod`. The arguments are the supervisor's process id, the program, and the program's arguments.
///
/// It is a stage of its own because a child sets its parent-death signal itself, and keeps it across `exec`. The signal is
/// SIGTERM, not SIGKILL: `mongod` can then still write acknowledged data that is not in the journal yet, up to 100 ms of it.
pub(crate) fn become_mongod(mut arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let by_hand = || {
        Error::local(
            "only the program itself starts this command; use `--local` or `runlineage db`",
        )
    };
    let supervisor = arguments.next().ok_or_else(by_hand)?;
    let program = arguments.next().ok_or_else(by_hand)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM)).map_err(|error| {
        io_error("cannot set the parent-death signal of", Path::new(&program))(error.into())
    })?;
    // The supervisor may have ended before the signal was set.
    let parent = Pid::as_raw(rustix::process::getppid()).to_string();
    if supervisor.to_str() != Some(parent.as_str()) {
        return Err(Error::local("its supervisor has ended"));
    }
    let error = StdCommand::new(&program).args(arguments).exec();
    Err(io_error("cannot start", Path::new(&program))(error))
}

fn spawn(
    program: &Path,
    folder: &Folder,
    sockets: &Sockets,
    lock: &Lock,
) -> std::io::Result<Child> {
    let log = folder.mongod_log();
    match std::fs::rename(&log, log.with_extension("log.1")) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let log = own_path::open(&log, OpenOptions::new().create(true).append(true))?;
    Command::new(std::env::current_exe()?)
        .args(program_arguments())
        .arg(MONGOD_STAGE)
        .arg(std::process::id().to_string())
        .arg(program)
        .arg("--dbpath")
        .arg(folder.data())
        .arg("--bind_ip")
        .arg(sockets.mongod())
        // Otherwise it also creates /tmp/mongodb-27017.sock and replaces that of another mongod of this user.
        .arg("--nounixsocket")
        .args(["--wiredTigerCacheSizeGB", "0.5"])
        // Otherwise it stores up to 200 MB of diagnostic data.
        .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
        .stdin(lock.inherited()?)
        .stdout(log.try_clone()?)
        .stderr(log)
        .env_clear()
        .kill_on_drop(true)
        .spawn()
}

/// The arguments of this supervisor before those of its stage. `mongod`'s stage needs them too.
fn program_arguments() -> impl Iterator<Item = OsString> {
    let arguments = std::env::args_os().skip(1);
    arguments.take_while(|argument| argument != SUPERVISOR_STAGE)
}

/// Checks the version before `mongod` opens the data: the errors of an old version about newer data do not help.
async fn refuse_old(program: &Path) -> Result<()> {
    let output = Command::new(program)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(io_error("cannot start", program))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("db version v"));
    match version {
        Some(version) if major(version) >= Some(OLDEST_MAJOR_VERSION) => Ok(()),
        Some(version) => Err(Error::local(format!(
            "{} is version {version}; set MONGOD to the path of a mongod of version {OLDEST_MAJOR_VERSION}.0 or later",
            program.display()
        ))),
        None => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().chain(text.lines()).next().unwrap_or("nothing");
            Err(Error::local(format!(
                "`{} --version` prints no version of MongoDB, but: {said}; set MONGOD to the path of a working mongod",
                program.display()
            )))
        }
    }
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// The path, if it is absolute and names a file that this user may execute.
fn executable(path: &Path) -> Option<PathBuf> {
    let allowed = || path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
    (path.is_absolute() && allowed()).then(|| path.to_path_buf())
}

/// Creates the second file anew, since a file at its path may be a link.
fn move_to_second(log: &Path) -> std::io::Result<()> {
    let mut long = own_path::open(log, OpenOptions::new().read(true).write(true))?;
    let second = log.with_extension("log.1");
    match std::fs::remove_file(&second) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut copy = own_path::open(&second, OpenOptions::new().write(true).create_new(true))?;
    std::io::copy(&mut long, &mut copy)?;
    long.set_len(0)
}

fn how_it_ended(ended: std::io::Result<std::process::ExitStatus>) -> String {
    match ended {
        Ok(status) => format!("ended ({status})"),
        Err(error) => format!("is lost ({error})"),
    }
}
