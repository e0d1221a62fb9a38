//! [`DeletionGuard`]: limits how many runs one pass may remove, and how many missing runs it asks MLflow about.

use std::sync::atomic::{AtomicU64, Ordering};

use super::verdict::Verdict;

/// One pass may always remove this many runs, or a tenth of all mirrored runs if that is more.
const ALWAYS_ALLOWED: u64 = 100;
/// After this many undecided verdicts, a pass asks no more about the experiment.
const MAX_UNDECIDED: usize = 20;

/// The missing runs of a whole pass.
pub(super) struct DeletionGuard {
    /// What the guard counts, in messages: runs unless [`of`](Self::of) says otherwise.
    noun: &'static str,
    /// How many runs were mirrored before the pass.
    mirrored: u64,
    /// Missing runs that MLflow no longer knows.
    deleted_upstream: AtomicU64,
    /// Missing runs that the pass did not ask about, because it was over the limit already.
    not_asked: AtomicU64,
    allow_mass_delete: bool,
}

/// The missing runs of one experiment.
pub(super) struct Findings<'a> {
    guard: &'a DeletionGuard,
    deleted_upstream: Vec<String>,
    /// How many more undecided verdicts the experiment may have.
    attempts_left: usize,
    undecided: u64,
    not_asked: u64,
    /// The first run that stayed undecided, and why.
    example: Option<(String, String)>,
}

impl DeletionGuard {
    pub(super) fn new(mirrored: u64, allow_mass_delete: bool) -> Self {
        Self {
            noun: "run",
            mirrored,
            deleted_upstream: AtomicU64::new(0),
            not_asked: AtomicU64::new(0),
            allow_mass_delete,
        }
    }

    /// The same guard for things other than runs.
    pub(super) fn of(self, noun: &'static str) -> Self {
        Self { noun, ..self }
    }

    /// The findings of one experiment. They start with the runs that an interrupted process of this pass recorded as deleted
    /// upstream.
    pub(super) fn findings(&self, deleted_upstream: Vec<String>) -> Findings<'_> {
        self.deleted_upstream
            .fetch_add(deleted_upstream.len() as u64, Ordering::Relaxed);
        Findings {
            guard: self,
            deleted_upstream,
            attempts_left: MAX_UNDECIDED,
            undecided: 0,
            not_asked: 0,
            example: None,
        }
    }

    /// Why this pass may not remove the runs that MLflow no longer knows; `None` when it may.
    pub(super) fn refusal(&self) -> Option<String> {
        if !self.is_over_limit() {
            return None;
        }
        let unknown = self.deleted_upstream.load(Ordering::Relaxed);
        let missing = unknown + self.not_asked.load(Ordering::Relaxed);
        let (mirrored, noun) = (self.mirrored, self.noun);
        Some(format!(
            "MLflow did not list {missing} of {mirrored} mirrored {noun}s. The pass asked MLflow about {unknown} of them, and MLflow knew none. This is above the safety limit, so nothing was removed. If it is expected, rerun with `--allow-mass-delete`"
        ))
    }

    fn is_over_limit(&self) -> bool {
        let limit = (self.mirrored / 10).max(ALWAYS_ALLOWED);
        !self.allow_mass_delete && self.deleted_upstream.load(Ordering::Relaxed) > limit
    }
}

impl Findings<'_> {
    /// Whether the pass may ask MLflow about one more missing run. If not, the guard counts the run as not asked about.
    pub(super) fn may_ask(&mut self) -> bool {
        let is_over_limit = self.guard.is_over_limit();
        if is_over_limit {
            self.guard.not_asked.fetch_add(1, Ordering::Relaxed);
        }
        let may_ask = !is_over_limit && self.attempts_left > 0;
        self.not_asked += u64::from(!may_ask);
        may_ask
    }

    pub(super) fn record(&mut self, run: String, verdict: Verdict) {
        match verdict {
            Verdict::Shown => {}
            Verdict::DeletedUpstream => {
                self.guard.deleted_upstream.fetch_add(1, Ordering::Relaxed);
                self.deleted_upstream.push(run);
            }
            Verdict::Undecided(reason) => {
                self.attempts_left = self.attempts_left.saturating_sub(1);
                self.undecided += 1;
                self.example.get_or_insert((run, reason));
            }
        }
    }

    /// Records that all retries for this run failed. The pass asks about no other run of the experiment, since each would
    /// take as long.
    pub(super) fn record_failure(&mut self, run: String, reason: String) {
        self.record(run, Verdict::Undecided(reason));
        self.attempts_left = 0;
    }

    pub(super) fn is_decided(&self) -> bool {
        self.undecided == 0 && self.not_asked == 0
    }

    pub(super) fn deleted_upstream(&self) -> &[String] {
        &self.deleted_upstream
    }

    pub(super) fn into_deleted_upstream(self) -> Vec<String> {
        self.deleted_upstream
    }

    /// Why the experiment is incomplete. `None` when MLflow's answers decided every run, or when the pass is over the limit, which
    /// the pass reports once for all experiments.
    pub(super) fn incomplete(&self) -> Option<String> {
        let (run, said) = self.example.as_ref()?;
        let count = self.undecided + self.not_asked;
        let (noun, plural) = (self.guard.noun, if count == 1 { "" } else { "s" });
        let mut reason = format!(
            "MLflow did not list {count} mirrored {noun}{plural}, and the mirror keeps them, because nothing proves that they were deleted; for example {noun} {run:?}: {said}",
        );
        if self.not_asked > 0 {
            let not_asked = self.not_asked;
            reason.push_str(&format!(
                "; MLflow was not asked about the remaining {not_asked}"
            ));
        }
        Some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::{DeletionGuard, Findings, MAX_UNDECIDED};
    use crate::sync::verdict::Verdict;

    /// Asks about up to `runs` runs, each with this verdict, and returns how many the guard let through.
    fn ask(findings: &mut Findings<'_>, runs: usize, verdict: fn() -> Verdict) -> usize {
        let asked = (0..runs).filter(|run| {
            let may_ask = findings.may_ask();
            if may_ask {
                findings.record(run.to_string(), verdict());
            }
            may_ask
        });
        asked.count()
    }

    fn undecided() -> Verdict {
        Verdict::Undecided("no word".into())
    }

    #[test]
    fn one_pass_may_remove_a_hundred_runs_or_a_tenth_of_all_and_no_more() {
        for (mirrored, allowed) in [(0, 100), (999, 100), (1_000, 100), (5_000, 500)] {
            let guard = DeletionGuard::new(mirrored, false);
            let mut findings = guard.findings(Vec::new());
            assert_eq!(
                ask(&mut findings, allowed, || Verdict::DeletedUpstream),
                allowed
            );
            assert_eq!(guard.refusal(), None, "{mirrored}");
            // The next run is over the limit; MLflow is not asked about later ones.
            assert_eq!(
                ask(&mut findings, 10, || Verdict::DeletedUpstream),
                1,
                "{mirrored}"
            );
            let refusal = guard.refusal().expect("it is above the limit");
            let missing = format!("did not list {} of {mirrored}", allowed + 10);
            assert!(refusal.contains(&missing), "{refusal}");
            assert_eq!(findings.incomplete(), None, "it is said once");
            assert!(!findings.is_decided());
        }
    }

    #[test]
    fn one_pass_may_remove_all_runs_when_a_mass_delete_is_allowed() {
        let guard = DeletionGuard::new(10, true);
        let mut findings = guard.findings(Vec::new());
        assert_eq!(
            ask(&mut findings, 1_000, || Verdict::DeletedUpstream),
            1_000
        );
        assert_eq!(guard.refusal(), None);
        assert!(findings.is_decided());
    }

    #[test]
    fn the_limit_counts_all_experiments_and_the_findings_of_an_interrupted_process() {
        let guard = DeletionGuard::new(0, false);
        let known = (0..60).map(|run| run.to_string()).collect();
        let mut first = guard.findings(known);
        assert_eq!(ask(&mut first, 40, || Verdict::DeletedUpstream), 40);
        let mut second = guard.findings(Vec::new());
        assert_eq!(ask(&mut second, 5, || Verdict::DeletedUpstream), 1);
        assert!(guard.refusal().is_some());
    }

    #[test]
    fn each_experiment_may_have_twenty_undecided_runs() {
        let guard = DeletionGuard::new(0, false);
        for _ in 0..2 {
            let mut findings = guard.findings(Vec::new());
            assert_eq!(ask(&mut findings, 50, undecided), MAX_UNDECIDED);
            let reason = findings.incomplete().expect("it is undecided");
            assert!(reason.contains("did not list 50"), "{reason}");
            assert!(reason.contains("asked about the remaining 30"), "{reason}");
        }
        assert_eq!(guard.refusal(), None);
    }

    #[test]
    fn after_one_failed_request_no_other_run_of_the_experiment_is_asked_about() {
        let guard = DeletionGuard::new(0, false);
        let mut findings = guard.findings(Vec::new());
        assert!(findings.may_ask());
        findings.record_failure("a".into(), "503".into());
        assert_eq!(ask(&mut findings, 10, undecided), 0);
        let reason = findings.incomplete().expect("it is undecided");
        assert!(
            reason.contains("run \"a\": 503") && reason.contains("asked about the remaining 10"),
            "{reason}"
        );
    }
}
