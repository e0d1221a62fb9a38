//! The MongoDB server's clock. Several hosts write to a mirror, and the clock of any of them may be days off.

use bson::{DateTime, doc};

use super::MongoRunStore;
use super::collections::at_primary;
use super::failure::failed;
use super::retry::retried;
use crate::error::{Error, Result};

/// The current time by the primary's clock.
pub(crate) async fn server_time(store: &MongoRunStore) -> Result<DateTime> {
    let store = at_primary(store);
    let database = store.database();
    let hello = || async { database.run_command(doc! { "hello": 1 }).await };
    let hello = retried(hello)
        .await
        .map_err(|error| failed("cannot read the server's time", error))?;
    let time = hello.get_datetime("localTime").copied();
    time.map_err(|error| Error::Mongo {
        doing: "cannot read the server's time".into(),
        source: error.into(),
    })
}

impl MongoRunStore {
    /// The current time by the MongoDB server's clock, which also sets the dates of deletion.
    ///
    /// # Errors
    /// [`Error::Mongo`] if MongoDB does not answer.
    pub async fn server_time(&self) -> Result<DateTime> {
        server_time(self).await
    }
}
