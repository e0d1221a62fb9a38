//! [`Renames`]: mirrored models that MLflow shows under another name now.
//!
//! A rename keeps the creation times of a model and of its versions, their numbers and their runs.

use std::collections::{BTreeSet, HashMap};

use futures::TryStreamExt;

use super::{RegistryMirror, is_not_there};
use crate::error::Result;
use crate::mlflow::wire_registry::{RawModel, RawVersion};
use crate::mongo::registry::{LiveModel, LiveVersion};
use crate::registry::{RegistryCollection, RegistryDocument, field};
use crate::run::field as run_field;

/// Renamed models by their new names, and their versions as they are mirrored under the old ones.
#[derive(Default)]
pub(super) struct Renames {
    old: HashMap<String, LiveModel>,
    versions: HashMap<(String, String), LiveVersion>,
}

impl RegistryMirror<'_> {
    /// Finds renamed models. MLflow is asked about each old name, since a listing alone may lack a model that exists.
    pub(super) async fn renames(
        self,
        listed: &HashMap<String, RawModel>,
        mirrored: &[LiveModel],
    ) -> Result<Renames> {
        let mut by_creation: HashMap<_, Vec<&str>> = HashMap::new();
        for model in listed.values() {
            by_creation
                .entry(model.created())
                .or_default()
                .push(&model.name);
        }
        let mut renames = Renames::default();
        for old in mirrored.iter().filter(|old| old.created.is_some()) {
            let is_shown = listed
                .get(&old.name)
                .is_some_and(|now| now.created() == old.created);
            // Several models of one creation time cannot be told apart.
            let Some([new]) = by_creation.get(&old.created).map(Vec::as_slice) else {
                continue;
            };
            if !is_shown && self.has_left(old).await? {
                renames.old.insert((*new).to_owned(), old.clone());
            }
        }
        let names: Vec<String> = renames.old.values().map(|old| old.name.clone()).collect();
        let versions = self.store(RegistryCollection::Versions);
        for version in versions.live_versions_of(&names).await? {
            let key = (version.name.clone(), version.version.clone());
            renames.versions.insert(key, version);
        }
        Ok(renames)
    }

    /// Whether MLflow says that the model of this name is gone, or was made at another time.
    async fn has_left(self, model: &LiveModel) -> Result<bool> {
        match self.settings.mlflow.raw_model(&model.name).await {
            Ok(now) => Ok(now.created() != model.created),
            Err(error) => Ok(is_not_there(&error)),
        }
    }

    /// Whether a renamed model has a version that is mirrored under the old name. The creation time of a model alone may be
    /// shared by chance.
    pub(super) async fn shows_renamed_versions(self, renames: &Renames) -> Result<bool> {
        for (new, old) in &renames.old {
            let names = [new.clone()];
            let mut versions = self.settings.mlflow.raw_versions_of(&names);
            while let Some(page) = versions.try_next().await? {
                let is_known = |raw: &RawVersion| {
                    let key = (old.name.clone(), raw.version.clone());
                    renames.versions.get(&key).is_some_and(|mirrored| {
                        mirrored.created.is_some() && mirrored.created == raw.created()
                    })
                };
                if page.iter().any(is_known) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Renames {
    /// Whether this mirrored model has another name now.
    pub(super) fn renamed(&self, model: &LiveModel) -> bool {
        let is_this = |old: &LiveModel| old.name == model.name;
        self.old.values().any(is_this)
    }

    /// Whether a model of this name was renamed from another one.
    pub(super) fn is_new_name(&self, name: &str) -> bool {
        self.old.contains_key(name)
    }

    /// Adds the former names of a model.
    pub(super) fn name_model(&self, document: &mut RegistryDocument) {
        if let Some(old) = self.old.get(&document.id) {
            add(&mut document.former_names, &old.name, &old.former_names);
        }
    }

    /// Adds the former names of a version, where it is the one that is mirrored under the old name.
    pub(super) fn name_version(&self, document: &mut RegistryDocument) {
        let text = |name: &str| document.fields.get_str(name).ok();
        let date = |name: &str| document.fields.get_datetime(name).ok().copied();
        let (Some(name), Some(version)) = (text(run_field::NAME), text(field::VERSION)) else {
            return;
        };
        let Some(model) = self.old.get(name) else {
            return;
        };
        let Some(old) = self.versions.get(&(model.name.clone(), version.to_owned())) else {
            return;
        };
        let is_same = old.created == date(field::CREATED)
            && old.model_created == date(field::MODEL_CREATED)
            && old.run.as_deref() == text(field::RUN);
        if is_same {
            add(&mut document.former_names, &old.name, &old.former_names);
        }
    }
}

fn add(names: &mut BTreeSet<String>, old: &str, former: &BTreeSet<String>) {
    names.insert(old.to_owned());
    names.extend(former.iter().cloned());
}
