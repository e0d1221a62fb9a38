//! [`Settings`]: what every part of a job works with.

use std::time::Duration;

use super::scope::Scope;
use crate::mlflow::MlflowClient;
use crate::mongo::MongoRunStore;

/// From where, to where, and how.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) mlflow: MlflowClient,
    /// Reads of a sync decide writes, so they go to the primary.
    pub(super) store: MongoRunStore,
    pub(super) scope: Scope,
    /// How many experiments are scanned at once.
    pub(super) concurrency: usize,
    /// How many runs are asked for at once.
    pub(super) page_size: u32,
    /// How long the right to write outlives a process that is killed.
    pub(super) lease: Duration,
    /// Whether the work waits while another process writes, or fails at once.
    pub(super) waits_for_lease: bool,
    pub(super) allow_mass_delete: bool,
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
