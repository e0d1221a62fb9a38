//! Runs whose lineage entries still have to follow a written registry document.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document, doc};

use super::{CHUNK, RegistryStore};
use crate::error::Result;
use crate::mongo::failure::failed;
use crate::mongo::majority;
use crate::mongo::projection::Projection;
use crate::mongo::retry::retried;
use crate::mongo::ticket::Ticket;
use crate::registry::field;
use crate::run::field as run_field;

impl RegistryStore<'_> {
    /// Projects what a killed process wrote and did not project any more.
    pub(crate) async fn project_pending(self) -> Result<()> {
        let path = pending_path();
        let fields = [path.as_str(), run_field::TICKETS];
        let found = self
            .find(doc! { &path: { "$exists": true } }, &fields)
            .await?;
        self.project_found(&found).await
    }

    /// Projects what is pending of these documents.
    pub(super) async fn project_pending_of(self, ids: &[String]) -> Result<()> {
        let path = pending_path();
        let fields = [path.as_str(), run_field::TICKETS];
        let filter = doc! { run_field::ID: { "$in": ids }, &path: { "$exists": true } };
        let found = self.find(filter, &fields).await?;
        self.project_found(&found).await
    }

    /// Makes the entries of these runs follow the documents that were just written with this ticket.
    pub(super) async fn project(
        self,
        ids: &[String],
        runs: BTreeSet<String>,
        ticket: Ticket,
    ) -> Result<()> {
        if runs.is_empty() {
            return Ok(());
        }
        let runs: Vec<String> = runs.into_iter().collect();
        Projection::of(self.store).project(&runs).await?;
        self.clear_pending(ids, ticket.0).await
    }

    async fn project_found(self, found: &[Document]) -> Result<()> {
        let mut runs = BTreeSet::new();
        let mut by_ticket: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for document in found {
            let (Ok(id), Ok(mirror)) = (
                document.get_str(run_field::ID),
                document.get_document(run_field::MIRROR),
            ) else {
                continue;
            };
            let pending = mirror.get_array(field::PENDING_RUNS).into_iter().flatten();
            runs.extend(pending.filter_map(Bson::as_str).map(str::to_owned));
            let ticket = mirror.get_i64(run_field::TICKET).unwrap_or_default();
            by_ticket.entry(ticket).or_default().push(id.to_owned());
        }
        let runs: Vec<String> = runs.into_iter().collect();
        if !runs.is_empty() {
            Projection::of(self.store).project(&runs).await?;
        }
        for (ticket, ids) in by_ticket {
            self.clear_pending(&ids, ticket).await?;
        }
        Ok(())
    }

    /// A document that was written since with another ticket has other runs pending.
    async fn clear_pending(self, ids: &[String], ticket: i64) -> Result<()> {
        let collection = self.collection();
        for ids in ids.chunks(CHUNK) {
            let of_ticket = doc! { run_field::ID: { "$in": ids }, run_field::TICKETS: ticket };
            let clear = || async {
                let unset = doc! { "$unset": { pending_path(): "" } };
                let update = collection.update_many(of_ticket.clone(), unset);
                update.write_concern(majority()).await
            };
            retried(clear)
                .await
                .map_err(|error| failed("cannot record that lineage entries are written", error))?;
        }
        Ok(())
    }
}

pub(super) fn pending_path() -> String {
    format!("{}.{}", run_field::MIRROR, field::PENDING_RUNS)
}
