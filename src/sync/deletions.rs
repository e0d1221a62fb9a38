//! Decides on mirrored runs that a scan did not show: they leave only on MLflow's own word on each.

use std::collections::HashSet;

use bson::doc;
use futures::TryStreamExt;

use super::experiment::Outcome;
use super::pages::Seen;
use super::report::{Incomplete, Report};
use super::state::{Pass, Place};
use super::{Sync, Totals};
use crate::error::{Error, Result};
use crate::mlflow::document;
use crate::mlflow::wire::RawExperiment;
use crate::run::{Run, field};

/// What MLflow says of a run that a scan did not show.
enum Word {
    /// It shows it after all, or shows it as deleted; that has been mirrored.
    Shown,
    /// It does not know it, but knows its experiment, and it is the experiment that was mirrored.
    Gone,
    /// Neither.
    Unreachable(String),
}

impl Sync {
    /// Asks MLflow for every mirrored run of this experiment that the scan should have shown and did not.
    pub(super) async fn look_for_gone(
        &self,
        experiment: &RawExperiment,
        place: Place,
        seen: &Seen,
        pass: &Pass,
        totals: &Totals<'_>,
    ) -> Result<Outcome> {
        let mut filter = doc! { "exp.id": &experiment.experiment_id };
        if let Place::From(from) = place {
            // An earlier process has scanned what started before.
            filter.insert(
                field::START_TIME,
                doc! { "$gte": bson::DateTime::from_millis(from) },
            );
        }
        let mut mirrored = self.store.find_ids(filter).await?;
        let mut outcome = Outcome::default();
        let mut unreachable = Vec::new();
        while let Some(run) = mirrored.try_next().await? {
            if seen.contains(run.id()) {
                continue;
            }
            match self.ask(&run, experiment, pass, totals).await? {
                Word::Shown => {}
                Word::Gone => outcome.gone.push(run),
                Word::Unreachable(reason) => unreachable.push((run.id().to_owned(), reason)),
            }
        }
        if let Some((run, reason)) = unreachable.first() {
            outcome.incomplete.push(Incomplete {
                experiment: experiment.experiment_id.clone(),
                reason: format!("MLflow did not list {} mirrored runs, which stay; of run {run} it says: {reason}", unreachable.len()),
            });
        }
        Ok(outcome)
    }

    async fn ask(
        &self,
        run: &Run,
        experiment: &RawExperiment,
        pass: &Pass,
        totals: &Totals<'_>,
    ) -> Result<Word> {
        let id = run.id().parse()?;
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
            Err(Error::Mlflow { code, answer, .. }) if code == "RESOURCE_DOES_NOT_EXIST" => {
                self.is_gone(experiment, pass, answer).await
            }
            Err(Error::Mlflow { answer, .. }) => Ok(Word::Unreachable(answer)),
            Err(error) => Err(error),
        }
    }

    /// A 404 alone is no proof: a live run that is asked for in the wrong workspace gives it too.
    async fn is_gone(
        &self,
        experiment: &RawExperiment,
        pass: &Pass,
        answer: String,
    ) -> Result<Word> {
        match self.mlflow.raw_experiment(&experiment.experiment_id).await {
            Ok(now) => {
                let recorded = pass.creation_time(&experiment.experiment_id);
                if recorded.is_some() && recorded == now.creation_time {
                    Ok(Word::Gone)
                } else {
                    Ok(Word::Unreachable(format!(
                        "{answer}, but the experiment of that id is not the one that was mirrored"
                    )))
                }
            }
            Err(Error::Mlflow { .. }) => Ok(Word::Unreachable(answer)),
            Err(error) => Err(error),
        }
    }

    /// Experiments that the mirror holds runs of and that MLflow did not list: unreadable, or gone for good.
    pub(super) async fn unlisted(
        &self,
        pass: &Pass,
        listed: &HashSet<String>,
    ) -> Result<Vec<Incomplete>> {
        if !self.is_everything() {
            return Ok(Vec::new());
        }
        let mut unlisted = Vec::new();
        for id in pass.known().filter(|id| !listed.contains(*id)) {
            if self.store.holds_experiment(id).await? {
                unlisted.push(Incomplete {
                    experiment: id.to_owned(),
                    reason: "MLflow no longer lists this experiment to this user; its mirrored runs stay, until `sync --forget-experiment` removes them".into(),
                });
            }
        }
        Ok(unlisted)
    }

    pub(super) async fn remove_gone(&self, gone: Vec<Run>, report: &mut Report) -> Result<()> {
        let held = self.store.count_estimate().await?;
        let count = gone.len() as u64;
        if count > (held / 10).max(100) && !self.allow_mass_delete {
            report.incomplete.push(Incomplete {
                experiment: "*".into(),
                reason: format!("MLflow no longer knows {count} of {held} mirrored runs, which is more than go by themselves; if that is right, sync with `--allow-mass-delete`"),
            });
            return Ok(());
        }
        for ids in gone.chunks(500) {
            let ticket = self.store.draw_ticket().await?;
            let ids: Vec<&str> = ids.iter().map(Run::id).collect();
            let runs = self.store.find_runs(doc! { field::ID: { "$in": ids } });
            let runs = runs.await?.try_collect().await?;
            report.deleted += self.store.bury_runs(runs, ticket).await?;
        }
        Ok(())
    }
}
