//! What time it is by the server's clock: that of this host may be days off, and other hosts write here too.

use bson::{DateTime, doc};

use super::MongoRunStore;
use super::collections::at_primary;
use super::failure::failed;
use super::retry::retried;
use crate::error::{Error, Result};

/// What the primary's clock says now.
pub(crate) async fn server_time(store: &MongoRunStore) -> Result<DateTime> {
    let store = at_primary(store);
    let database = store.database();
    let hello = || async { database.run_command(doc! { "hello": 1 }).await };
    let hello = retried(hello)
        .await
        .map_err(|error| failed("cannot ask for the server's time", error))?;
    let time = hello.get_datetime("localTime").copied();
    time.map_err(|error| Error::Mongo {
        doing: "cannot read the server's time".into(),
        source: error.into(),
    })
}

impl MongoRunStore {
    /// What the server's clock says now: every date that decides something here is by that clock.
    ///
    /// # Errors
    /// [`Error::Mongo`] when MongoDB does not answer.
    pub async fn server_time(&self) -> Result<DateTime> {
        server_time(self).await
    }
}
