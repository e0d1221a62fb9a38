//! Links to pages of MLflow.

use runlineage::MongoRunStore;
pub(crate) use runlineage_server::answer::Pages;

use crate::args::ConnectionArgs;

/// The pages of the mirrored MLflow, at the first known of: `address`, the address in the mirror, the tracking URI.
pub(crate) async fn of(
    args: &ConnectionArgs,
    store: &MongoRunStore,
    address: Option<&str>,
) -> Result<Option<Pages>, runlineage::Error> {
    let source = store.freshness().await?.source;
    // Without a valid address, only the link is missing. The variable is often set for other programs.
    let named = || Pages::address(args.tracking_uri.as_deref()?);
    Ok(Pages::of(address, source.as_deref(), named))
}
