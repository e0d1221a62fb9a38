//! Steps that many tests of the mirror share.

use std::collections::BTreeSet;

use futures::TryStreamExt as _;
use runlineage::sync::{Report, SyncJob};
use runlineage::{MlflowClient, MongoRunStore, Run, RunStore, RunStoreExt as _, Search};

use super::mlflow::MlflowServer;
use super::mongodb::TestDatabase;

/// A migrated mirror in a test's own database.
pub(crate) async fn mirror(test: &TestDatabase) -> MongoRunStore {
    let store = MongoRunStore::from_database(test.database.clone());
    store
        .migrate()
        .await
        .expect("an empty database can be migrated");
    store
}

/// A client that reads nothing from the environment, with few retries.
pub(crate) fn client(server: &MlflowServer) -> MlflowClient {
    let builder = MlflowClient::builder(&server.uri()).retries(3);
    builder.build().expect("the test server's URI is one")
}

/// The report of one pass over these experiments, which must not fail.
pub(crate) async fn sync(
    mlflow: &MlflowClient,
    store: &MongoRunStore,
    experiments: &[&str],
) -> Report {
    let only = experiments.iter().map(|name| (*name).to_owned());
    let report = SyncJob::new(mlflow, store).only(only).run(|_| {}).await;
    let report = report.expect("the pass ends");
    assert_eq!(report.incomplete, []);
    assert_eq!(
        report.seen,
        report.written + report.unchanged + report.quarantined,
        "{report:?}"
    );
    report
}

/// The ids of the matching runs. Fails when one of them comes twice.
pub(crate) async fn ids(store: &dyn RunStore, search: impl Into<Search>) -> BTreeSet<String> {
    let runs = store.find(search).await.expect("the search begins");
    let runs: Vec<Run> = runs.try_collect().await.expect("the search ends");
    let ids: BTreeSet<String> = runs.iter().map(|run| run.id().to_owned()).collect();
    assert_eq!(ids.len(), runs.len(), "a run came twice");
    ids
}

/// A set of ids, to compare with.
pub(crate) fn set<T: AsRef<str>>(ids: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    ids.into_iter().map(|id| id.as_ref().to_owned()).collect()
}
