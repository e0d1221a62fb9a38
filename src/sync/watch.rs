//! [`Watch`]: makes quick passes, and full passes at a longer interval, until it is stopped.

mod schedule;

use std::time::{Duration, Instant};

use futures::FutureExt;
use schedule::Schedule;
use tokio_util::sync::CancellationToken;

use super::exclusive::exclusively;
use super::job::SyncJob;
use super::pass::FullPass;
use super::quick::QuickPass;
use super::report::{Progress, Report};
use super::settings::Settings;
use super::totals::ProgressFn;
use crate::error::{Error, Result};

/// Keeps a mirror fresh by quick passes at a short interval and full passes at a longer one.
///
/// Quick passes go on while a full pass runs. A pass waits while another process holds the lease, so a second watch on another
/// host is a standby. A failed pass is tried again within seconds, then at longer intervals. After the first pass, only a
/// database that a newer program has migrated ends the watch.
///
/// A watch resolves the names of its [selected](SyncJob::only) and [excluded](SyncJob::except) experiments once. Later it
/// follows them by their ids, so a rename in MLflow changes nothing.
#[derive(Debug, Clone)]
#[must_use]
pub struct Watch {
    job: SyncJob,
    every: Duration,
    full_every: Duration,
    lookback: Duration,
}

/// Which runs a pass reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassKind {
    /// All runs.
    Full,
    /// New runs, runs that have not ended, and runs that ended recently.
    Quick,
}

/// A pass of a [`Watch`], and its result.
#[derive(Debug)]
#[non_exhaustive]
pub struct PassEnded<'a> {
    /// Which runs it read.
    pub kind: PassKind,
    /// Its report, or why it failed.
    pub result: std::result::Result<&'a Report, &'a Error>,
    /// How long it took.
    pub took: Duration,
    /// Whether this is a quick pass during a full one. The full pass is reported when it ends.
    pub beside_full: bool,
}

impl Watch {
    /// A watch that repeats this job, and pauses for `every` after the end of each pass.
    pub fn new(job: SyncJob, every: Duration) -> Self {
        let hour = Duration::from_secs(3_600);
        Self {
            job: job.wait_for_lease(true),
            every,
            full_every: hour,
            lookback: 24 * hour,
        }
    }

    /// How long after the end of a full pass the next one begins. Default: an hour.
    pub fn full_every(self, full_every: Duration) -> Self {
        Self { full_every, ..self }
    }

    /// How long after its end quick passes still read a run. Default: 24 hours.
    pub fn lookback(self, lookback: Duration) -> Self {
        Self { lookback, ..self }
    }

    /// Makes passes until `stop` is cancelled, and calls `ended` after each. Cancelling interrupts a pass; the next sync resumes
    /// it.
    ///
    /// # Errors
    /// The error of the first pass. After that, only [`Error::Migration`], which every later pass would meet too.
    pub async fn run(
        &self,
        stop: &CancellationToken,
        progress: impl Fn(Progress) + Send + Sync,
        mut ended: impl FnMut(PassEnded<'_>),
    ) -> Result<()> {
        let settings = &self.job.settings.of_watch();
        let mut schedule = Schedule::new(self.every, self.full_every);
        let mut first = true;
        loop {
            let began = Instant::now();
            let kind = schedule.kind(began);
            let result = match kind {
                PassKind::Full => self.full_pass(settings, stop, &progress, &mut ended).await,
                PassKind::Quick => self.quick_pass(settings, stop, &progress).await,
            };
            let Some(result) = result.transpose() else {
                return Ok(());
            };
            schedule.ended(kind, Instant::now(), result.is_ok());
            ended(PassEnded::of(kind, &result, began));
            match result {
                Err(error) if first || error.is_permanent() => return Err(error),
                _ => first = false,
            }
            tokio::select! {
                () = tokio::time::sleep(schedule.pause()) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Makes a full pass, and quick passes as long as it runs, under one lease.
    ///
    /// Both may read the same run. Their tickets order the writes.
    async fn full_pass(
        &self,
        settings: &Settings,
        stop: &CancellationToken,
        progress: &ProgressFn<'_>,
        ended: &mut impl FnMut(PassEnded<'_>),
    ) -> Result<Option<Report>> {
        let both = async {
            let mut full = FullPass::new(settings, progress).run().boxed();
            loop {
                tokio::select! {
                    report = &mut full => return report,
                    () = tokio::time::sleep(self.every) => {}
                }
                let began = Instant::now();
                // Progress reports the full pass only.
                let mut quick = QuickPass::new(settings, self.lookback, &|_| {})
                    .run()
                    .boxed();
                let full_report = tokio::select! {
                    report = &mut full => Some(report),
                    result = &mut quick => {
                        ended(PassEnded::beside_full(&result, began));
                        None
                    }
                };
                if let Some(report) = full_report {
                    let result = quick.await;
                    ended(PassEnded::beside_full(&result, began));
                    return report;
                }
            }
        };
        exclusively(settings, stop, both).await
    }

    async fn quick_pass(
        &self,
        settings: &Settings,
        stop: &CancellationToken,
        progress: &ProgressFn<'_>,
    ) -> Result<Option<Report>> {
        let pass = QuickPass::new(settings, self.lookback, progress);
        exclusively(settings, stop, pass.run().boxed()).await
    }
}

impl<'a> PassEnded<'a> {
    fn of(kind: PassKind, result: &'a Result<Report>, began: Instant) -> Self {
        let result = result.as_ref();
        Self {
            kind,
            result,
            // The report does not count the time that the pass waited for the lease.
            took: result.map_or_else(|_| began.elapsed(), |report| report.took),
            beside_full: false,
        }
    }

    fn beside_full(result: &'a Result<Report>, began: Instant) -> Self {
        Self {
            beside_full: true,
            ..Self::of(PassKind::Quick, result, began)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CancellationToken, SyncJob, Watch};

    fn assert_send<T: Send>(_: T) {}

    /// Never called: the test is that it compiles.
    #[allow(dead_code)]
    fn a_watch_can_be_spawned(job: SyncJob, stop: &CancellationToken) {
        assert_send(Watch::new(job, Duration::from_secs(1)).run(stop, |_| {}, |_| {}));
    }
}
