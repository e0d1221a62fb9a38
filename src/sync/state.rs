//! What outlives a killed pass: which experiments it has finished, and where it was in the others.

use std::collections::HashMap;

use bson::{Bson, DateTime, Document, doc};
use futures::TryStreamExt;

use crate::error::Result;
use crate::mlflow::wire::RawExperiment;
use crate::store::mongo::{MongoRunStore, failed, majority};
use crate::store::retry::retried;

/// A pass over MLflow, possibly begun by a process that is gone.
#[derive(Debug)]
pub(super) struct Pass {
    id: i64,
    /// When the pass that this one takes up began: what it saw then may have changed since.
    resumed_from: Option<DateTime>,
    scans: HashMap<String, Document>,
}

/// How far an earlier process came in an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Start,
    From(i64),
    Done,
}

impl Pass {
    /// Takes up the pass that did not end, if it is over the same experiments; else begins another.
    pub(super) async fn begin_or_resume(store: &MongoRunStore, scope: &str) -> Result<Self> {
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
        let resumed = unfinished.and_then(|last| {
            let began = last.get_datetime("began").ok().copied();
            Some((last.get_i64("pass").ok()?, began))
        });
        if let Some((id, began)) = resumed {
            let resumed_from = Some(began.unwrap_or(DateTime::MIN));
            return Ok(Self {
                id,
                resumed_from,
                scans,
            });
        }
        let id = store.draw_ticket().await?.0;
        let begin = vec![doc! { "$replaceWith": {
            "_id": "pass", "pass": id, "scope": { "$literal": scope }, "began": "$$NOW",
        } }];
        let put = || async {
            let state = store.state();
            let update = state.update_one(doc! { "_id": "pass" }, begin.clone());
            update.upsert(true).write_concern(majority()).await
        };
        let begun = retried(put).await;
        begun.map_err(|error| failed("cannot record the beginning of the sync", error))?;
        Ok(Self {
            id,
            resumed_from: None,
            scans,
        })
    }

    pub(super) fn place(&self, experiment: &str) -> Place {
        let scan = self
            .scans
            .get(experiment)
            .filter(|scan| scan.get_i64("pass").is_ok_and(|pass| pass == self.id));
        match scan {
            None => Place::Start,
            Some(scan) if scan.get_bool("done").unwrap_or_default() => Place::Done,
            Some(scan) => scan.get_i64("from").map_or(Place::Start, Place::From),
        }
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

    /// Ids of the experiments that earlier passes have seen.
    pub(super) fn known(&self) -> impl Iterator<Item = &str> {
        self.scans.keys().map(String::as_str)
    }

    /// Records, once a majority has acknowledged the runs before it, that a later pass may start here.
    pub(super) async fn reached(
        &self,
        store: &MongoRunStore,
        experiment: &RawExperiment,
        place: Place,
    ) -> Result<()> {
        let mut scan = doc! { "_id": format!("scan/{}", experiment.experiment_id), "pass": self.id, "name": &experiment.name };
        if let Some(creation_time) = experiment.creation_time {
            scan.insert("creation_time", creation_time);
        }
        match place {
            Place::Start => None,
            Place::From(from) => scan.insert("from", from),
            Place::Done => scan.insert("done", true),
        };
        put(store, scan).await
    }

    /// Records the end of the pass; a complete pass over everything is what the mirror is as fresh as, and one that was
    /// taken up is as fresh as its beginning.
    pub(super) async fn end(self, store: &MongoRunStore, full: bool) -> Result<()> {
        let doing = "cannot record the end of the sync";
        if full {
            let fresh_at = self
                .resumed_from
                .map_or(Bson::from("$$NOW"), Bson::DateTime);
            let set = vec![doc! { "$set": { "full_pass": fresh_at } }];
            let update = || async {
                store
                    .state()
                    .update_one(doc! { "_id": "source" }, set.clone())
                    .write_concern(majority())
                    .await
            };
            retried(update)
                .await
                .map_err(|error| failed(doing, error))?;
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

/// Records that a quick pass ended, by the server's clock.
pub(super) async fn quick_pass_ended(store: &MongoRunStore) -> Result<()> {
    let set = vec![doc! { "$set": { "quick_pass": "$$NOW" } }];
    let update = || async {
        let state = store.state();
        state
            .update_one(doc! { "_id": "source" }, set.clone())
            .write_concern(majority())
            .await
    };
    let updated = retried(update).await;
    updated.map_err(|error| failed("cannot record the end of the quick pass", error))?;
    Ok(())
}

/// Whether an experiment is the one that passes saw under its id, as far as MLflow says when it made them.
pub(super) async fn is_known(store: &MongoRunStore, experiment: &RawExperiment) -> Result<bool> {
    let id = doc! { "_id": format!("scan/{}", experiment.experiment_id) };
    let find = || async { store.state().find_one(id.clone()).await };
    let scan = retried(find)
        .await
        .map_err(|error| failed("cannot read what was mirrored", error))?;
    let recorded = scan.and_then(|scan| scan.get_i64("creation_time").ok());
    Ok(recorded.is_none() || recorded == experiment.creation_time)
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
