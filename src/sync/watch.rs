//! [`Watch`]: quick passes, and a full pass now and then, until told to stop.

mod schedule;

use std::time::{Duration, Instant};

use schedule::Schedule;
use tokio_util::sync::CancellationToken;

use super::job::SyncJob;
use super::report::{Progress, Report};
use crate::error::{Error, Result};

/// Keeps a mirror fresh: a quick pass every so often, a full pass less often.
///
/// A pass that fails because of MLflow, MongoDB or another process is tried again within seconds, then less often. An error
/// that no later pass can mend ends the watch.
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
}

impl Watch {
    /// Watches with this job, a pass begun every so often.
    pub fn new(job: SyncJob, every: Duration) -> Self {
        let hour = Duration::from_secs(3_600);
        Self {
            job,
            every,
            full_every: hour,
            lookback: 24 * hour,
        }
    }

    /// How often a pass is a full one; every hour unless said.
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
    /// Whatever the first pass fails with, and later [`Error::InvalidArgument`], [`Error::Database`] and [`Error::Migration`],
    /// which no later pass can mend.
    pub async fn run(
        &self,
        stop: &CancellationToken,
        progress: impl Fn(Progress) + Send + Sync,
        mut ended: impl FnMut(PassEnded<'_>),
    ) -> Result<()> {
        let mut schedule = Schedule::new(self.every, self.full_every);
        let mut first = true;
        loop {
            let began = Instant::now();
            let kind = schedule.kind(began);
            let result = match kind {
                PassKind::Full => self.job.run_until(stop, &progress).await,
                PassKind::Quick => self.job.run_quick(self.lookback, stop, &progress).await,
            };
            let took = began.elapsed();
            let Some(result) = result.transpose() else {
                return Ok(());
            };
            schedule.ended(kind, began, result.is_ok());
            ended(PassEnded {
                kind,
                result: result.as_ref(),
                took,
            });
            match result {
                Err(error) if first || error.is_permanent() => return Err(error),
                _ => first = false,
            }
            tokio::select! {
                () = tokio::time::sleep(schedule.pause(took)) => {}
                () = stop.cancelled() => return Ok(()),
            }
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
