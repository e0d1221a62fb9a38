//! Log lines of a pass: one for its counts, and one for each incomplete experiment.

use std::error::Error as StdError;
use std::time::Duration;

use runlineage::Error;
use runlineage::sync::{PassKind, Report};

pub(crate) fn ended(kind: PassKind, report: &Report) {
    let resumed_from = report.resumed_from;
    let resumed_from = resumed_from.and_then(|began| began.try_to_rfc3339_string().ok());
    tracing::info!(
        kind = name(kind),
        seconds = report.took.as_secs_f64(),
        seen = report.seen,
        written = report.written,
        unchanged = report.unchanged,
        deleted = report.deleted,
        quarantined = report.quarantined,
        problems = report.problems,
        incomplete = report.incomplete.len(),
        resumed_from,
        "pass"
    );
    for incomplete in &report.incomplete {
        let (experiment, reason) = (&incomplete.experiment, &incomplete.reason);
        tracing::warn!(experiment, reason, "incomplete");
    }
}

pub(crate) fn failed(kind: PassKind, took: Duration, error: &Error) {
    let causes = std::iter::successors(error.source(), |error: &&dyn StdError| (*error).source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    let (kind, seconds, causes) = (name(kind), took.as_secs_f64(), causes.join("; "));
    tracing::error!(kind, seconds, %error, causes, "pass failed");
}

pub(crate) fn name(kind: PassKind) -> &'static str {
    match kind {
        PassKind::Full => "full",
        PassKind::Quick => "quick",
    }
}
