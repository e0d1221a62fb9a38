//! One save: batches, what MongoDB refuses of them, and what can be stored of that.

use std::collections::HashMap;

use bson::raw::{RawArrayBuf, RawBson, RawBsonRef, RawDocumentBuf, cstr};
use bson::{Bson, DateTime, Document, doc, rawdoc};

use super::Saved;
use super::carried::carried_over;
use super::stored::{Compared, stored};
use crate::error::{Error, Result};
use crate::mongo::clock::server_time;
use crate::mongo::collections::RUNS;
use crate::mongo::failure::{code, failed, is_of_the_document};
use crate::mongo::retry::retried;
use crate::mongo::ticket::Ticket;
use crate::mongo::{MongoRunStore, majority_in_command};
use crate::run::{Run, field};

/// A command over 16 MiB fails as a whole. An eighth of that is as fast, and it is held more than once; larger documents go alone.
const MAX_BATCH_BYTES: usize = 2 << 20;
const MAX_BATCH: usize = 1_000;
/// A projection moves the count of a run rarely, and does not do so for ever.
const MAX_ATTEMPTS: usize = 20;
/// What the command around one document takes at most.
const OVERHEAD: usize = 1 << 10;
/// A larger document leaves no room for the command around it.
const MAX_DOCUMENT_BYTES: usize = (16 << 20) - OVERHEAD;
/// What the ticket and the date add to a document at most.
const STAMP: usize = 64;

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

/// Writes what was compared into a collection.
pub(in crate::mongo) async fn write(
    store: &MongoRunStore,
    into: &'static str,
    compared: Compared,
    ticket: Ticket,
) -> Result<Saved> {
    let Compared {
        saved,
        fresh,
        mut changed,
        quarantined,
    } = compared;
    let mut writer = Writer {
        store,
        into,
        ticket,
        saved,
    };
    changed.extend(writer.write(How::Insert, fresh).await?);
    writer.replace(changed).await?;
    writer.try_again(quarantined).await?;
    Ok(writer.saved)
}

impl Writer<'_> {
    /// Writes over lower tickets, again for the runs that a projection changed in between.
    async fn replace(&mut self, mut runs: Vec<Run>) -> Result<()> {
        for _ in 0..MAX_ATTEMPTS {
            if runs.is_empty() {
                return Ok(());
            }
            let refused = self
                .write(How::Replace, self.carried_over(runs).await?)
                .await?;
            let ids: Vec<String> = refused.iter().map(|run| run.id().to_owned()).collect();
            let stored = match &ids[..] {
                [] => HashMap::new(),
                ids => stored(self.store, self.into, ids).await?,
            };
            let is_newer = |run: &Run| {
                let stored = stored.get(run.id());
                stored.is_some_and(|stored| stored.ticket >= self.ticket.0)
            };
            let (newer, again): (Vec<Run>, Vec<Run>) = refused.into_iter().partition(is_newer);
            self.saved.unchanged += newer.len() as u64;
            runs = again;
        }
        Err(Error::Mongo {
            doing: format!("cannot save {} runs", runs.len()),
            source: format!("other programs changed them {MAX_ATTEMPTS} times in between").into(),
        })
    }

    /// Only documents of `runs` hold more than MLflow's run.
    async fn carried_over(&self, runs: Vec<Run>) -> Result<Vec<Run>> {
        match self.into {
            RUNS => carried_over(self.store, runs).await,
            _ => Ok(runs),
        }
    }

    /// Writes in batches; returns the runs that are there already with the same or a higher ticket.
    async fn write(&mut self, how: How, runs: Vec<Run>) -> Result<Vec<Run>> {
        let mut present = Vec::new();
        let mut batch = Vec::new();
        let mut bytes = 0;
        for run in runs {
            let length = run.as_raw().as_bytes().len() + STAMP;
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
            batch.push(run);
        }
        self.write_batch(how, batch, &mut present).await?;
        Ok(present)
    }

    /// Writes runs that are stored in part as a whole, where they are taken now; the others stay as they are.
    async fn try_again(&mut self, quarantined: Vec<Run>) -> Result<()> {
        for run in self.carried_over(quarantined).await? {
            if run.as_raw().as_bytes().len() + STAMP > MAX_DOCUMENT_BYTES {
                self.saved.quarantined += 1;
                continue;
            }
            match &self.send(How::Replace, vec![run]).await?[..] {
                [] => self.saved.written += 1,
                [refused, ..] if refused.code == code::DUPLICATE_KEY => self.saved.unchanged += 1,
                _ => self.saved.quarantined += 1,
            }
        }
        Ok(())
    }

    async fn write_batch(
        &mut self,
        how: How,
        batch: Vec<Run>,
        present: &mut Vec<Run>,
    ) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let count = batch.len() as u64;
        let refused = self.send(how, batch).await?;
        self.saved.written += count - refused.len() as u64;
        for Refused { run, code, reason } in refused {
            if code == code::DUPLICATE_KEY {
                present.push(run);
            } else {
                self.quarantine(&run, &reason).await?;
            }
        }
        Ok(())
    }

    async fn send(&self, how: How, runs: Vec<Run>) -> Result<Vec<Refused>> {
        let changed_at = server_time(self.store).await?;
        let mut first = Some(self.command(how, &runs, changed_at)?);
        // Made anew for another attempt, not kept for it: most need one only.
        let send = || {
            let made = first
                .take()
                .map_or_else(|| self.command(how, &runs, changed_at), Ok);
            async {
                let command = made.map_err(mongodb::error::Error::custom)?;
                self.store.database().run_raw_command(command).await
            }
        };
        let reply = retried(send)
            .await
            .map_err(|error| failed(format!("cannot save {} runs", runs.len()), error))?;
        refused(runs, &reply)
    }

    fn command(&self, how: How, runs: &[Run], changed_at: DateTime) -> Result<RawDocumentBuf> {
        let mut list = RawArrayBuf::new();
        for run in runs {
            let document = stamped(run, self.ticket, changed_at)?;
            match how {
                How::Insert => list.push(document),
                How::Replace => list.push(rawdoc! {
                    "q": {
                        "_id": run.id(),
                        "mirror.ticket": { "$not": { "$gte": self.ticket.0 } },
                        "mirror.registry.seq": projections(run),
                    },
                    "u": document,
                    "upsert": true,
                }),
            }
        }
        Ok(match how {
            How::Insert => {
                rawdoc! { "insert": self.into, "documents": list, "ordered": false, "writeConcern": majority_in_command() }
            }
            How::Replace => {
                rawdoc! { "update": self.into, "updates": list, "ordered": false, "writeConcern": majority_in_command() }
            }
        })
    }

    /// Stores what can be stored of a run that was refused as a whole, and why.
    async fn quarantine(&mut self, run: &Run, reason: &str) -> Result<()> {
        tracing::warn!(run = run.id(), reason, "the run is mirrored only in part");
        // Lineage alone can be too large as well.
        for with_lineage in [true, false] {
            let part = reduced(run, with_lineage, reason)?;
            if part.as_raw().as_bytes().len() + STAMP > MAX_DOCUMENT_BYTES {
                continue;
            }
            let refused = self.send(How::Replace, vec![part]).await?;
            if refused
                .iter()
                .all(|refused| refused.code == code::DUPLICATE_KEY)
            {
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

/// How often the run's document was projected when it was read; null before the first time.
fn projections(run: &Run) -> RawBson {
    let mirror = run.as_raw().get_document(field::MIRROR);
    let registry = mirror.and_then(|mirror| mirror.get_document(field::REGISTRY));
    let seq = registry.and_then(|registry| registry.get_i64("seq"));
    seq.map_or(RawBson::Null, RawBson::Int64)
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
    let mut mirror = doc! { field::FINGERPRINT: run.fingerprint(), field::QUARANTINED: true, field::PROBLEMS: problems };
    let registry = whole.get_document(field::MIRROR);
    if let Ok(registry) = registry.and_then(|mirror| mirror.get_document(field::REGISTRY)) {
        mirror.insert(field::REGISTRY, registry.clone());
    }
    part.insert(field::MIRROR, mirror);
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
        // Quarantine is for documents that will never be taken as they are.
        if code != code::DUPLICATE_KEY && !is_of_the_document(code) {
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
        for code in [189, 11600, 10107, 112, 14031, 13, 365, 1, 9999] {
            let reply = doc! { "n": 1, "writeErrors": [{ "index": 0, "code": code, "errmsg": "stepped down" }] };
            let Err(error) = refused(runs(), &reply) else {
                panic!("{code}")
            };
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("stepped down"), "{source}");
        }
    }
}
