//! The write path, as this project's own tests and benchmarks need it. Nothing of it is promised: a mirror is written by
//! [`sync`](crate::sync) and by registrations.

use super::MongoRunStore;
use super::save::{RunSaver, Saved};
use super::ticket::Ticket;
use crate::error::Result;
use crate::run::Run;

impl MongoRunStore {
    /// Draws the next ticket. What is read from MLflow after that may overwrite what was read before.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) when MongoDB does not acknowledge it.
    pub async fn draw_ticket(&self) -> Result<Ticket> {
        Ticket::draw(self).await
    }

    /// Saves runs that were read from MLflow after this ticket was drawn; repeating it changes nothing.
    ///
    /// A run that was deleted later than that stays deleted; one that was deleted earlier is back.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) when MongoDB does not acknowledge the writes by a majority; some may have been made.
    pub async fn save_runs(&self, runs: Vec<Run>, ticket: Ticket) -> Result<Saved> {
        RunSaver::of(self, ticket).save(runs).await
    }
}
