//! A registered model and its versions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bson::doc;
use futures::TryStreamExt;
use runlineage::lineage::Kind;
use runlineage::{ModelVersion, MongoRunStore, Query, RegisteredModel, Result, Search};
use serde::Serialize;

/// Of more runs, the JSON of a version has only the number.
const MAX_USERS: usize = 1_000;

/// A registered model and its versions, the newest first.
#[derive(Debug, Serialize)]
pub struct Versions {
    /// The model.
    pub model: RegisteredModel,
    /// Its versions, deleted ones too.
    pub versions: Vec<ListedVersion>,
}

/// A version, and what uses it.
#[derive(Debug, Serialize)]
pub struct ListedVersion {
    /// The version.
    #[serde(flatten)]
    pub version: ModelVersion,
    /// The aliases that point to it now.
    pub aliases: Vec<String>,
    /// The versions that are copies of this one, as NAME:VERSION.
    pub copies: Vec<String>,
    /// The runs that read it.
    pub used_by: UsedBy,
}

/// The runs that read a version.
#[derive(Debug, Default, Serialize)]
pub struct UsedBy {
    /// How many runs read it.
    pub count: usize,
    /// Their ids; of many, only some.
    pub runs: BTreeSet<String>,
}

impl Versions {
    /// The versions of a registered model; `None` if the mirror has no such model.
    ///
    /// # Errors
    /// [`runlineage::Error::Mongo`] if MongoDB does not answer, or takes longer than `max_time` for the runs that read the model.
    pub async fn of(
        store: &MongoRunStore,
        name: &str,
        max_time: Option<Duration>,
    ) -> Result<Option<Self>> {
        let Some(model) = store.registered_model(name).await? else {
            return Ok(None);
        };
        let mut used = users(store, name, max_time).await?;
        let mut versions = Vec::new();
        for version in store.model_versions(name).await? {
            let aliases = model.aliases.iter();
            let aliases = aliases.filter(|alias| alias.version == version.version);
            let copies = store.copies_of_version(name, &version.version).await?;
            let copies = copies.iter().filter(|copy| copy.deleted_at.is_none());
            versions.push(ListedVersion {
                aliases: aliases.map(|alias| alias.alias.clone()).collect(),
                copies: copies
                    .map(|copy| format!("{}:{}", copy.name, copy.version))
                    .collect(),
                used_by: used.remove(&version.version).unwrap_or_default(),
                version,
            });
        }
        Ok(Some(Self { model, versions }))
    }
}

/// The runs that read each version of a model.
async fn users(
    store: &MongoRunStore,
    name: &str,
    max_time: Option<Duration>,
) -> Result<BTreeMap<String, UsedBy>> {
    let query = Query::new().with_input_model(name, None);
    let mut search = Search::from(query).projection(doc! { "inputs.models": 1 });
    if let Some(time) = max_time {
        search = search.max_time(time);
    }
    let mut runs = store.find_runs(search).await?;
    let mut used: BTreeMap<String, UsedBy> = BTreeMap::new();
    while let Some(run) = runs.try_next().await? {
        let lineage = run.lineage()?;
        let read = lineage.inputs.of_kind(Kind::MODEL).get(name);
        for version in read.into_iter().flatten() {
            let used = used.entry(version.clone()).or_default();
            used.count += 1;
            if used.runs.len() < MAX_USERS {
                used.runs.insert(run.id().to_owned());
            }
        }
    }
    Ok(used)
}
