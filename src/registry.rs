//! Registered models, their versions and logged models as they are stored; this file owns their collections and field names.

mod model;
mod projected;

use std::collections::BTreeSet;

use bson::{Bson, Document};

pub(crate) use projected::{
    PROJECTED, Place, Projected, ProjectedRuns, of_array, own_outputs, with_projected,
    without_outputs,
};

pub use model::{Alias, Evaluation, LoggedModel, ModelVersion, RegisteredModel};

/// Names of fields that the documents of these collections have beside those of a run.
pub(crate) mod field {
    pub(crate) const VERSION: &str = "version";
    pub(crate) const CREATED: &str = "created";
    pub(crate) const UPDATED: &str = "updated";
    pub(crate) const MODEL_CREATED: &str = "model_created";
    pub(crate) const RUN: &str = "run";
    pub(crate) const SOURCE: &str = "source";
    pub(crate) const LOGGED_MODEL: &str = "logged_model";
    pub(crate) const COPIED_FROM: &str = "copied_from";
    pub(crate) const STAGE: &str = "stage";
    pub(crate) const DESCRIPTION: &str = "description";
    pub(crate) const ALIASES: &str = "aliases";
    pub(crate) const SOURCE_RUN: &str = "source_run";
    pub(crate) const MODEL_TYPE: &str = "model_type";
    pub(crate) const EVALUATIONS: &str = "evaluations";
    pub(crate) const FORMER_NAMES: &str = "former_names";
    pub(crate) const DELETED_AT: &str = "deleted_at";
    pub(crate) const PENDING_RUNS: &str = "pending_runs";
    /// When MLflow made the experiment of a logged model: an id alone may name another experiment on another server.
    pub(crate) const EXP_CREATED: &str = "exp_created";
}

/// One of the collections beside `runs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RegistryCollection {
    Models,
    Versions,
    LoggedModels,
}

/// A registered model, a version or a logged model as MLflow shows it, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RegistryDocument {
    pub(crate) id: String,
    /// All fields but `mirror`, `former_names` and `deleted_at`.
    pub(crate) fields: Document,
    /// The part of `mirror` that follows from MLflow's answer, with the fingerprint.
    pub(crate) mirror: Document,
    /// The runs whose lineage entries follow from this document.
    pub(crate) runs: BTreeSet<String>,
    /// Names under which MLflow showed the same model before it was renamed.
    pub(crate) former_names: BTreeSet<String>,
}

impl RegistryCollection {
    /// What one document is called in messages.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Models => "registered model",
            Self::Versions => "model version",
            Self::LoggedModels => "logged model",
        }
    }
}

/// The `_id` of a version. No model name holds a colon, so that no two versions share one.
pub(crate) fn version_id(name: &str, version: &str) -> String {
    format!("{name}:{version}")
}

/// The runs that a stored document names.
pub(crate) fn runs_of(document: &Document) -> BTreeSet<String> {
    let own = [field::RUN, field::SOURCE_RUN].into_iter();
    let own = own.filter_map(|name| document.get_str(name).ok());
    let evaluations = document.get_array(field::EVALUATIONS).into_iter().flatten();
    let evaluating = evaluations.filter_map(|entry| entry.as_document()?.get_str(field::RUN).ok());
    own.chain(evaluating).map(str::to_owned).collect()
}

/// The names in `former_names` of a stored document.
pub(crate) fn former_names_of(document: &Document) -> BTreeSet<String> {
    let names = document
        .get_array(field::FORMER_NAMES)
        .into_iter()
        .flatten();
    names.filter_map(Bson::as_str).map(str::to_owned).collect()
}
