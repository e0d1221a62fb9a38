//! The local database: a private `mongod` of one user, shared by all commands that need it.
//!
//! Each command holds a connection to the supervisor, a second process of the same program. The supervisor stops `mongod`
//! some time after the last connection closes. The kernel cleans up after a process, however it ends:
//!
//! | killed process | effect |
//! |---|---|
//! | a command | its connection closes |
//! | the supervisor | `mongod` receives SIGTERM, its parent-death signal, and shuts down cleanly |
//! | `mongod` | the supervisor exits; the next `mongod` replays the journal |
//!
//! `mongod` inherits the lock on the lock file, so the lock is free only after both processes have ended. A new supervisor
//! that holds the lock can therefore remove old sockets without checking process ids.
//!
//! The supervisor and `mongod` run with an empty environment: the environment of a command may contain passwords, and both
//! processes outlive the command.
//!
//! - `folder`: the folder with the data, the lock and the logs; `sockets`: the folder with the sockets, closed to other users
//! - `own_path`: checks that other users cannot replace a path, and opens files without following links
//! - `lock`: allows one supervisor at a time, and records where commands reach it
//! - `connection`: the protocol between a command and the supervisor
//! - `supervisor`: the supervisor process; `mongod`: finds, starts and stops the server; `diagnosis`: explains a failed start

mod connection;
mod diagnosis;
mod error;
mod folder;
mod lock;
mod mongod;
mod own_path;
mod sockets;
mod supervisor;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use self::connection::{Connection, Reply};
pub use self::error::{Error, Result};
use self::folder::Folder;
use self::supervisor::SupervisorConfig;

/// How long a command waits for the database. The supervisor's own timeouts are shorter, and its errors say more.
const OPEN_TIMEOUT: Duration = Duration::from_secs(400);

/// How many supervisors may exit without a reply before a command gives up.
const MAX_ATTEMPTS: u32 = 30;

const LINGER: Duration = Duration::from_secs(60);

/// Sets the linger time of a supervisor that this process starts, in milliseconds. For tests.
const LINGER_VARIABLE: &str = "RUNLINEAGE_LOCAL_LINGER_MS";

const SUPERVISOR_STAGE: &str = "local-supervisor";
const MONGOD_STAGE: &str = "local-mongod";

/// Options of the local database: its folders, its programs and its linger time. Every option has a default.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct LocalOptions {
    folder: Option<PathBuf>,
    sockets: Option<PathBuf>,
    mongod: Option<PathBuf>,
    program: Option<PathBuf>,
    program_arguments: Vec<OsString>,
    linger: Option<Duration>,
}

impl LocalOptions {
    /// The user's own local database.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the database in `folder` instead of `runlineage/db` in the user's data folder.
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Creates the folder of the sockets below `folder` instead of `$XDG_RUNTIME_DIR` or its fallback.
    pub fn with_runtime_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.sockets = Some(folder.into());
        self
    }

    /// Starts this `mongod` instead of the one in `MONGOD`, in `PATH` or next to this program.
    pub fn with_mongod(mut self, program: impl Into<PathBuf>) -> Self {
        self.mongod = Some(program.into());
        self
    }

    /// Starts the supervisor from this program instead of the running one. Its `main` must call [`run_stage`].
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Passes these arguments to the program of the supervisor, before the stage's own: for an interpreter, what calls
    /// [`run_stage`] with the arguments after these.
    pub fn with_program_arguments<A: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.program_arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// Keeps the database running for `linger` after the last command; 60 seconds by default. Has no effect on a database that
    /// is running already.
    pub fn with_linger(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// Connects to the local database, and starts it if it is not running.
    ///
    /// # Errors
    /// [`Error`] says what is wrong with the folders or the `mongod` of this machine, and what to do.
    pub async fn open(self) -> Result<LocalDatabase> {
        if cfg!(not(target_os = "linux")) {
            return Err(Error::local(
                "it runs on Linux only; start a MongoDB server and pass its URI by --mongodb-uri",
            ));
        }
        // A program that does not call `run_stage` would start itself again and again.
        if std::env::args_os()
            .nth(1)
            .is_some_and(|stage| stage == SUPERVISOR_STAGE)
        {
            return Err(Error::local(
                "this program does not call `run_stage` at the start of its `main`",
            ));
        }
        let folder = Folder::prepare(self.folder.as_deref())?;
        let deadline = Instant::now() + OPEN_TIMEOUT;
        for _ in 0..MAX_ATTEMPTS {
            let mut connection = match lock::connect_to_holder(&folder).await {
                Some(connection) => connection,
                None => self.start_supervisor(&folder)?,
            };
            match timeout_at(deadline, connection.receive()).await {
                Ok(Some(Reply::Ready { uri })) => return Ok(LocalDatabase { uri, connection }),
                Ok(Some(Reply::Failed { reason })) => return Err(Error::Unusable { reason }),
                // That supervisor was stopping, or another command's supervisor took the lock first.
                Ok(None) => sleep(Duration::from_millis(100)).await,
                Err(_) => return Err(no_answer(&folder)),
            }
        }
        Err(Error::local(format!(
            "its supervisor exited {MAX_ATTEMPTS} times without a reply; see its log, {}",
            folder.supervisor_log().display()
        )))
    }

    fn start_supervisor(&self, folder: &Folder) -> Result<Connection> {
        supervisor::start(
            self.program.as_deref(),
            &self.program_arguments,
            &SupervisorConfig {
                folder: folder.clone(),
                sockets: sockets::choose(self.sockets.as_deref(), folder)?,
                mongod: mongod::find(self.mongod.as_deref())?,
                linger: self.linger.unwrap_or_else(default_linger),
            },
        )
    }
}

/// A connection to the local database, which keeps running at least until this is dropped.
#[derive(Debug)]
pub struct LocalDatabase {
    uri: String,
    connection: Connection,
}

impl LocalDatabase {
    /// Connects to the user's local database, and starts it if it is not running.
    ///
    /// # Errors
    /// As [`LocalOptions::open`].
    pub async fn open() -> Result<Self> {
        LocalOptions::new().open().await
    }

    /// The connection string, without a database name. mongosh and all drivers accept it.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Waits until the database has stopped. While this exists, that happens only if somebody stops or kills it.
    pub async fn closed(&self) {
        self.connection.closed().await;
    }
}

/// Runs the supervisor or `mongod` stage if the arguments, without the program's name, name one; otherwise returns `None`.
///
/// Call it at the start of `main`, before any thread or runtime is started.
pub fn run_stage(arguments: impl IntoIterator<Item = OsString>) -> Option<Result<()>> {
    let mut arguments = arguments.into_iter();
    match arguments.next()?.to_str()? {
        SUPERVISOR_STAGE => {
            Some(SupervisorConfig::from_arguments(arguments).and_then(supervisor::supervise))
        }
        MONGOD_STAGE => Some(mongod::become_mongod(arguments)),
        _ => None,
    }
}

fn default_linger() -> Duration {
    std::env::var(LINGER_VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok())
        .map_or(LINGER, Duration::from_millis)
}

fn no_answer(folder: &Folder) -> Error {
    let holder = lock::holder(folder).map_or_else(String::new, |holder| format!(" ({holder})"));
    Error::local(format!(
        "its supervisor{holder} does not answer; stop that process and try again"
    ))
}
