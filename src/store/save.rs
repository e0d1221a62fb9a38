//! Writes runs by ticket: a write applies only over what was read from MLflow earlier.

use std::collections::HashMap;

use bson::raw::{RawArrayBuf, RawBsonRef, RawDocumentBuf, cstr};
use bson::{Bson, DateTime, Document, doc, rawdoc};
use futures::TryStreamExt;

use super::mongo::{DELETED_RUNS, MongoRunStore, RUNS, Ticket, failed, majority};
use super::retry::{is_of_the_server, retried};
use crate::error::{Error, Result};
use crate::run::{Run, field};

/// A command over 16 MiB fails as a whole; larger documents go alone.
const MAX_BATCH_BYTES: usize = 15 << 20;
const MAX_BATCH: usize = 1_000;
/// What the command around one document takes at most.
const OVERHEAD: usize = 1 << 10;
/// A larger document leaves no room for the command around it.
const MAX_DOCUMENT_BYTES: usize = (16 << 20) - OVERHEAD;
const DUPLICATE_KEY: i32 = 11000;

/// What came of saving some runs; every run is in exactly one of the counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saved {
    /// Written: new, or different from what was stored.
    pub written: u64,
    /// Left as it was: stored just so, or by somebody who read it from MLflow later.
    pub unchanged: u64,
    /// Stored only in part, because MongoDB refused the whole document; the reason is among the run's problems.
    pub quarantined: u64,
}

/// What is stored of a run, as far as saving looks at it.
struct Stored {
    fingerprint: String,
    ticket: i64,
    quarantined: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Plain inserts: the fastest way to store runs that were not there a moment ago.
    Insert,
    /// Upserts that apply over a lower ticket only.
    Replace,
}

/// One save: where to, by which ticket, and what came of it so far.
struct Writer<'a> {
    store: &'a MongoRunStore,
    into: &'static str,
    ticket: Ticket,
    saved: Saved,
}

/// A run that MongoDB refused, with its code and reason.
struct Refused {
    run: Run,
    code: i32,
    reason: String,
}

impl MongoRunStore {
    /// Saves runs that were read from MLflow after this ticket was drawn; repeating it changes nothing.
    ///
    /// A run that was deleted later than that stays deleted; one that was deleted earlier is back.
    ///
    /// # Errors
    /// [`Error::Mongo`] when MongoDB does not acknowledge the writes by a majority; some may have been made.
    pub async fn save_runs(&self, runs: Vec<Run>, ticket: Ticket) -> Result<Saved> {
        self.ensure_migrated().await?;
        let ids: Vec<String> = runs.iter().map(|run| run.id().to_owned()).collect();
        let buried = self.buried(&ids).await?;
        let is_later = |id: &str| buried.get(id).is_some_and(|buried| *buried > ticket.0);
        let (dead, live): (Vec<Run>, Vec<Run>) =
            runs.into_iter().partition(|run| is_later(run.id()));
        let mut saved = self.save_into(RUNS, live, ticket).await?;
        saved.unchanged += dead.len() as u64;
        if buried.len() > dead.len() {
            self.remove(DELETED_RUNS, &ids, ticket).await?;
        }
        if saved.written > 0 {
            // Deleted by another process between the first look and the write.
            for (id, later) in self.buried(&ids).await? {
                self.remove(RUNS, &[id], Ticket(later)).await?;
            }
        }
        Ok(saved)
    }

    /// Moves runs that MLflow shows as deleted out of `runs`, and tells how many were there.
    ///
    /// They are kept in `deleted_runs`, where they also hold back what a stalled process still writes.
    ///
    /// # Errors
    /// As [`save_runs`](Self::save_runs).
    pub(crate) async fn bury_runs(&self, runs: Vec<Run>, ticket: Ticket) -> Result<u64> {
        let ids: Vec<String> = runs.iter().map(|run| run.id().to_owned()).collect();
        self.save_into(DELETED_RUNS, runs, ticket).await?;
        self.remove(RUNS, &ids, ticket).await
    }

    /// Removes for good the runs that were deleted before this date, and tells how many.
    ///
    /// # Errors
    /// [`Error::Mongo`] when MongoDB does not acknowledge it.
    pub async fn purge_deleted(&self, before: DateTime) -> Result<u64> {
        let deleted_runs = self.database().collection::<RawDocumentBuf>(DELETED_RUNS);
        let older = doc! { "mirror.changed_at": { "$lt": before } };
        let purge = || async {
            deleted_runs
                .delete_many(older.clone())
                .write_concern(majority())
                .await
        };
        let purged = retried(purge)
            .await
            .map_err(|error| failed("cannot purge deleted runs", error))?;
        Ok(purged.deleted_count)
    }

    /// Removes what was read from MLflow no later than this ticket was drawn.
    async fn remove(&self, collection: &str, ids: &[String], ticket: Ticket) -> Result<u64> {
        let from = self.database().collection::<RawDocumentBuf>(collection);
        let older =
            doc! { field::ID: { "$in": ids }, "mirror.ticket": { "$not": { "$gt": ticket.0 } } };
        let remove = || async {
            from.delete_many(older.clone())
                .write_concern(majority())
                .await
        };
        let removed = retried(remove)
            .await
            .map_err(|error| failed(format!("cannot remove runs from {collection}"), error))?;
        Ok(removed.deleted_count)
    }

    /// The tickets by which these runs were deleted, of those that were.
    async fn buried(&self, ids: &[String]) -> Result<HashMap<String, i64>> {
        let stored = self.stored(DELETED_RUNS, ids).await?;
        Ok(stored
            .into_iter()
            .map(|(id, stored)| (id, stored.ticket))
            .collect())
    }

    async fn save_into(&self, into: &'static str, runs: Vec<Run>, ticket: Ticket) -> Result<Saved> {
        let mut saved = Saved::default();
        let ids: Vec<String> = runs.iter().map(|run| run.id().to_owned()).collect();
        let stored = self.stored(into, &ids).await?;
        let (mut fresh, mut changed) = (Vec::new(), Vec::new());
        for run in runs {
            match stored.get(run.id()) {
                None => fresh.push(run),
                Some(stored)
                    if stored.ticket < ticket.0 && stored.fingerprint != run.fingerprint() =>
                {
                    changed.push(run)
                }
                Some(stored) if stored.quarantined => saved.quarantined += 1,
                Some(_) => saved.unchanged += 1,
            }
        }
        let mut writer = Writer {
            store: self,
            into,
            ticket,
            saved,
        };
        changed.extend(writer.write(How::Insert, fresh).await?);
        let superseded = writer.write(How::Replace, changed).await?;
        writer.saved.unchanged += superseded.len() as u64;
        Ok(writer.saved)
    }

    async fn stored(&self, collection: &str, ids: &[String]) -> Result<HashMap<String, Stored>> {
        let collection = self.database().collection::<RawDocumentBuf>(collection);
        let fields = doc! { "mirror.fingerprint": 1, "mirror.ticket": 1, "mirror.quarantined": 1 };
        let find = || async {
            let find = collection
                .find(doc! { field::ID: { "$in": ids } })
                .projection(fields.clone());
            find.await?.try_collect::<Vec<_>>().await
        };
        let found = retried(find)
            .await
            .map_err(|error| failed("cannot compare runs with what is stored", error))?;
        let mirrors = found.iter().filter_map(|document| {
            let mirror = document.get_document(field::MIRROR).ok()?;
            let stored = Stored {
                fingerprint: mirror
                    .get_str(field::FINGERPRINT)
                    .unwrap_or_default()
                    .to_owned(),
                ticket: mirror.get_i64(field::TICKET).unwrap_or_default(),
                quarantined: mirror.get_bool(field::QUARANTINED).unwrap_or_default(),
            };
            Some((document.get_str(field::ID).ok()?.to_owned(), stored))
        });
        Ok(mirrors.collect())
    }
}

impl Writer<'_> {
    /// Writes in batches; returns the runs that are there already with the same or a higher ticket.
    async fn write(&mut self, how: How, runs: Vec<Run>) -> Result<Vec<Run>> {
        let changed_at = DateTime::now();
        let mut present = Vec::new();
        let mut batch = Vec::new();
        let mut bytes = 0;
        for run in runs {
            let document = stamped(&run, self.ticket, changed_at)?;
            let length = document.as_bytes().len();
            if length > MAX_DOCUMENT_BYTES {
                self.quarantine(&run, "the whole document is over 16 MiB")
                    .await?;
                continue;
            }
            if batch.len() == MAX_BATCH
                || (!batch.is_empty() && bytes + length + OVERHEAD > MAX_BATCH_BYTES)
            {
                self.write_batch(how, std::mem::take(&mut batch), &mut present)
                    .await?;
                bytes = 0;
            }
            bytes += length + OVERHEAD;
            batch.push((run, document));
        }
        self.write_batch(how, batch, &mut present).await?;
        Ok(present)
    }

    async fn write_batch(
        &mut self,
        how: How,
        batch: Vec<(Run, RawDocumentBuf)>,
        present: &mut Vec<Run>,
    ) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let count = batch.len() as u64;
        let refused = self.send(how, batch).await?;
        self.saved.written += count - refused.len() as u64;
        for Refused { run, code, reason } in refused {
            if code == DUPLICATE_KEY {
                present.push(run);
            } else {
                self.quarantine(&run, &reason).await?;
            }
        }
        Ok(())
    }

    async fn send(&self, how: How, batch: Vec<(Run, RawDocumentBuf)>) -> Result<Vec<Refused>> {
        let (runs, documents): (Vec<Run>, Vec<RawDocumentBuf>) = batch.into_iter().unzip();
        let mut list = RawArrayBuf::new();
        for (run, document) in runs.iter().zip(&documents) {
            match how {
                How::Insert => list.push(document),
                How::Replace => list.push(rawdoc! {
                    "q": { "_id": run.id(), "mirror.ticket": { "$not": { "$gte": self.ticket.0 } } },
                    "u": document.clone(),
                    "upsert": true,
                }),
            }
        }
        let command = match how {
            How::Insert => {
                rawdoc! { "insert": self.into, "documents": list, "ordered": false, "writeConcern": majority_in_command() }
            }
            How::Replace => {
                rawdoc! { "update": self.into, "updates": list, "ordered": false, "writeConcern": majority_in_command() }
            }
        };
        let reply =
            retried(|| async { self.store.database().run_raw_command(command.clone()).await })
                .await
                .map_err(|error| failed(format!("cannot save {} runs", runs.len()), error))?;
        refused(runs, &reply)
    }

    /// Stores what can be stored of a run that was refused as a whole, and why.
    async fn quarantine(&mut self, run: &Run, reason: &str) -> Result<()> {
        tracing::warn!(run = run.id(), reason, "the run is mirrored only in part");
        // Lineage alone can be too large as well.
        for with_lineage in [true, false] {
            let part = reduced(run, with_lineage, reason)?;
            let document = stamped(&part, self.ticket, DateTime::now())?;
            if document.as_bytes().len() > MAX_DOCUMENT_BYTES {
                continue;
            }
            let refused = self.send(How::Replace, vec![(part, document)]).await?;
            if refused.iter().all(|refused| refused.code == DUPLICATE_KEY) {
                self.saved.quarantined += 1;
                return Ok(());
            }
        }
        Err(Error::Document {
            id: run.id().to_owned(),
            reason: format!("no part of it can be stored: {reason}"),
        })
    }
}

/// The run as a document with its ticket and the date of this change.
fn stamped(run: &Run, ticket: Ticket, changed_at: DateTime) -> Result<RawDocumentBuf> {
    let malformed = |error: bson::error::Error| Error::Document {
        id: run.id().to_owned(),
        reason: error.to_string(),
    };
    let mut stamped = RawDocumentBuf::new();
    let mut mirror = rawdoc! { "ticket": ticket.0, "changed_at": changed_at };
    for element in run.as_raw() {
        let (name, value) = element.map_err(malformed)?;
        match value {
            RawBsonRef::Document(parts) if name.as_str() == field::MIRROR => {
                for part in parts {
                    let (name, value) = part.map_err(malformed)?;
                    if !matches!(name.as_str(), field::TICKET | field::CHANGED_AT) {
                        mirror.append(name, value);
                    }
                }
            }
            _ => stamped.append(name, value),
        }
    }
    stamped.append(cstr!("mirror"), mirror);
    Ok(stamped)
}

/// The run without what is likely to be in the way, and with the reason among its problems.
fn reduced(run: &Run, with_lineage: bool, reason: &str) -> Result<Run> {
    let whole = run.to_document()?;
    let kept = |field: &str| {
        !matches!(
            field,
            field::TAGS | field::PARAMS | field::METRICS | field::MIRROR
        )
    };
    let mut part: Document = whole
        .iter()
        .filter(|(field, _)| kept(field))
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect();
    if !with_lineage {
        for side in ["inputs", "outputs"] {
            part.insert(side, doc! { "models": [], "runs": [] });
        }
    }
    let left_out = if with_lineage {
        "tags, params and metrics"
    } else {
        "lineage, tags, params and metrics"
    };
    let mut problems = whole
        .get_document(field::MIRROR)
        .and_then(|mirror| mirror.get_array(field::PROBLEMS))
        .cloned()
        .unwrap_or_default();
    problems.truncate(100);
    problems.push(Bson::from(
        doc! { "key": field::ID, "reason": format!("stored without {left_out}: {reason}") },
    ));
    part.insert(field::MIRROR, doc! { field::FINGERPRINT: run.fingerprint(), field::QUARANTINED: true, field::PROBLEMS: problems });
    Run::try_from(&part)
}

/// Takes the refused runs out of the server's reply; fails where a majority did not acknowledge the rest.
fn refused(runs: Vec<Run>, reply: &Document) -> Result<Vec<Refused>> {
    if let Ok(concern) = reply.get_document("writeConcernError") {
        let reason = concern
            .get_str("errmsg")
            .unwrap_or("no majority acknowledged them")
            .to_owned();
        return Err(Error::Mongo {
            doing: "the runs may not survive a failover".into(),
            source: reason.into(),
        });
    }
    let mut by_index: HashMap<usize, (i32, String)> = HashMap::new();
    for error in reply
        .get_array("writeErrors")
        .into_iter()
        .flatten()
        .filter_map(Bson::as_document)
    {
        let index = error
            .get_i32("index")
            .ok()
            .and_then(|index| usize::try_from(index).ok())
            .unwrap_or(usize::MAX);
        let reason = error.get_str("errmsg").unwrap_or("MongoDB gave no reason");
        let code = error.get_i32("code").unwrap_or_default();
        // Quarantine is for documents that will never be taken: whole ones would not be tried again.
        if is_of_the_server(code) {
            return Err(Error::Mongo {
                doing: format!("cannot save {} runs", runs.len()),
                source: format!("({code}): {reason}").into(),
            });
        }
        by_index.insert(index, (code, reason.to_owned()));
    }
    let refused = runs.into_iter().enumerate().filter_map(|(index, run)| {
        by_index
            .remove(&index)
            .map(|(code, reason)| Refused { run, code, reason })
    });
    Ok(refused.collect())
}

/// The driver leaves the write concern of a plain command to its caller.
fn majority_in_command() -> RawDocumentBuf {
    rawdoc! { "w": "majority", "j": true, "wtimeout": 30_000 }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::refused;
    use crate::run::Run;

    fn runs() -> Vec<Run> {
        let run = |id| Run::try_from(&doc! { "_id": id }).unwrap();
        vec![run("a"), run("b")]
    }

    #[test]
    fn a_document_that_mongodb_does_not_take_is_refused_alone() {
        let reply =
            doc! { "n": 1, "writeErrors": [{ "index": 1, "code": 121, "errmsg": "invalid" }] };
        let refused = refused(runs(), &reply).unwrap();
        assert_eq!(refused.len(), 1);
        assert_eq!((refused[0].run.id(), refused[0].code), ("b", 121));
    }

    #[test]
    fn a_server_that_cannot_take_documents_now_is_an_error_and_no_reason_to_store_them_in_part() {
        for code in [189, 11600, 10107, 112, 14031, 13] {
            let reply = doc! { "n": 1, "writeErrors": [{ "index": 0, "code": code, "errmsg": "stepped down" }] };
            let Err(error) = refused(runs(), &reply) else {
                panic!("{code}")
            };
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("stepped down"), "{source}");
        }
    }
}
