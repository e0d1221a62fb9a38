//! From the arguments to a mirror and a tracking server.

use runlineage::{Error, MlflowClient, MongoRunStore};
use runlineage_local_mongod::LocalDatabase;

use crate::args::ConnectionArgs;

/// The mirror of a command, for as long as the command runs.
pub(crate) struct Mirror {
    pub(crate) store: MongoRunStore,
    /// The local database stays up for as long as this is held.
    _local: Option<LocalDatabase>,
}

pub(crate) async fn mirror(args: &ConnectionArgs) -> anyhow::Result<Mirror> {
    let local = if args.local {
        Some(LocalDatabase::open().await?)
    } else {
        None
    };
    let uri = match (&args.mongodb_uri, &local) {
        (_, Some(local)) => local.uri(),
        (Some(uri), None) => uri,
        (None, None) => {
            return Err(usage(
                "database",
                "none is given; name one with `--mongodb-uri mongodb://host/database` (or MONGODB_URI), or use the private one of this machine with `--local`",
            )
            .into());
        }
    };
    let store = MongoRunStore::open(uri, args.database.as_deref()).await?;
    Ok(Mirror {
        store,
        _local: local,
    })
}

pub(crate) fn mlflow(args: &ConnectionArgs, concurrency: usize) -> Result<MlflowClient, Error> {
    let Some(uri) = &args.tracking_uri else {
        return Err(usage(
            "tracking URI",
            "none is given; name your MLflow server with `--tracking-uri http://host:5000` (or MLFLOW_TRACKING_URI)",
        ));
    };
    let mut builder = MlflowClient::builder(uri)
        .environment()?
        .concurrency(concurrency);
    if let Some(source) = &args.source {
        builder = builder.source(source);
    }
    builder.build()
}

pub(crate) fn usage(argument: &'static str, reason: impl Into<String>) -> Error {
    Error::invalid_argument(argument, reason)
}
