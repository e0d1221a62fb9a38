//! [`MongoRunStore`]: the mirror, searched natively.

mod batches;
pub(crate) mod checkpoint;
mod chooser;
mod deleted;
mod explain;
mod facet;
mod find;
mod indexes;
pub(crate) mod lease;
mod migrate;
pub(crate) mod mirrored;
pub(crate) mod retry;
mod save;
mod source;
mod terms;
mod values;

pub use deleted::DeletedRun;
pub use explain::Plan;
pub use facet::{Facet, FacetCount};
pub use migrate::MigrationStatus;
pub use save::Saved;
pub use source::Freshness;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bson::raw::RawDocumentBuf;
use bson::{Bson, DateTime, Document, doc};
use mongodb::options::{
    Acknowledgment, ClientOptions, DatabaseOptions, ReadPreference, ReturnDocument,
    SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Collection, Database};
use tokio::sync::{OnceCell, RwLock};

use crate::error::{Error, Result};
use crate::query::Search;
use crate::run::{Run, field};
use crate::store::RunStream;
use retry::retried;

pub(crate) const RUNS: &str = "runs";
/// Runs that MLflow shows as deleted, as they were last.
pub(crate) const DELETED_RUNS: &str = "deleted_runs";
pub(crate) const STATE: &str = "sync_state";
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
    /// Read while runs are written.
    pub(super) writes: Arc<RwLock<()>>,
}

/// A place in the order of reads from MLflow: what was read after a later ticket is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub(crate) i64);

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
            .map_err(|error| unusable_uri(&error))?;
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
        let client = Client::with_options(options).map_err(|error| unusable_uri(&error))?;
        Ok(Self::from_database(client.database(&name)))
    }

    /// The mirror in a database that the caller has already.
    #[must_use]
    pub fn from_database(database: Database) -> Self {
        Self {
            database,
            migrated: Arc::default(),
            writes: Arc::default(),
        }
    }

    /// The database that holds the mirror.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The same mirror, read from its primary: what a write rests on must not lag behind the writes before it.
    pub(crate) fn at_primary(&self) -> Self {
        let options = DatabaseOptions::builder()
            .selection_criteria(SelectionCriteria::from(ReadPreference::Primary))
            .read_concern(self.database.read_concern().cloned())
            .write_concern(self.database.write_concern().cloned())
            .build();
        let client = self.database.client();
        Self {
            database: client.database_with_options(self.database.name(), options),
            ..self.clone()
        }
    }

    /// Runs a command that only reads, where the URI sends what reads.
    pub(crate) async fn read(&self, command: Document) -> mongodb::error::Result<Document> {
        let mut read = self.database.run_command(command);
        if let Some(criteria) = self.database.selection_criteria() {
            read = read.selection_criteria(criteria.clone());
        }
        read.await
    }

    /// The run of this id, or `None`.
    ///
    /// # Errors
    /// [`Error::Mongo`] when MongoDB does not answer, [`Error::Document`] when what is stored is no run.
    pub async fn get_run(&self, id: &str) -> Result<Option<Run>> {
        let found = self.runs().find_one(doc! { field::ID: id }).await;
        found
            .map_err(|error| failed(format!("cannot read run {id}"), error))?
            .map(Run::try_from)
            .transpose()
    }

    /// Draws the next ticket. What is read from MLflow after that may overwrite what was read before.
    ///
    /// # Errors
    /// [`Error::Mongo`] when MongoDB does not acknowledge it.
    pub async fn draw_ticket(&self) -> Result<Ticket> {
        let draw = || async {
            self.state()
                .find_one_and_update(
                    doc! { "_id": "ticket" },
                    doc! { "$inc": { "value": 1_i64 } },
                )
                .upsert(true)
                .return_document(ReturnDocument::After)
                .write_concern(majority())
                .await
        };
        let drawn = retried(draw)
            .await
            .map_err(|error| failed("cannot draw a ticket", error))?;
        drawn.and_then(|ticket| ticket.get_i64("value").ok()).map(Ticket).ok_or_else(|| Error::Database {
            database: self.database.name().to_owned(),
            reason: format!("`{STATE}` holds a ticket that is not a 64-bit integer; no other program may write there"),
        })
    }

    /// Whether the mirror holds any run at all.
    ///
    /// # Errors
    /// [`Error::Mongo`] when MongoDB does not answer.
    pub async fn find_any(&self) -> Result<bool> {
        let found = self
            .runs()
            .find_one(doc! {})
            .projection(doc! { field::ID: 1 })
            .await;
        Ok(found
            .map_err(|error| failed("cannot look for runs", error))?
            .is_some())
    }

    /// The runs that match, with nothing but their ids.
    pub(crate) async fn find_ids(&self, filter: Document) -> Result<RunStream> {
        self.find_runs(Search::from(filter).projection(doc! { field::ID: 1 }))
            .await
    }

    pub(crate) async fn count_estimate(&self) -> Result<u64> {
        let count = self.runs().estimated_document_count().await;
        count.map_err(|error| failed("cannot count runs", error))
    }

    pub(crate) async fn count_problems(&self) -> Result<u64> {
        self.count_runs(doc! { "mirror.problems.key": { "$exists": true } })
            .await
    }

    /// Applies pending migrations before the first write of this store: a collection that a write made by itself would
    /// lack its indexes and its validator.
    pub(crate) async fn ensure_migrated(&self) -> Result<()> {
        let migrate = || async { self.migrate().await.map(drop) };
        self.migrated.get_or_try_init(migrate).await?;
        Ok(())
    }

    pub(crate) fn runs(&self) -> Collection<RawDocumentBuf> {
        self.database.collection(RUNS)
    }

    pub(crate) fn state(&self) -> Collection<Document> {
        self.database.collection(STATE)
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
pub(crate) fn majority() -> WriteConcern {
    let mut concern = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .build();
    concern.w_timeout = Some(WRITE_TIMEOUT);
    concern
}

/// An error of the driver, with what was under way and, where the cause is known, what to do.
pub(crate) fn failed(doing: impl Into<String>, error: mongodb::error::Error) -> Error {
    use mongodb::error::ErrorKind;
    let mut doing = doing.into();
    doing.push_str(match error.kind.as_ref() {
        ErrorKind::ServerSelection { .. } => "; is the server running, and is the host right?",
        ErrorKind::Authentication { .. } => "; the user or the password is wrong",
        ErrorKind::Command(command) => match command.code {
            13 => "; this user lacks the right, the README lists the role each command needs",
            18 => "; the user or the password is wrong",
            50 => "; it took longer than allowed: narrow the search, or raise the limit",
            _ => "",
        },
        _ => "",
    });
    Error::Mongo {
        doing,
        source: Box::new(Said(error)),
    }
}

/// The driver's error without the server's whole response, which its own `Display` appends.
#[derive(Debug)]
struct Said(mongodb::error::Error);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use mongodb::error::{ErrorKind, WriteFailure};
        match self.0.kind.as_ref() {
            ErrorKind::Command(said) => {
                write!(f, "{} ({}): {}", said.code_name, said.code, said.message)
            }
            ErrorKind::Write(WriteFailure::WriteError(said)) => {
                write!(f, "({}): {}", said.code, said.message)
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(said)) => {
                write!(f, "{} ({}): {}", said.code_name, said.code, said.message)
            }
            kind => write!(f, "{kind}"),
        }
    }
}

impl std::error::Error for Said {}

/// The URI holds a password, and the driver quotes from it: only its own words without the URI are kept.
fn unusable_uri(error: &mongodb::error::Error) -> Error {
    use mongodb::error::ErrorKind;
    let hint = "a MongoDB URI looks like mongodb://user:password@host:27017/database; reserved characters in a password are percent-encoded";
    let reason = match error.kind.as_ref() {
        ErrorKind::DnsResolve { .. } => format!("its host cannot be resolved; {hint}"),
        ErrorKind::InvalidArgument { message, .. } if message.contains("scheme") => {
            format!("it begins with neither mongodb:// nor mongodb+srv://; {hint}")
        }
        _ => format!("it cannot be parsed; {hint}"),
    };
    Error::invalid_argument("MongoDB URI", reason)
}

/// A date now, for fields that tell people when something happened; no decision rests on it.
pub(crate) fn now() -> Bson {
    Bson::DateTime(DateTime::now())
}
