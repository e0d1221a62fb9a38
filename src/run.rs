//! [`Run`]: a stored run, its accessors, and the names of its fields.

mod json;
pub(crate) mod lineage;
mod selector;

use std::fmt;
use std::str::FromStr;

use bson::raw::{RawBsonRef, RawDocument, RawDocumentBuf};
use bson::{Bson, DateTime, Document};

use crate::error::{Error, Result};
use crate::node::is_run_id;

pub use selector::ExperimentSelector;

/// Names of the fields of a stored run.
pub(crate) mod field {
    pub(crate) const ID: &str = "_id";
    pub(crate) const NAME: &str = "name";
    pub(crate) const EXP: &str = "exp";
    pub(crate) const EXP_ID: &str = "exp.id";
    pub(crate) const EXP_NAME: &str = "exp.name";
    pub(crate) const PARENT: &str = "tags.mlflow.parentRunId";
    pub(crate) const PROBLEM_KEYS: &str = "mirror.problems.key";
    pub(crate) const STATUS: &str = "status";
    pub(crate) const START_TIME: &str = "start_time";
    pub(crate) const END_TIME: &str = "end_time";
    pub(crate) const REPO: &str = "repo";
    pub(crate) const USER: &str = "user";
    pub(crate) const TAGS: &str = "tags";
    pub(crate) const PARAMS: &str = "params";
    pub(crate) const METRICS: &str = "metrics";
    pub(crate) const MIRROR: &str = "mirror";
    pub(crate) const TICKET: &str = "ticket";
    pub(crate) const TICKETS: &str = "mirror.ticket";
    pub(crate) const CHANGED_AT: &str = "changed_at";
    pub(crate) const FINGERPRINT: &str = "fingerprint";
    pub(crate) const PURGED: &str = "purged";
    pub(crate) const QUARANTINED: &str = "quarantined";
    pub(crate) const REGISTRY: &str = "registry";
    pub(crate) const TEXT: &str = "text";
    pub(crate) const UNNESTED: &str = "unnested";
    /// MLflow's artifact URI, where the tag `artifacts_repo` names another one.
    pub(crate) const ARTIFACT_URI: &str = "artifact_uri";
    pub(crate) const PROBLEMS: &str = "problems";
}

/// An MLflow run id: letters, digits, `_` and `-`, at most 256 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

/// A run of collection `runs`: its stored document, decoded on demand.
///
/// A document of another program may lack every field but `_id`, so accessors return `Option`. They return `Result` where a
/// field of another type would be an error.
#[derive(Clone, PartialEq)]
pub struct Run {
    document: RawDocumentBuf,
}

/// The experiment of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Experiment {
    /// MLflow's experiment id.
    pub id: String,
    /// The experiment's name when the run was last mirrored.
    pub name: Option<String>,
}

/// A value of a run that the program could not read, or could not store unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The tag, param, metric or field.
    pub key: String,
    /// What is wrong with the value, and where the mirror keeps it.
    pub reason: String,
}

impl Run {
    /// The run's id.
    #[must_use]
    pub fn id(&self) -> &str {
        // The constructor accepts only a string.
        self.document.get_str(field::ID).unwrap_or_default()
    }

    /// Whether the document lacks fields of the run, because MongoDB refused the whole.
    pub(crate) fn is_quarantined(&self) -> bool {
        let mirror = self.as_raw().get_document(field::MIRROR);
        let is_quarantined = mirror.and_then(|mirror| mirror.get_bool(field::QUARANTINED));
        is_quarantined.unwrap_or_default()
    }

    /// The run's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.text(field::NAME)
    }

    /// The experiment of the run.
    #[must_use]
    pub fn exp(&self) -> Option<Experiment> {
        let exp = self.document.get_document(field::EXP).ok()?;
        Some(Experiment {
            id: exp.get_str("id").ok()?.to_owned(),
            name: exp.get_str("name").ok().map(str::to_owned),
        })
    }

    /// The status in MLflow: `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`.
    #[must_use]
    pub fn status(&self) -> Option<&str> {
        self.text(field::STATUS)
    }

    /// When the run started, by the clock of the client that started it.
    #[must_use]
    pub fn start_time(&self) -> Option<DateTime> {
        self.document.get_datetime(field::START_TIME).ok()
    }

    /// When the run ended. A run that was resumed is `RUNNING` and still has an end time.
    #[must_use]
    pub fn end_time(&self) -> Option<DateTime> {
        self.document.get_datetime(field::END_TIME).ok()
    }

    /// The URI of the run's artifacts: the tag `artifacts_repo`, else MLflow's artifact URI.
    #[must_use]
    pub fn repo(&self) -> Option<&str> {
        self.text(field::REPO)
    }

    /// MLflow's artifact URI, which differs from [`repo`](Self::repo) if the run has the tag `artifacts_repo`.
    #[must_use]
    pub fn artifact_uri(&self) -> Option<&str> {
        let mirror = self.document.get_document(field::MIRROR).ok();
        let own = mirror.and_then(|mirror| mirror.get_str(field::ARTIFACT_URI).ok());
        own.or_else(|| self.repo())
    }

    /// The user who started the run.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.text(field::USER)
    }

    /// The run's tags, nested at dots, values decoded; empty where there are none.
    ///
    /// # Errors
    /// [`Error::Document`] when `tags` is not a document.
    pub fn tags(&self) -> Result<Document> {
        self.nested(field::TAGS)
    }

    /// The run's params, nested at dots, values decoded; empty where there are none.
    ///
    /// # Errors
    /// [`Error::Document`] when `params` is not a document.
    pub fn params(&self) -> Result<Document> {
        self.nested(field::PARAMS)
    }

    /// The last value of each of the run's metrics, nested at dots; empty where there are none.
    ///
    /// # Errors
    /// [`Error::Document`] when `metrics` is not a document.
    pub fn metrics(&self) -> Result<Document> {
        self.nested(field::METRICS)
    }

    /// The recorded problems of the run.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let problems = self
            .document
            .get_document(field::MIRROR)
            .and_then(|mirror| mirror.get_array(field::PROBLEMS));
        let Ok(problems) = problems else {
            return Vec::new();
        };
        problems
            .into_iter()
            .filter_map(|problem| {
                let problem = problem.ok()?.as_document()?;
                Some(Problem {
                    key: problem.get_str("key").ok()?.to_owned(),
                    reason: problem.get_str("reason").ok()?.to_owned(),
                })
            })
            .collect()
    }

    /// The stored document, as it came from the database.
    #[must_use]
    pub fn as_raw(&self) -> &RawDocument {
        &self.document
    }

    /// The stored document, decoded as a whole.
    ///
    /// # Errors
    /// [`Error::Document`] when the stored bytes are not valid BSON.
    pub fn to_document(&self) -> Result<Document> {
        Document::try_from(&*self.document).map_err(|error| self.malformed(error))
    }

    pub(crate) fn fingerprint(&self) -> &str {
        let mirror = self.document.get_document(field::MIRROR);
        mirror
            .and_then(|mirror| mirror.get_str(field::FINGERPRINT))
            .unwrap_or_default()
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.document.get_str(field).ok()
    }

    fn nested(&self, field: &str) -> Result<Document> {
        match self
            .document
            .get(field)
            .map_err(|error| self.malformed(error))?
        {
            None => Ok(Document::new()),
            Some(RawBsonRef::Document(nested)) => {
                Document::try_from(nested).map_err(|error| self.malformed(error))
            }
            Some(_) => Err(self.malformed(format!("`{field}` is not a document"))),
        }
    }

    fn malformed(&self, reason: impl fmt::Display) -> Error {
        Error::Document {
            id: self.id().to_owned(),
            reason: reason.to_string(),
        }
    }
}

impl TryFrom<RawDocumentBuf> for Run {
    type Error = Error;

    /// Fails if `_id` is not a string, because the id of every MLflow run is a string.
    fn try_from(document: RawDocumentBuf) -> Result<Self> {
        match document.get(field::ID) {
            Ok(Some(RawBsonRef::String(_))) => Ok(Self { document }),
            Ok(Some(other)) => Err(Error::Document {
                id: Bson::try_from(other).map_or_else(|_| "?".into(), |id| id.to_string()),
                reason:
                    "its `_id` is not a string, so another program wrote it; remove the document"
                        .into(),
            }),
            Ok(None) => Err(Error::Document {
                id: "?".into(),
                reason: "it has no `_id`; a projection must keep it".into(),
            }),
            Err(error) => Err(Error::Document {
                id: "?".into(),
                reason: error.to_string(),
            }),
        }
    }
}

impl TryFrom<&Document> for Run {
    type Error = Error;

    fn try_from(document: &Document) -> Result<Self> {
        let raw = RawDocumentBuf::try_from(document).map_err(|error| Error::Document {
            id: "?".into(),
            reason: error.to_string(),
        })?;
        raw.try_into()
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl RunId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = Error;

    /// Parses a run id; `runs:/ID` is accepted too.
    fn from_str(text: &str) -> Result<Self> {
        let id = text
            .strip_prefix("runs:/")
            .unwrap_or(text)
            .trim_end_matches('/');
        if !is_run_id(id) {
            return Err(Error::invalid_argument(
                "run id",
                format!(
                    "{text:?} is not valid; copy the id from the run's page in MLflow, such as 8f2c61d04a7b4f0e9d3c5b6a7e8f9012"
                ),
            ));
        }
        Ok(Self(id.to_owned()))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
