//! [`Ticket`]: the order of reads from MLflow, and so of writes.

use bson::doc;
use mongodb::options::ReturnDocument;

use super::collections::{Collections, STATE};
use super::failure::failed;
use super::retry::retried;
use super::{MongoRunStore, majority};
use crate::error::{Error, Result};

/// A place in the order of reads from MLflow: what was read after a later ticket is newer.
#[cfg_attr(not(feature = "unstable"), allow(unreachable_pub))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub(crate) i64);

impl Ticket {
    /// Draws the next ticket. What is read from MLflow after that may overwrite what was read before.
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
            reason: format!("`{STATE}` holds a ticket that is not a 64-bit integer; no other program may write there"),
        })
    }
}
