//! [`Watch`]: quick passes, and a full pass now and then, until told to stop.

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

/// Keeps a mirror fresh: a quick pass every so often, beside a full pass too, and a full pass less often.
///
/// A pass waits for as long as another process writes, so that a second watch, on another host, is a standby. A pass that fails
/// is tried again within seconds, then less often; only a database that a newer program has migrated ends a watch that has
/// made its first pass.
#[derive(Debug, Clone)]
#[must_use]
pub struct Watch {
    job: SyncJob,
    every: Duration,
    full_every: Duration,
    lookback: Duration,
}

/// Which runs a pass looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassKind {
    /// All of them.
    Full,
    /// New runs, runs that are not over, and runs that ended lately.
    Quick,
}

/// A pass of a [`Watch`], and what it came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct PassEnded<'a> {
    /// Which runs it looked at.
    pub kind: PassKind,
    /// What it came to, or why it failed.
    pub result: std::result::Result<&'a Report, &'a Error>,
    /// How long it took.
    pub took: Duration,
    /// Whether this is a quick pass that was made beside a full one, whose end is told later.
    pub beside_full: bool,
}

impl Watch {
    /// Watches with this job, with a pause of `every` between the end of a pass and the next one.
    pub fn new(job: SyncJob, every: Duration) -> Self {
        let hour = Duration::from_secs(3_600);
        Self {
            job: job.wait_for_lease(true),
            every,
            full_every: hour,
            lookback: 24 * hour,
        }
    }

    /// How long after the end of a full pass the next one is made; an hour unless said.
    pub fn full_every(self, full_every: Duration) -> Self {
        Self { full_every, ..self }
    }

    /// How long after its end a run is looked at by quick passes; 24 hours unless said.
    pub fn lookback(self, lookback: Duration) -> Self {
        Self { lookback, ..self }
    }

    /// Makes passes until `stop` is cancelled, and tells `ended` of each. A pass under way is left where it is: the next
    /// one goes on from there.
    ///
    /// # Errors
    /// Whatever the first pass fails with, and later [`Error::Migration`], which no later pass can mend.
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

    /// A full pass and, for as long as it takes, quick passes beside it, under the same lease.
    ///
    /// What both read they write in the order in which they read it, as every two readers of MLflow do.
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
                // The progress that is shown is that of the full pass.
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
            // Without the time that another process kept it waiting.
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

    /// Never called: that it compiles is the test.
    #[allow(dead_code)]
    fn a_watch_can_be_spawned(job: SyncJob, stop: &CancellationToken) {
        assert_send(Watch::new(job, Duration::from_secs(1)).run(stop, |_| {}, |_| {}));
    }
}
