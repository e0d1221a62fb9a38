//! What the registry collections hold, as a pass asks it.

use std::collections::{BTreeSet, HashMap};

use bson::{DateTime, Document, doc};
use futures::TryStreamExt;

use super::{CHUNK, RegistryStore, live};
use crate::error::Result;
use crate::mongo::failure::failed;
use crate::mongo::retry::retried;
use crate::registry::{RegistryCollection, field, former_names_of};
use crate::run::field as run_field;

/// A registered model that is not deleted.
#[derive(Debug, Clone)]
pub(crate) struct LiveModel {
    pub(crate) name: String,
    pub(crate) created: Option<DateTime>,
    pub(crate) updated: Option<DateTime>,
    pub(crate) former_names: BTreeSet<String>,
}

/// A version that is not deleted.
#[derive(Debug, Clone)]
pub(crate) struct LiveVersion {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) created: Option<DateTime>,
    pub(crate) model_created: Option<DateTime>,
    pub(crate) run: Option<String>,
    pub(crate) former_names: BTreeSet<String>,
}

/// A logged model that is not deleted.
#[derive(Debug, Clone)]
pub(crate) struct LiveLoggedModel {
    pub(crate) id: String,
    pub(crate) experiment: String,
    /// When MLflow made the experiment, as it said when the model was mirrored.
    pub(crate) exp_created: Option<i64>,
}

impl RegistryStore<'_> {
    /// About how many documents there are, deleted ones too.
    pub(crate) async fn count_estimate(self) -> Result<u64> {
        let count = self.collection().estimated_document_count().await;
        count.map_err(|error| failed(format!("cannot count {}s", self.which.noun()), error))
    }

    /// The models that are not deleted.
    pub(crate) async fn live_models(self) -> Result<Vec<LiveModel>> {
        debug_assert_eq!(self.which, RegistryCollection::Models);
        let fields = [field::CREATED, field::UPDATED, field::FORMER_NAMES];
        let found = self.find(live(), &fields).await?;
        Ok(found.iter().filter_map(live_model).collect())
    }

    /// The versions of these models that are not deleted.
    pub(crate) async fn live_versions_of(self, names: &[String]) -> Result<Vec<LiveVersion>> {
        let mut versions = Vec::new();
        for names in names.chunks(CHUNK) {
            let mut filter = live();
            filter.insert(run_field::NAME, doc! { "$in": names });
            let found = self.find(filter, &VERSION_FIELDS).await?;
            versions.extend(found.iter().filter_map(live_version));
        }
        Ok(versions)
    }

    /// The versions that are not deleted and that `is_seen` does not know by their `_id`.
    pub(crate) async fn unseen_versions(
        self,
        is_seen: impl Fn(&str) -> bool,
    ) -> Result<Vec<LiveVersion>> {
        let read = |document: &Document| live_version(document).filter(|one| !is_seen(&one.id));
        self.collect(live(), &VERSION_FIELDS, read).await
    }

    /// The logged models that are not deleted and of these experiments that `is_seen` does not know.
    pub(crate) async fn unseen_logged_models(
        self,
        experiments: &[&str],
        is_seen: impl Fn(&str) -> bool,
    ) -> Result<Vec<LiveLoggedModel>> {
        let mut filter = live();
        filter.insert(run_field::EXP_ID, doc! { "$in": experiments });
        let exp_created = format!("{}.{}", run_field::MIRROR, field::EXP_CREATED);
        let read =
            |document: &Document| live_logged_model(document).filter(|one| !is_seen(&one.id));
        self.collect(filter, &[run_field::EXP, &exp_created], read)
            .await
    }

    /// When MLflow made the experiments of the logged models that are not deleted, by the experiments' ids.
    pub(crate) async fn experiment_ages(self) -> Result<HashMap<String, Option<i64>>> {
        let created = format!("${}.{}", run_field::MIRROR, field::EXP_CREATED);
        let pipeline = [
            doc! { "$match": live() },
            doc! { "$group": { "_id": format!("${}", run_field::EXP_ID), "created": { "$max": created } } },
        ];
        let collection = self.collection();
        let list = || async {
            let listed = collection.aggregate(pipeline.clone()).await?;
            listed.try_collect::<Vec<Document>>().await
        };
        let listed = retried(list).await;
        let listed = listed
            .map_err(|error| failed("cannot list the experiments of logged models", error))?;
        let ages = listed.iter().filter_map(|group| {
            let created = group.get_i64("created").ok();
            Some((group.get_str("_id").ok()?.to_owned(), created))
        });
        Ok(ages.collect())
    }

    /// The runs that made these logged models, by their ids; deleted logged models count too.
    pub(crate) async fn source_runs(self, ids: &[&str]) -> Result<HashMap<String, Option<String>>> {
        let mut runs = HashMap::new();
        for ids in ids.chunks(CHUNK) {
            let filter = doc! { run_field::ID: { "$in": ids } };
            let found = self.find(filter, &[field::SOURCE_RUN]).await?;
            runs.extend(found.iter().filter_map(|document| {
                let run = document.get_str(field::SOURCE_RUN).ok().map(str::to_owned);
                Some((document.get_str(run_field::ID).ok()?.to_owned(), run))
            }));
        }
        Ok(runs)
    }

    /// The whole documents of these ids, deleted ones too.
    pub(crate) async fn documents(self, ids: &[&str]) -> Result<HashMap<String, Document>> {
        let mut documents = HashMap::new();
        for ids in ids.chunks(CHUNK) {
            let found = self
                .find(doc! { run_field::ID: { "$in": ids } }, &[])
                .await?;
            documents.extend(found.into_iter().filter_map(|document| {
                Some((document.get_str(run_field::ID).ok()?.to_owned(), document))
            }));
        }
        Ok(documents)
    }

    /// What `read` keeps of the documents that match; only that is held in memory.
    async fn collect<T>(
        self,
        filter: Document,
        fields: &[&str],
        read: impl Fn(&Document) -> Option<T>,
    ) -> Result<Vec<T>> {
        let projection: Document = fields
            .iter()
            .map(|name| ((*name).to_owned(), 1.into()))
            .collect();
        let collection = self.collection();
        let find = || async {
            let find = collection
                .find(filter.clone())
                .projection(projection.clone());
            let mut found = find.await?;
            let mut kept = Vec::new();
            while let Some(document) = found.try_next().await? {
                kept.extend(read(&document));
            }
            Ok(kept)
        };
        let name = self.name();
        retried(find)
            .await
            .map_err(|error| failed(format!("cannot read collection {name}"), error))
    }
}

const VERSION_FIELDS: [&str; 6] = [
    run_field::NAME,
    field::VERSION,
    field::CREATED,
    field::MODEL_CREATED,
    field::RUN,
    field::FORMER_NAMES,
];

fn live_model(document: &Document) -> Option<LiveModel> {
    Some(LiveModel {
        name: document.get_str(run_field::ID).ok()?.to_owned(),
        created: date(document, field::CREATED),
        updated: date(document, field::UPDATED),
        former_names: former_names_of(document),
    })
}

fn live_version(document: &Document) -> Option<LiveVersion> {
    Some(LiveVersion {
        id: document.get_str(run_field::ID).ok()?.to_owned(),
        name: document.get_str(run_field::NAME).ok()?.to_owned(),
        version: document.get_str(field::VERSION).ok()?.to_owned(),
        created: date(document, field::CREATED),
        model_created: date(document, field::MODEL_CREATED),
        run: document.get_str(field::RUN).ok().map(str::to_owned),
        former_names: former_names_of(document),
    })
}

fn live_logged_model(document: &Document) -> Option<LiveLoggedModel> {
    let mirror = document.get_document(run_field::MIRROR).ok();
    Some(LiveLoggedModel {
        id: document.get_str(run_field::ID).ok()?.to_owned(),
        experiment: document
            .get_document(run_field::EXP)
            .ok()?
            .get_str("id")
            .ok()?
            .to_owned(),
        exp_created: mirror.and_then(|mirror| mirror.get_i64(field::EXP_CREATED).ok()),
    })
}

fn date(document: &Document, name: &str) -> Option<DateTime> {
    document.get_datetime(name).ok().copied()
}
