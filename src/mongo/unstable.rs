//! Access to the write path for this project's own tests and benchmarks. It may change at any time; programs write a mirror by
//! [`sync`](crate::sync) and by registrations.

use super::MongoRunStore;
use super::save::{RunSaver, Saved};
use super::ticket::Ticket;
use crate::error::Result;
use crate::run::Run;

impl MongoRunStore {
    /// Draws the next ticket. A run that is read from MLflow afterwards may overwrite one that was read before.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) if MongoDB does not acknowledge the write.
    pub async fn draw_ticket(&self) -> Result<Ticket> {
        Ticket::draw(self).await
    }

    /// Saves runs that were read from MLflow after the ticket was drawn. Saving them again changes nothing.
    ///
    /// A run that was deleted after the ticket was drawn stays deleted. One that was deleted earlier is restored.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) if no majority acknowledges the writes; MongoDB may have made some of them.
    pub async fn save_runs(&self, runs: Vec<Run>, ticket: Ticket) -> Result<Saved> {
        RunSaver::of(self, ticket).save(runs).await
    }
}
