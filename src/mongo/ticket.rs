//! [`Ticket`]: orders reads from MLflow, and thereby writes to the mirror.

use bson::doc;
use mongodb::options::ReturnDocument;

use super::collections::{Collections, STATE, at_primary};
use super::failure::failed;
use super::retry::retried;
use super::{MongoRunStore, majority};
use crate::error::{Error, Result};
use crate::run::field;

/// A number that orders reads from MLflow. It is drawn before the read; a read with a higher ticket is newer.
#[cfg_attr(not(feature = "unstable"), allow(unreachable_pub))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub(crate) i64);

impl Ticket {
    /// Raises the counter to the highest stored ticket if it is behind. It can be behind after a restore, or after a dump that
    /// was taken during a sync. Reads would then draw lower tickets than the stored ones, and would never be written.
    pub(crate) async fn raise_counter(store: &MongoRunStore) -> Result<()> {
        let store = &at_primary(store);
        let collections = Collections::of(store);
        let doing = "cannot compare the ticket counter with the stored tickets";
        let runs = [collections.runs(), collections.deleted_runs()];
        let registry = [
            collections.models(),
            collections.model_versions(),
            collections.logged_models(),
        ];
        let registry = registry.map(|collection| collection.clone_with_type());
        let mut highest = 0;
        for collection in runs.into_iter().chain(registry) {
            let find = || async {
                // A text or a date of another program would sort above every ticket.
                let find = collection
                    .find_one(doc! { "mirror.ticket": { "$type": "long" } })
                    .sort(doc! { "mirror.ticket": -1 });
                find.projection(doc! { "mirror.ticket": 1 }).await
            };
            let found = retried(find).await.map_err(|error| failed(doing, error))?;
            let mirror = found
                .as_ref()
                .and_then(|run| run.get_document(field::MIRROR).ok());
            let ticket = mirror.and_then(|mirror| mirror.get_i64(field::TICKET).ok());
            highest = highest.max(ticket.unwrap_or_default());
        }
        let raise = || async {
            let raise = doc! { "$max": { "value": highest } };
            collections
                .state()
                .find_one_and_update(doc! { "_id": "ticket" }, raise)
                .upsert(true)
                .write_concern(majority())
                .await
        };
        let before = retried(raise).await.map_err(|error| failed(doing, error))?;
        let before = before.and_then(|ticket| ticket.get_i64("value").ok());
        if before.unwrap_or_default() < highest {
            tracing::warn!(
                before,
                raised_to = highest,
                "the ticket counter was behind the stored tickets, as after a restore; it has been raised, so that changes are mirrored"
            );
        }
        Ok(())
    }

    /// Draws the next ticket. A run that is read from MLflow afterwards may overwrite one that was read before.
    pub(crate) async fn draw(store: &MongoRunStore) -> Result<Self> {
        let draw = || async {
            Collections::of(store)
                .state()
                .find_one_and_update(
                    doc! { "_id": "ticket" },
                    doc! { "$inc": { "value": 1_i64 } },
                )
                .upsert(true)
                .return_document(ReturnDocument::After)
                .write_concern(majority())
                .await
        };
        let drawn = retried(draw)
            .await
            .map_err(|error| failed("cannot draw a ticket", error))?;
        drawn.and_then(|ticket| ticket.get_i64("value").ok()).map(Self).ok_or_else(|| Error::Database {
            database: store.database().name().to_owned(),
            reason: format!("the ticket in `{STATE}` is not a 64-bit integer; let no other program write to this collection"),
        })
    }
}
