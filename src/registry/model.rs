//! Registered models, versions and logged models, as the mirror holds them for its readers.

use bson::{Bson, DateTime, Document};
use serde::{Serialize, Serializer};

use super::{field, former_names_of};
use crate::run::field as run_field;

/// A registered model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegisteredModel {
    /// Its name.
    pub name: String,
    /// When MLflow made it. A model that is deleted and made again has another time.
    #[serde(serialize_with = "rfc_3339")]
    pub created: Option<DateTime>,
    /// When MLflow last changed it; MLflow does not count aliases and tags.
    #[serde(serialize_with = "rfc_3339")]
    pub updated: Option<DateTime>,
    /// Its aliases, sorted, and the version to which each points.
    pub aliases: Vec<Alias>,
    /// The names that it had before it was renamed.
    pub former_names: Vec<String>,
    /// When the mirror saw that it is deleted.
    #[serde(serialize_with = "rfc_3339", skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime>,
}

/// An alias of a registered model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Alias {
    /// The alias, such as `champion`.
    pub alias: String,
    /// The version to which it points.
    pub version: String,
}

/// A version of a registered model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModelVersion {
    /// The model's name.
    pub name: String,
    /// The version, such as `3`.
    pub version: String,
    /// When MLflow made it.
    #[serde(serialize_with = "rfc_3339")]
    pub created: Option<DateTime>,
    /// The id of the run that made it, as MLflow records it; MLflow does not check this text.
    pub run: Option<String>,
    /// The URI that it was registered from.
    pub source: Option<String>,
    /// The logged model that it was registered from.
    pub logged_model: Option<String>,
    /// The version, as NAME:VERSION, of which it is a copy.
    pub copied_from: Option<String>,
    /// Its stage; none for MLflow's `None`.
    pub stage: Option<String>,
    /// The names that its model had before it was renamed.
    pub former_names: Vec<String>,
    /// When the mirror saw that it is deleted.
    #[serde(serialize_with = "rfc_3339", skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime>,
}

/// A logged model of MLflow 3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LoggedModel {
    /// Its id, such as `m-3f0b…`.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// The id of its experiment.
    pub experiment: Option<String>,
    /// The id of the run that made it.
    pub source_run: Option<String>,
    /// When MLflow made it.
    #[serde(serialize_with = "rfc_3339")]
    pub created: Option<DateTime>,
    /// MLflow's status, such as `LOGGED_MODEL_READY`.
    pub status: Option<String>,
    /// What kind of model it is, in the words of who logged it.
    pub model_type: Option<String>,
    /// The runs that evaluated it, each once for each dataset.
    pub evaluations: Vec<Evaluation>,
    /// When the mirror saw that it is deleted.
    #[serde(serialize_with = "rfc_3339", skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime>,
}

/// An evaluation of a logged model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// The id of the run that evaluated it.
    pub run: String,
    /// The name of the dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// The digest of the dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl RegisteredModel {
    /// The version to which an alias points.
    #[must_use]
    pub fn version_of_alias(&self, alias: &str) -> Option<&str> {
        let found = self.aliases.iter().find(|one| one.alias == alias);
        found.map(|found| found.version.as_str())
    }

    pub(crate) fn of(document: &Document) -> Option<Self> {
        let aliases = array(document, field::ALIASES).filter_map(|alias| {
            Some(Alias {
                alias: text(alias, "alias")?,
                version: text(alias, field::VERSION)?,
            })
        });
        Some(Self {
            name: text(document, run_field::ID)?,
            created: date(document, field::CREATED),
            updated: date(document, field::UPDATED),
            aliases: aliases.collect(),
            former_names: former_names_of(document).into_iter().collect(),
            deleted_at: date(document, field::DELETED_AT),
        })
    }
}

impl ModelVersion {
    /// The version as a number, by which versions are sorted; MLflow numbers versions from 1.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.version.parse().ok()
    }

    pub(crate) fn of(document: &Document) -> Option<Self> {
        Some(Self {
            name: text(document, run_field::NAME)?,
            version: text(document, field::VERSION)?,
            created: date(document, field::CREATED),
            run: text(document, field::RUN),
            source: text(document, field::SOURCE),
            logged_model: text(document, field::LOGGED_MODEL),
            copied_from: text(document, field::COPIED_FROM),
            stage: text(document, field::STAGE),
            former_names: former_names_of(document).into_iter().collect(),
            deleted_at: date(document, field::DELETED_AT),
        })
    }
}

impl LoggedModel {
    pub(crate) fn of(document: &Document) -> Option<Self> {
        let evaluations = array(document, field::EVALUATIONS).filter_map(|evaluation| {
            Some(Evaluation {
                run: text(evaluation, field::RUN)?,
                dataset: text(evaluation, "dataset"),
                digest: text(evaluation, "digest"),
            })
        });
        let experiment = document.get_document(run_field::EXP).ok();
        Some(Self {
            id: text(document, run_field::ID)?,
            name: text(document, run_field::NAME),
            experiment: experiment.and_then(|experiment| text(experiment, "id")),
            source_run: text(document, field::SOURCE_RUN),
            created: date(document, field::CREATED),
            status: text(document, run_field::STATUS),
            model_type: text(document, field::MODEL_TYPE),
            evaluations: evaluations.collect(),
            deleted_at: date(document, field::DELETED_AT),
        })
    }
}

fn text(document: &Document, field: &str) -> Option<String> {
    document.get_str(field).ok().map(str::to_owned)
}

fn date(document: &Document, field: &str) -> Option<DateTime> {
    document.get_datetime(field).ok().copied()
}

fn array<'a>(document: &'a Document, field: &str) -> impl Iterator<Item = &'a Document> {
    let array = document.get_array(field).into_iter().flatten();
    array.filter_map(Bson::as_document)
}

fn rfc_3339<S: Serializer>(date: &Option<DateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = date.and_then(|date| date.try_to_rfc3339_string().ok());
    text.serialize(serializer)
}
