//! The JSON of MLflow's REST API: the parts that this program reads and writes.

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// A run as MLflow sends it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawRun {
    pub(crate) info: RawInfo,
    #[serde(default)]
    pub(crate) data: RawData,
    #[serde(default)]
    pub(crate) inputs: RawInputs,
    #[serde(default)]
    pub(crate) outputs: RawOutputs,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct RawInputs {
    #[serde(default)]
    pub(crate) dataset_inputs: Vec<RawDatasetInput>,
    /// `runs/search` never shows them, `runs/get` does.
    #[serde(default)]
    pub(crate) model_inputs: Vec<RawLoggedModel>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct RawOutputs {
    #[serde(default)]
    pub(crate) model_outputs: Vec<RawLoggedModel>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawDatasetInput {
    #[serde(default)]
    pub(crate) tags: Vec<RawText>,
    pub(crate) dataset: RawDataset,
}

/// A dataset without its schema, profile and source: these can be megabytes.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawDataset {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) source_type: String,
}

/// A logged model by which a run is related to it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawLoggedModel {
    pub(crate) model_id: String,
    #[serde(default, deserialize_with = "optional_int")]
    pub(crate) step: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct RawInfo {
    pub(crate) run_id: String,
    #[serde(default)]
    pub(crate) run_name: Option<String>,
    pub(crate) experiment_id: String,
    #[serde(default)]
    pub(crate) user_id: Option<String>,
    #[serde(default)]
    pub(crate) status: Option<String>,
    #[serde(default, deserialize_with = "optional_int")]
    pub(crate) start_time: Option<i64>,
    #[serde(default, deserialize_with = "optional_int")]
    pub(crate) end_time: Option<i64>,
    #[serde(default)]
    pub(crate) artifact_uri: Option<String>,
    #[serde(default)]
    pub(crate) lifecycle_stage: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct RawData {
    #[serde(default)]
    pub(crate) metrics: Vec<RawMetric>,
    #[serde(default)]
    pub(crate) params: Vec<RawText>,
    #[serde(default)]
    pub(crate) tags: Vec<RawText>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawText {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) value: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawMetric {
    pub(crate) key: String,
    #[serde(default, deserialize_with = "metric_value")]
    pub(crate) value: f64,
}

/// An experiment as MLflow sends it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawExperiment {
    pub(crate) experiment_id: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) lifecycle_stage: Option<String>,
    #[serde(default, deserialize_with = "optional_int")]
    pub(crate) creation_time: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RunsPage {
    #[serde(default)]
    pub(super) runs: Vec<RawRun>,
    #[serde(default)]
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExperimentsPage {
    #[serde(default)]
    pub(super) experiments: Vec<RawExperiment>,
    #[serde(default)]
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RunAnswer {
    pub(super) run: RawRun,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelVersionAnswer {
    pub(super) model_version: ModelVersion,
}

#[derive(Debug, Deserialize)]
pub(super) struct LatestVersionsAnswer {
    #[serde(default)]
    pub(super) model_versions: Vec<ModelVersion>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelVersion {
    pub(super) version: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExperimentAnswer {
    pub(super) experiment: RawExperiment,
}

#[derive(Debug, Deserialize)]
pub(super) struct Empty {}

/// An error as MLflow sends it.
#[derive(Debug, Deserialize)]
pub(super) struct ApiError {
    pub(super) error_code: String,
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Debug, Serialize)]
pub(super) struct SearchRuns<'a> {
    pub(super) experiment_ids: &'a [String],
    pub(super) run_view_type: &'static str,
    pub(super) max_results: u32,
    pub(super) order_by: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page_token: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct SearchExperiments<'a> {
    pub(super) view_type: &'static str,
    pub(super) max_results: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page_token: Option<&'a str>,
}

impl RawRun {
    pub(crate) fn is_deleted(&self) -> bool {
        self.info.lifecycle_stage.as_deref() == Some("deleted")
    }
}

impl RawExperiment {
    pub(crate) fn is_deleted(&self) -> bool {
        self.lifecycle_stage.as_deref() == Some("deleted")
    }
}

/// An int64: MLflow sends a JSON number, and proxies that follow the protobuf mapping send a string.
pub(super) fn optional_int<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Int {
        Number(i64),
        Text(String),
    }
    match Option::<Int>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Int::Number(number)) => Ok(Some(number)),
        Some(Int::Text(text)) => text.parse().map(Some).map_err(de::Error::custom),
    }
}

/// A number, or the text for a number that JSON cannot hold.
fn metric_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct Value;
    impl Visitor<'_> for Value {
        type Value = f64;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
        }
        fn visit_f64<E>(self, value: f64) -> Result<f64, E> {
            Ok(value)
        }
        #[allow(clippy::cast_precision_loss, reason = "a metric is a double in MLflow")]
        fn visit_i64<E>(self, value: i64) -> Result<f64, E> {
            Ok(value as f64)
        }
        #[allow(clippy::cast_precision_loss, reason = "a metric is a double in MLflow")]
        fn visit_u64<E>(self, value: u64) -> Result<f64, E> {
            Ok(value as f64)
        }
        fn visit_str<E: de::Error>(self, value: &str) -> Result<f64, E> {
            value
                .parse()
                .map_err(|_| E::invalid_value(de::Unexpected::Str(value), &self))
        }
    }
    deserializer.deserialize_any(Value)
}
