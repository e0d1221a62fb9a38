//! [`MongoRunStore`]: the mirror, searched natively.

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
pub(crate) mod projection;
pub(crate) mod registry;
mod retry;
pub(crate) mod save;
pub(crate) mod source;
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
#[cfg(feature = "unstable")]
pub use ticket::Ticket;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bson::raw::RawDocumentBuf;
use bson::{Bson, DateTime, doc, rawdoc};
use mongodb::options::{Acknowledgment, ClientOptions, WriteConcern};
use mongodb::{Client, Database};
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

use crate::error::{Error, Result};
use crate::run::{Run, field};
use collections::Collections;
use failure::failed;

const DEFAULT_DATABASE: &str = "runlineage";
/// How long a write may wait for a majority before it counts as failed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The mirror: collection `runs` of a MongoDB database.
///
/// Cloning is cheap, and clones share connections. Like the driver's `Client`, it belongs to the async runtime that
/// made it.
#[derive(Clone)]
pub struct MongoRunStore {
    database: Database,
    migrated: Arc<OnceCell<()>>,
    /// The writes under way, of all clones.
    writes: TaskTracker,
}

impl MongoRunStore {
    /// Connects to the database that the URI's path names, else to `runlineage`. Nothing is written.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a URI with a mistake in it, [`Error::Mongo`] when no server answers it or the password is wrong.
    pub async fn connect(uri: &str) -> Result<Self> {
        let store = Self::open(uri, None).await?;
        let ping = store.database.run_command(doc! { "ping": 1 }).await;
        ping.map_err(|error| failed("cannot reach the server", error))?;
        Ok(store)
    }

    /// Like [`connect`](Self::connect), with the database to use where the URI names none, and without asking the server: the
    /// first operation does.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a URI with a mistake in it.
    pub async fn open(uri: &str, database: Option<&str>) -> Result<Self> {
        // A secret's file ends in a line end, which the driver would take for a part of the database's name.
        let mut options = ClientOptions::parse(uri.trim())
            .await
            .map_err(|error| unusable_uri(uri, &error))?;
        options.app_name.get_or_insert_with(|| "runlineage".into());
        // The driver waits 30 s unless the URI says otherwise; a typo should not take that long to show.
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
            let reason = "it holds a line end or another control character; remove it";
            return Err(Error::invalid_argument("MongoDB URI", reason));
        }
        let client = Client::with_options(options).map_err(|error| unusable_uri(uri, &error))?;
        Ok(Self::from_database(client.database(&name)))
    }

    /// The mirror in a database that the caller has already.
    #[must_use]
    pub fn from_database(database: Database) -> Self {
        let writes = TaskTracker::new();
        // A closed tracker takes tasks as an open one does, and can be waited for at any time.
        writes.close();
        Self {
            database,
            migrated: Arc::default(),
            writes,
        }
    }

    /// The database that holds the mirror.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The run of this id, or `None`.
    ///
    /// # Errors
    /// [`Error::Mongo`] when MongoDB does not answer, [`Error::Document`] when what is stored is no run.
    pub async fn get_run(&self, id: &str) -> Result<Option<Run>> {
        let found = Collections::of(self)
            .runs()
            .find_one(doc! { field::ID: id })
            .await;
        found
            .map_err(|error| failed(format!("cannot read run {id}"), error))?
            .map(Run::try_from)
            .transpose()
    }

    /// Whether the mirror holds any run at all.
    ///
    /// # Errors
    /// [`Error::Mongo`] when MongoDB does not answer.
    pub async fn find_any(&self) -> Result<bool> {
        let found = Collections::of(self)
            .runs()
            .find_one(doc! {})
            .projection(doc! { field::ID: 1 })
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

/// Acknowledged by a majority, and in the journal of a server that stands alone: what no crash can take back.
fn majority() -> WriteConcern {
    let mut concern = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build();
    concern.w_timeout = Some(WRITE_TIMEOUT);
    concern
}

/// The same, for commands: the driver leaves their write concern to the caller.
fn majority_in_command() -> RawDocumentBuf {
    rawdoc! { "w": "majority", "j": true, "wtimeout": 30_000 }
}

/// The URI holds a password, and the driver quotes from it: only its own words without the URI are kept.
fn unusable_uri(uri: &str, error: &mongodb::error::Error) -> Error {
    use mongodb::error::ErrorKind;
    let options = uri.split_once('?').map_or("", |(_, options)| options);
    let hint = "a MongoDB URI looks like mongodb://user:password@host:27017/database; reserved characters in a password are percent-encoded";
    let reason = match error.kind.as_ref() {
        ErrorKind::DnsResolve { .. } => format!("its host cannot be resolved; {hint}"),
        ErrorKind::InvalidArgument { message, .. } if message.contains("scheme") => {
            format!("it begins with neither mongodb:// nor mongodb+srv://; {hint}")
        }
        // The driver names the option. With an `@` behind the question mark, what looks like one may be a part of a password.
        ErrorKind::InvalidArgument { message, .. }
            if message.contains(" is an invalid option") && !options.contains('@') =>
        {
            let option = message.split(" is an invalid option").next();
            let option: String = option.unwrap_or_default().chars().take(60).collect();
            format!("it has no option `{option}`; {hint}")
        }
        _ => format!("it cannot be parsed; {hint}"),
    };
    Error::invalid_argument("MongoDB URI", reason)
}

/// A date now, for fields that tell people when something happened; no decision rests on it.
fn now() -> Bson {
    Bson::DateTime(DateTime::now())
}
