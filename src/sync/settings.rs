//! [`Settings`]: the settings of a job, which all of its parts share.

use std::time::Duration;

use super::model_inputs::ModelInputs;
use super::names::Names;
use super::scope::Scope;
use crate::mlflow::MlflowClient;
use crate::mongo::MongoRunStore;

/// The settings of a job.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) mlflow: MlflowClient,
    /// Reads from the primary: they decide writes, so they have to see earlier writes.
    pub(super) store: MongoRunStore,
    pub(super) scope: Scope,
    /// How many experiments a pass scans at once.
    pub(super) concurrency: usize,
    /// How many runs a page holds at most.
    pub(super) page_size: u32,
    /// How long the lease lasts after the process was killed.
    pub(super) lease: Duration,
    /// Whether a pass waits while another process holds the lease. If not, it fails at once.
    pub(super) waits_for_lease: bool,
    pub(super) allow_mass_delete: bool,
    /// Whether the model registry and the logged models are mirrored too.
    pub(super) registry: bool,
    /// Whether MLflow is asked for each new or changed run by itself, for the logged models that it read.
    pub(super) exact_model_inputs: bool,
}

impl Settings {
    pub(super) fn model_inputs<'a>(&'a self, names: &'a Names) -> Option<ModelInputs<'a>> {
        self.exact_model_inputs.then_some(ModelInputs {
            mlflow: &self.mlflow,
            store: &self.store,
            names,
        })
    }

    /// The settings of all passes of one watch.
    pub(super) fn of_watch(&self) -> Self {
        Self {
            scope: self.scope.of_watch(),
            ..self.clone()
        }
    }
}
