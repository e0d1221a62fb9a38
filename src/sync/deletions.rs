//! Decides on mirrored runs that a scan did not show: they leave only on MLflow's own word on each.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use bson::doc;
use futures::TryStreamExt;

use super::report::{Incomplete, Report};
use super::{Sync, Totals};
use crate::error::{Error, MlflowCode, Result};
use crate::mlflow::document;
use crate::mlflow::wire::RawExperiment;
use crate::run::field;

/// What MLflow says of a run that a scan did not show.
pub(super) enum Word {
    /// It shows it after all, or shows it as deleted; that has been mirrored.
    Shown,
    /// It does not know it, but knows its experiment, and it is the experiment that was mirrored.
    Gone,
    /// Neither.
    Unreachable(String),
}

/// How many runs a pass has found gone, and how many may leave the mirror by themselves.
pub(super) struct MassDelete {
    held: u64,
    gone: AtomicUsize,
    not_asked: AtomicUsize,
    is_allowed: bool,
}

impl MassDelete {
    pub(super) fn new(held: u64, is_allowed: bool) -> Self {
        Self {
            held,
            gone: AtomicUsize::new(0),
            not_asked: AtomicUsize::new(0),
            is_allowed,
        }
    }

    pub(super) fn add(&self, gone: usize) {
        self.gone.fetch_add(gone, Ordering::Relaxed);
    }

    /// Another run that no scan showed; once more are gone than may go, MLflow is not asked any more.
    pub(super) fn add_not_asked(&self) {
        self.not_asked.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        !self.is_allowed && self.gone() > (self.held / 10).max(100)
    }

    fn gone(&self) -> u64 {
        self.gone.load(Ordering::Relaxed) as u64
    }
}

impl Sync {
    /// Asks MLflow for a mirrored run of this experiment, which was made when `created` says.
    pub(super) async fn ask(
        &self,
        run: &str,
        experiment: &RawExperiment,
        created: Option<i64>,
        totals: &Totals<'_>,
    ) -> Result<Word> {
        let id = run.parse()?;
        let ticket = self.store.draw_ticket().await?;
        match self.mlflow.raw_run(&id).await {
            Ok(raw) if raw.info.experiment_id == experiment.experiment_id => {
                let mapped = vec![document::map(&raw, &experiment.name)?];
                if raw.is_deleted() {
                    self.bury_counted(mapped, ticket, totals).await?;
                } else {
                    self.save_counted(mapped, ticket, totals).await?;
                }
                Ok(Word::Shown)
            }
            // It moved: the scan of its new experiment mirrors it.
            Ok(_) => Ok(Word::Shown),
            Err(Error::Mlflow {
                code: Some(MlflowCode::ResourceDoesNotExist),
                answer,
                ..
            }) => self.is_gone(experiment, created, answer).await,
            Err(error) => unreachable(error, None),
        }
    }

    /// A 404 alone is no proof: a live run that is asked for in the wrong workspace gives it too.
    async fn is_gone(
        &self,
        experiment: &RawExperiment,
        created: Option<i64>,
        answer: String,
    ) -> Result<Word> {
        let id = &experiment.experiment_id;
        let now = match self.mlflow.raw_experiment(id).await {
            Ok(now) => now.creation_time,
            Err(error) => return unreachable(error, Some(answer)),
        };
        let doubt = match (created, now) {
            (Some(created), Some(now)) if created == now => return Ok(Word::Gone),
            (Some(_), Some(_)) => {
                "but the experiment of that id is not the one that was mirrored".to_owned()
            }
            _ => format!(
                "but it is not known when the experiment was made, so it may be another one of that id; if it is not, `sync --forget-experiment {id}` and the sync after it mirror it anew"
            ),
        };
        Ok(Word::Unreachable(format!("{answer}, {doubt}")))
    }

    /// Experiments that the mirror holds runs of and that MLflow did not list: unreadable, or gone for good.
    pub(super) async fn unlisted(&self, listed: &HashSet<String>) -> Result<Vec<Incomplete>> {
        if !self.is_everything() {
            return Ok(Vec::new());
        }
        let mut held = self.store.held_experiments().await?;
        held.retain(|id| !listed.contains(id));
        let unlisted = held.into_iter().map(|id| Incomplete {
            reason: format!("MLflow no longer lists this experiment to this user; its mirrored runs stay, until `sync --forget-experiment {id}` removes them"),
            experiment: id,
        });
        Ok(unlisted.collect())
    }

    pub(super) async fn remove_gone(
        &self,
        gone: &[String],
        limit: &MassDelete,
        report: &mut Report,
    ) -> Result<()> {
        if limit.is_over() {
            let (gone, held) = (limit.gone(), limit.held);
            let absent = gone + limit.not_asked.load(Ordering::Relaxed) as u64;
            report.incomplete.push(Incomplete {
                experiment: "*".into(),
                reason: format!("MLflow did not list {absent} of {held} mirrored runs and no longer knows the {gone} that it was asked for, which is more than go by themselves; if that is right, sync with `--allow-mass-delete`"),
            });
            return Ok(());
        }
        for ids in gone.chunks(500) {
            let ticket = self.store.draw_ticket().await?;
            let runs = self.store.find_runs(doc! { field::ID: { "$in": ids } });
            let runs = runs.await?.try_collect().await?;
            report.deleted += self.store.bury_runs(runs, ticket).await?;
        }
        Ok(())
    }
}

/// What MLflow refuses decides nothing on the run; what it was asked for again and again in vain is an error.
fn unreachable(error: Error, said: Option<String>) -> Result<Word> {
    match error {
        error if error.is_transient() => Err(error),
        Error::Mlflow { answer, .. } => Ok(Word::Unreachable(said.unwrap_or(answer))),
        error => Err(error),
    }
}
