//! Removes what is mirrored of a registered model that MLflow no longer lists.

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::mongo::registry::RegistryStore;
use crate::mongo::ticket::Ticket;
use crate::registry::RegistryCollection;
use crate::sync::exclusive::exclusively;
use crate::sync::settings::Settings;

/// Removes the model and its versions, and tells how many versions that were.
pub(in crate::sync) async fn forget_model(settings: &Settings, name: &str) -> Result<u64> {
    let [models, versions] = [RegistryCollection::Models, RegistryCollection::Versions]
        .map(|which| RegistryStore::of(&settings.store, which));
    let listed = settings.mlflow.raw_models().await?;
    let mirrored = models.live_models().await?;
    let mirrored = mirrored.iter().find(|model| model.name == name);
    let is_listed = listed.iter().any(|model| {
        model.name == name && mirrored.is_none_or(|mirrored| model.created() == mirrored.created)
    });
    if is_listed {
        return Err(Error::invalid_argument(
            "model to forget",
            format!("MLflow lists {name:?}, so the next sync would mirror it again"),
        ));
    }
    let forget = async {
        let ticket = Ticket::draw(&settings.store).await?;
        let names = [name.to_owned()];
        let ids = versions.live_versions_of(&names).await?;
        let ids: Vec<String> = ids.into_iter().map(|version| version.id).collect();
        let forgotten = versions.tombstone(&ids, ticket).await?;
        models.tombstone(&names, ticket).await?;
        Ok(forgotten)
    };
    let forgotten = exclusively(settings, &CancellationToken::new(), forget.boxed()).await?;
    Ok(forgotten.unwrap_or_default())
}
