//! The result of a pass, and its progress.

use std::time::Duration;

use bson::DateTime;
use serde::{Serialize, Serializer};

use crate::mlflow::wire::RawExperiment;

/// The result of a pass.
///
/// `seen` equals `written + unchanged + quarantined`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Active runs that MLflow showed.
    pub seen: u64,
    /// Runs that were new or had changed.
    pub written: u64,
    /// Runs that were mirrored already, and had not changed.
    pub unchanged: u64,
    /// Runs that left the mirror because they are deleted in MLflow.
    pub deleted: u64,
    /// Quarantined runs: mirrored only in part, because MongoDB refused the whole document.
    pub quarantined: u64,
    /// All runs of the mirror with a recorded problem, the quarantined ones included.
    pub problems: u64,
    /// Experiments that the pass scanned to the end.
    pub experiments: u64,
    /// What the pass did with registered models, their versions and logged models.
    pub registry: RegistryReport,
    /// Parts that the pass could not finish, and why. When there are any, the mirror may differ from MLflow.
    pub incomplete: Vec<Incomplete>,
    /// When the interrupted pass began, if this pass resumed one; `None` for a new pass. This pass did not read the runs again
    /// that the interrupted pass had read, so the mirror is only as fresh as that moment. In JSON, RFC 3339 text or null.
    #[serde(serialize_with = "rfc_3339")]
    pub resumed_from: Option<DateTime>,
    /// How long the pass took. In JSON, the number `seconds`.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub took: Duration,
}

/// What a pass did with registered models, their versions and logged models; zeros if it left them out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegistryReport {
    /// Registered models.
    pub models: RegistryCounts,
    /// Versions of registered models.
    pub versions: RegistryCounts,
    /// Logged models of MLflow 3.
    pub logged_models: RegistryCounts,
}

/// What a pass did with one kind of these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegistryCounts {
    /// How many MLflow showed.
    pub seen: u64,
    /// How many of these were new or had changed.
    pub written: u64,
    /// How many left the mirror because they are deleted in MLflow.
    pub deleted: u64,
}

/// An experiment, or the registry, that a pass could not finish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Incomplete {
    /// The experiment's id; `*` when the reason concerns the whole pass or the registry.
    pub experiment: String,
    /// Why it was not finished, and what to do.
    pub reason: String,
}

impl Incomplete {
    pub(super) fn of(experiment: &RawExperiment, reason: String) -> Self {
        Self {
            experiment: experiment.experiment_id.clone(),
            reason,
        }
    }
}

/// The progress of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Experiments scanned to the end.
    pub experiments_done: u64,
    /// Experiments to scan.
    pub experiments: u64,
    /// Active runs that MLflow showed so far.
    pub seen: u64,
    /// Of these, runs that were new or had changed.
    pub written: u64,
    /// About how many runs the pass will see: those of the selected experiments that were mirrored before. 0 on a first pass.
    pub expected: u64,
}

fn rfc_3339<S: Serializer>(date: &Option<DateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = date.and_then(|date| date.try_to_rfc3339_string().ok());
    text.serialize(serializer)
}

fn seconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    took.as_secs_f64().serialize(serializer)
}
