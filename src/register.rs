//! `lineage::of(&run)` … `register`: tags in MLflow first, then the mirror, from what MLflow answers afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::codec::tags;
use crate::error::{Error, Result};
use crate::mlflow::wire::RawExperiment;
use crate::mlflow::{MlflowClient, document};
use crate::mongo::MongoRunStore;
use crate::mongo::checkpoint::Checkpoints;
use crate::mongo::lease::Lease;
use crate::mongo::mirrored::Mirrored;
use crate::node::{Direction, Lineage, Node, Origin, Reference, Refused, named_builders};
use crate::run::{Run, RunId};

/// Setting tags takes a handful of requests; a holder that died holds others up for this long.
const LEASE: Duration = Duration::from_secs(60);
/// mlopus reads and writes whole tags, so it can undo what was written in between; it does not do so for ever.
const MAX_ATTEMPTS: usize = 10;

/// The lineage of a run, to be added to and registered.
#[derive(Debug, Clone)]
pub struct Registration {
    run: RunId,
    lineage: Lineage,
    /// What the tags are to record: not what MLflow knows by itself, but "no version" where versions stand beside, which
    /// a [`Lineage`] does not tell.
    references: BTreeSet<Reference>,
}

/// The lineage that a run records so far, ready to be added to.
///
/// # Errors
/// [`Error::Document`] when the run's document has another shape than this program writes.
pub fn of(run: &Run) -> Result<Registration> {
    let references: BTreeSet<Reference> = run.references().collect::<Result<_>>()?;
    let is_tag = |reference: &Reference| reference.origin == Origin::Tag;
    Ok(Registration {
        run: run.id().parse()?,
        references: references.into_iter().filter(is_tag).collect(),
        lineage: run.lineage()?,
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
            self.references
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
    /// What the tags record already stays; whatever else registers at the same time loses nothing.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for the first bad argument, before anything is sent. [`Error::Mlflow`] when MLflow refuses;
    /// [`Error::RunDeleted`] when the run is deleted there; [`Error::TagsOverwritten`] when another program writes over the
    /// tags again and again; [`Error::MirrorBehind`] when MLflow holds the lineage but the mirror could not be written: the
    /// next sync heals that.
    pub async fn register(self, mlflow: &MlflowClient, store: &MongoRunStore) -> Result<Run> {
        self.lineage.check()?;
        let store = &store.at_primary();
        store.ensure_migrated().await?;
        store.claim_source(mlflow.source()).await?;
        // MLflow cannot compare and set a tag, so registers of one run take turns.
        let id = format!("register/{}", self.run);
        let lease = Lease::wait(store, "a registration of this run", &id, LEASE).await?;
        let registered = self.register_leased(mlflow, store, &lease).await;
        lease.release().await;
        registered
    }

    async fn register_leased(
        &self,
        mlflow: &MlflowClient,
        store: &MongoRunStore,
        lease: &Lease,
    ) -> Result<Run> {
        let behind = |source| Error::MirrorBehind {
            run: self.run.to_string(),
            source: Box::new(source),
        };
        let failed = |tagged: bool, error| if tagged { behind(error) } else { error };
        let mut tagged = false;
        for _ in 0..MAX_ATTEMPTS {
            let ticket = store
                .draw_ticket()
                .await
                .map_err(|error| failed(tagged, error))?;
            let raw = mlflow.raw_run(&self.run).await?;
            if raw.is_deleted() {
                return Err(Error::RunDeleted {
                    run: self.run.to_string(),
                });
            }
            let present = raw
                .data
                .tags
                .iter()
                .map(|tag| (tag.key.clone(), tag.value.clone()))
                .collect();
            let missing = tags::write(&self.references, &present)?;
            if missing.is_empty() {
                let experiment = mlflow.raw_experiment(&raw.info.experiment_id).await?;
                let run = document::map(&raw, &experiment.name)?;
                remember(store, &experiment).await.map_err(behind)?;
                store
                    .save_runs(vec![run.clone()], ticket)
                    .await
                    .map_err(behind)?;
                return Ok(run);
            }
            lease.check().map_err(|error| failed(tagged, error))?;
            mlflow.set_tags(&self.run, &missing).await?;
            tagged = true;
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
