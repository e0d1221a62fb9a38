//! [`Verdict`]: what MLflow says of a mirrored run that a scan did not show.

/// MLflow's verdict on one missing run.
#[derive(Debug)]
pub(super) enum Verdict {
    /// MLflow shows it after all, or shows it as deleted; that has been mirrored.
    Shown,
    /// MLflow does not know it, but knows its experiment, which is the one that was mirrored.
    Gone,
    /// Neither, for this reason.
    Undecided(String),
}
