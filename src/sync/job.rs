//! [`SyncJob`]: the public handle of a sync.

use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::exclusive::exclusively;
use super::forget::forget_experiment;
use super::pass::FullPass;
use super::quick::QuickPass;
use super::registry::forget_model;
use super::report::{Progress, Report};
use super::scope::Scope;
use super::settings::Settings;
use super::verify::{Verification, Verifier};
use crate::error::Result;
use crate::mlflow::MlflowClient;
use crate::mongo::{MongoRunStore, at_primary};
use crate::run::ExperimentSelector;

/// How long the lease of a killed sync blocks the next sync.
const LEASE: Duration = Duration::from_secs(30);

/// One pass over a tracking server: afterwards the mirror equals MLflow.
///
/// A pass does not write unchanged runs again. It removes a run only after MLflow's verdict on that run. If the process is
/// killed, the next pass resumes at the last checkpoint.
#[derive(Debug, Clone)]
#[must_use]
pub struct SyncJob {
    pub(super) settings: Settings,
}

impl SyncJob {
    /// A pass over every experiment of this server.
    pub fn new(mlflow: &MlflowClient, store: &MongoRunStore) -> Self {
        Self {
            settings: Settings {
                mlflow: mlflow.clone(),
                store: at_primary(store),
                scope: Scope::default(),
                concurrency: 4,
                page_size: 1_000,
                lease: LEASE,
                waits_for_lease: false,
                allow_mass_delete: false,
                registry: true,
                exact_model_inputs: false,
            },
        }
    }

    /// Covers only these experiments.
    pub fn only<E: Into<ExperimentSelector>>(
        mut self,
        experiments: impl IntoIterator<Item = E>,
    ) -> Self {
        self.settings.scope.only = experiments.into_iter().map(Into::into).collect();
        self
    }

    /// Covers all experiments except these, whose mirrored runs stay unchanged.
    pub fn except<E: Into<ExperimentSelector>>(
        mut self,
        experiments: impl IntoIterator<Item = E>,
    ) -> Self {
        self.settings.scope.except = experiments.into_iter().map(Into::into).collect();
        self
    }

    /// How many experiments the pass scans at once. Default: 4.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.settings.concurrency = concurrency.max(1);
        self
    }

    /// How many runs one page holds at most. Default: 1,000.
    pub fn page_size(mut self, page_size: u32) -> Self {
        self.settings.page_size = page_size.max(1);
        self
    }

    /// How long the lease lasts after this process was killed. Default: 30 s.
    pub fn lease(mut self, length: Duration) -> Self {
        self.settings.lease = length;
        self
    }

    /// Whether a pass waits while another process or host holds the lease of this database, and logs the holder. Default: no,
    /// it fails at once.
    pub fn wait_for_lease(mut self, wait: bool) -> Self {
        self.settings.waits_for_lease = wait;
        self
    }

    /// Also removes runs that MLflow no longer knows when these are more than 100 and more than a tenth of all mirrored runs.
    pub fn allow_mass_delete(mut self, allow: bool) -> Self {
        self.settings.allow_mass_delete = allow;
        self
    }

    /// Whether passes and [`verify`](Self::verify) include registered models, their versions and logged models; the default is
    /// true. They include the whole registry, and the logged models of the selected experiments.
    pub fn registry(mut self, registry: bool) -> Self {
        self.settings.registry = registry;
        self
    }

    /// Whether MLflow is asked for each new or changed run by itself, which costs a request per run; the default is false.
    ///
    /// Searches show the logged models that a run evaluated, but not those that a program recorded as inputs without an
    /// evaluation. Only the request for a single run shows these.
    pub fn exact_model_inputs(mut self, exact: bool) -> Self {
        self.settings.exact_model_inputs = exact;
        self
    }

    /// Makes the pass, and calls `progress` on the way.
    ///
    /// Pending migrations are applied first. An experiment that MLflow refuses, or always fails for, is reported as incomplete
    /// and does not stop the others. An interrupted pass is resumed at its checkpoints: runs before them are not read again,
    /// and [`Report::resumed_from`] says when that pass began.
    ///
    /// # Errors
    /// - [`Error::Leased`] while another sync of this database runs, unless this one [waits](Self::wait_for_lease).
    /// - [`Error::LeaseLost`] when this process was suspended for so long that another sync may have begun.
    /// - [`Error::Database`] when the database mirrors another source.
    /// - [`Error::MlflowUnreachable`], [`Error::Mlflow`] and [`Error::Mongo`] when all retries fail, or when MLflow refuses the
    ///   credentials. The next pass resumes this one.
    ///
    /// [`Error::Leased`]: crate::Error::Leased
    /// [`Error::LeaseLost`]: crate::Error::LeaseLost
    /// [`Error::Database`]: crate::Error::Database
    /// [`Error::MlflowUnreachable`]: crate::Error::MlflowUnreachable
    /// [`Error::Mlflow`]: crate::Error::Mlflow
    /// [`Error::Mongo`]: crate::Error::Mongo
    pub async fn run(&self, progress: impl Fn(Progress) + Send + Sync) -> Result<Report> {
        let report = self.run_until(&CancellationToken::new(), progress).await?;
        // Nobody cancels this token, so there is a report.
        Ok(report.unwrap_or_default())
    }

    /// Like [`run`](Self::run). `None` when `stop` is cancelled first; the next pass then resumes this one.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_until(
        &self,
        stop: &CancellationToken,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Option<Report>> {
        let pass = FullPass::new(&self.settings, &progress);
        exclusively(&self.settings, stop, pass.run().boxed()).await
    }

    /// Makes a quick pass over runs that started or ended within `lookback`, and runs that have not ended. `None` when `stop`
    /// is cancelled first.
    ///
    /// Only a full pass sees deletions, changes of runs that ended earlier, and runs that were imported with old start and end
    /// times.
    ///
    /// # Errors
    /// As [`run`](Self::run); a refusal of MLflow ends a quick pass.
    pub async fn run_quick(
        &self,
        lookback: Duration,
        stop: &CancellationToken,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Option<Report>> {
        let pass = QuickPass::new(&self.settings, lookback, &progress);
        exclusively(&self.settings, stop, pass.run().boxed()).await
    }

    /// Compares every run of the selected experiments, and the registry, with the mirror, and lists every difference. Writes
    /// nothing.
    ///
    /// It compares each stored document with the document that a sync would write now, and MLflow's raw names, times, texts
    /// and numbers with those that the stored document gives back. A run that differs is read once more before it is listed,
    /// since it may have changed between the two reads.
    ///
    /// # Errors
    /// As [`run`](Self::run). If MLflow refuses runs, the comparison ends. If it refuses the registry alone, the result says so.
    pub async fn verify(&self, progress: impl Fn(Progress) + Send + Sync) -> Result<Verification> {
        Verifier::new(&self.settings, &progress).run().await
    }

    /// Moves the mirrored runs of an experiment that MLflow no longer lists to the deleted runs, and returns how many.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) when MLflow lists the experiment, since the next sync would
    /// mirror it again.
    pub async fn forget_experiment(&self, id: &str) -> Result<u64> {
        forget_experiment(&self.settings, id).await
    }

    /// Removes what is mirrored of a registered model that MLflow no longer lists, and tells how many versions that were. The
    /// documents stay, marked as deleted.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) when MLflow lists it: then it would be mirrored again.
    pub async fn forget_model(&self, name: &str) -> Result<u64> {
        forget_model(&self.settings, name).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CancellationToken, SyncJob};

    fn assert_send<T: Send>(_: T) {}

    /// Never called: the test is that it compiles.
    #[allow(dead_code)]
    fn a_pass_can_be_spawned(job: &SyncJob, stop: &CancellationToken) {
        assert_send(job.run(|_| {}));
        assert_send(job.run_quick(Duration::ZERO, stop, |_| {}));
        assert_send(job.verify(|_| {}));
        assert_send(job.forget_experiment("1"));
        assert_send(job.forget_model("churn"));
    }
}
