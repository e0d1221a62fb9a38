//! [`Registration`]: writes lineage to the tags of an MLflow run, then mirrors the run as MLflow shows it afterwards.

mod answer;

use std::collections::BTreeSet;

pub use answer::RunAnswer;

use crate::error::{Error, Result};
use crate::mlflow::wire::RawExperiment;
use crate::mlflow::{MlflowClient, document};
use crate::mongo::checkpoint::Checkpoints;
use crate::mongo::migrate::Migrator;
use crate::mongo::mirrored::Mirrored;
use crate::mongo::save::RunSaver;
use crate::mongo::source::claim_source;
use crate::mongo::ticket::Ticket;
use crate::mongo::{MongoRunStore, at_primary};
use crate::node::{Direction, Lineage, Node, Reference, Refused, named_builders};
use crate::run::{Run, RunId};

/// The lineage of a run, with additions that [`register`](Self::register) writes.
#[derive(Debug, Clone)]
pub struct Registration {
    run: RunId,
    lineage: Lineage,
    /// The additions, which the tags do not record yet.
    added: BTreeSet<Reference>,
}

/// Starts a registration with the lineage that the run records so far.
///
/// # Errors
/// [`Error::Document`] when the run's document has another shape than this program writes.
pub fn of(run: &Run) -> Result<Registration> {
    Ok(Registration {
        run: run.id().parse()?,
        lineage: run.lineage()?,
        added: BTreeSet::new(),
    })
}

/// Starts a registration on the run with this id. It knows the additions only: its [`lineage`](Registration::lineage) lacks what the
/// run records so far.
#[must_use]
pub fn of_id(run: RunId) -> Registration {
    Registration {
        run,
        lineage: Lineage::default(),
        added: BTreeSet::new(),
    }
}

impl Registration {
    named_builders! {
        read: "Adds that the run read",
        wrote: "Adds that the run wrote",
        absent: "means that none is recorded"
    }

    fn with_node(mut self, direction: Direction, node: Result<Node, Refused>) -> Self {
        if let Ok(node) = &node {
            self.added
                .insert(Reference::tagged(direction, node.clone()));
        }
        self.lineage = self.lineage.with_node(direction, node);
        self
    }

    /// The recorded lineage and the additions.
    #[must_use]
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// Sets the tags on the MLflow run, mirrors the run as MLflow shows it afterwards, and returns it.
    ///
    /// Lineage that the tags record already stays. Each addition is written into mlopus' tag, and into an overflow tag that no
    /// other program writes. So once this method has returned, no concurrent registration can undo the addition, whichever
    /// program or database it uses. A program that replaces whole tags, such as mlopus, can overwrite mlopus' tag only. The next
    /// `register` on the run restores that tag.
    ///
    /// # Errors
    /// - [`Error::InvalidArgument`] for the first bad argument, before any request.
    /// - [`Error::Mlflow`] when MLflow refuses the tags, and [`Error::RunDeleted`] when the run is deleted.
    /// - [`Error::TagsOverwritten`] when another program overwrote the tags after every attempt.
    /// - [`Error::MirrorBehind`] when MLflow has the lineage but MongoDB could not be written; the next sync mirrors it.
    pub async fn register(self, mlflow: &MlflowClient, store: &MongoRunStore) -> Result<Run> {
        self.lineage.check()?;
        let store = &at_primary(store);
        Migrator::of(store).ensure_applied().await?;
        claim_source(store, mlflow.source()).await?;
        Ticket::raise_counter(store).await?;
        let behind = |source| Error::MirrorBehind {
            run: self.run.to_string(),
            source: Box::new(source),
        };
        let mut attempt = 0;
        loop {
            // Drawn before the request, so that MLflow's answer is at least as new as the ticket.
            let drawn = Ticket::draw(store).await;
            let ticket = drawn.map_err(|error| if attempt > 0 { behind(error) } else { error })?;
            let answer = RunAnswer::from(mlflow.raw_run(&self.run).await?);
            if let Some(tags) = self.tags_to_set(&answer, attempt)? {
                mlflow.set_tags(&self.run, &tags).await?;
                attempt += 1;
                continue;
            }
            let raw = answer.raw();
            let experiment = mlflow.raw_experiment(&raw.info.experiment_id).await?;
            let run = document::map(raw, &experiment.name)?;
            record_experiment(store, &experiment)
                .await
                .map_err(behind)?;
            let saved = RunSaver::of(store, ticket).save(vec![run.clone()]).await;
            saved.map_err(behind)?;
            return Ok(run);
        }
    }
}

/// Records an experiment before its first run is mirrored. The record lets later passes detect another experiment with the same
/// id.
async fn record_experiment(store: &MongoRunStore, experiment: &RawExperiment) -> Result<()> {
    let id = &experiment.experiment_id;
    if Mirrored::of(store).has_experiment(id).await? {
        return Ok(());
    }
    let (name, created) = (&experiment.name, experiment.creation_time);
    Checkpoints::of(store)
        .record_experiment(id, name, created)
        .await
}
