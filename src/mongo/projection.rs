//! [`Projection`]: what the versions and logged models of the mirror say of a run stands in the run's document too.
//!
//! Two programs may write a run at once: a page of runs, and a projection. So the document counts its projections in
//! `mirror.registry.seq`. A projection applies only to the count that it read. A page carries the projected entries over and
//! demands the same count. Both project after their own write, so the later one sees what the other wrote.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bson::raw::{RawDocumentBuf, cstr};
use bson::{Bson, Document, doc};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};

use super::collections::{Collections, RUNS, at_primary};
use super::failure::failed;
use super::retry::retried;
use super::{MongoRunStore, majority_in_command};
use crate::error::{Error, Result};
use crate::node::{Direction, Kind};
use crate::registry::{
    PROJECTED, Projected, ProjectedRuns, of_array, own_outputs, without_outputs,
};
use crate::run::field;
use crate::run::lineage::{Entry, FROM};

/// Another writer moves the count of a run rarely, and does not do so for ever.
const MAX_ATTEMPTS: usize = 20;
/// How many runs one command names.
const CHUNK: usize = 1_000;

/// What other collections say of runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Projection<'a> {
    store: &'a MongoRunStore,
}

/// What a run's document says of its projection.
struct Stored {
    /// The count of projections; absent before the first one.
    seq: Option<i64>,
    hash: Option<String>,
    /// The logged models that MLflow's run names as outputs.
    outputs: BTreeSet<String>,
}

impl<'a> Projection<'a> {
    pub(crate) fn of(store: &'a MongoRunStore) -> Self {
        Self { store }
    }

    /// Makes these runs say what the versions and logged models say of them, and tells how many documents it changed.
    ///
    /// It ignores runs that are not mirrored: the write that mirrors them projects them.
    ///
    /// # Errors
    /// [`Error::Mongo`] when MongoDB does not acknowledge the writes by a majority; some may have been made.
    pub(crate) async fn project(self, runs: &[String]) -> Result<u64> {
        let mut changed = 0;
        for runs in runs.chunks(CHUNK) {
            changed += self.project_chunk(runs).await?;
        }
        Ok(changed)
    }

    async fn project_chunk(self, runs: &[String]) -> Result<u64> {
        let mut changed = 0;
        for _ in 0..MAX_ATTEMPTS {
            // Read in this order: what is written to a version after this is projected by whoever writes it.
            let mut projected = self.entries(runs).await?;
            let mut updates = Vec::new();
            for (run, stored) in self.stored(runs).await? {
                let entries = without_outputs(projected.remove(&run), &stored.outputs);
                let hash = hash(&entries);
                if stored.hash.as_ref() != hash.as_ref() {
                    updates.push(update(&run, stored.seq, &entries, hash));
                }
            }
            if updates.is_empty() {
                return Ok(changed);
            }
            let (sent, modified) = (updates.len() as u64, self.send(updates).await?);
            changed += modified;
            if sent == modified {
                return Ok(changed);
            }
        }
        Err(Error::Mongo {
            doing: "cannot bring runs up to date with the model registry".into(),
            source: format!("other programs changed them {MAX_ATTEMPTS} times in between").into(),
        })
    }

    /// The entries of these runs that versions and logged models give; runs without any are left out.
    ///
    /// The logged models that a run itself names as outputs are among them.
    pub(crate) async fn entries(self, runs: &[String]) -> Result<ProjectedRuns> {
        let mut projected = ProjectedRuns::default();
        let wanted: HashSet<&str> = runs.iter().map(String::as_str).collect();
        for version in self.versions(runs).await? {
            projected.add_version(&version);
        }
        for model in self.logged_models(runs).await? {
            projected.add_logged_model(&model, |run| wanted.contains(run));
        }
        Ok(projected)
    }

    async fn versions(self, runs: &[String]) -> Result<Vec<Document>> {
        let filter = doc! { "run": { "$in": runs }, "deleted_at": { "$exists": false } };
        let fields = doc! { "run": 1, "name": 1, "version": 1, "copied_from": 1 };
        let store = at_primary(self.store);
        let collection = Collections::of(&store).model_versions();
        let find = || async {
            let find = collection.find(filter.clone());
            find.projection(fields.clone()).await?.try_collect().await
        };
        let found = retried(find).await;
        found.map_err(|error| failed("cannot read the versions that runs made", error))
    }

    async fn logged_models(self, runs: &[String]) -> Result<Vec<Document>> {
        let of_runs = doc! { "$or": [{ "source_run": { "$in": runs } }, { "evaluations.run": { "$in": runs } }] };
        let filter = doc! { "$and": [of_runs, { "deleted_at": { "$exists": false } }] };
        let fields = doc! { "source_run": 1, "evaluations.run": 1 };
        let store = at_primary(self.store);
        let collection = Collections::of(&store).logged_models();
        let find = || async {
            let find = collection.find(filter.clone());
            find.projection(fields.clone()).await?.try_collect().await
        };
        let found = retried(find).await;
        found.map_err(|error| failed("cannot read the logged models of runs", error))
    }

    async fn stored(self, runs: &[String]) -> Result<BTreeMap<String, Stored>> {
        let fields = doc! { "mirror.registry": 1, "outputs.logged_models": 1 };
        let store = at_primary(self.store);
        let collection = store.database().collection::<Document>(RUNS);
        let find = || async {
            let find = collection.find(doc! { field::ID: { "$in": runs } });
            let found = find.projection(fields.clone()).await?;
            found.try_collect::<Vec<_>>().await
        };
        let found = retried(find).await;
        let found = found.map_err(|error| failed("cannot read runs to project", error))?;
        let stored = found.into_iter().filter_map(|run| {
            let id = run.get_str(field::ID).ok()?.to_owned();
            Some((id, Stored::of(&run)))
        });
        Ok(stored.collect())
    }

    /// Sends updates, and tells how many of them applied.
    async fn send(self, updates: Vec<Document>) -> Result<u64> {
        let doing = "cannot bring runs up to date with the model registry";
        let command = doc! { "update": RUNS, "updates": updates, "ordered": false };
        let command = RawDocumentBuf::try_from(&command).map_err(|error| Error::Mongo {
            doing: doing.into(),
            source: error.into(),
        });
        let mut command = command?;
        command.append(cstr!("writeConcern"), majority_in_command());
        let database = self.store.database();
        let send = || async { database.run_raw_command(command.clone()).await };
        let reply = retried(send).await.map_err(|error| failed(doing, error))?;
        let errors = reply.get_array("writeErrors").into_iter().flatten();
        let reason = errors
            .filter_map(|error| error.as_document()?.get_str("errmsg").ok())
            .next()
            .or_else(|| {
                reply
                    .get_document("writeConcernError")
                    .ok()?
                    .get_str("errmsg")
                    .ok()
            });
        if let Some(reason) = reason {
            return Err(Error::Mongo {
                doing: doing.into(),
                source: reason.to_owned().into(),
            });
        }
        Ok(reply
            .get_i32("n")
            .map_or(0, |applied| applied.unsigned_abs().into()))
    }
}

impl Stored {
    fn of(run: &Document) -> Self {
        let mirror = run.get_document(field::MIRROR).ok();
        let registry = mirror.and_then(|mirror| mirror.get_document(field::REGISTRY).ok());
        Self {
            seq: registry.and_then(|registry| registry.get_i64("seq").ok()),
            hash: registry.and_then(|registry| registry.get_str("hash").ok().map(str::to_owned)),
            outputs: own_outputs(run),
        }
    }
}

/// A hash of the entries; without entries, none.
fn hash(entries: &Projected) -> Option<String> {
    if entries.is_empty() {
        return None;
    }
    let mut hash = Sha256::new();
    for entry in entries.values() {
        hash.update(entry.reference.direction.field());
        hash.update(entry.to_document().to_vec().unwrap_or_default());
    }
    Some(hex::encode(&hash.finalize()[..16]))
}

/// The update of one run, which applies only to the count of projections that was read.
fn update(run: &str, seq: Option<i64>, entries: &Projected, hash: Option<String>) -> Document {
    let mut registry = doc! { "seq": seq.unwrap_or_default() + 1 };
    if let Some(hash) = hash {
        registry.insert("hash", hash);
    }
    let mut set =
        doc! { "mirror.registry": { "$literal": registry }, "mirror.changed_at": "$$NOW" };
    for direction in Direction::BOTH {
        set.insert(direction.field(), side(direction, entries));
    }
    doc! {
        "q": { field::ID: run, "mirror.registry.seq": seq },
        "u": [{ "$set": set }],
    }
}

/// The expression of one side of a run: its arrays in the order of the table, with these entries in place of the projected ones.
fn side(direction: Direction, entries: &Projected) -> Document {
    let arrays = Kind::of_direction(direction).map(|kind| {
        let stored = format!("${}", kind.path(direction));
        let projected = PROJECTED
            .iter()
            .find(|(side, of, _)| *side == direction && *of == kind);
        let Some((.., origin)) = projected else {
            return (kind.spec().field.to_owned(), stored.into());
        };
        let entries = of_array(entries, direction, kind).map(Entry::to_document);
        let others = doc! { "$filter": {
            "input": { "$ifNull": [stored, []] },
            "cond": { "$ne": [format!("$$this.{FROM}"), origin.as_str()] },
        } };
        let all = doc! { "$concatArrays": [others, { "$literal": entries.collect::<Vec<_>>() }] };
        let array: Bson = if kind.spec().is_mlopus {
            all.into()
        } else {
            // An empty array of such a kind is left out.
            let or_none = doc! { "$cond": [{ "$eq": ["$$all", []] }, "$$REMOVE", "$$all"] };
            doc! { "$let": { "vars": { "all": all }, "in": or_none } }.into()
        };
        (kind.spec().field.to_owned(), array)
    });
    // Merged, for the order of the fields: `$set` of an object keeps the order that is stored.
    doc! { "$mergeObjects": [arrays.collect::<Document>()] }
}
