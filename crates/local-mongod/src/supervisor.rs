//! The supervisor process: keeps `mongod` running while commands are connected, and for the linger time afterwards.

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

use crate::connection::{Connection, Reply};
use crate::error::io_error;
use crate::folder::Folder;
use crate::lock::{self, Lock};
use crate::mongod::Mongod;
use crate::sockets::Sockets;
use crate::{Error, Result, SUPERVISOR_STAGE, own_path};

/// How long a new supervisor waits for the lock. The previous supervisor and its `mongod` need less time to linger and stop.
const LOCK_TIMEOUT: Duration = Duration::from_secs(150);

const LOG_LIMIT: u64 = 1024 * 1024;

/// The configuration of a supervisor, passed as its arguments.
#[derive(Debug)]
pub(crate) struct SupervisorConfig {
    pub(crate) folder: Folder,
    pub(crate) sockets: Sockets,
    pub(crate) mongod: PathBuf,
    pub(crate) linger: Duration,
}

impl SupervisorConfig {
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
            arguments.next().ok_or_else(|| {
                Error::local(
                    "only the program itself starts this command; use `--local` or `runlineage db`",
                )
            })
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

/// Starts a supervisor that outlives this command, and returns its first connection.
pub(crate) fn start(
    program: Option<&Path>,
    arguments: &[OsString],
    config: &SupervisorConfig,
) -> Result<Connection> {
    let program = match program {
        Some(program) => program.to_path_buf(),
        None => std::env::current_exe().map_err(io_error(
            "cannot find this program below",
            Path::new("/proc"),
        ))?,
    };
    let (connection, child_end) = Connection::for_child()
        .map_err(io_error("cannot create a socket for", config.folder.path()))?;
    // The supervisor inherits no stream of this command: a pipe that it kept open would keep the pipe's reader waiting.
    // Nobody waits for the child; if it exits before this command, the runtime reaps it.
    Command::new(&program)
        .args(arguments)
        .args(config.to_arguments())
        // The supervisor outlives this command, and so would passwords in its environment.
        .env_clear()
        .stdin(child_end)
        .stdout(Stdio::null())
        .stderr(open_log(&config.folder)?)
        .spawn()
        .map_err(io_error("cannot start the supervisor", &program))?;
    Ok(connection)
}

/// Runs the supervisor until its commands are gone.
///
/// Its runtime stays on the process' first thread: the kernel sends the parent-death signal when the *thread* that started
/// the child ends.
pub(crate) fn supervise(config: SupervisorConfig) -> Result<()> {
    // A session of its own: Ctrl-C in the terminal is meant for the command there, and other commands may be connected.
    rustix::process::setsid().map_err(|error| {
        io_error("cannot start a session for", config.folder.path())(error.into())
    })?;
    rustix::process::umask(Mode::from_raw_mode(0o077));
    std::env::set_current_dir("/").map_err(io_error("cannot enter", Path::new("/")))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io_error("cannot start a runtime for", config.folder.path()))?;
    runtime.block_on(async {
        let mut first = Connection::from_stdin().map_err(io_error(
            "standard input is not the connection of a command for",
            config.folder.path(),
        ))?;
        match acquire_lock(&config).await {
            Ok(Some(lock)) => serve(&config, lock, first).await,
            // The waiting command sees this process end, and connects to the supervisor that is running.
            Ok(None) => Ok(()),
            Err(error) => {
                refuse(&mut first, &error).await;
                Err(error)
            }
        }
    })
}

/// Acquires the lock; `None` if another supervisor is running.
async fn acquire_lock(config: &SupervisorConfig) -> Result<Option<Lock>> {
    let deadline = Instant::now() + LOCK_TIMEOUT;
    while Instant::now() < deadline {
        if let Some(lock) = Lock::try_take(&config.folder)? {
            return Ok(Some(lock));
        }
        if lock::connect_to_holder(&config.folder).await.is_some() {
            return Ok(None);
        }
        sleep(Duration::from_millis(50)).await;
    }
    let holder = lock::holder(&config.folder)
        .map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
    Err(Error::local(format!(
        "{holder} has locked folder {} and does not answer; stop that process and its mongod, or set XDG_DATA_HOME to \
         another folder",
        config.folder.path().display()
    )))
}

async fn serve(config: &SupervisorConfig, mut lock: Lock, mut first: Connection) -> Result<()> {
    let listener = match listen(config, &mut lock) {
        Ok(listener) => listener,
        Err(error) => {
            refuse(&mut first, &error).await;
            return Err(error);
        }
    };
    // Commands that come while mongod starts wait in the listener's queue.
    let mut mongod =
        match Mongod::start(&config.mongod, &config.folder, &config.sockets, &lock).await {
            Ok(mongod) => mongod,
            Err(error) => {
                refuse(&mut first, &error).await;
                while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
                    refuse(&mut Connection::new(stream), &error).await;
                }
                return Err(error);
            }
        };
    let outcome = keep(config, &listener, first, &mut mongod).await;
    // The socket goes before mongod stops: a command that comes now starts the next supervisor, which waits for the lock.
    let _ = std::fs::remove_file(config.sockets.control());
    drop(listener);
    let stopped = mongod.stop().await;
    let _ = std::fs::remove_file(config.sockets.mongod());
    stopped.and(outcome)
}

/// Listens for commands. This process holds the lock, so existing sockets are stale.
fn listen(config: &SupervisorConfig, lock: &mut Lock) -> Result<UnixListener> {
    for stale in [config.sockets.control(), config.sockets.mongod()] {
        match std::fs::remove_file(&stale) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io_error("cannot remove", &stale)(error));
            }
            _ => {}
        }
    }
    let control = config.sockets.control();
    let listener = UnixListener::bind(&control).map_err(io_error("cannot listen on", &control))?;
    lock.announce(&config.folder, &config.sockets)?;
    Ok(listener)
}

/// Returns on SIGTERM or SIGINT, when `mongod` ends, or when no command was connected for the linger time.
async fn keep(
    config: &SupervisorConfig,
    listener: &UnixListener,
    first: Connection,
    mongod: &mut Mongod,
) -> Result<()> {
    let cannot_listen = |error| io_error("cannot await signals for", config.folder.path())(error);
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot_listen)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot_listen)?;
    let uri = config.sockets.uri();
    let mut commands = JoinSet::new();
    commands.spawn(serve_command(first, uri.clone()));
    let mut end = Instant::now();
    let mut tick = interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            // Connections are accepted before the linger time is checked, so that no waiting command is turned away.
            biased;
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            error = mongod.ended() => return Err(error),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    commands.spawn(serve_command(Connection::new(stream), uri.clone()));
                }
                // Too many open files: some are closed when a command ends.
                Err(_) => sleep(Duration::from_millis(100)).await,
            },
            Some(_) = commands.join_next() => end = Instant::now() + config.linger,
            _ = tick.tick() => {
                mongod.bound_log();
                // The system removes this folder when the user logs out. Without it, no command finds this database.
                if !config.sockets.control().exists() {
                    end = Instant::now();
                }
            }
            () = sleep_until(end), if commands.is_empty() => return Ok(()),
        }
    }
}

/// Sends a command the URI, and returns when the command ends.
async fn serve_command(mut connection: Connection, uri: String) {
    if connection.send(&Reply::Ready { uri }).await.is_ok() {
        connection.closed().await;
    }
}

async fn refuse(connection: &mut Connection, error: &Error) {
    let reason = match error {
        Error::Unusable { reason } => reason.clone(),
        Error::Io { doing, source } => format!("{doing}: {source}"),
    };
    // A command that has ended needs no reply.
    let _ = connection.send(&Reply::Failed { reason }).await;
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
