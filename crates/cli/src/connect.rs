//! Connects to MongoDB and MLflow as the arguments say.

use runlineage::{Error, MlflowClient, MongoRunStore};
use runlineage_local_mongod::LocalDatabase;

use crate::args::ConnectionArgs;

/// The mirror that a command uses.
pub(crate) struct Mirror {
    pub(crate) store: MongoRunStore,
    /// Keeps the local database running until it is dropped.
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
                "none is given; set `--mongodb-uri mongodb://host/database` (or MONGODB_URI), or use your private local database with `--local`",
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
            "none is given; set `--tracking-uri http://host:5000` (or MLFLOW_TRACKING_URI)",
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
