//! What a pass came to, and how far it is.

use std::time::Duration;

use bson::DateTime;
use serde::{Serialize, Serializer};

use crate::mlflow::wire::RawExperiment;

/// What a pass over MLflow came to.
///
/// `seen` is always `written + unchanged + quarantined`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Active runs that MLflow showed.
    pub seen: u64,
    /// Runs that were new or had changed.
    pub written: u64,
    /// Runs that were mirrored just so already.
    pub unchanged: u64,
    /// Runs that left the mirror because MLflow says they are deleted.
    pub deleted: u64,
    /// Runs mirrored only in part, because MongoDB refused the whole document.
    pub quarantined: u64,
    /// Runs of the whole mirror with a recorded problem, these among them.
    pub problems: u64,
    /// Experiments that were scanned to the end.
    pub experiments: u64,
    /// What became of registered models, their versions and logged models.
    pub registry: RegistryReport,
    /// What was not scanned to the end, or could not be decided, and why; the pass did not do all of its work.
    pub incomplete: Vec<Incomplete>,
    /// When the interrupted pass began that this one resumed: what that one had looked at was not looked at again, so the
    /// mirror is as fresh as that. `None` for a pass from the start. In JSON, RFC 3339 text or null.
    #[serde(serialize_with = "rfc_3339")]
    pub resumed_from: Option<DateTime>,
    /// How long the pass took. In JSON, the number `seconds`.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub took: Duration,
}

/// What became of registered models, their versions and logged models; zeros where a pass left them out.
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

/// What became of one kind of thing beside runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegistryCounts {
    /// MLflow showed so many.
    pub seen: u64,
    /// Of these, so many were new or had changed.
    pub written: u64,
    /// So many left the mirror because MLflow says they are deleted.
    pub deleted: u64,
}

/// Something that a pass could not finish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Incomplete {
    /// The experiment's id; `*` for the whole pass, or for the model registry.
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

/// How far a pass is.
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
    /// Runs of the chosen experiments that the mirror held at the start: about as many will be seen. 0 on a first pass.
    pub expected: u64,
}

fn rfc_3339<S: Serializer>(date: &Option<DateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = date.and_then(|date| date.try_to_rfc3339_string().ok());
    text.serialize(serializer)
}

fn seconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    took.as_secs_f64().serialize(serializer)
}
