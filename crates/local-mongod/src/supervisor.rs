//! The process that keeps `mongod` while there are users, and some time longer.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures::FutureExt;
use rustix::fs::Mode;
use tokio::net::UnixListener;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, sleep_until};

use crate::error::io_error;
use crate::folder::Folder;
use crate::lock::{self, Lock};
use crate::mongod::Mongod;
use crate::share::{Reply, Share};
use crate::sockets::Sockets;
use crate::{Error, Result, SUPERVISOR_STAGE, own_path};

/// How long a predecessor, or a `mongod` it left behind, may take to end: longer than a linger and a stop.
const SUCCESSION: Duration = Duration::from_secs(150);

const LOG_LIMIT: u64 = 1024 * 1024;

/// What a supervisor is told when it is started.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) folder: Folder,
    pub(crate) sockets: Sockets,
    pub(crate) mongod: PathBuf,
    pub(crate) linger: Duration,
}

impl Plan {
    fn to_arguments(&self) -> [OsString; 5] {
        [
            SUPERVISOR_STAGE.into(),
            self.folder.path().into(),
            self.sockets.path().into(),
            self.mongod.clone().into(),
            self.linger.as_millis().to_string().into(),
        ]
    }

    pub(crate) fn from_arguments(mut arguments: impl Iterator<Item = OsString>) -> Result<Self> {
        let mut next = || {
            arguments
                .next()
                .ok_or_else(|| Error::local("this command is started by the program itself"))
        };
        Ok(Self {
            folder: Folder::already_prepared(next()?.into()),
            sockets: Sockets::verify(next()?.into())?,
            mongod: next()?.into(),
            linger: next()?
                .to_str()
                .and_then(|text| text.parse().ok())
                .map(Duration::from_millis)
                .ok_or_else(|| Error::local("the linger time is a number of milliseconds"))?,
        })
    }
}

/// Starts a supervisor that outlives this command; the share is its first.
pub(crate) fn start(program: Option<&Path>, plan: &Plan) -> Result<Share> {
    let program = match program {
        Some(program) => program.to_path_buf(),
        None => std::env::current_exe().map_err(io_error(
            "cannot find this program below",
            Path::new("/proc"),
        ))?,
    };
    let (share, theirs) =
        Share::for_child().map_err(io_error("cannot make a socket for", plan.folder.path()))?;
    // None of the caller's own streams: a pipe that this process kept open would keep the caller's reader waiting.
    // The runtime reaps the child, if it ends first, although nobody waits for it.
    Command::new(&program)
        .args(plan.to_arguments())
        // It outlives this command, and so would its passwords.
        .env_clear()
        .stdin(theirs)
        .stdout(Stdio::null())
        .stderr(open_log(&plan.folder)?)
        .spawn()
        .map_err(io_error("cannot start the supervisor", &program))?;
    Ok(share)
}

/// Keeps `mongod` until its users are gone. Its own runtime, since it must stay on the process' first thread: the kernel
/// signals a child's parent-death signal when the *thread* ends that started it.
pub(crate) fn supervise(plan: Plan) -> Result<()> {
    // Out of the terminal's session: Ctrl-C is meant for the command that started this, and there may be others.
    rustix::process::setsid().map_err(|error| {
        io_error("cannot start a session for", plan.folder.path())(error.into())
    })?;
    rustix::process::umask(Mode::from_raw_mode(0o077));
    std::env::set_current_dir("/").map_err(io_error("cannot enter", Path::new("/")))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io_error("cannot start a runtime for", plan.folder.path()))?;
    runtime.block_on(async {
        let mut first =
            Share::from_stdin().map_err(io_error("no command waits for", plan.folder.path()))?;
        match take_turn(&plan).await {
            Ok(Some(lock)) => serve(&plan, lock, first).await,
            // The command that waits sees this process end, and turns to the one that is up.
            Ok(None) => Ok(()),
            Err(error) => {
                refuse(&mut first, &error).await;
                Err(error)
            }
        }
    })
}

/// The lock; `None` if another supervisor is up.
async fn take_turn(plan: &Plan) -> Result<Option<Lock>> {
    let deadline = Instant::now() + SUCCESSION;
    while Instant::now() < deadline {
        if let Some(lock) = Lock::try_take(&plan.folder)? {
            return Ok(Some(lock));
        }
        if lock::reach_holder(&plan.folder).await.is_some() {
            return Ok(None);
        }
        sleep(Duration::from_millis(50)).await;
    }
    let holder = lock::holder(&plan.folder)
        .map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
    Err(Error::local(format!(
        "folder {} is still held by {holder}, which cannot be reached; end it and its mongod, or name another folder by \
         XDG_DATA_HOME",
        plan.folder.path().display()
    )))
}

async fn serve(plan: &Plan, mut lock: Lock, mut first: Share) -> Result<()> {
    let listener = match listen(plan, &mut lock) {
        Ok(listener) => listener,
        Err(error) => {
            refuse(&mut first, &error).await;
            return Err(error);
        }
    };
    // Commands that come while mongod starts wait in the listener's queue.
    let mut mongod = match Mongod::start(&plan.mongod, &plan.folder, &plan.sockets, &lock).await {
        Ok(mongod) => mongod,
        Err(error) => {
            refuse(&mut first, &error).await;
            while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
                refuse(&mut Share::new(stream), &error).await;
            }
            return Err(error);
        }
    };
    let outcome = keep(plan, &listener, first, &mut mongod).await;
    // Before mongod is stopped: a command that comes from now on starts the next supervisor, which waits for the lock.
    let _ = std::fs::remove_file(plan.sockets.control());
    drop(listener);
    let stopped = mongod.stop().await;
    let _ = std::fs::remove_file(plan.sockets.mongod());
    stopped.and(outcome)
}

/// Listens for commands. The lock is held, so whatever sockets are there belong to nobody.
fn listen(plan: &Plan, lock: &mut Lock) -> Result<UnixListener> {
    for stale in [plan.sockets.control(), plan.sockets.mongod()] {
        match std::fs::remove_file(&stale) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io_error("cannot remove", &stale)(error));
            }
            _ => {}
        }
    }
    let control = plan.sockets.control();
    let listener = UnixListener::bind(&control).map_err(io_error("cannot listen on", &control))?;
    lock.announce(&plan.folder, &plan.sockets)?;
    Ok(listener)
}

/// Returns when the last user has been gone for the linger time, on SIGTERM, or when `mongod` has ended.
async fn keep(
    plan: &Plan,
    listener: &UnixListener,
    first: Share,
    mongod: &mut Mongod,
) -> Result<()> {
    let cannot_listen = |error| io_error("cannot await signals for", plan.folder.path())(error);
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot_listen)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot_listen)?;
    let uri = plan.sockets.uri();
    let mut users = JoinSet::new();
    users.spawn(hold(first, uri.clone()));
    let mut end = Instant::now();
    let mut tick = interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            // In this order: a user who came in the last moment is not turned away.
            biased;
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            error = mongod.ended() => return Err(error),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    users.spawn(hold(Share::new(stream), uri.clone()));
                }
                // Too many open files: wait for users to go.
                Err(_) => sleep(Duration::from_millis(100)).await,
            },
            Some(_) = users.join_next() => end = Instant::now() + plan.linger,
            _ = tick.tick() => {
                mongod.bound_log();
                // The folder goes when the user logs out; nobody could find this database any more.
                if !plan.sockets.control().exists() {
                    end = Instant::now();
                }
            }
            () = sleep_until(end), if users.is_empty() => return Ok(()),
        }
    }
}

/// Ends when the user does.
async fn hold(mut share: Share, uri: String) {
    if share.tell(&Reply::Ready { uri }).await.is_ok() {
        share.ended().await;
    }
}

async fn refuse(share: &mut Share, error: &Error) {
    let reason = match error {
        Error::Unusable { reason } => reason.clone(),
        Error::Io { doing, source } => format!("{doing}: {source}"),
    };
    // A user who is gone needs no answer.
    let _ = share.tell(&Reply::Failed { reason }).await;
}

fn open_log(folder: &Folder) -> Result<File> {
    let path = folder.supervisor_log();
    let open = || -> std::io::Result<File> {
        let file = own_path::open(&path, OpenOptions::new().create(true).append(true))?;
        if file.metadata()?.len() > LOG_LIMIT {
            file.set_len(0)?;
        }
        Ok(file)
    };
    open().map_err(io_error("cannot write", &path))
}
