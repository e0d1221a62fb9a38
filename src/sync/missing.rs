//! [`MissingRuns`]: finds the mirrored runs that a scan did not show, one range of start times after the other.
//!
//! The checkpoint moves past a range only after the missing runs of the range are decided. So a pass that resumes a killed
//! one need not look before the checkpoint. The scan also forgets which runs it showed in a decided range.

use super::deletion_guard::Findings;
use super::inquiry::Inquiry;
use super::seen::Seen;
use super::triage::Triage;
use crate::error::Result;
use crate::mongo::checkpoint::{Checkpoint, Checkpoints, Place, RecordedPass};
use crate::mongo::mirrored::Mirrored;

/// With more ids the checkpoint, which is written at every page, would be a large document.
const MAX_RECORDED: usize = 10_000;

/// The missing runs of one experiment, up to the place that its scan has reached.
pub(super) struct MissingRuns<'a, 's> {
    pub(super) pass: &'a RecordedPass,
    pub(super) inquiry: Inquiry<'a>,
    pub(super) triage: Triage<'a>,
    pub(super) seen: &'s Seen,
    /// Runs that started before this time are decided.
    pub(super) from: Option<i64>,
    pub(super) findings: Findings<'a>,
}

impl<'a> MissingRuns<'a, '_> {
    /// Decides the missing runs that started before `next`, and moves the checkpoint there.
    ///
    /// Call it once the scan has shown all runs that started before `next`, and MongoDB has saved them.
    pub(super) async fn reached(&mut self, next: i64) -> Result<()> {
        if self.from == Some(next) {
            return Ok(());
        }
        self.decide(Some(next)).await?;
        self.from = Some(next);
        self.record(Place::From(next)).await
    }

    /// Decides the remaining missing runs, after the scan has shown all runs and they are saved.
    pub(super) async fn ended(mut self) -> Result<Findings<'a>> {
        self.decide(None).await?;
        self.record(Place::Done).await?;
        Ok(self.findings)
    }

    async fn decide(&mut self, to: Option<i64>) -> Result<()> {
        // The whole list is read first: a cursor that stays open during the requests to MLflow could time out.
        let runs = self.list(to).await?;
        let findings = &mut self.findings;
        self.inquiry.decide(runs, self.triage, findings).await
    }

    /// The mirrored runs of the range that the scan did not show.
    async fn list(&self, to: Option<i64>) -> Result<Vec<String>> {
        let mirrored = Mirrored::of(self.inquiry.saver.store);
        let experiment = &self.inquiry.experiment.experiment_id;
        let mut runs = mirrored.started(experiment, self.from, to).await?;
        // The scan shows no run of a decided range again, so it need not remember these.
        runs.retain(|run| !self.seen.remove(run));
        Ok(runs)
    }

    /// Moves the checkpoint, unless runs are undecided or too many to record: a resumed pass then starts from the last
    /// checkpoint and finds them again.
    async fn record(&self, place: Place) -> Result<()> {
        let deleted_upstream = self.findings.deleted_upstream();
        if !self.findings.is_decided() || deleted_upstream.len() > MAX_RECORDED {
            return Ok(());
        }
        let (experiment, created) = (self.inquiry.experiment, self.inquiry.created);
        let checkpoint = Checkpoint {
            experiment: &experiment.experiment_id,
            name: &experiment.name,
            creation_time: match place {
                // All mirrored runs have been checked against this experiment.
                Place::Done => created.or(experiment.creation_time),
                Place::Start | Place::From(_) => created,
            },
            place,
            deleted_upstream,
        };
        let checkpoints = Checkpoints::of(self.inquiry.saver.store);
        checkpoints.save(self.pass, checkpoint).await
    }
}
