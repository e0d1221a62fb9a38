//! Which experiments a mirror holds runs of, and what is recorded of them: when MLflow made one tells it from another of
//! the same id.

use bson::raw::RawDocumentBuf;
use bson::{Bson, Document, doc};
use futures::TryStreamExt;

use super::retry::retried;
use super::{MongoRunStore, failed, majority};
use crate::error::Result;
use crate::run::field;

impl MongoRunStore {
    pub(crate) async fn holds_experiment(&self, id: &str) -> Result<bool> {
        let find = || async {
            let runs = self.runs();
            let find = runs.find_one(doc! { "exp.id": id });
            find.projection(doc! { field::ID: 1 }).await
        };
        let found = retried(find).await;
        let found = found.map_err(|error| failed("cannot look for runs of an experiment", error));
        Ok(found?.is_some())
    }

    /// The ids of all experiments that runs are mirrored of.
    pub(crate) async fn held_experiments(&self) -> Result<Vec<String>> {
        let list = || async { self.runs().distinct("exp.id", doc! {}).await };
        let ids = retried(list).await;
        let ids = ids.map_err(|error| failed("cannot list the mirrored experiments", error))?;
        let ids = ids.iter().filter_map(Bson::as_str);
        Ok(ids.map(str::to_owned).collect())
    }

    /// The ids of all runs that match.
    pub(crate) async fn run_ids(&self, filter: Document) -> Result<Vec<String>> {
        let id = |run: RawDocumentBuf| async move {
            let id = run.get_str(field::ID).map(str::to_owned);
            Ok(id.unwrap_or_default())
        };
        let list = || async {
            let runs = self.runs();
            let find = runs.find(filter.clone()).projection(doc! { field::ID: 1 });
            find.await?.and_then(id).try_collect().await
        };
        let ids = retried(list).await;
        ids.map_err(|error| failed("cannot list the mirrored runs", error))
    }

    /// Records when MLflow made an experiment that no run was mirrored of before: what is mirrored from now on is of it.
    pub(crate) async fn record_experiment(
        &self,
        id: &str,
        name: &str,
        creation_time: Option<i64>,
    ) -> Result<()> {
        let of = doc! { "_id": format!("scan/{id}") };
        let record = match creation_time {
            Some(creation_time) => {
                doc! { "$set": { "name": name, "creation_time": creation_time } }
            }
            None => doc! { "$set": { "name": name }, "$unset": { "creation_time": "" } },
        };
        let update = || async {
            let state = self.state();
            let update = state.update_one(of.clone(), record.clone());
            update.upsert(true).write_concern(majority()).await
        };
        retried(update)
            .await
            .map_err(|error| failed("cannot record an experiment", error))?;
        Ok(())
    }
}
