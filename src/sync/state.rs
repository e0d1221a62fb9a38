//! What outlives a killed pass: which experiments it has finished, and where it was in the others.

use std::collections::HashMap;
use std::time::Instant;

use bson::{Bson, DateTime, Document, doc};
use futures::TryStreamExt;
use mongodb::options::ReturnDocument;

use crate::error::Result;
use crate::mlflow::wire::RawExperiment;
use crate::mongo::retry::retried;
use crate::mongo::{MongoRunStore, failed, majority};

/// A pass over MLflow, possibly begun by a process that is gone.
#[derive(Debug)]
pub(super) struct Pass {
    id: i64,
    /// By the server's clock: what the pass saw first may have changed since.
    began: DateTime,
    /// Whether another process began it.
    resumed: bool,
    scans: HashMap<String, Document>,
}

/// How far an earlier process came in an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Start,
    From(i64),
    Done,
}

/// How far the scan of an experiment has come, and what it found on the way.
pub(super) struct Checkpoint<'a> {
    pub(super) experiment: &'a RawExperiment,
    /// When the experiment was made that the mirrored runs are of.
    pub(super) created: Option<i64>,
    pub(super) place: Place,
    /// They are removed at the end of the pass: until then, a killed one has to know of them.
    pub(super) gone: &'a [String],
}

impl Pass {
    /// Takes up the pass that did not end, if it is over the same experiments; else records that another has begun.
    pub(super) async fn begin_or_resume(
        store: &MongoRunStore,
        scope: &str,
        started: Instant,
    ) -> Result<Self> {
        let doing = "cannot read where the last sync was";
        let find = || async { store.state().find_one(doc! { "_id": "pass" }).await };
        let last = retried(find).await.map_err(|error| failed(doing, error))?;
        let unfinished = last.filter(|last| last.get_str("scope").is_ok_and(|last| last == scope));
        let list = || async {
            let cursor = store
                .state()
                .find(doc! { "_id": { "$regex": "^scan/" } })
                .await?;
            cursor.try_collect::<Vec<Document>>().await
        };
        let scans = retried(list).await.map_err(|error| failed(doing, error))?;
        let by_experiment = |scan: Document| {
            Some((
                scan.get_str("_id").ok()?.strip_prefix("scan/")?.to_owned(),
                scan,
            ))
        };
        let scans = scans.into_iter().filter_map(by_experiment).collect();
        if let Some(id) = unfinished
            .as_ref()
            .and_then(|last| last.get_i64("pass").ok())
        {
            return Ok(Self {
                id,
                began: began(unfinished),
                resumed: true,
                scans,
            });
        }
        let id = store.draw_ticket().await?.0;
        let put = || async {
            let begin = vec![doc! { "$replaceWith": {
                "_id": "pass", "pass": id, "scope": { "$literal": scope }, "began": server_time(started),
            } }];
            let state = store.state();
            let update = state.find_one_and_update(doc! { "_id": "pass" }, begin);
            let update = update.return_document(ReturnDocument::After);
            update.upsert(true).write_concern(majority()).await
        };
        let begun = retried(put)
            .await
            .map_err(|error| failed("cannot record the beginning of the sync", error))?;
        Ok(Self {
            id,
            began: began(begun),
            resumed: false,
            scans,
        })
    }

    pub(super) fn place(&self, experiment: &str) -> Place {
        match self.of_this_pass(experiment) {
            None => Place::Start,
            Some(scan) if scan.get_bool("done").unwrap_or_default() => Place::Done,
            Some(scan) => scan.get_i64("from").map_or(Place::Start, Place::From),
        }
    }

    fn of_this_pass(&self, experiment: &str) -> Option<&Document> {
        let scan = self.scans.get(experiment)?;
        (scan.get_i64("pass").ok()? == self.id).then_some(scan)
    }

    /// When the pass began that this one takes up, where it does.
    pub(super) fn resumed_from(&self) -> Option<DateTime> {
        self.resumed.then_some(self.began)
    }

    /// Whether this is the experiment that earlier passes saw under its id, as far as MLflow says when it made them.
    pub(super) fn is_same(&self, experiment: &RawExperiment) -> bool {
        let recorded = self.creation_time(&experiment.experiment_id);
        recorded.is_none()
            || experiment.creation_time.is_none()
            || recorded == experiment.creation_time
    }

    /// When MLflow made this experiment, as it said when a pass last saw it.
    pub(super) fn creation_time(&self, experiment: &str) -> Option<i64> {
        self.scans.get(experiment)?.get_i64("creation_time").ok()
    }

    /// The runs of this experiment that an earlier process of this pass found to be gone.
    pub(super) fn gone(&self, experiment: &str) -> Vec<String> {
        let gone = self
            .of_this_pass(experiment)
            .and_then(|scan| scan.get_array("gone").ok());
        let ids = gone.into_iter().flatten().filter_map(Bson::as_str);
        ids.map(str::to_owned).collect()
    }

    /// Records, once a majority has acknowledged the runs before it, that a later pass may start here.
    pub(super) async fn reached(
        &self,
        store: &MongoRunStore,
        checkpoint: Checkpoint<'_>,
    ) -> Result<()> {
        let experiment = checkpoint.experiment;
        let mut scan = doc! { "_id": format!("scan/{}", experiment.experiment_id), "pass": self.id, "name": &experiment.name };
        if let Some(created) = checkpoint.created {
            scan.insert("creation_time", created);
        }
        if !checkpoint.gone.is_empty() {
            scan.insert("gone", checkpoint.gone);
        }
        match checkpoint.place {
            Place::Start => None,
            Place::From(from) => scan.insert("from", from),
            Place::Done => scan.insert("done", true),
        };
        put(store, scan).await
    }

    /// Records the end of the pass; the mirror is as fresh as the beginning of the last complete one over everything.
    pub(super) async fn end(self, store: &MongoRunStore, full: bool) -> Result<()> {
        let doing = "cannot record the end of the sync";
        if full {
            update_source(store, || doc! { "full_pass": self.began }).await?;
        }
        let delete = || async {
            store
                .state()
                .delete_one(doc! { "_id": "pass" })
                .write_concern(majority())
                .await
        };
        retried(delete)
            .await
            .map_err(|error| failed(doing, error))?;
        Ok(())
    }
}

/// Records when a quick pass over everything began.
pub(super) async fn quick_pass_ended(store: &MongoRunStore, started: Instant) -> Result<()> {
    update_source(store, || doc! { "quick_pass": server_time(started) }).await
}

/// A moment of this process by the server's clock, in a pipeline that is sent at once.
fn server_time(moment: Instant) -> Document {
    let ago = i64::try_from(moment.elapsed().as_millis()).unwrap_or(i64::MAX);
    doc! { "$subtract": ["$$NOW", ago] }
}

async fn update_source(store: &MongoRunStore, set: impl Fn() -> Document) -> Result<()> {
    let update = || async {
        let state = store.state();
        let update = state.update_one(doc! { "_id": "source" }, vec![doc! { "$set": set() }]);
        update.write_concern(majority()).await
    };
    let updated = retried(update).await;
    updated.map_err(|error| failed("cannot record the end of the sync", error))?;
    Ok(())
}

/// Whether an experiment is, by MLflow's word on when it was made, the one that was mirrored under its id.
pub(super) async fn is_known(store: &MongoRunStore, experiment: &RawExperiment) -> Result<bool> {
    let id = doc! { "_id": format!("scan/{}", experiment.experiment_id) };
    let find = || async { store.state().find_one(id.clone()).await };
    let scan = retried(find)
        .await
        .map_err(|error| failed("cannot read what was mirrored", error))?;
    let recorded = scan.and_then(|scan| scan.get_i64("creation_time").ok());
    Ok(recorded.is_some() && recorded == experiment.creation_time)
}

/// Forgets an experiment, so that no pass misses it any more.
pub(super) async fn forget(store: &MongoRunStore, experiment: &str) -> Result<()> {
    let id = doc! { "_id": format!("scan/{experiment}") };
    let delete = || async {
        store
            .state()
            .delete_one(id.clone())
            .write_concern(majority())
            .await
    };
    let deleted = retried(delete).await;
    deleted.map_err(|error| failed("cannot forget an experiment", error))?;
    Ok(())
}

/// When a pass began; not known, it is no newer than anything.
fn began(pass: Option<Document>) -> DateTime {
    let began = pass.and_then(|pass| pass.get_datetime("began").ok().copied());
    began.unwrap_or(DateTime::from_millis(0))
}

async fn put(store: &MongoRunStore, state: Document) -> Result<()> {
    let id = doc! { "_id": state.get("_id").cloned().unwrap_or_default() };
    let replace = || async {
        store
            .state()
            .replace_one(id.clone(), state.clone())
            .upsert(true)
            .write_concern(majority())
            .await
    };
    retried(replace)
        .await
        .map_err(|error| failed("cannot record how far the sync is", error))?;
    Ok(())
}
