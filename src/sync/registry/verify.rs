//! [`RegistryVerifier`]: compares registered models, versions and logged models with MLflow, document by document.

use std::collections::{HashMap, HashSet};

use bson::Document;
use futures::TryStreamExt;

use super::is_not_there;
use super::versions::VersionMapper;
use crate::error::Result;
use crate::mlflow::logged_models::LoggedModelScan;
use crate::mlflow::registry_document::{map_logged_model, map_model};
use crate::mlflow::wire::RawExperiment;
use crate::mlflow::wire_registry::RawModel;
use crate::mongo::registry::RegistryStore;
use crate::node::{Kind, Node};
use crate::registry::{RegistryCollection, RegistryDocument, field};
use crate::run::field as run_field;
use crate::sync::compare::{Difference, differing_field};
use crate::sync::seen::Seen;
use crate::sync::settings::Settings;

/// How many documents are compared at once.
const CHUNK: usize = 1_000;
/// How many experiments one request names.
const NAMED_AT_ONCE: usize = 100;

/// Fields of `mirror` that do not follow from MLflow's answer.
const OF_THE_MIRROR: [&str; 3] = [
    run_field::TICKET,
    run_field::CHANGED_AT,
    field::PENDING_RUNS,
];

/// One comparison of the three collections.
pub(in crate::sync) struct RegistryVerifier<'a> {
    settings: &'a Settings,
    /// When MLflow made each of the chosen experiments.
    experiments: HashMap<&'a str, Option<i64>>,
}

/// A document that differed at the first look.
#[derive(PartialEq, Eq, Hash)]
struct Suspect {
    which: RegistryCollection,
    id: String,
}

impl<'a> RegistryVerifier<'a> {
    pub(in crate::sync) fn new(settings: &'a Settings, chosen: &'a [RawExperiment]) -> Self {
        let created = |experiment: &'a RawExperiment| {
            (experiment.experiment_id.as_str(), experiment.creation_time)
        };
        Self {
            settings,
            experiments: chosen.iter().map(created).collect(),
        }
    }

    /// Every difference that is still there at a second look.
    pub(in crate::sync) async fn run(self) -> Result<Vec<Difference>> {
        if !self.settings.registry {
            return Ok(Vec::new());
        }
        let mut suspects = self.compare_logged_models().await?;
        suspects.extend(self.compare_models().await?);
        let mut differences = Vec::new();
        for suspect in suspects {
            differences.extend(self.second_look(suspect).await?);
        }
        Ok(differences)
    }

    fn store(&self, which: RegistryCollection) -> RegistryStore<'a> {
        RegistryStore::of(&self.settings.store, which)
    }

    async fn compare_models(&self) -> Result<HashSet<Suspect>> {
        let mlflow = &self.settings.mlflow;
        let models: HashMap<String, RawModel> = mlflow
            .raw_models()
            .await?
            .into_iter()
            .map(|model| (model.name.clone(), model))
            .collect();
        let documents: Vec<_> = models.values().map(map_model).collect::<Result<_>>()?;
        let mut suspects = self.compare(RegistryCollection::Models, documents).await?;
        let live = self.store(RegistryCollection::Models).live_models().await?;
        let extra = live
            .into_iter()
            .filter(|model| !models.contains_key(&model.name));
        suspects.extend(extra.map(|model| Suspect {
            which: RegistryCollection::Models,
            id: model.name,
        }));

        let seen = Seen::default();
        let names: Vec<String> = models.keys().cloned().collect();
        let mut mapper = self.mapper(&models);
        let mut pages = mlflow.raw_versions(&names);
        while let Some(page) = pages.try_next().await? {
            for chunk in page.chunks(CHUNK) {
                let documents = mapper.map(chunk).await?;
                documents
                    .iter()
                    .for_each(|document| seen.insert(&document.id));
                suspects.extend(
                    self.compare(RegistryCollection::Versions, documents)
                        .await?,
                );
            }
        }
        let versions = self.store(RegistryCollection::Versions);
        let extra = versions.unseen_versions(|id| seen.contains(id)).await?;
        suspects.extend(extra.into_iter().map(|version| Suspect {
            which: RegistryCollection::Versions,
            id: version.id,
        }));
        Ok(suspects)
    }

    async fn compare_logged_models(&self) -> Result<HashSet<Suspect>> {
        let ids: Vec<&str> = self.experiments.keys().copied().collect();
        let (seen, mut suspects) = (Seen::default(), HashSet::new());
        for chunk in ids.chunks(NAMED_AT_ONCE) {
            let chunk: Vec<String> = chunk.iter().map(|id| (*id).to_owned()).collect();
            let mut scan = LoggedModelScan::new(self.settings.mlflow.clone(), chunk)
                .page_size(self.settings.page_size);
            while let Some((page, _)) = scan.next_page().await? {
                let documents = page.iter().map(|raw| {
                    seen.insert(&raw.info.model_id);
                    map_logged_model(raw, self.exp_created(&raw.info.experiment_id))
                });
                let documents = documents.collect::<Result<_>>()?;
                suspects.extend(
                    self.compare(RegistryCollection::LoggedModels, documents)
                        .await?,
                );
            }
        }
        let store = self.store(RegistryCollection::LoggedModels);
        let extra = store
            .unseen_logged_models(&ids, |id| seen.contains(id))
            .await?;
        suspects.extend(extra.into_iter().map(|model| Suspect {
            which: RegistryCollection::LoggedModels,
            id: model.id,
        }));
        Ok(suspects)
    }

    fn exp_created(&self, experiment: &str) -> Option<i64> {
        self.experiments.get(experiment).copied().flatten()
    }

    fn mapper<'m>(&'m self, models: &'m HashMap<String, RawModel>) -> VersionMapper<'m> {
        let logged_models = self.store(RegistryCollection::LoggedModels);
        VersionMapper::new(&self.settings.mlflow, logged_models, models)
    }

    async fn compare(
        &self,
        which: RegistryCollection,
        documents: Vec<RegistryDocument>,
    ) -> Result<HashSet<Suspect>> {
        let mut suspects = HashSet::new();
        for documents in documents.chunks(CHUNK) {
            let ids: Vec<&str> = documents.iter().map(|one| one.id.as_str()).collect();
            let stored = self.store(which).documents(&ids).await?;
            let differing = documents
                .iter()
                .filter(|document| difference(which, document, stored.get(&document.id)).is_some());
            suspects.extend(differing.map(|document| Suspect {
                which,
                id: document.id.clone(),
            }));
        }
        Ok(suspects)
    }

    /// Looks at a document once more, since it may have changed in between.
    async fn second_look(&self, suspect: Suspect) -> Result<Option<Difference>> {
        let Suspect { which, id } = &suspect;
        let shown = self.shown(&suspect).await;
        let mut stored = self.store(*which).documents(&[id]).await?;
        let stored = stored.remove(id).filter(|stored| !is_deleted(stored));
        match shown {
            Ok(Some(document)) => Ok(difference(*which, &document, stored.as_ref())),
            Ok(None) => Ok(None),
            Err(error) if is_not_there(&error) => {
                let node = node(*which, id);
                Ok(stored.map(|_| Difference::extra(node, error.to_string())))
            }
            Err(error) => Err(error),
        }
    }

    /// What MLflow shows now; `None` for a version of a prompt.
    async fn shown(&self, suspect: &Suspect) -> Result<Option<RegistryDocument>> {
        let (mlflow, id) = (&self.settings.mlflow, suspect.id.as_str());
        match suspect.which {
            RegistryCollection::Models => map_model(&mlflow.raw_model(id).await?).map(Some),
            RegistryCollection::Versions => {
                let (name, version) = id.rsplit_once(':').unwrap_or((id, ""));
                let raw = mlflow.raw_version(name, version).await?;
                let listed = HashMap::new();
                let mut documents = self.mapper(&listed).map(&[raw]).await?;
                Ok(documents.pop())
            }
            RegistryCollection::LoggedModels => {
                let raw = mlflow.raw_logged_model(id, false).await?;
                let created = self.exp_created(&raw.info.experiment_id);
                map_logged_model(&raw, created).map(Some)
            }
        }
    }
}

/// How the stored document differs from what would be written now, if it does.
fn difference(
    which: RegistryCollection,
    document: &RegistryDocument,
    stored: Option<&Document>,
) -> Option<Difference> {
    let node = || node(which, &document.id);
    let Some(stored) = stored.filter(|stored| !is_deleted(stored)) else {
        return Some(Difference::missing(node()));
    };
    let mut would_be = document.fields.clone();
    would_be.insert(run_field::MIRROR, &document.mirror);
    let mut is = stored.clone();
    is.remove(field::FORMER_NAMES);
    if let Ok(mirror) = is.get_document_mut(run_field::MIRROR) {
        OF_THE_MIRROR
            .iter()
            .for_each(|name| drop(mirror.remove(name)));
    }
    differing_field(&would_be, &is).map(|what| Difference::stale(node(), what))
}

fn is_deleted(stored: &Document) -> bool {
    stored.contains_key(field::DELETED_AT)
}

fn node(which: RegistryCollection, id: &str) -> Node {
    match which {
        RegistryCollection::Models => Node::stored(Kind::MODEL, id, None),
        RegistryCollection::Versions => {
            let (name, version) = id.rsplit_once(':').unwrap_or((id, ""));
            Node::stored(Kind::MODEL, name, Some(version))
        }
        RegistryCollection::LoggedModels => Node::stored(Kind::LOGGED_MODEL, id, None),
    }
}
