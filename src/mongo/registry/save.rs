//! Saves registry documents by ticket; a write applies only over what was read from MLflow earlier.

use std::collections::{BTreeSet, HashMap};

use bson::{Bson, DateTime, Document, doc};

use super::RegistryStore;
use crate::error::{Error, Result};
use crate::mongo::clock::server_time;
use crate::mongo::failure::{code, failed, is_document_error};
use crate::mongo::majority_in_command;
use crate::mongo::migrate::Migrator;
use crate::mongo::retry::retried;
use crate::mongo::ticket::Ticket;
use crate::registry::{RegistryDocument, field, former_names_of, runs_of};
use crate::run::field as run_field;

/// A command over 16 MiB fails as a whole.
const MAX_BATCH_BYTES: usize = 2 << 20;
const MAX_BATCH: usize = 1_000;
/// A larger document leaves no room for the command around it.
const MAX_DOCUMENT_BYTES: usize = (16 << 20) - (4 << 10);
/// How often a batch is compared anew after another writer was faster.
const MAX_ATTEMPTS: usize = 10;

/// What came of saving some documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SavedDocuments {
    /// Written: new, or different from what was stored.
    pub(crate) written: u64,
    /// Left as they were: stored just so, or by a writer that read them from MLflow later.
    pub(crate) unchanged: u64,
    /// The ids of documents that MongoDB refused, and why.
    pub(crate) refused: Vec<(String, String)>,
}

/// What is stored of a document, as far as a save looks at it.
struct Stored {
    ticket: Bson,
    fingerprint: String,
    is_deleted: bool,
    created: [Option<Bson>; 2],
    runs: BTreeSet<String>,
    former_names: BTreeSet<String>,
}

impl RegistryStore<'_> {
    /// Saves documents that were read from MLflow after this ticket was drawn; repeating it changes nothing.
    ///
    /// A document that was deleted after the ticket was drawn stays deleted. One that was deleted earlier is back.
    ///
    /// # Errors
    /// [`Error::Mongo`] when MongoDB does not acknowledge the writes by a majority; some may have been made.
    pub(crate) async fn save(
        self,
        documents: Vec<RegistryDocument>,
        ticket: Ticket,
    ) -> Result<SavedDocuments> {
        Migrator::of(self.store).ensure_applied().await?;
        let mut saved = SavedDocuments::default();
        let mut batch = Vec::new();
        let mut bytes = 0;
        for document in documents {
            let length = document.fields.to_vec().map_or(0, |bytes| bytes.len())
                + document.mirror.to_vec().map_or(0, |bytes| bytes.len());
            if length > MAX_DOCUMENT_BYTES {
                let reason = "the document is over 16 MiB".to_owned();
                saved.refused.push((document.id, reason));
                continue;
            }
            if batch.len() == MAX_BATCH || (!batch.is_empty() && bytes + length > MAX_BATCH_BYTES) {
                self.save_batch(std::mem::take(&mut batch), ticket, &mut saved)
                    .await?;
                bytes = 0;
            }
            bytes += length;
            batch.push(document);
        }
        self.save_batch(batch, ticket, &mut saved).await?;
        Ok(saved)
    }

    async fn save_batch(
        self,
        batch: Vec<RegistryDocument>,
        ticket: Ticket,
        saved: &mut SavedDocuments,
    ) -> Result<()> {
        let (mut open, mut ids, mut runs) = (batch, Vec::new(), BTreeSet::new());
        for _ in 0..MAX_ATTEMPTS {
            let count = open.len() as u64;
            let changed = self.changed(open, ticket).await?;
            saved.unchanged += count - changed.len() as u64;
            if changed.is_empty() {
                return self.project(&ids, runs, ticket).await;
            }
            for (document, old) in &changed {
                ids.push(document.id.clone());
                runs.extend(pending_runs(document, old.as_ref()));
            }
            open = self.write(changed, ticket, saved).await?;
        }
        Err(Error::Mongo {
            doing: format!("cannot save {}s", self.which.noun()),
            source: "another program writes the same documents all the time; no other program may write there".into(),
        })
    }

    /// The documents to write, with what is stored of each.
    async fn changed(
        self,
        documents: Vec<RegistryDocument>,
        ticket: Ticket,
    ) -> Result<Vec<(RegistryDocument, Option<Stored>)>> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = documents
            .iter()
            .map(|document| document.id.as_str())
            .collect();
        let mut stored = self.stored(&ids).await?;
        let compare = |mut document: RegistryDocument| {
            let Some(old) = stored.remove(&document.id) else {
                return Some((document, None));
            };
            if old.ticket.as_i64().is_some_and(|stored| stored >= ticket.0) {
                return None;
            }
            // A model that was made anew under this name has none of the old one's names.
            if old.created == created(&document.fields) {
                document
                    .former_names
                    .extend(old.former_names.iter().cloned());
            }
            let own = own_name(&document).to_owned();
            document.former_names.remove(&own);
            let is_equal = !old.is_deleted
                && document.mirror.get_str(run_field::FINGERPRINT).ok() == Some(&old.fingerprint)
                && document.former_names == old.former_names;
            (!is_equal).then_some((document, Some(old)))
        };
        Ok(documents.into_iter().filter_map(compare).collect())
    }

    async fn stored(self, ids: &[&str]) -> Result<HashMap<String, Stored>> {
        let evaluating = format!("{}.{}", field::EVALUATIONS, field::RUN);
        let fingerprint = format!("{}.{}", run_field::MIRROR, run_field::FINGERPRINT);
        let fields = [
            field::CREATED,
            field::MODEL_CREATED,
            field::RUN,
            field::SOURCE_RUN,
            &evaluating,
            field::FORMER_NAMES,
            field::DELETED_AT,
            run_field::TICKETS,
            &fingerprint,
        ];
        let found = self
            .find(doc! { run_field::ID: { "$in": ids } }, &fields)
            .await?;
        let stored = found.iter().filter_map(|document| {
            let mirror = document.get_document(run_field::MIRROR).ok();
            let of_mirror = |name: &str| mirror.and_then(|mirror| mirror.get(name));
            let fingerprint = of_mirror(run_field::FINGERPRINT).and_then(Bson::as_str);
            let stored = Stored {
                ticket: of_mirror(run_field::TICKET).cloned().unwrap_or(Bson::Null),
                fingerprint: fingerprint.unwrap_or_default().to_owned(),
                is_deleted: document.contains_key(field::DELETED_AT),
                created: created(document),
                runs: runs_of(document),
                former_names: former_names_of(document),
            };
            Some((document.get_str(run_field::ID).ok()?.to_owned(), stored))
        });
        Ok(stored.collect())
    }

    /// Writes each document over what was read of it; returns those that another writer has changed since.
    async fn write(
        self,
        changed: Vec<(RegistryDocument, Option<Stored>)>,
        ticket: Ticket,
        saved: &mut SavedDocuments,
    ) -> Result<Vec<RegistryDocument>> {
        let changed_at = server_time(self.store).await?;
        let updates: Vec<Bson> = changed
            .iter()
            .map(|(document, old)| {
                let as_read = old.as_ref().map_or(Bson::Null, |old| old.ticket.clone());
                Bson::from(doc! {
                    "q": { run_field::ID: &document.id, run_field::TICKETS: as_read },
                    "u": stamped(document, old.as_ref(), ticket, changed_at),
                    "upsert": true,
                })
            })
            .collect();
        let concern = Document::try_from(majority_in_command()).unwrap_or_default();
        let command = doc! { "update": self.name(), "updates": updates, "ordered": false, "writeConcern": concern };
        let send = || async { self.store.database().run_command(command.clone()).await };
        let doing = || format!("cannot save {} {}s", changed.len(), self.which.noun());
        let reply = retried(send)
            .await
            .map_err(|error| failed(doing(), error))?;
        let mut refused = refused(&reply)?;
        let mut superseded = Vec::new();
        for (index, (document, _)) in changed.into_iter().enumerate() {
            match refused.remove(&index) {
                None => saved.written += 1,
                Some((code::DUPLICATE_KEY, _)) => superseded.push(document),
                Some((_, reason)) => {
                    tracing::warn!(
                        id = document.id,
                        reason,
                        "MongoDB refused a {}",
                        self.which.noun()
                    );
                    saved.refused.push((document.id, reason));
                }
            }
        }
        Ok(superseded)
    }
}

/// The runs whose entries this write may change.
fn pending_runs(document: &RegistryDocument, old: Option<&Stored>) -> BTreeSet<String> {
    let old = old.map(|old| &old.runs).into_iter().flatten();
    document.runs.iter().chain(old).cloned().collect()
}

/// The whole document, with the ticket and the runs that still have to hear of it.
fn stamped(
    document: &RegistryDocument,
    old: Option<&Stored>,
    ticket: Ticket,
    changed_at: DateTime,
) -> Document {
    let mut whole = document.fields.clone();
    if !document.former_names.is_empty() {
        let names: Vec<&String> = document.former_names.iter().collect();
        whole.insert(field::FORMER_NAMES, names);
    }
    let mut mirror = doc! { run_field::TICKET: ticket.0, run_field::CHANGED_AT: changed_at };
    mirror.extend(document.mirror.clone());
    let runs: Vec<String> = pending_runs(document, old).into_iter().collect();
    if !runs.is_empty() {
        mirror.insert(field::PENDING_RUNS, runs);
    }
    whole.insert(run_field::MIRROR, mirror);
    whole
}

/// What tells a thing from another one that was made later under the same name.
fn created(document: &Document) -> [Option<Bson>; 2] {
    [field::CREATED, field::MODEL_CREATED].map(|name| document.get(name).cloned())
}

/// The name that a model, or a version's model, has now.
fn own_name(document: &RegistryDocument) -> &str {
    let name = document.fields.get_str(run_field::NAME);
    name.unwrap_or(&document.id)
}

/// The refused documents by their place in the command; an error where a refusal is no document's own fault, or a majority did not
/// acknowledge the others.
fn refused(reply: &Document) -> Result<HashMap<usize, (i32, String)>> {
    if let Ok(concern) = reply.get_document("writeConcernError") {
        let reason = concern
            .get_str("errmsg")
            .unwrap_or("no majority acknowledged them");
        return Err(Error::Mongo {
            doing: "the documents may not survive a failover".into(),
            source: reason.into(),
        });
    }
    let mut refused = HashMap::new();
    let errors = reply.get_array("writeErrors").into_iter().flatten();
    for error in errors.filter_map(Bson::as_document) {
        let index = error
            .get_i32("index")
            .ok()
            .and_then(|index| usize::try_from(index).ok());
        let code = error.get_i32("code").unwrap_or_default();
        let reason = error
            .get_str("errmsg")
            .unwrap_or("no reason given")
            .to_owned();
        if code != code::DUPLICATE_KEY && !is_document_error(code) {
            return Err(Error::Mongo {
                doing: format!("MongoDB takes no documents now (error {code})"),
                source: reason.into(),
            });
        }
        refused.extend(index.map(|index| (index, (code, reason))));
    }
    Ok(refused)
}
