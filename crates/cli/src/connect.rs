//! From the arguments to a mirror and a tracking server.

use runlineage::{Error, MlflowClient, MongoRunStore, Run};
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

/// Where people look at the MLflow that is mirrored: its address where the mirror knows it, else the one that is named.
pub(crate) async fn mlflow_address(
    args: &ConnectionArgs,
    store: &MongoRunStore,
) -> Result<Option<String>, Error> {
    let source = store.freshness().await?.source.unwrap_or_default();
    let address = source.split(" workspace ").next().unwrap_or_default();
    if address.starts_with("http://") || address.starts_with("https://") {
        return Ok(Some(address.to_owned()));
    }
    // Only a link is lost with an address that is none: often it is a variable for other programs.
    let named = args.tracking_uri.as_deref();
    let named = named.and_then(|uri| MlflowClient::builder(uri).build().ok());
    Ok(named.map(|mlflow| mlflow.address().to_owned()))
}

/// The page of a run, below the address of its MLflow.
pub(crate) fn run_page(address: &str, run: &Run) -> Option<String> {
    let exp = run.exp()?;
    Some(format!(
        "{address}/#/experiments/{}/runs/{}",
        exp.id,
        run.id()
    ))
}

pub(crate) fn usage(argument: &'static str, reason: impl Into<String>) -> Error {
    Error::invalid_argument(argument, reason)
}
