//! [`Watch`]: quick passes, and a full pass now and then, until told to stop.

mod pace;

use std::time::{Duration, Instant};

use pace::Pace;

use super::{Progress, Report, Sync};
use crate::error::{Error, Result};

/// Keeps a mirror fresh: a quick pass every so often, a full pass less often.
///
/// What fails in passing (MLflow or MongoDB away for a while) fails the pass, and it is tried again within seconds, then
/// less often. What will not mend by itself ends the watch.
#[derive(Debug, Clone)]
#[must_use]
pub struct Watch {
    sync: Sync,
    every: Duration,
    full_every: Duration,
    settle: Duration,
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
    /// Watches with this sync, a pass begun every so often.
    pub fn new(sync: Sync, every: Duration) -> Self {
        let hour = Duration::from_secs(3_600);
        Self {
            sync,
            every,
            full_every: hour,
            settle: 24 * hour,
        }
    }

    /// How often a pass is a full one; every hour unless said.
    pub fn full_every(self, full_every: Duration) -> Self {
        Self { full_every, ..self }
    }

    /// How long after its end a run is looked at by quick passes; 24 hours unless said.
    pub fn settle(self, settle: Duration) -> Self {
        Self { settle, ..self }
    }

    /// Makes passes until `stop` is ready, and tells `ended` of each. A pass under way is left where it is: the next
    /// one goes on from there.
    ///
    /// # Errors
    /// Whatever the first pass fails with, and later [`Error::InvalidArgument`], [`Error::Database`] and [`Error::Migration`],
    /// which do not mend by themselves.
    pub async fn run(
        &self,
        stop: impl Future<Output = ()>,
        progress: impl Fn(Progress) + Send + std::marker::Sync,
        mut ended: impl FnMut(PassEnded<'_>),
    ) -> Result<()> {
        let mut stop = std::pin::pin!(stop);
        let mut pace = Pace::new(self.every, self.full_every);
        let mut first = true;
        loop {
            let began = Instant::now();
            let kind = pace.kind(began);
            let result = match kind {
                PassKind::Full => self.sync.run_until(&progress, stop.as_mut()).await,
                PassKind::Quick => {
                    self.sync
                        .run_quick(self.settle, &progress, stop.as_mut())
                        .await
                }
            };
            let took = began.elapsed();
            let Some(result) = result.transpose() else {
                return Ok(());
            };
            pace.ended(kind, began, result.is_ok());
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
                () = tokio::time::sleep(pace.pause(took)) => {}
                () = stop.as_mut() => return Ok(()),
            }
        }
    }
}
