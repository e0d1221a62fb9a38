//! [`Mirrored`]: the queries by which a pass learns which experiments and runs are mirrored.

use bson::raw::RawDocumentBuf;
use bson::{Bson, DateTime, Document, doc};
use futures::TryStreamExt;

use super::MongoRunStore;
use super::collections::Collections;
use super::failure::failed;
use super::retry::retried;
use crate::error::Result;
use crate::query::Search;
use crate::run::{Run, field};
use crate::store::RunStream;

/// The ids and counts of mirrored runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mirrored<'a> {
    store: &'a MongoRunStore,
}

impl<'a> Mirrored<'a> {
    pub(crate) fn of(store: &'a MongoRunStore) -> Self {
        Self { store }
    }

    /// Whether any run of this experiment is mirrored.
    pub(crate) async fn has_experiment(self, id: &str) -> Result<bool> {
        let find = || async {
            let runs = Collections::of(self.store).runs();
            let find = runs.find_one(doc! { "exp.id": id, field::ID: is_text() });
            find.projection(doc! { field::ID: 1 }).await
        };
        let found = retried(find).await;
        let found = found.map_err(|error| failed("cannot look for runs of an experiment", error));
        Ok(found?.is_some())
    }

    /// An estimate of the number of mirrored runs, from the collection's metadata.
    pub(crate) async fn count_estimate(self) -> Result<u64> {
        let runs = Collections::of(self.store).runs();
        let count = runs.estimated_document_count().await;
        count.map_err(|error| failed("cannot count runs", error))
    }

    /// How many runs have problems.
    pub(crate) async fn count_problems(self) -> Result<u64> {
        let filter = doc! { field::PROBLEM_KEYS: { "$exists": true } };
        self.store.count_runs(filter).await
    }

    /// Streams the matching runs, without the documents that other programs stored under an `_id` that is not a string.
    pub(crate) async fn find_runs(self, filter: Document) -> Result<RunStream> {
        let filter = doc! { "$and": [filter, { field::ID: is_text() }] };
        self.store.find_runs(filter).await
    }

    /// Like [`find_runs`](Self::find_runs), with the ids alone.
    pub(crate) async fn find_ids(self, filter: Document) -> Result<RunStream> {
        let filter = doc! { "$and": [filter, { field::ID: is_text() }] };
        let search = Search::from(filter).projection(doc! { field::ID: 1 });
        self.store.find_runs(search).await
    }

    /// The `_id`s, as text, of the matching documents whose `_id` is not a string.
    pub(crate) async fn foreign_ids(self, filter: Document) -> Result<Vec<String>> {
        let search = Search::from(foreign(filter)).projection(doc! { field::ID: 1 });
        let found = self.store.find_raw(search).await?;
        let id = |document: RawDocumentBuf| async move {
            let document = Document::try_from(&*document).ok();
            Ok(document.and_then(|document| Some(document.get(field::ID)?.to_string())))
        };
        found.try_filter_map(id).try_collect().await
    }

    /// The ids of all experiments with mirrored runs.
    pub(crate) async fn experiments(self) -> Result<Vec<String>> {
        let list = || async {
            Collections::of(self.store)
                .runs()
                .distinct("exp.id", doc! {})
                .await
        };
        let ids = retried(list).await;
        let ids = ids.map_err(|error| failed("cannot list the mirrored experiments", error))?;
        let ids = ids.iter().filter_map(Bson::as_str);
        Ok(ids.map(str::to_owned).collect())
    }

    /// How many runs of these experiments are mirrored.
    pub(crate) async fn count_of(self, experiments: &[&str]) -> Result<u64> {
        let filter = doc! { "exp.id": { "$in": experiments } };
        self.store.count_runs(filter).await
    }

    /// The ids of an experiment's runs that started at `from` or later and before `to`. Without `to`, runs without a start time
    /// are included.
    pub(crate) async fn started(
        self,
        experiment: &str,
        from: Option<i64>,
        to: Option<i64>,
    ) -> Result<Vec<String>> {
        let filter = range(experiment, from, to);
        let id =
            |run: RawDocumentBuf| async move { Ok(run.get_str(field::ID).ok().map(str::to_owned)) };
        let list = || async {
            let runs = Collections::of(self.store).runs();
            let find = runs.find(filter.clone()).projection(doc! { field::ID: 1 });
            find.await?.try_filter_map(id).try_collect().await
        };
        let ids = retried(list).await;
        ids.map_err(|error| failed("cannot list the mirrored runs", error))
    }

    /// The mirrored runs with one of these statuses, with their ids and experiments alone.
    pub(crate) async fn with_status(self, statuses: &[&str]) -> Result<Vec<Run>> {
        let list = || async {
            let runs = Collections::of(self.store).runs();
            let find = runs.find(doc! { field::STATUS: { "$in": statuses } });
            let found = find.projection(doc! { field::EXP: 1 }).await?;
            found.try_collect::<Vec<_>>().await
        };
        let found = retried(list).await;
        let found = found.map_err(|error| failed("cannot list the runs by status", error))?;
        // A foreign document does not end a quick pass. The full pass reports it.
        let runs = found.into_iter().filter_map(|run| Run::try_from(run).ok());
        Ok(runs.collect())
    }

    /// How many of the matching documents have an `_id` that is not a string.
    pub(crate) async fn count_foreign(self, filter: Document) -> Result<u64> {
        self.store.count_runs(foreign(filter)).await
    }
}

/// What the `_id` of every run is; another program may store anything else.
fn is_text() -> Document {
    doc! { "$type": "string" }
}

fn foreign(filter: Document) -> Document {
    doc! { "$and": [filter, { field::ID: { "$not": is_text() } }] }
}

fn range(experiment: &str, from: Option<i64>, to: Option<i64>) -> Document {
    let date = DateTime::from_millis;
    let start_time = match (from, to) {
        (None, None) => return doc! { "exp.id": experiment },
        (None, Some(to)) => doc! { "$lt": date(to) },
        (Some(from), Some(to)) => doc! { "$gte": date(from), "$lt": date(to) },
        (Some(from), None) => doc! { "$not": { "$lt": date(from) } },
    };
    doc! { "exp.id": experiment, field::START_TIME: start_time }
}

#[cfg(test)]
mod tests {
    use bson::{DateTime, doc};

    use super::range;

    #[test]
    fn consecutive_ranges_cover_every_run_once() {
        let date = DateTime::from_millis;
        assert_eq!(range("1", None, None), doc! { "exp.id": "1" });
        assert_eq!(
            range("1", None, Some(5)),
            doc! { "exp.id": "1", "start_time": { "$lt": date(5) } }
        );
        assert_eq!(
            range("1", Some(5), Some(9)),
            doc! { "exp.id": "1", "start_time": { "$gte": date(5), "$lt": date(9) } }
        );
        // The last range has the runs without a start time, as MLflow's listing does.
        assert_eq!(
            range("1", Some(9), None),
            doc! { "exp.id": "1", "start_time": { "$not": { "$lt": date(9) } } }
        );
    }
}
