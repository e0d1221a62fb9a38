//! [`Totals`]: the counts of a pass so far.

use std::sync::{Mutex, PoisonError};

use super::report::{Progress, Report};

/// Called with the progress of a pass at each change.
pub(super) type ProgressFn<'a> = dyn Fn(Progress) + Send + Sync + 'a;

/// The report of a pass under way. Concurrent scans add to it, and each change is passed on as progress.
pub(super) struct Totals<'a> {
    report: Mutex<Report>,
    experiments: usize,
    expected: u64,
    progress: &'a ProgressFn<'a>,
}

impl<'a> Totals<'a> {
    pub(super) fn new(experiments: usize, expected: u64, progress: &'a ProgressFn<'a>) -> Self {
        Self {
            report: Mutex::default(),
            experiments,
            expected,
            progress,
        }
    }

    pub(super) fn add(&self, change: impl FnOnce(&mut Report)) {
        // The counts stay valid when another thread panics.
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut report);
        (self.progress)(Progress {
            experiments_done: report.experiments,
            experiments: self.experiments as u64,
            seen: report.seen,
            written: report.written,
            expected: self.expected,
        });
    }

    pub(super) fn report(self) -> Report {
        self.report
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
