//! [`Checkpoints`]: the progress of a pass, recorded so that the next pass can resume after a kill.

use std::collections::HashMap;
use std::time::Instant;

use bson::{Bson, DateTime, Document, doc};
use futures::TryStreamExt;
use mongodb::options::ReturnDocument;

use super::collections::Collections;
use super::failure::failed;
use super::retry::retried;
use super::ticket::Ticket;
use super::{MongoRunStore, majority};
use crate::error::Result;

const PASS: &str = "pass";
const SCAN_PREFIX: &str = "scan/";

/// The progress of passes over one mirror, stored in `sync_state`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checkpoints<'a> {
    store: &'a MongoRunStore,
}

/// A pass over MLflow, begun by this process or by one that was killed, and the records of each experiment at its start.
#[derive(Debug)]
pub(crate) struct RecordedPass {
    id: i64,
    /// When the pass began, by the MongoDB server's clock. MLflow may have changed since.
    began: DateTime,
    /// Whether an earlier process began the pass.
    resumed: bool,
    scans: HashMap<String, Document>,
}

/// Where to continue the scan of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Start,
    /// At the runs with this start time.
    From(i64),
    Done,
}

/// The progress of the scan of one experiment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checkpoint<'a> {
    /// The experiment's id.
    pub(crate) experiment: &'a str,
    pub(crate) name: &'a str,
    /// When MLflow created the experiment. It tells the experiment from one with the same id on another server.
    pub(crate) creation_time: Option<i64>,
    pub(crate) place: Place,
    /// Ids of runs that were deleted upstream and that the end of the pass removes. A resumed pass has to know them.
    pub(crate) deleted_upstream: &'a [String],
}

impl<'a> Checkpoints<'a> {
    pub(crate) fn of(store: &'a MongoRunStore) -> Self {
        Self { store }
    }

    /// Resumes the unfinished pass if it has the same scope; otherwise records the start of a new pass.
    pub(crate) async fn begin_or_resume(
        self,
        scope: &str,
        started: Instant,
    ) -> Result<RecordedPass> {
        let doing = "cannot read the checkpoints of the last sync";
        let state = Collections::of(self.store).state();
        let find = || async { state.find_one(doc! { "_id": PASS }).await };
        let last = retried(find).await.map_err(|error| failed(doing, error))?;
        let list = || async {
            let scans = state.find(doc! { "_id": { "$regex": format!("^{SCAN_PREFIX}") } });
            scans.await?.try_collect::<Vec<Document>>().await
        };
        let scans = retried(list).await.map_err(|error| failed(doing, error))?;
        let by_experiment = |scan: Document| {
            let experiment = scan.get_str("_id").ok()?.strip_prefix(SCAN_PREFIX)?;
            Some((experiment.to_owned(), scan))
        };
        let scans = scans.into_iter().filter_map(by_experiment).collect();
        let unfinished = last.filter(|last| last.get_str("scope").is_ok_and(|last| last == scope));
        if let Some((id, last)) = unfinished.and_then(|last| Some((last.get_i64(PASS).ok()?, last)))
        {
            return Ok(RecordedPass {
                id,
                began: began(&last),
                resumed: true,
                scans,
            });
        }
        let id = Ticket::draw(self.store).await?.0;
        let put = || async {
            let begin = vec![doc! { "$replaceWith": {
                "_id": PASS, PASS: id, "scope": { "$literal": scope }, "began": server_time(started),
            } }];
            let update = state.find_one_and_update(doc! { "_id": PASS }, begin);
            let update = update.return_document(ReturnDocument::After);
            update.upsert(true).write_concern(majority()).await
        };
        let begun = retried(put)
            .await
            .map_err(|error| failed("cannot record the start of the sync", error))?;
        Ok(RecordedPass {
            id,
            began: began(&begun.unwrap_or_default()),
            resumed: false,
            scans,
        })
    }

    /// Records where a later pass may resume. The caller waits until a majority has acknowledged all runs before that place.
    pub(crate) async fn save(self, pass: &RecordedPass, checkpoint: Checkpoint<'_>) -> Result<()> {
        let id = scan_id(checkpoint.experiment);
        let mut scan = doc! { "_id": &id, PASS: pass.id, "name": checkpoint.name };
        if let Some(creation_time) = checkpoint.creation_time {
            scan.insert("creation_time", creation_time);
        }
        if !checkpoint.deleted_upstream.is_empty() {
            scan.insert("gone", checkpoint.deleted_upstream);
        }
        match checkpoint.place {
            Place::Start => None,
            Place::From(from) => scan.insert("from", from),
            Place::Done => scan.insert("done", true),
        };
        let state = Collections::of(self.store).state();
        let replace = || async {
            let replace = state.replace_one(doc! { "_id": &id }, scan.clone());
            replace.upsert(true).write_concern(majority()).await
        };
        retried(replace)
            .await
            .map_err(|error| failed("cannot record a checkpoint of the sync", error))?;
        Ok(())
    }

    /// Records the end of the pass. If it was complete and over all experiments, its start becomes the mirror's freshness.
    pub(crate) async fn end(self, pass: RecordedPass, is_complete: bool) -> Result<()> {
        if is_complete {
            self.update_source(|| doc! { "full_pass": pass.began })
                .await?;
        }
        self.delete(PASS, "cannot record the end of the sync").await
    }

    /// Records when a complete quick pass over all experiments began.
    pub(crate) async fn quick_pass_ended(self, started: Instant) -> Result<()> {
        self.update_source(|| doc! { "quick_pass": server_time(started) })
            .await
    }

    /// The recorded creation times of experiments, by id.
    pub(crate) async fn creation_times(self) -> Result<HashMap<String, i64>> {
        let state = Collections::of(self.store).state();
        let list = || async {
            let scans = state.find(doc! { "_id": { "$regex": format!("^{SCAN_PREFIX}") } });
            let scans = scans.projection(doc! { "creation_time": 1 });
            scans.await?.try_collect::<Vec<Document>>().await
        };
        let scans = retried(list).await.map_err(|error| {
            failed("cannot read the records of the mirrored experiments", error)
        })?;
        let known = |scan: &Document| {
            let experiment = scan.get_str("_id").ok()?.strip_prefix(SCAN_PREFIX)?;
            Some((experiment.to_owned(), creation_time(scan)?))
        };
        Ok(scans.iter().filter_map(known).collect())
    }

    /// The recorded creation time of an experiment.
    pub(crate) async fn creation_time(self, experiment: &str) -> Result<Option<i64>> {
        let state = Collections::of(self.store).state();
        let find = || async { state.find_one(doc! { "_id": scan_id(experiment) }).await };
        let scan = retried(find).await.map_err(|error| {
            failed("cannot read the records of the mirrored experiments", error)
        })?;
        Ok(scan.and_then(|scan| creation_time(&scan)))
    }

    /// Records name and creation time of an experiment before its first run is mirrored.
    pub(crate) async fn record_experiment(
        self,
        id: &str,
        name: &str,
        creation_time: Option<i64>,
    ) -> Result<()> {
        let record = match creation_time {
            Some(creation_time) => {
                doc! { "$set": { "name": name, "creation_time": creation_time } }
            }
            None => doc! { "$set": { "name": name }, "$unset": { "creation_time": "" } },
        };
        let state = Collections::of(self.store).state();
        let update = || async {
            let update = state.update_one(doc! { "_id": scan_id(id) }, record.clone());
            update.upsert(true).write_concern(majority()).await
        };
        retried(update)
            .await
            .map_err(|error| failed("cannot record an experiment", error))?;
        Ok(())
    }

    /// Removes the record of an experiment, so that passes no longer report it as missing.
    pub(crate) async fn forget_experiment(self, id: &str) -> Result<()> {
        self.delete(&scan_id(id), "cannot remove the record of an experiment")
            .await
    }

    async fn update_source(self, set: impl Fn() -> Document) -> Result<()> {
        let state = Collections::of(self.store).state();
        let update = || async {
            let update = state.update_one(doc! { "_id": "source" }, vec![doc! { "$set": set() }]);
            update.write_concern(majority()).await
        };
        let updated = retried(update).await;
        updated.map_err(|error| failed("cannot record the end of the sync", error))?;
        Ok(())
    }

    async fn delete(self, id: &str, doing: &'static str) -> Result<()> {
        let state = Collections::of(self.store).state();
        let delete = || async {
            let delete = state.delete_one(doc! { "_id": id });
            delete.write_concern(majority()).await
        };
        retried(delete)
            .await
            .map_err(|error| failed(doing, error))?;
        Ok(())
    }
}

impl RecordedPass {
    /// When the resumed pass began; `None` if this pass is a new one.
    pub(crate) fn resumed_from(&self) -> Option<DateTime> {
        self.resumed.then_some(self.began)
    }

    /// Where the scan of this experiment continues.
    pub(crate) fn place(&self, experiment: &str) -> Place {
        match self.of_this_pass(experiment) {
            None => Place::Start,
            Some(scan) if scan.get_bool("done").unwrap_or_default() => Place::Done,
            Some(scan) => scan.get_i64("from").map_or(Place::Start, Place::From),
        }
    }

    /// The runs of this experiment that an earlier process of this pass found deleted upstream.
    pub(crate) fn deleted_upstream(&self, experiment: &str) -> Vec<String> {
        let recorded = self
            .of_this_pass(experiment)
            .and_then(|scan| scan.get_array("gone").ok());
        let ids = recorded.into_iter().flatten().filter_map(Bson::as_str);
        ids.map(str::to_owned).collect()
    }

    /// The creation time of this experiment, as recorded before this pass began.
    pub(crate) fn creation_time(&self, experiment: &str) -> Option<i64> {
        creation_time(self.scans.get(experiment)?)
    }

    fn of_this_pass(&self, experiment: &str) -> Option<&Document> {
        let scan = self.scans.get(experiment)?;
        (scan.get_i64(PASS).ok()? == self.id).then_some(scan)
    }
}

fn scan_id(experiment: &str) -> String {
    format!("{SCAN_PREFIX}{experiment}")
}

fn creation_time(scan: &Document) -> Option<i64> {
    scan.get_i64("creation_time").ok()
}

/// When a pass began; 1970 if the record lacks the date, so that nothing counts as fresh because of it.
fn began(pass: &Document) -> DateTime {
    let began = pass.get_datetime("began").ok().copied();
    began.unwrap_or(DateTime::from_millis(0))
}

/// An expression for a moment of this process by the server's clock, in an update that is sent immediately.
fn server_time(moment: Instant) -> Document {
    let ago = i64::try_from(moment.elapsed().as_millis()).unwrap_or(i64::MAX);
    doc! { "$subtract": ["$$NOW", ago] }
}
