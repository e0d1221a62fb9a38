//! [`write`]: writes runs in batches, and puts runs that MongoDB refuses into quarantine.

use std::collections::HashMap;

use bson::raw::{RawArrayBuf, RawBson, RawBsonRef, RawDocumentBuf, cstr};
use bson::{Bson, DateTime, Document, doc, rawdoc};

use super::Saved;
use super::carried::carried_over;
use super::stored::{Changes, read_stored};
use crate::error::{Error, Result};
use crate::mongo::clock::server_time;
use crate::mongo::collections::RUNS;
use crate::mongo::failure::{code, failed, is_document_error};
use crate::mongo::retry::retried;
use crate::mongo::ticket::Ticket;
use crate::mongo::{MongoRunStore, majority_in_command};
use crate::run::{Run, field};

/// MongoDB refuses a command over 16 MiB. Batches of an eighth of that are as fast and need less memory. A larger document is
/// sent alone.
const MAX_BATCH_BYTES: usize = 2 << 20;
const MAX_BATCH: usize = 1_000;
/// A projection rarely changes a run between a read and a write, so few attempts are enough.
const MAX_ATTEMPTS: usize = 20;
/// The most bytes that a command adds to one document.
const COMMAND_OVERHEAD: usize = 1 << 10;
/// A larger document does not fit into a command.
const MAX_DOCUMENT_BYTES: usize = (16 << 20) - COMMAND_OVERHEAD;
/// The most bytes that the ticket and the date add to a document.
const TICKET_OVERHEAD: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteMode {
    /// Plain inserts, the fastest way to store new runs.
    Insert,
    /// Upserts that apply only over a lower ticket.
    Replace,
}

/// One save: the target collection, the ticket, and the counts so far.
struct Writer<'a> {
    store: &'a MongoRunStore,
    into: &'static str,
    ticket: Ticket,
    saved: Saved,
}

/// A run that MongoDB refused, with the server's code and message.
struct RefusedRun {
    run: Run,
    code: i32,
    reason: String,
}

/// Writes changes into a collection.
pub(in crate::mongo) async fn write(
    store: &MongoRunStore,
    into: &'static str,
    changes: Changes,
    ticket: Ticket,
) -> Result<Saved> {
    let Changes {
        saved,
        new,
        mut changed,
        quarantined,
    } = changes;
    let mut writer = Writer {
        store,
        into,
        ticket,
        saved,
    };
    changed.extend(writer.write(WriteMode::Insert, new).await?);
    writer.replace(changed).await?;
    writer.retry_quarantined(quarantined).await?;
    Ok(writer.saved)
}

impl Writer<'_> {
    /// Writes over lower tickets, and again those runs whose documents a projection changed in between.
    async fn replace(&mut self, mut runs: Vec<Run>) -> Result<()> {
        for _ in 0..MAX_ATTEMPTS {
            if runs.is_empty() {
                return Ok(());
            }
            let runs_to_write = self.carried_over(runs).await?;
            let refused = self.write(WriteMode::Replace, runs_to_write).await?;
            let ids: Vec<String> = refused.iter().map(|run| run.id().to_owned()).collect();
            let stored = match &ids[..] {
                [] => HashMap::new(),
                ids => read_stored(self.store, self.into, ids).await?,
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
            source: format!("other programs changed them during {MAX_ATTEMPTS} attempts").into(),
        })
    }

    /// Adds what the stored documents hold beside MLflow's run. Only documents in `runs` do.
    async fn carried_over(&self, runs: Vec<Run>) -> Result<Vec<Run>> {
        match self.into {
            RUNS => carried_over(self.store, runs).await,
            _ => Ok(runs),
        }
    }

    /// Writes in batches. Returns the runs that are stored already; in mode `Replace`, with the same or a higher ticket.
    async fn write(&mut self, mode: WriteMode, runs: Vec<Run>) -> Result<Vec<Run>> {
        let mut already_stored = Vec::new();
        let mut batch = Vec::new();
        let mut bytes = 0;
        for run in runs {
            let length = run.as_raw().as_bytes().len() + TICKET_OVERHEAD;
            if length > MAX_DOCUMENT_BYTES {
                self.quarantine(&run, "the whole document is over 16 MiB")
                    .await?;
                continue;
            }
            if batch.len() == MAX_BATCH
                || (!batch.is_empty() && bytes + length + COMMAND_OVERHEAD > MAX_BATCH_BYTES)
            {
                self.write_batch(mode, std::mem::take(&mut batch), &mut already_stored)
                    .await?;
                bytes = 0;
            }
            bytes += length + COMMAND_OVERHEAD;
            batch.push(run);
        }
        self.write_batch(mode, batch, &mut already_stored).await?;
        Ok(already_stored)
    }

    /// Sends the whole documents of runs in quarantine again. Runs that MongoDB still refuses stay in quarantine.
    async fn retry_quarantined(&mut self, quarantined: Vec<Run>) -> Result<()> {
        for run in self.carried_over(quarantined).await? {
            if run.as_raw().as_bytes().len() + TICKET_OVERHEAD > MAX_DOCUMENT_BYTES {
                self.saved.quarantined += 1;
                continue;
            }
            match &self.send(WriteMode::Replace, vec![run]).await?[..] {
                [] => self.saved.written += 1,
                [refused, ..] if refused.code == code::DUPLICATE_KEY => self.saved.unchanged += 1,
                _ => self.saved.quarantined += 1,
            }
        }
        Ok(())
    }

    async fn write_batch(
        &mut self,
        mode: WriteMode,
        batch: Vec<Run>,
        already_stored: &mut Vec<Run>,
    ) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let count = batch.len() as u64;
        let refused = self.send(mode, batch).await?;
        self.saved.written += count - refused.len() as u64;
        for RefusedRun { run, code, reason } in refused {
            if code == code::DUPLICATE_KEY {
                already_stored.push(run);
            } else {
                self.quarantine(&run, &reason).await?;
            }
        }
        Ok(())
    }

    async fn send(&self, mode: WriteMode, runs: Vec<Run>) -> Result<Vec<RefusedRun>> {
        let changed_at = server_time(self.store).await?;
        let mut first = Some(self.command(mode, &runs, changed_at)?);
        // A retry builds the command again. Most commands need no retry, so no copy of the first one is kept.
        let send = || {
            let built = first
                .take()
                .map_or_else(|| self.command(mode, &runs, changed_at), Ok);
            async {
                let command = built.map_err(mongodb::error::Error::custom)?;
                self.store.database().run_raw_command(command).await
            }
        };
        let reply = retried(send)
            .await
            .map_err(|error| failed(format!("cannot save {} runs", runs.len()), error))?;
        refused(runs, &reply)
    }

    fn command(
        &self,
        mode: WriteMode,
        runs: &[Run],
        changed_at: DateTime,
    ) -> Result<RawDocumentBuf> {
        let mut list = RawArrayBuf::new();
        for run in runs {
            let document = with_ticket(run, self.ticket, changed_at)?;
            match mode {
                WriteMode::Insert => list.push(document),
                WriteMode::Replace => list.push(rawdoc! {
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
        Ok(match mode {
            WriteMode::Insert => {
                rawdoc! { "insert": self.into, "documents": list, "ordered": false, "writeConcern": majority_in_command() }
            }
            WriteMode::Replace => {
                rawdoc! { "update": self.into, "updates": list, "ordered": false, "writeConcern": majority_in_command() }
            }
        })
    }

    /// Stores a refused run without its large fields, and records the reason among its problems.
    async fn quarantine(&mut self, run: &Run, reason: &str) -> Result<()> {
        tracing::warn!(
            run = run.id(),
            reason,
            "MongoDB refused the whole document, so the run is mirrored only in part; `runlineage find --problems` lists such runs"
        );
        // The lineage alone can be too large as well.
        for with_lineage in [true, false] {
            let part = without_large_fields(run, with_lineage, reason)?;
            if part.as_raw().as_bytes().len() + TICKET_OVERHEAD > MAX_DOCUMENT_BYTES {
                continue;
            }
            let refused = self.send(WriteMode::Replace, vec![part]).await?;
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

/// How often the run's document had been projected when it was read; null before the first projection.
fn projections(run: &Run) -> RawBson {
    let mirror = run.as_raw().get_document(field::MIRROR);
    let registry = mirror.and_then(|mirror| mirror.get_document(field::REGISTRY));
    let seq = registry.and_then(|registry| registry.get_i64("seq"));
    seq.map_or(RawBson::Null, RawBson::Int64)
}

/// The document of a run, with its ticket and the date of this change.
fn with_ticket(run: &Run, ticket: Ticket, changed_at: DateTime) -> Result<RawDocumentBuf> {
    let malformed = |error: bson::error::Error| Error::Document {
        id: run.id().to_owned(),
        reason: error.to_string(),
    };
    let mut document = RawDocumentBuf::new();
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
            _ => document.append(name, value),
        }
    }
    document.append(cstr!("mirror"), mirror);
    Ok(document)
}

/// The run without tags, params and metrics, optionally without lineage too, and with the reason among its problems.
fn without_large_fields(run: &Run, with_lineage: bool, reason: &str) -> Result<Run> {
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

/// The runs that the server's reply refuses. Fails if no majority acknowledged the others.
fn refused(runs: Vec<Run>, reply: &Document) -> Result<Vec<RefusedRun>> {
    if let Ok(concern) = reply.get_document("writeConcernError") {
        let reason = concern
            .get_str("errmsg")
            .unwrap_or("no majority acknowledged them")
            .to_owned();
        return Err(Error::Mongo {
            doing: "a majority did not acknowledge the runs, which a failover may undo".into(),
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
        // Quarantine is only for documents that MongoDB will refuse again. Other refusals fail the save.
        if code != code::DUPLICATE_KEY && !is_document_error(code) {
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
            .map(|(code, reason)| RefusedRun { run, code, reason })
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
    fn a_refused_document_does_not_affect_the_others() {
        let reply =
            doc! { "n": 1, "writeErrors": [{ "index": 1, "code": 121, "errmsg": "invalid" }] };
        let refused = refused(runs(), &reply).unwrap();
        assert_eq!(refused.len(), 1);
        assert_eq!((refused[0].run.id(), refused[0].code), ("b", 121));
    }

    #[test]
    fn a_refusal_due_to_the_servers_state_is_an_error_and_puts_nothing_into_quarantine() {
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
