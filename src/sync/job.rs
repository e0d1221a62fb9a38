//! [`SyncJob`]: the public handle.

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

/// How long a sync that was killed keeps the next one waiting.
const LEASE: Duration = Duration::from_secs(30);

/// One pass over a tracking server: afterwards the mirror holds what MLflow holds.
///
/// Unchanged runs are not written again. A run leaves the mirror only by MLflow's own verdict on that run. Killed at any
/// moment, the next pass resumes where this one was.
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
            },
        }
    }

    /// Only these experiments.
    pub fn only<E: Into<ExperimentSelector>>(
        mut self,
        experiments: impl IntoIterator<Item = E>,
    ) -> Self {
        self.settings.scope.only = experiments.into_iter().map(Into::into).collect();
        self
    }

    /// All but these experiments. What is mirrored of them stays as it is.
    pub fn except<E: Into<ExperimentSelector>>(
        mut self,
        experiments: impl IntoIterator<Item = E>,
    ) -> Self {
        self.settings.scope.except = experiments.into_iter().map(Into::into).collect();
        self
    }

    /// How many experiments are scanned at once; 4 unless said.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.settings.concurrency = concurrency.max(1);
        self
    }

    /// How many runs are asked for at once; 1,000 unless said.
    pub fn page_size(mut self, page_size: u32) -> Self {
        self.settings.page_size = page_size.max(1);
        self
    }

    /// How long the right to write outlives this process if it is killed; 30 s unless said.
    pub fn lease(mut self, length: Duration) -> Self {
        self.settings.lease = length;
        self
    }

    /// Whether a pass waits while another sync of this database is under way, in another process or on another host, and logs
    /// which one; unless said, it fails at once.
    pub fn wait_for_lease(mut self, wait: bool) -> Self {
        self.settings.waits_for_lease = wait;
        self
    }

    /// Also removes more than 100 runs, and more than a tenth of all, that MLflow no longer knows at all.
    pub fn allow_mass_delete(mut self, allow: bool) -> Self {
        self.settings.allow_mass_delete = allow;
        self
    }

    /// Whether registered models, their versions and logged models are mirrored and verified too, as they are unless said. They
    /// are mirrored whole: only logged models follow the chosen experiments.
    pub fn registry(mut self, registry: bool) -> Self {
        self.settings.registry = registry;
        self
    }

    /// Makes the pass, and tells how it goes on the way.
    ///
    /// Pending migrations are applied first. What MLflow refuses for one experiment, or always fails for, is reported and
    /// does not stop the others. A pass that was interrupted is resumed where it was: what it had looked at is not looked
    /// at again, and [`Report::resumed_from`] says when it began.
    ///
    /// # Errors
    /// [`Error::Leased`] while another sync of this database is under way, unless it [waits](Self::wait_for_lease), [`Error::LeaseLost`] when this one was held up
    /// for so long that another may have begun; [`Error::Database`] when it mirrors another source;
    /// [`Error::MlflowUnreachable`], [`Error::Mlflow`] and [`Error::Mongo`] when either fails for longer than the retries
    /// last, or MLflow does not know the user: the next pass goes on from there.
    ///
    /// [`Error::Leased`]: crate::Error::Leased
    /// [`Error::LeaseLost`]: crate::Error::LeaseLost
    /// [`Error::Database`]: crate::Error::Database
    /// [`Error::MlflowUnreachable`]: crate::Error::MlflowUnreachable
    /// [`Error::Mlflow`]: crate::Error::Mlflow
    /// [`Error::Mongo`]: crate::Error::Mongo
    pub async fn run(&self, progress: impl Fn(Progress) + Send + Sync) -> Result<Report> {
        let report = self.run_until(&CancellationToken::new(), progress).await?;
        // A token that nobody cancels does not stop a pass.
        Ok(report.unwrap_or_default())
    }

    /// Like [`run`](Self::run); `None` when `stop` is cancelled first. The next pass then goes on from there.
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

    /// A quick pass: new runs, runs that are not over, runs that ended within `lookback`. `None` when `stop` is cancelled
    /// first.
    ///
    /// New is a run that started within `lookback`: one that is imported with a start and an end of long ago is seen by the
    /// next full pass only, and so are changes of runs that ended before, and deletions.
    ///
    /// # Errors
    /// As [`run`](Self::run); what MLflow refuses ends a quick pass.
    pub async fn run_quick(
        &self,
        lookback: Duration,
        stop: &CancellationToken,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Option<Report>> {
        let pass = QuickPass::new(&self.settings, lookback, &progress);
        exclusively(&self.settings, stop, pass.run().boxed()).await
    }

    /// Compares every run of the chosen experiments, and the model registry, with the mirror, and lists every difference. Nothing is written.
    ///
    /// The document is compared with what this program would write now, and MLflow's raw names, times, texts and
    /// numbers with what the stored document gives back. A run that differs is looked at once more before it is
    /// listed, since it may have changed in between.
    ///
    /// # Errors
    /// As [`run`](Self::run); what MLflow refuses ends the comparison, which would not be complete.
    pub async fn verify(&self, progress: impl Fn(Progress) + Send + Sync) -> Result<Verification> {
        Verifier::new(&self.settings, &progress).run().await
    }

    /// Removes what is mirrored of an experiment that MLflow no longer lists, and tells how many runs that were. They are
    /// kept among the deleted ones.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) when MLflow lists it: then it would be mirrored again.
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

    /// Never called: that it compiles is the test.
    #[allow(dead_code)]
    fn a_pass_can_be_spawned(job: &SyncJob, stop: &CancellationToken) {
        assert_send(job.run(|_| {}));
        assert_send(job.run_quick(Duration::ZERO, stop, |_| {}));
        assert_send(job.verify(|_| {}));
        assert_send(job.forget_experiment("1"));
        assert_send(job.forget_model("churn"));
    }
}
