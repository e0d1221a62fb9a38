//! [`Verdict`]: MLflow's answer about a mirrored run that a scan did not show.

/// MLflow's verdict on one missing run.
#[derive(Debug)]
pub(super) enum Verdict {
    /// MLflow shows the run, active or deleted, and the mirror has been updated.
    Shown,
    /// MLflow does not know the run, but knows its experiment, and that is the mirrored one.
    DeletedUpstream,
    /// MLflow's answer proves nothing, for this reason.
    Undecided(String),
}
