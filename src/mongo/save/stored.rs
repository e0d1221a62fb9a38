//! Compares runs that were read from MLflow with the stored ones.

use std::collections::HashMap;

use bson::doc;
use bson::raw::RawDocumentBuf;
use futures::stream::TryStreamExt;

use super::Saved;
use crate::error::Result;
use crate::mongo::collections::at_primary;
use crate::mongo::failure::failed;
use crate::mongo::retry::retried;
use crate::mongo::ticket::Ticket;
use crate::mongo::{MongoRunStore, majority};
use crate::run::{Run, field};

/// The fields of a stored run that decide whether it is written again.
pub(in crate::mongo) struct Stored {
    fingerprint: String,
    pub(in crate::mongo) ticket: i64,
    quarantined: bool,
    purged: bool,
}

/// The runs to write, grouped by their stored state.
#[derive(Default)]
pub(in crate::mongo) struct Changes {
    /// The counts of the runs that need no write.
    pub(super) saved: Saved,
    pub(super) new: Vec<Run>,
    pub(super) changed: Vec<Run>,
    /// Runs in quarantine that have not changed. MongoDB may accept the whole document now, for example with another validator.
    pub(super) quarantined: Vec<Run>,
}

impl Changes {
    /// The ids of the runs to write.
    pub(super) fn ids(&self) -> Vec<String> {
        let runs = self
            .new
            .iter()
            .chain(&self.changed)
            .chain(&self.quarantined);
        runs.map(|run| run.id().to_owned()).collect()
    }
}

/// Reads the stored state of these runs from the primary, by id.
pub(in crate::mongo) async fn read_stored(
    store: &MongoRunStore,
    collection: &str,
    ids: &[String],
) -> Result<HashMap<String, Stored>> {
    let store = at_primary(store);
    let collection = store.database().collection::<RawDocumentBuf>(collection);
    let fields = doc! { "mirror.fingerprint": 1, "mirror.ticket": 1, "mirror.quarantined": 1, "mirror.purged": 1 };
    let find = || async {
        let find = collection
            .find(doc! { field::ID: { "$in": ids } })
            .projection(fields.clone());
        find.await?.try_collect::<Vec<_>>().await
    };
    let found = retried(find)
        .await
        .map_err(|error| failed("cannot compare runs with the stored ones", error))?;
    let mirrors = found.iter().filter_map(|document| {
        let mirror = document.get_document(field::MIRROR).ok()?;
        let stored = Stored {
            fingerprint: mirror
                .get_str(field::FINGERPRINT)
                .unwrap_or_default()
                .to_owned(),
            ticket: mirror.get_i64(field::TICKET).unwrap_or_default(),
            quarantined: mirror.get_bool(field::QUARANTINED).unwrap_or_default(),
            purged: mirror.get_bool(field::PURGED).unwrap_or_default(),
        };
        Some((document.get_str(field::ID).ok()?.to_owned(), stored))
    });
    Ok(mirrors.collect())
}

/// Groups runs by their stored state. Only a stored run with a lower ticket is written again.
pub(in crate::mongo) fn compare(
    stored: &HashMap<String, Stored>,
    runs: Vec<Run>,
    ticket: Ticket,
) -> Changes {
    let mut changes = Changes::default();
    for run in runs {
        match stored.get(run.id()) {
            None => changes.new.push(run),
            Some(stored)
                if stored.ticket < ticket.0
                    && stored.fingerprint != run.fingerprint()
                    && !stored.purged =>
            {
                changes.changed.push(run)
            }
            Some(stored) if stored.quarantined && stored.ticket < ticket.0 => {
                changes.quarantined.push(run);
            }
            Some(stored) if stored.quarantined => changes.saved.quarantined += 1,
            // The stored ticket is not raised, since that would write every run in every pass. So if a run is edited and the
            // edit is reverted, a late write of the edited state can apply; the next full pass corrects it.
            Some(_) => changes.saved.unchanged += 1,
        }
    }
    changes
}

/// Removes those of the runs whose ticket is not higher than this one, and returns how many it removed.
pub(in crate::mongo) async fn remove(
    store: &MongoRunStore,
    collection: &str,
    ids: &[String],
    ticket: Ticket,
) -> Result<u64> {
    let from = store.database().collection::<RawDocumentBuf>(collection);
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
