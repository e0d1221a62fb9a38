//! The JSON of MLflow's model registry and of its logged models, as far as this program reads it.

use bson::DateTime;
use serde::Deserialize;

use super::wire::{RawText, optional_int};

/// A registered model as MLflow answers it. Its latest versions are not read: a page of versions has them.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawModel {
    pub(crate) name: String,
    #[serde(default, deserialize_with = "optional_int")]
    pub(crate) creation_timestamp: Option<i64>,
    #[serde(default, deserialize_with = "optional_int")]
    pub(crate) last_updated_timestamp: Option<i64>,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<RawText>,
    #[serde(default)]
    pub(crate) aliases: Vec<RawAlias>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawAlias {
    pub(crate) alias: String,
    pub(crate) version: String,
}

/// A version of a registered model. Aliases are not read: `model-versions/search` leaves them out.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawVersion {
    pub(crate) name: String,
    pub(crate) version: String,
    #[serde(default, deserialize_with = "optional_int")]
    pub(crate) creation_timestamp: Option<i64>,
    #[serde(default, deserialize_with = "optional_int")]
    pub(crate) last_updated_timestamp: Option<i64>,
    #[serde(default)]
    pub(crate) user_id: Option<String>,
    #[serde(default)]
    pub(crate) current_stage: Option<String>,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) source: Option<String>,
    #[serde(default)]
    pub(crate) run_id: Option<String>,
    #[serde(default)]
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<RawText>,
}

/// A logged model of MLflow 3.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawLoggedModel {
    pub(crate) info: RawLoggedModelInfo,
    #[serde(default)]
    pub(crate) data: RawLoggedModelData,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawLoggedModelInfo {
    pub(crate) model_id: String,
    pub(crate) experiment_id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default, deserialize_with = "optional_int")]
    pub(crate) creation_timestamp_ms: Option<i64>,
    #[serde(default, deserialize_with = "optional_int")]
    pub(crate) last_updated_timestamp_ms: Option<i64>,
    #[serde(default)]
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) model_type: Option<String>,
    #[serde(default)]
    pub(crate) source_run_id: Option<String>,
    #[serde(default)]
    pub(crate) tags: Vec<RawText>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct RawLoggedModelData {
    #[serde(default)]
    pub(crate) params: Vec<RawText>,
    /// The whole history of each metric; its values are not kept.
    #[serde(default)]
    pub(crate) metrics: Vec<RawEvaluation>,
}

/// Who measured a metric of a logged model, and on which dataset.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawEvaluation {
    #[serde(default)]
    pub(crate) run_id: Option<String>,
    #[serde(default)]
    pub(crate) dataset_name: Option<String>,
    #[serde(default)]
    pub(crate) dataset_digest: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelsPage {
    #[serde(default)]
    pub(super) registered_models: Vec<RawModel>,
    #[serde(default)]
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelAnswer {
    pub(super) registered_model: RawModel,
}

#[derive(Debug, Deserialize)]
pub(super) struct VersionsPage {
    #[serde(default)]
    pub(super) model_versions: Vec<RawVersion>,
    #[serde(default)]
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct VersionAnswer {
    pub(super) model_version: RawVersion,
}

#[derive(Debug, Deserialize)]
pub(super) struct LoggedModelsPage {
    #[serde(default)]
    pub(super) models: Vec<RawLoggedModel>,
    #[serde(default)]
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LoggedModelAnswer {
    pub(super) model: RawLoggedModel,
}

impl RawModel {
    pub(crate) fn created(&self) -> Option<DateTime> {
        self.creation_timestamp.map(DateTime::from_millis)
    }

    /// When MLflow last changed the model or a version of it; aliases and tags do not count.
    pub(crate) fn updated(&self) -> Option<DateTime> {
        self.last_updated_timestamp.map(DateTime::from_millis)
    }
}

impl RawVersion {
    pub(crate) fn created(&self) -> Option<DateTime> {
        self.creation_timestamp.map(DateTime::from_millis)
    }
}
