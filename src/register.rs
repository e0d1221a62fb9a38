//! `lineage::of(&run)` … `register`: tags in MLflow first, then the mirror, from what MLflow answers afterwards.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::tags;
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

/// Other programs read and write whole tags, so they can undo mlopus' form; they do not do so for ever.
const MAX_ATTEMPTS: usize = 10;

/// The lineage of a run, to be added to and registered.
#[derive(Debug, Clone)]
pub struct Registration {
    run: RunId,
    lineage: Lineage,
    /// What was added: the tags are to record it.
    added: BTreeSet<Reference>,
}

/// The lineage that a run records so far, ready to be added to.
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

impl Registration {
    named_builders! {
        read: "Adds that the run read",
        wrote: "Adds that the run wrote",
        absent: "is recorded as none"
    }

    fn with_node(mut self, direction: Direction, node: Result<Node, Refused>) -> Self {
        if let Ok(node) = &node {
            self.added
                .insert(Reference::tagged(direction, node.clone()));
        }
        self.lineage = self.lineage.with_node(direction, node);
        self
    }

    /// What is recorded and what was added.
    #[must_use]
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// Sets the tags on the MLflow run, then mirrors what MLflow says afterwards, and returns it.
    ///
    /// What the tags record already stays. What is acknowledged stays too, whoever else registers on the run, through
    /// whichever database: it stands in a tag that no other program writes. Only mlopus' own form of it can be undone by a
    /// program that writes whole tags at the same moment, as mlopus does; the next `register` on the run restores it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for the first bad argument, before anything is sent. [`Error::Mlflow`] when MLflow refuses;
    /// [`Error::RunDeleted`] when the run is deleted there; [`Error::TagsOverwritten`] when another program takes the
    /// tags away again and again; [`Error::MirrorBehind`] when MLflow holds the lineage but the mirror could not be written: the
    /// next sync heals that.
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
        for attempt in 0..=MAX_ATTEMPTS {
            // Drawn before the request: what MLflow answers is at least as new.
            let drawn = Ticket::draw(store).await;
            let ticket = drawn.map_err(|error| if attempt > 0 { behind(error) } else { error })?;
            let raw = mlflow.raw_run(&self.run).await?;
            if raw.is_deleted() {
                return Err(Error::RunDeleted {
                    run: self.run.to_string(),
                });
            }
            let tags = raw.data.tags.iter();
            let present: BTreeMap<String, String> = tags
                .map(|tag| (tag.key.clone(), tag.value.clone()))
                .collect();
            // What MLflow itself records needs no tag.
            let native = document::native_nodes(&raw);
            let is_native =
                |added: &&Reference| native.contains(&(added.direction, added.node.clone()));
            let added = self
                .added
                .iter()
                .filter(|added| !is_native(added))
                .cloned()
                .collect();
            let missing = tags::write(&added, &present)?;
            let is_last = attempt == MAX_ATTEMPTS;
            if missing.is_empty() || (is_last && tags::is_recorded(&added, &present)) {
                let experiment = mlflow.raw_experiment(&raw.info.experiment_id).await?;
                let run = document::map(&raw, &experiment.name)?;
                remember(store, &experiment).await.map_err(behind)?;
                let saved = RunSaver::of(store, ticket).save(vec![run.clone()]).await;
                saved.map_err(behind)?;
                return Ok(run);
            }
            if !is_last {
                mlflow.set_tags(&self.run, &missing).await?;
            }
        }
        Err(Error::TagsOverwritten {
            run: self.run.to_string(),
            attempts: MAX_ATTEMPTS,
        })
    }
}

/// A run that is the first mirrored one of its experiment says which experiment that is.
async fn remember(store: &MongoRunStore, experiment: &RawExperiment) -> Result<()> {
    let id = &experiment.experiment_id;
    if Mirrored::of(store).has_experiment(id).await? {
        return Ok(());
    }
    let (name, created) = (&experiment.name, experiment.creation_time);
    Checkpoints::of(store)
        .record_experiment(id, name, created)
        .await
}
