//! What is stored of runs, compared with what MLflow holds now.

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

/// What is stored of a run, as far as saving looks at it.
pub(in crate::mongo) struct Stored {
    fingerprint: String,
    pub(in crate::mongo) ticket: i64,
    quarantined: bool,
    purged: bool,
}

/// Runs by what is stored of them.
#[derive(Default)]
pub(in crate::mongo) struct Compared {
    pub(super) saved: Saved,
    pub(super) fresh: Vec<Run>,
    pub(super) changed: Vec<Run>,
    /// Stored in part, and not changed since: the whole document may be taken now, as after another validator.
    pub(super) quarantined: Vec<Run>,
}

impl Compared {
    /// The ids of the runs to write.
    pub(super) fn ids(&self) -> Vec<String> {
        let runs = self
            .fresh
            .iter()
            .chain(&self.changed)
            .chain(&self.quarantined);
        runs.map(|run| run.id().to_owned()).collect()
    }
}

/// What a collection holds of these runs, read from the primary.
pub(in crate::mongo) async fn stored(
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
            purged: mirror.get_bool(field::PURGED).unwrap_or_default(),
        };
        Some((document.get_str(field::ID).ok()?.to_owned(), stored))
    });
    Ok(mirrors.collect())
}

pub(in crate::mongo) fn compare(
    stored: &HashMap<String, Stored>,
    runs: Vec<Run>,
    ticket: Ticket,
) -> Compared {
    let mut compared = Compared::default();
    for run in runs {
        match stored.get(run.id()) {
            None => compared.fresh.push(run),
            Some(stored)
                if stored.ticket < ticket.0
                    && stored.fingerprint != run.fingerprint()
                    && !stored.purged =>
            {
                compared.changed.push(run)
            }
            Some(stored) if stored.quarantined && stored.ticket < ticket.0 => {
                compared.quarantined.push(run);
            }
            Some(stored) if stored.quarantined => compared.saved.quarantined += 1,
            // Its ticket stays: a run that was edited and edited back since may be overwritten by a read of in between,
            // until the next full pass. To raise tickets here would write every run in every pass.
            Some(_) => compared.saved.unchanged += 1,
        }
    }
    compared
}

/// Removes what was read from MLflow no later than this ticket was drawn, and tells how many runs that were.
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
