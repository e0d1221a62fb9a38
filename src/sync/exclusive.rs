//! Runs work under the lease of a mirror, so that one process at a time writes.

use futures::TryStreamExt;
use tokio_util::sync::CancellationToken;

use super::settings::Settings;
use crate::error::Result;
use crate::mongo::lease::Lease;
use crate::mongo::migrate::Migrator;
use crate::mongo::registry::RegistryStore;
use crate::mongo::save::wait_for_writes;
use crate::mongo::source::claim_source;
use crate::mongo::ticket::Ticket;
use crate::registry::RegistryCollection;

/// Does the work as the only sync of this database. `None` when `stop` is cancelled first.
///
/// Callers box the work: each future that holds another by value reserves room for it, and the stack of a thread is small.
pub(super) async fn exclusively<T>(
    settings: &Settings,
    stop: &CancellationToken,
    work: impl Future<Output = Result<T>>,
) -> Result<Option<T>> {
    let store = &settings.store;
    let taken = async {
        // A lease is a write, and this program does not write to the database of a newer one.
        Migrator::of(store).check_writable().await?;
        let (what, id) = ("a sync of this database", "sync");
        if settings.waits_for_lease {
            Lease::wait(store, what, id, settings.lease).await
        } else {
            Lease::take(store, what, id, settings.lease).await
        }
    };
    let lease = tokio::select! {
        lease = taken => lease?,
        () = stop.cancelled() => return Ok(None),
    };
    // Migrations are under the lease too. They may take long, and the error of a second sync then names the process that migrates.
    let work = async {
        prepare(settings).await?;
        work.await
    };
    let result = tokio::select! {
        done = lease.hold(work) => done.map(Some),
        () = stop.cancelled() => Ok(None),
    };
    wait_for_writes(store).await;
    lease.release().await;
    result
}

async fn prepare(settings: &Settings) -> Result<()> {
    let store = &settings.store;
    Migrator::of(store).repair().await?;
    if store.freshness().await?.source.is_none() {
        // The source is recorded only after the server has answered as MLflow does, because later syncs refuse any other source.
        settings.mlflow.raw_experiments().try_next().await?;
    }
    claim_source(store, settings.mlflow.source()).await?;
    Ticket::raise_counter(store).await?;
    for which in [
        RegistryCollection::Versions,
        RegistryCollection::LoggedModels,
    ] {
        RegistryStore::of(store, which).project_pending().await?;
    }
    Ok(())
}
