//! [`Sync`]: scan MLflow, compare, write what differs.

mod absences;
mod choice;
mod deletions;
mod experiment;
mod pages;
mod quick;
mod report;
mod state;
mod verify;
mod watch;

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bson::doc;
use futures::future::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::error::{Error, Result};
use crate::mlflow::MlflowClient;
use crate::mlflow::wire::RawExperiment;
use crate::mongo::MongoRunStore;
use crate::mongo::lease::Lease;

pub use report::{Incomplete, Progress, Report};
pub use verify::{Difference, Verification};
pub use watch::{PassEnded, PassKind, Watch};

use deletions::MassDelete;
use experiment::Scanning;
use state::Pass;

/// How long a sync that was killed keeps the next one waiting.
const LEASE: Duration = Duration::from_secs(30);

/// One pass over a tracking server: afterwards the mirror holds what MLflow holds.
///
/// Unchanged runs are not written again. A run leaves the mirror only on MLflow's own word on that run. Killed at any
/// moment, the next pass takes up where this one was.
#[derive(Debug, Clone)]
#[must_use]
pub struct Sync {
    mlflow: MlflowClient,
    store: MongoRunStore,
    only: Vec<String>,
    except: Vec<String>,
    concurrency: usize,
    page_size: u32,
    lease: Duration,
    allow_mass_delete: bool,
}

impl Sync {
    /// A pass over every experiment of this server.
    pub fn new(mlflow: &MlflowClient, store: &MongoRunStore) -> Self {
        Self {
            mlflow: mlflow.clone(),
            store: store.at_primary(),
            only: Vec::new(),
            except: Vec::new(),
            concurrency: 4,
            page_size: 1_000,
            lease: LEASE,
            allow_mass_delete: false,
        }
    }

    /// Only these experiments, by name or id.
    pub fn only(self, experiments: impl IntoIterator<Item = String>) -> Self {
        Self {
            only: experiments.into_iter().collect(),
            ..self
        }
    }

    /// All but these experiments, by name or id. What is mirrored of them stays as it is.
    pub fn except(self, experiments: impl IntoIterator<Item = String>) -> Self {
        Self {
            except: experiments.into_iter().collect(),
            ..self
        }
    }

    /// How many experiments are scanned at once; 4 unless said.
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self {
            concurrency: concurrency.max(1),
            ..self
        }
    }

    /// How many runs are asked for at once; 1,000 unless said.
    pub fn page_size(self, page_size: u32) -> Self {
        Self {
            page_size: page_size.max(1),
            ..self
        }
    }

    /// How long the right to write outlives this process if it is killed; 30 s unless said.
    pub fn lease(self, length: Duration) -> Self {
        Self {
            lease: length,
            ..self
        }
    }

    /// Also removes more than 100 runs, and more than a tenth of all, that MLflow no longer knows at all.
    pub fn allow_mass_delete(self, allow: bool) -> Self {
        Self {
            allow_mass_delete: allow,
            ..self
        }
    }

    /// Makes the pass, and tells how it goes on the way.
    ///
    /// Pending migrations are applied first. What MLflow refuses for one experiment, or always fails for, is reported and
    /// does not stop the others. A pass that was interrupted is taken up where it was: what it had looked at is not looked
    /// at again, and [`Report::resumed_from`] says when it began.
    ///
    /// # Errors
    /// [`Error::Leased`] while another sync of this database is under way; [`Error::Database`] when it mirrors another
    /// source; [`Error::MlflowUnreachable`], [`Error::Mlflow`] and [`Error::Mongo`] when either fails for longer than the
    /// retries last, or MLflow does not know the user: the next pass goes on from there.
    pub async fn run(
        &self,
        progress: impl Fn(Progress) + Send + std::marker::Sync,
    ) -> Result<Report> {
        let report = self.run_until(progress, futures::future::pending()).await?;
        // A future that is never ready does not stop a pass.
        Ok(report.unwrap_or_default())
    }

    /// Like [`run`](Self::run); `None` when `stop` is ready first. The next pass then goes on from there.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_until(
        &self,
        progress: impl Fn(Progress) + Send + std::marker::Sync,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<Report>> {
        self.leased(self.pass(&progress), stop).await
    }

    /// A quick pass: new runs, runs that are not over, runs that ended within `settle`. `None` when `stop` is ready first.
    ///
    /// New is a run that started within `settle`: one that is imported with a start and an end of long ago is seen by the
    /// next full pass only, and so are changes of runs that ended before, and what is gone.
    ///
    /// # Errors
    /// As [`run`](Self::run); what MLflow refuses ends a quick pass.
    pub async fn run_quick(
        &self,
        settle: Duration,
        progress: impl Fn(Progress) + Send + std::marker::Sync,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<Report>> {
        let pass = async {
            let started = Instant::now();
            let totals = Totals::new(0, 0, &progress);
            self.quick_pass(settle, &totals).await?;
            let mut report = totals.report();
            report.problems = self.store.count_problems().await?;
            report.seconds = started.elapsed().as_secs_f64();
            Ok(report)
        };
        self.leased(pass, stop).await
    }

    /// Does the work as the only writer of this kind, as long as the lease lasts.
    async fn leased(
        &self,
        pass: impl Future<Output = Result<Report>>,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<Report>> {
        let mut stop = std::pin::pin!(stop);
        let taken = async {
            // The database of a newer program is not written, not even to say who is at work.
            self.store.expect_writable().await?;
            Lease::take(&self.store, "a sync of this database", "sync", self.lease).await
        };
        let lease = tokio::select! {
            lease = taken => lease?,
            () = stop.as_mut() => return Ok(None),
        };
        // Migrations too may take long: whoever comes meanwhile is told who is at work.
        let work = async {
            self.prepare().await?;
            pass.await
        };
        let result = tokio::select! {
            report = work => report.map(Some),
            lost = lease.keep() => Err(lost),
            () = stop.as_mut() => Ok(None),
        };
        self.store.writes_ended().await;
        lease.release().await;
        result
    }

    async fn prepare(&self) -> Result<()> {
        self.store.ensure_migrated().await?;
        if self.store.freshness().await?.source.is_none() {
            // A mistyped address must not become the source that every later sync is held to: it answers as MLflow
            // first.
            self.mlflow.raw_experiments().try_next().await?;
        }
        self.store.claim_source(self.mlflow.source()).await
    }

    async fn pass(
        &self,
        progress: &(dyn Fn(Progress) + Send + std::marker::Sync),
    ) -> Result<Report> {
        let started = Instant::now();
        let experiments: Vec<RawExperiment> = self.mlflow.raw_experiments().try_concat().await?;
        let shows_none = experiments.is_empty();
        let listed: HashSet<String> = experiments
            .iter()
            .map(|experiment| experiment.experiment_id.clone())
            .collect();
        let chosen = self.choose(experiments)?;
        // Experiments that are made after the list was read are for the next pass.
        let pass = Pass::begin_or_resume(&self.store, &self.scope(), started).await?;
        let resumed_from = pass.resumed_from();
        let held = self.store.count_estimate().await?;
        let expected = self.expected(&chosen, held).await?;
        let scanning = Scanning {
            pass,
            totals: Totals::new(chosen.len(), expected, progress),
            experiments: chosen,
            limit: MassDelete::new(held, self.allow_mass_delete),
        };
        let scan = |experiment| self.scan_experiment(experiment, &scanning).boxed();
        let scans: Vec<_> = scanning.experiments.iter().map(scan).collect();
        let outcomes: Vec<_> = stream::iter(scans)
            .buffer_unordered(self.concurrency)
            .try_collect()
            .await?;
        let Scanning {
            pass,
            totals,
            limit,
            ..
        } = scanning;
        let mut report = totals.report();
        report.resumed_from = resumed_from;
        let mut gone = Vec::new();
        for outcome in outcomes {
            report.incomplete.extend(outcome.incomplete);
            gone.extend(outcome.gone);
        }
        if shows_none {
            // Every tracking server has experiments: this one is no proof that there is nothing to mirror.
            report.incomplete.push(Incomplete {
                experiment: "*".into(),
                reason: "MLflow shows this user no experiment at all; are the tracking URI, the user and the workspace right?".into(),
            });
        }
        report.incomplete.extend(self.unlisted(&listed).await?);
        self.remove_gone(&gone, &limit, &mut report).await?;
        report.problems = self.store.count_problems().await?;
        pass.end(
            &self.store,
            report.incomplete.is_empty() && self.is_everything(),
        )
        .await?;
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Removes what is mirrored of an experiment that MLflow no longer lists, and tells how many runs that were. They are
    /// kept among the deleted ones.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when MLflow lists it: then it would be mirrored again.
    pub async fn forget_experiment(&self, id: &str) -> Result<u64> {
        let listed: Vec<RawExperiment> = self.mlflow.raw_experiments().try_concat().await?;
        let active = |experiment: &&RawExperiment| {
            experiment.experiment_id == id && !experiment.is_deleted()
        };
        if let Some(experiment) = listed.iter().find(active)
            && state::is_known(&self.store, experiment).await?
        {
            return Err(Error::invalid_argument(
                "experiment to forget",
                format!("MLflow lists {id:?}; leave it out of a sync with `--exclude-exp`"),
            ));
        }
        let mut report = Report::default();
        let work = async {
            let mirrored = self.store.find_runs(doc! { "exp.id": id }).await?;
            let mut chunks = mirrored.try_chunks(500);
            while let Some(runs) = chunks.try_next().await.map_err(|error| error.1)? {
                let ticket = self.store.draw_ticket().await?;
                report.deleted += self.store.bury_runs(runs, ticket).await?;
            }
            state::forget(&self.store, id).await?;
            Ok(report)
        };
        let done = self.leased(work, futures::future::pending()).await?;
        Ok(done.map_or(0, |report| report.deleted))
    }
}

/// What all experiments of a pass came to so far.
struct Totals<'a> {
    report: Mutex<Report>,
    experiments: usize,
    expected: u64,
    progress: &'a (dyn Fn(Progress) + Send + std::marker::Sync),
}

impl<'a> Totals<'a> {
    fn new(
        experiments: usize,
        expected: u64,
        progress: &'a (dyn Fn(Progress) + Send + std::marker::Sync),
    ) -> Self {
        Self {
            report: Mutex::default(),
            experiments,
            expected,
            progress,
        }
    }

    fn add(&self, change: impl FnOnce(&mut Report)) {
        // A panic elsewhere does not make the counts less true.
        let mut report = self
            .report
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut report);
        (self.progress)(Progress {
            experiments_done: report.experiments,
            experiments: self.experiments as u64,
            seen: report.seen,
            written: report.written,
            expected: self.expected,
        });
    }

    fn report(self) -> Report {
        self.report
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Sync, Watch};

    fn assert_send<T: Send>(_: T) {}

    /// Never called: that it compiles is the test.
    #[allow(dead_code)]
    fn a_pass_can_be_spawned(sync: &Sync) {
        assert_send(sync.run(|_| {}));
        assert_send(sync.verify(|_| {}));
        assert_send(Watch::new(sync.clone(), Duration::from_secs(1)).run(async {}, |_| {}, |_| {}));
    }
}
