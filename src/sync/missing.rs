//! [`MissingRuns`]: the mirrored runs that a scan did not show, range by range as the scan goes on.
//!
//! A range is decided before the scan is said to have come past it, so a pass that resumes a killed one has nothing to
//! look for before its start; and no more is remembered of what was shown than the last range holds.

use super::deletion_guard::Findings;
use super::inquiry::Inquiry;
use super::seen::Seen;
use super::triage::Triage;
use crate::error::Result;
use crate::mongo::checkpoint::{Checkpoint, Checkpoints, Place, RecordedPass};
use crate::mongo::mirrored::Mirrored;

/// A checkpoint with more ids would become a large document, written at every page.
const MAX_RECORDED: usize = 10_000;

/// What one experiment's scan did not show, as far as it has come.
pub(super) struct MissingRuns<'a, 's> {
    pub(super) pass: &'a RecordedPass,
    pub(super) inquiry: Inquiry<'a>,
    pub(super) triage: Triage<'a>,
    pub(super) seen: &'s Seen,
    /// What started before is decided.
    pub(super) from: Option<i64>,
    pub(super) findings: Findings<'a>,
}

impl<'a> MissingRuns<'a, '_> {
    /// All that started before has been shown and saved: decides on what was not, and records that a later pass may
    /// start here.
    pub(super) async fn reached(&mut self, next: i64) -> Result<()> {
        if self.from == Some(next) {
            return Ok(());
        }
        self.decide(Some(next)).await?;
        self.from = Some(next);
        self.record(Place::From(next)).await
    }

    /// All has been shown and saved.
    pub(super) async fn ended(mut self) -> Result<Findings<'a>> {
        self.decide(None).await?;
        self.record(Place::Done).await?;
        Ok(self.findings)
    }

    async fn decide(&mut self, to: Option<i64>) -> Result<()> {
        // Listed first: a cursor left open while MLflow is asked could time out.
        let runs = self.list(to).await?;
        let findings = &mut self.findings;
        self.inquiry.decide(runs, self.triage, findings).await
    }

    /// The mirrored runs of the range that the scan did not show.
    async fn list(&self, to: Option<i64>) -> Result<Vec<String>> {
        let mirrored = Mirrored::of(self.inquiry.saver.store);
        let experiment = &self.inquiry.experiment.experiment_id;
        let mut runs = mirrored.started(experiment, self.from, to).await?;
        // The scan has come past what it showed of the range, and will not show it again.
        runs.retain(|run| !self.seen.remove(run));
        Ok(runs)
    }

    /// A pass that is killed finds anew, from the last record on, what is undecided or too much to record.
    async fn record(&self, place: Place) -> Result<()> {
        let gone = self.findings.gone();
        if !self.findings.is_decided() || gone.len() > MAX_RECORDED {
            return Ok(());
        }
        let (experiment, created) = (self.inquiry.experiment, self.inquiry.created);
        let checkpoint = Checkpoint {
            experiment: &experiment.experiment_id,
            name: &experiment.name,
            creation_time: match place {
                // No mirrored run speaks against it any more.
                Place::Done => created.or(experiment.creation_time),
                Place::Start | Place::From(_) => created,
            },
            place,
            deleted_upstream: gone,
        };
        let checkpoints = Checkpoints::of(self.inquiry.saver.store);
        checkpoints.save(self.pass, checkpoint).await
    }
}
