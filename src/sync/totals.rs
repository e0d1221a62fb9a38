//! [`Totals`]: what all parts of a pass came to so far.

use std::sync::{Mutex, PoisonError};

use super::report::{Progress, Report};

/// Is told how far a pass is.
pub(super) type ProgressFn<'a> = dyn Fn(Progress) + Send + Sync + 'a;

/// A report that many parts add to, and that tells the progress at each change.
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
        // A panic elsewhere does not make the counts less true.
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
