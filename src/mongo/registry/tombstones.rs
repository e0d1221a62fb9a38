//! Registry documents that MLflow has deleted.

use bson::doc;

use super::pending::pending_path;
use super::{CHUNK, RegistryStore, live};
use crate::error::Result;
use crate::mongo::failure::failed;
use crate::mongo::majority;
use crate::mongo::migrate::Migrator;
use crate::mongo::retry::retried;
use crate::mongo::ticket::Ticket;
use crate::registry::field;
use crate::run::field as run_field;

impl RegistryStore<'_> {
    /// Marks documents as deleted, and tells how many were not before. A document that was read from MLflow after the ticket was
    /// drawn stays.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) when MongoDB does not acknowledge the writes by a majority; some may have been made.
    pub(crate) async fn tombstone(self, ids: &[String], ticket: Ticket) -> Result<u64> {
        Migrator::of(self.store).ensure_applied().await?;
        let collection = self.collection();
        let mut deleted = 0;
        for ids in ids.chunks(CHUNK) {
            let mut older = live();
            older.insert(run_field::ID, doc! { "$in": ids });
            older.insert(run_field::TICKETS, doc! { "$not": { "$gte": ticket.0 } });
            // A field that the document lacks is null in the list.
            let runs = doc! { "$setUnion": [
                { "$ifNull": [format!("${}", pending_path()), []] },
                [format!("${}", field::RUN), format!("${}", field::SOURCE_RUN)],
                { "$ifNull": [format!("${}.{}", field::EVALUATIONS, field::RUN), []] },
            ] };
            let set = doc! { "$set": {
                field::DELETED_AT: "$$NOW",
                run_field::TICKETS: ticket.0,
                format!("{}.{}", run_field::MIRROR, run_field::CHANGED_AT): "$$NOW",
                pending_path(): { "$setDifference": [runs, [bson::Bson::Null]] },
            } };
            let mark = || async {
                let update = collection.update_many(older.clone(), vec![set.clone()]);
                update.write_concern(majority()).await
            };
            let doing = || format!("cannot mark {}s as deleted", self.which.noun());
            let marked = retried(mark)
                .await
                .map_err(|error| failed(doing(), error))?;
            deleted += marked.modified_count;
            self.project_pending_of(ids).await?;
        }
        Ok(deleted)
    }
}
