//! One process at a time writes to a mirror.

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

/// Does the work as the only sync of this database, for as long as the lease lasts; `None` when `stop` is cancelled first.
///
/// A pass is boxed before it comes here: every future that holds it by value has room for it twice, and a stack is small.
pub(super) async fn exclusively<T>(
    settings: &Settings,
    stop: &CancellationToken,
    work: impl Future<Output = Result<T>>,
) -> Result<Option<T>> {
    let store = &settings.store;
    let taken = async {
        // The database of a newer program is not written, not even to name the holder of a lease.
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
    // Migrations too may take long: a second sync that starts meanwhile fails at once and names this one.
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
        // A mistyped address must not become the source that every later sync is held to: it answers as MLflow first.
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
