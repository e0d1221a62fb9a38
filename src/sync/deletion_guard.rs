//! [`DeletionGuard`]: how many missing runs MLflow is asked about, and whether they may leave the mirror.

use std::sync::atomic::{AtomicU64, Ordering};

use super::verdict::Verdict;

/// So many runs may leave in one pass, and a tenth of all that are mirrored.
const ALWAYS_ALLOWED: u64 = 100;
/// How many undecided verdicts an experiment may cost.
const MAX_UNDECIDED: usize = 20;

/// What a pass found out about missing runs.
pub(super) struct DeletionGuard {
    /// What the guard counts, in messages: runs unless [`of`](Self::of) says otherwise.
    noun: &'static str,
    /// How many runs were mirrored before the pass.
    mirrored: u64,
    gone: AtomicU64,
    /// Missing runs that MLflow was not asked about, because too many were gone already.
    not_asked: AtomicU64,
    allow_mass_delete: bool,
}

/// What a pass found out about the missing runs of one experiment.
pub(super) struct Findings<'a> {
    guard: &'a DeletionGuard,
    gone: Vec<String>,
    /// How many more undecided verdicts are waited for.
    patience: usize,
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
            gone: AtomicU64::new(0),
            not_asked: AtomicU64::new(0),
            allow_mass_delete,
        }
    }

    /// The same guard for things other than runs.
    pub(super) fn of(self, noun: &'static str) -> Self {
        Self { noun, ..self }
    }

    /// Opens the findings of an experiment with the runs that an earlier process of this pass found to be gone.
    pub(super) fn findings(&self, gone: Vec<String>) -> Findings<'_> {
        self.gone.fetch_add(gone.len() as u64, Ordering::Relaxed);
        Findings {
            guard: self,
            gone,
            patience: MAX_UNDECIDED,
            undecided: 0,
            not_asked: 0,
            example: None,
        }
    }

    /// Why the runs that are gone may not leave the mirror in this pass; `None` when they may.
    pub(super) fn refusal(&self) -> Option<String> {
        if !self.is_over_limit() {
            return None;
        }
        let gone = self.gone.load(Ordering::Relaxed);
        let missing = gone + self.not_asked.load(Ordering::Relaxed);
        let (mirrored, noun) = (self.mirrored, self.noun);
        Some(format!(
            "MLflow did not list {missing} of {mirrored} mirrored {noun}s, and no longer knows the {gone} that it was asked about. This is above the safety limit, so nothing was removed. If it is expected, sync again with `--allow-mass-delete`"
        ))
    }

    fn is_over_limit(&self) -> bool {
        let limit = (self.mirrored / 10).max(ALWAYS_ALLOWED);
        !self.allow_mass_delete && self.gone.load(Ordering::Relaxed) > limit
    }
}

impl Findings<'_> {
    /// Whether MLflow is asked about another missing run; the run counts as not asked about where it is not.
    pub(super) fn may_ask(&mut self) -> bool {
        let is_over_limit = self.guard.is_over_limit();
        if is_over_limit {
            self.guard.not_asked.fetch_add(1, Ordering::Relaxed);
        }
        let may_ask = !is_over_limit && self.patience > 0;
        self.not_asked += u64::from(!may_ask);
        may_ask
    }

    pub(super) fn record(&mut self, run: String, verdict: Verdict) {
        match verdict {
            Verdict::Shown => {}
            Verdict::Gone => {
                self.guard.gone.fetch_add(1, Ordering::Relaxed);
                self.gone.push(run);
            }
            Verdict::Undecided(reason) => {
                self.patience = self.patience.saturating_sub(1);
                self.undecided += 1;
                self.example.get_or_insert((run, reason));
            }
        }
    }

    /// MLflow failed to answer for as long as the retries last. Others are not tried as long: this was all the patience.
    pub(super) fn record_failure(&mut self, run: String, reason: String) {
        self.record(run, Verdict::Undecided(reason));
        self.patience = 0;
    }

    pub(super) fn is_decided(&self) -> bool {
        self.undecided == 0 && self.not_asked == 0
    }

    pub(super) fn gone(&self) -> &[String] {
        &self.gone
    }

    pub(super) fn into_gone(self) -> Vec<String> {
        self.gone
    }

    /// Why the experiment is incomplete; `None` where every verdict was had, or where too many runs are gone, which is said
    /// once for the whole pass.
    pub(super) fn incomplete(&self) -> Option<String> {
        let (run, said) = self.example.as_ref()?;
        let count = self.undecided + self.not_asked;
        let (noun, plural) = (self.guard.noun, if count == 1 { "" } else { "s" });
        let mut reason = format!(
            "MLflow did not list {count} mirrored {noun}{plural}, which stay; of {noun} {run:?}: {said}"
        );
        if self.not_asked > 0 {
            let not_asked = self.not_asked;
            reason.push_str(&format!(
                "; after that, it was not asked about {not_asked} of them"
            ));
        }
        Some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::{DeletionGuard, Findings, MAX_UNDECIDED};
    use crate::sync::verdict::Verdict;

    /// Asks about so many runs as it may, each with this verdict, and tells how many that were.
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
    fn a_hundred_runs_or_a_tenth_of_all_may_leave_and_no_more() {
        for (mirrored, allowed) in [(0, 100), (999, 100), (1_000, 100), (5_000, 500)] {
            let guard = DeletionGuard::new(mirrored, false);
            let mut findings = guard.findings(Vec::new());
            assert_eq!(ask(&mut findings, allowed, || Verdict::Gone), allowed);
            assert_eq!(guard.refusal(), None, "{mirrored}");
            // One more shows that it is too many; further ones are not asked about.
            assert_eq!(ask(&mut findings, 10, || Verdict::Gone), 1, "{mirrored}");
            let refusal = guard.refusal().expect("it is above the limit");
            let missing = format!("did not list {} of {mirrored}", allowed + 10);
            assert!(refusal.contains(&missing), "{refusal}");
            assert_eq!(findings.incomplete(), None, "it is said once");
            assert!(!findings.is_decided());
        }
    }

    #[test]
    fn all_may_leave_where_a_mass_delete_is_allowed() {
        let guard = DeletionGuard::new(10, true);
        let mut findings = guard.findings(Vec::new());
        assert_eq!(ask(&mut findings, 1_000, || Verdict::Gone), 1_000);
        assert_eq!(guard.refusal(), None);
        assert!(findings.is_decided());
    }

    #[test]
    fn what_an_earlier_process_found_and_all_experiments_count_together() {
        let guard = DeletionGuard::new(0, false);
        let known = (0..60).map(|run| run.to_string()).collect();
        let mut first = guard.findings(known);
        assert_eq!(ask(&mut first, 40, || Verdict::Gone), 40);
        let mut second = guard.findings(Vec::new());
        assert_eq!(ask(&mut second, 5, || Verdict::Gone), 1);
        assert!(guard.refusal().is_some());
    }

    #[test]
    fn each_experiment_has_its_own_patience_with_undecided_runs() {
        let guard = DeletionGuard::new(0, false);
        for _ in 0..2 {
            let mut findings = guard.findings(Vec::new());
            assert_eq!(ask(&mut findings, 50, undecided), MAX_UNDECIDED);
            let reason = findings.incomplete().expect("it is undecided");
            assert!(reason.contains("did not list 50"), "{reason}");
            assert!(reason.contains("not asked about 30"), "{reason}");
        }
        assert_eq!(guard.refusal(), None);
    }

    #[test]
    fn a_run_that_mlflow_fails_for_takes_all_the_patience() {
        let guard = DeletionGuard::new(0, false);
        let mut findings = guard.findings(Vec::new());
        assert!(findings.may_ask());
        findings.record_failure("a".into(), "503".into());
        assert_eq!(ask(&mut findings, 10, undecided), 0);
        let reason = findings.incomplete().expect("it is undecided");
        assert!(
            reason.contains("of run \"a\": 503") && reason.contains("not asked about 10"),
            "{reason}"
        );
    }
}
