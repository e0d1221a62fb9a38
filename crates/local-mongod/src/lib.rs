//! The private local database: a `mongod` of this user's own, shared by the commands that need it.
//!
//! A command holds a share: a connection to the supervisor, which is this same program started once more. The
//! supervisor keeps `mongod` until some time after the last share ended. What must end or be released with a process,
//! however that process ends, is left to the kernel:
//!
//! | when this is killed | then |
//! |---|---|
//! | a command | its connection closes, which ends its share |
//! | the supervisor | `mongod` gets SIGTERM (its parent-death signal) and closes its files in order |
//! | `mongod` | the supervisor ends; the next `mongod` replays the journal |
//!
//! The lock file's lock is inherited by `mongod`, so it is free only when both are gone, and whoever comes next need not
//! guess whether old sockets or process ids still mean anything.
//!
//! Neither the supervisor nor `mongod` has an environment: a command's may hold passwords, and both outlive it.
//!
//! - `folder`: the folder that holds it all; `sockets`: the folder for the sockets, closed to others
//! - `own_path`: folders that others cannot change, and files that are no links
//! - `lock`: one supervisor at a time, and where it can be reached
//! - `share`: what a command and the supervisor say to each other
//! - `supervisor`: its life; `mongod`: finding, starting and stopping the server; `diagnosis`: why it did not start

mod diagnosis;
mod error;
mod folder;
mod lock;
mod mongod;
mod own_path;
mod share;
mod sockets;
mod supervisor;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

pub use self::error::{Error, Result};
use self::folder::Folder;
use self::share::{Reply, Share};
use self::supervisor::Plan;

/// How long a command waits for the database. Longer than the supervisor's own limits, whose reports say more.
const PATIENCE: Duration = Duration::from_secs(400);

/// How often a supervisor may end without a word before a command gives up.
const ATTEMPTS: u32 = 30;

const LINGER: Duration = Duration::from_secs(60);

/// Changes the linger time of a supervisor started from here, in milliseconds. For tests.
const LINGER_VARIABLE: &str = "RUNLINEAGE_LOCAL_LINGER_MS";

const SUPERVISOR_STAGE: &str = "local-supervisor";
const MONGOD_STAGE: &str = "local-mongod";

/// Where the local database is and how it is started; by default all is found by itself.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct LocalOptions {
    folder: Option<PathBuf>,
    sockets: Option<PathBuf>,
    mongod: Option<PathBuf>,
    program: Option<PathBuf>,
    linger: Option<Duration>,
}

impl LocalOptions {
    /// The user's own local database.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the database in `folder`, not in `runlineage/db` of the user's data folder.
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Makes the folder of the sockets below `folder`, not below `$XDG_RUNTIME_DIR` or its replacement.
    pub fn with_runtime_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.sockets = Some(folder.into());
        self
    }

    /// Starts this `mongod`, not the one of `MONGOD`, of `PATH` or beside this program.
    pub fn with_mongod(mut self, program: impl Into<PathBuf>) -> Self {
        self.mongod = Some(program.into());
        self
    }

    /// Starts the supervisor from this program, not the running one. Its `main` must call [`run_stage`].
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Keeps the database for `linger` after its last user, where it is not up already; 60 seconds by default.
    pub fn with_linger(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// Joins the local database, and starts it where it is not up.
    ///
    /// # Errors
    /// [`Error`] says what is wrong with this machine's folders or its `mongod`, and what to do.
    pub async fn open(self) -> Result<LocalDatabase> {
        if cfg!(not(target_os = "linux")) {
            return Err(Error::local(
                "it runs on Linux only; start a MongoDB and name it by --mongodb-uri",
            ));
        }
        // A program that does not call run_stage would start itself again without end.
        if std::env::args_os()
            .nth(1)
            .is_some_and(|stage| stage == SUPERVISOR_STAGE)
        {
            return Err(Error::local(
                "this program opens it but does not call `run_stage` first in its `main`",
            ));
        }
        let folder = Folder::prepare(self.folder.as_deref())?;
        let deadline = Instant::now() + PATIENCE;
        for _ in 0..ATTEMPTS {
            let mut share = match lock::reach_holder(&folder).await {
                Some(share) => share,
                None => self.start_supervisor(&folder)?,
            };
            match timeout_at(deadline, share.answer()).await {
                Ok(Some(Reply::Ready { uri })) => return Ok(LocalDatabase { uri, share }),
                Ok(Some(Reply::Failed { reason })) => return Err(Error::Unusable { reason }),
                // It was just stopping, or another command's supervisor was first.
                Ok(None) => sleep(Duration::from_millis(100)).await,
                Err(_) => return Err(no_answer(&folder)),
            }
        }
        Err(Error::local(format!(
            "its supervisor ended {ATTEMPTS} times without a word; its log is {}",
            folder.supervisor_log().display()
        )))
    }

    fn start_supervisor(&self, folder: &Folder) -> Result<Share> {
        supervisor::start(
            self.program.as_deref(),
            &Plan {
                folder: folder.clone(),
                sockets: sockets::choose(self.sockets.as_deref(), folder)?,
                mongod: mongod::find(self.mongod.as_deref())?,
                linger: self.linger.unwrap_or_else(default_linger),
            },
        )
    }
}

/// A share in the local database: it stays up at least until this is dropped.
#[derive(Debug)]
pub struct LocalDatabase {
    uri: String,
    share: Share,
}

impl LocalDatabase {
    /// Joins the user's local database, and starts it where it is not up.
    ///
    /// # Errors
    /// As [`LocalOptions::open`].
    pub async fn open() -> Result<Self> {
        LocalOptions::new().open().await
    }

    /// The connection string, without a database; mongosh and every driver take it.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Waits until the database is gone, which happens before this is dropped only when someone stopped or killed it.
    pub async fn closed(&self) {
        self.share.ended().await;
    }
}

/// Runs a hidden stage if the arguments (without the program's name) ask for one; `None` means an ordinary command.
///
/// Call it first in `main`, before any thread or runtime is started.
pub fn run_stage(arguments: impl IntoIterator<Item = OsString>) -> Option<Result<()>> {
    let mut arguments = arguments.into_iter();
    match arguments.next()?.to_str()? {
        SUPERVISOR_STAGE => Some(Plan::from_arguments(arguments).and_then(supervisor::supervise)),
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
        "its supervisor{holder} does not answer; end that process and try again"
    ))
}
