//! Looks for mirrored runs that a scan did not show, range by range as the scan goes on.
//!
//! A range is decided before the scan is said to have come past it, so a pass that takes up a killed one has nothing to
//! look for before its start; and no more is remembered of what was shown than the last range holds.

use bson::{DateTime, Document, doc};

use super::Sync;
use super::deletions::Word;
use super::experiment::{Outcome, Scanning};
use super::pages::Seen;
use super::report::Incomplete;
use super::state::{Checkpoint, Place};
use crate::error::Result;
use crate::mlflow::wire::RawExperiment;
use crate::run::field;

/// How many runs of an experiment MLflow is asked about without a word that decides.
const MAX_UNDECIDED: usize = 20;
/// A checkpoint with more ids would become a large document, written at every page.
const MAX_RECORDED: usize = 10_000;

/// What one experiment's scan did not show, as far as it has come.
pub(super) struct Absences<'a> {
    sync: &'a Sync,
    experiment: &'a RawExperiment,
    /// When the experiment was made that the mirrored runs are of.
    created: Option<i64>,
    scanning: &'a Scanning<'a>,
    seen: &'a Seen,
    /// What started before is decided.
    from: Option<i64>,
    gone: Vec<String>,
    undecided: Vec<(String, String)>,
    not_asked: u64,
    /// MLflow has failed to answer for one run, as often as it was asked: the others are not tried as often.
    is_tired: bool,
}

impl<'a> Absences<'a> {
    pub(super) fn new(
        sync: &'a Sync,
        experiment: &'a RawExperiment,
        created: Option<i64>,
        scanning: &'a Scanning<'a>,
        seen: &'a Seen,
    ) -> Self {
        let from = match scanning.pass.place(&experiment.experiment_id) {
            Place::From(from) => Some(from),
            Place::Start | Place::Done => None,
        };
        let gone = scanning.pass.gone(&experiment.experiment_id);
        Self {
            sync,
            experiment,
            created,
            scanning,
            seen,
            from,
            gone,
            undecided: Vec::new(),
            not_asked: 0,
            is_tired: false,
        }
    }

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
    pub(super) async fn ended(mut self) -> Result<Outcome> {
        self.decide(None).await?;
        self.record(Place::Done).await?;
        let incomplete = self.incomplete().map(|reason| Incomplete {
            experiment: self.experiment.experiment_id.clone(),
            reason,
        });
        Ok(Outcome {
            incomplete: incomplete.into_iter().collect(),
            gone: self.gone,
        })
    }

    /// A pass that is killed finds anew, from the last record on, what is undecided or too much to record.
    async fn record(&self, place: Place) -> Result<()> {
        let is_decided = self.undecided.is_empty() && self.not_asked == 0;
        if !is_decided || self.gone.len() > MAX_RECORDED {
            return Ok(());
        }
        let created = match place {
            // No mirrored run speaks against it any more.
            Place::Done => self.created.or(self.experiment.creation_time),
            Place::Start | Place::From(_) => self.created,
        };
        let checkpoint = Checkpoint {
            experiment: self.experiment,
            created,
            place,
            gone: &self.gone,
        };
        let store = &self.sync.store;
        self.scanning.pass.reached(store, checkpoint).await
    }

    async fn decide(&mut self, to: Option<i64>) -> Result<()> {
        // Listed first: a cursor left open while MLflow is asked could time out.
        for run in self.absent(to).await? {
            let is_over = self.scanning.limit.is_over();
            if is_over {
                self.scanning.limit.add_not_asked();
            }
            if is_over || self.is_tired || self.undecided.len() >= MAX_UNDECIDED {
                self.not_asked += 1;
                continue;
            }
            match self.ask(&run).await? {
                Word::Shown => {}
                Word::Gone => {
                    self.scanning.limit.add(1);
                    self.gone.push(run);
                }
                Word::Unreachable(reason) => self.undecided.push((run, reason)),
            }
        }
        Ok(())
    }

    async fn ask(&mut self, run: &str) -> Result<Word> {
        let (scanning, experiment) = (self.scanning, self.experiment);
        let asked = self
            .sync
            .ask(run, experiment, self.created, &scanning.totals)
            .await;
        match asked {
            Err(error) => {
                self.is_tired = true;
                let said = self.sync.said_of_one(error, experiment, scanning).await?;
                Ok(Word::Unreachable(said))
            }
            word => word,
        }
    }

    /// The mirrored runs of the range that the scan did not show.
    async fn absent(&self, to: Option<i64>) -> Result<Vec<String>> {
        let filter = range(&self.experiment.experiment_id, self.from, to);
        let mut mirrored = self.sync.store.run_ids(filter).await?;
        // The scan has come past what it showed of the range, and will not show it again.
        mirrored.retain(|run| !self.seen.remove(run));
        Ok(mirrored)
    }

    fn incomplete(&self) -> Option<String> {
        // Too many are gone: that is said once, of the whole pass.
        let (run, said) = self.undecided.first()?;
        let count = self.undecided.len() as u64 + self.not_asked;
        let mut reason = format!(
            "MLflow did not list {count} mirrored runs, which stay; of run {run} it says: {said}"
        );
        if self.not_asked > 0 {
            let not_asked = format!(
                "; after that, it was not asked for {} of them",
                self.not_asked
            );
            reason.push_str(&not_asked);
        }
        Some(reason)
    }
}

/// The mirrored runs of an experiment that started at `from` or later and before `to`; the last range holds those without
/// a date too.
fn range(experiment: &str, from: Option<i64>, to: Option<i64>) -> Document {
    let date = DateTime::from_millis;
    let start_time = match (from, to) {
        (None, None) => return doc! { "exp.id": experiment },
        (None, Some(to)) => doc! { "$lt": date(to) },
        (Some(from), Some(to)) => doc! { "$gte": date(from), "$lt": date(to) },
        (Some(from), None) => doc! { "$not": { "$lt": date(from) } },
    };
    doc! { "exp.id": experiment, field::START_TIME: start_time }
}
