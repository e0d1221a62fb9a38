//! What a pass came to, and how far it is.

use serde::Serialize;

/// What a pass over MLflow came to.
///
/// `seen` is always `written + unchanged + quarantined`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Active runs that MLflow showed.
    pub seen: u64,
    /// Runs that were new or had changed.
    pub written: u64,
    /// Runs that were mirrored just so already.
    pub unchanged: u64,
    /// Runs that left the mirror because MLflow says they are deleted.
    pub deleted: u64,
    /// Runs mirrored only in part, because MongoDB refused the whole document.
    pub quarantined: u64,
    /// Runs of the whole mirror with a recorded problem, these among them.
    pub problems: u64,
    /// Experiments that were scanned to the end.
    pub experiments: u64,
    /// What was not scanned to the end, or could not be decided, and why; the pass did not do all of its work.
    pub incomplete: Vec<Incomplete>,
    /// How long the pass took.
    pub seconds: f64,
}

/// Something that a pass could not finish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Incomplete {
    /// The experiment's id.
    pub experiment: String,
    /// Why it was not finished, and what to do.
    pub reason: String,
}

/// How far a pass is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Experiments scanned to the end.
    pub experiments_done: u64,
    /// Experiments to scan.
    pub experiments: u64,
    /// Active runs that MLflow showed so far.
    pub seen: u64,
    /// Of these, runs that were new or had changed.
    pub written: u64,
    /// Runs that the mirror held at the start: about as many will be seen. 0 on a first pass.
    pub expected: u64,
}
