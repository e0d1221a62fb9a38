//! [`Settings`]: the settings of a job, which all of its parts share.

use std::time::Duration;

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
}

impl Settings {
    /// The settings of all passes of one watch.
    pub(super) fn of_watch(&self) -> Self {
        Self {
            scope: self.scope.of_watch(),
            ..self.clone()
        }
    }
}
