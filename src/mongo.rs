//! [`MongoRunStore`]: the mirror in MongoDB.

mod batches;
pub(crate) mod checkpoint;
mod chooser;
pub(crate) mod clock;
mod collections;
mod deleted;
mod explain;
mod facet;
mod failure;
mod find;
mod indexes;
mod key_ranges;
pub(crate) mod lease;
pub(crate) mod migrate;
pub(crate) mod mirrored;
mod nearest;
pub(crate) mod neighbours;
pub(crate) mod projection;
pub(crate) mod registry;
mod retry;
pub(crate) mod save;
pub(crate) mod source;
mod suggest;
mod terms;
pub(crate) mod ticket;
pub(crate) mod tombstones;
#[cfg(feature = "unstable")]
mod unstable;
mod values;

pub(crate) use collections::at_primary;
pub use deleted::DeletedRun;
pub use explain::QueryPlan;
pub use facet::{Facet, FacetCount};
pub use migrate::MigrationStatus;
#[cfg(feature = "unstable")]
pub use save::Saved;
pub use source::Freshness;
pub use suggest::Suggestion;
#[cfg(feature = "unstable")]
pub use ticket::Ticket;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bson::raw::RawDocumentBuf;
use bson::{Bson, DateTime, doc, rawdoc};
use mongodb::action::Action as _;
use mongodb::options::{Acknowledgment, ClientOptions, WriteConcern};
use mongodb::{Client, Database};
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

use crate::error::{Error, Result};
use crate::query::Search;
use crate::run::{Run, field};
use collections::Collections;
use failure::failed;
use neighbours::KeptCounts;

const DEFAULT_DATABASE: &str = "runlineage";
/// How long MongoDB may wait for a majority to acknowledge a write before the write fails.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The mirror: collection `runs` of a MongoDB database.
///
/// Cloning is cheap, and clones share connections. Like the driver's `Client`, it belongs to the async runtime that
/// made it.
#[derive(Clone)]
pub struct MongoRunStore {
    database: Database,
    migrated: Arc<OnceCell<()>>,
    /// The time limit of each command that reads.
    max_time: Option<Duration>,
    kept_counts: Option<Arc<KeptCounts>>,
    /// The writes in progress, of all clones.
    writes: TaskTracker,
}

impl MongoRunStore {
    /// Connects to the database in the URI's path, or to `runlineage` if the path is empty. Writes nothing.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an invalid URI; [`Error::Mongo`] if no server answers or the password is wrong.
    pub async fn connect(uri: &str) -> Result<Self> {
        let store = Self::open(uri, None).await?;
        let ping = store.database.run_command(doc! { "ping": 1 }).await;
        ping.map_err(|error| failed("cannot reach the server", error))?;
        Ok(store)
    }

    /// Like [`connect`](Self::connect), but sends nothing: the first operation connects. `database` is used if the URI names none.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an invalid URI.
    pub async fn open(uri: &str, database: Option<&str>) -> Result<Self> {
        // A URI read from a secret's file ends with a newline, which the driver would add to the database name.
        let mut options = ClientOptions::parse(uri.trim())
            .await
            .map_err(|error| unusable_uri(uri, &error))?;
        options.app_name.get_or_insert_with(|| "runlineage".into());
        // The driver's default is 30 s, too long to wait for the error that a mistyped host gives.
        options
            .server_selection_timeout
            .get_or_insert(Duration::from_secs(10));
        let name = options
            .default_database
            .as_deref()
            .or(database)
            .unwrap_or(DEFAULT_DATABASE)
            .to_owned();
        if uri.trim().contains(char::is_control) || name.contains(char::is_control) {
            let reason = "it contains a newline or another control character; remove it";
            return Err(Error::invalid_argument("MongoDB URI", reason));
        }
        let client = Client::with_options(options).map_err(|error| unusable_uri(uri, &error))?;
        Ok(Self::from_database(client.database(&name)))
    }

    /// The mirror in a database that the caller has opened.
    #[must_use]
    pub fn from_database(database: Database) -> Self {
        let writes = TaskTracker::new();
        // Its `wait` returns only once the tracker is closed. A closed tracker still accepts tasks.
        writes.close();
        Self {
            database,
            migrated: Arc::default(),
            max_time: None,
            kept_counts: None,
            writes,
        }
    }

    /// The database that holds the mirror.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Limits how long MongoDB may work on each command that answers a question; unlimited by default. The limit of a search or a
    /// walk precedes this one.
    #[must_use]
    pub fn with_max_time(self, time: Duration) -> Self {
        Self {
            max_time: Some(time),
            ..self
        }
    }

    /// Keeps for this time how many runs read or wrote a reference, if there are more than 20, and shares these counts among clones.
    /// Hidden counts may therefore be so old. By default, every graph counts anew, which takes milliseconds for each such reference.
    #[must_use]
    pub fn with_kept_counts(self, time: Duration) -> Self {
        Self {
            kept_counts: Some(Arc::new(KeptCounts::new(time))),
            ..self
        }
    }

    /// The time limit of a search.
    fn max_time_of(&self, search: &Search) -> Option<Duration> {
        search.max_time.or(self.max_time)
    }

    /// The run with this id, or `None`.
    ///
    /// # Errors
    /// [`Error::Mongo`] if MongoDB does not answer, [`Error::Document`] if the stored document is not a run.
    pub async fn get_run(&self, id: &str) -> Result<Option<Run>> {
        let found = Collections::of(self)
            .runs()
            .find_one(doc! { field::ID: id })
            .optional(self.max_time, |find, time| find.max_time(time))
            .await;
        found
            .map_err(|error| failed(format!("cannot read run {id}"), error))?
            .map(Run::try_from)
            .transpose()
    }

    /// Whether the mirror holds any run.
    ///
    /// # Errors
    /// [`Error::Mongo`] if MongoDB does not answer.
    pub async fn find_any(&self) -> Result<bool> {
        let found = Collections::of(self)
            .runs()
            .find_one(doc! {})
            .projection(doc! { field::ID: 1 })
            .optional(self.max_time, |find, time| find.max_time(time))
            .await;
        Ok(found
            .map_err(|error| failed("cannot look for runs", error))?
            .is_some())
    }
}

impl fmt::Debug for MongoRunStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoRunStore")
            .field("database", &self.database.name())
            .finish_non_exhaustive()
    }
}

/// Acknowledged by a majority and journaled, so that neither a failover nor a crash can undo the write.
fn majority() -> WriteConcern {
    let mut concern = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build();
    concern.w_timeout = Some(WRITE_TIMEOUT);
    concern
}

/// The same for a plain command, to which the driver adds no write concern.
fn majority_in_command() -> RawDocumentBuf {
    rawdoc! { "w": "majority", "j": true, "wtimeout": 30_000 }
}

/// The error for an invalid URI. The driver's message may quote the URI and its password, so only fixed texts are passed on.
fn unusable_uri(uri: &str, error: &mongodb::error::Error) -> Error {
    use mongodb::error::ErrorKind;
    let options = uri.split_once('?').map_or("", |(_, options)| options);
    let hint = "a MongoDB URI looks like mongodb://user:password@host:27017/database; reserved characters in a password are percent-encoded";
    let reason = match error.kind.as_ref() {
        ErrorKind::DnsResolve { .. } => format!("its host cannot be resolved; {hint}"),
        ErrorKind::InvalidArgument { message, .. } if message.contains("scheme") => {
            format!("it begins with neither mongodb:// nor mongodb+srv://; {hint}")
        }
        // The driver names the option. If an `@` follows the question mark, that name may be part of a password.
        ErrorKind::InvalidArgument { message, .. }
            if message.contains(" is an invalid option") && !options.contains('@') =>
        {
            let option = message.split(" is an invalid option").next();
            let option: String = option.unwrap_or_default().chars().take(60).collect();
            format!("MongoDB URIs have no option `{option}`; {hint}")
        }
        _ => format!("it cannot be parsed; {hint}"),
    };
    Error::invalid_argument("MongoDB URI", reason)
}

/// The current date of this host, for fields that only people read. Decisions use the server's clock.
fn now() -> Bson {
    Bson::DateTime(DateTime::now())
}
