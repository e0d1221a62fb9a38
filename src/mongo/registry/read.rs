//! What the mirror tells its readers of registered models, their versions and logged models.

use std::cmp::Reverse;

use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::action::Action as _;

use crate::error::Result;
use crate::mongo::MongoRunStore;
use crate::mongo::collections::Collections;
use crate::mongo::failure::failed;
use crate::node::{ModelPointer, PointsTo};
use crate::registry::{LoggedModel, ModelVersion, RegisteredModel, field, version_id};
use crate::run::field as run_field;

impl MongoRunStore {
    /// The registered model of this name, or `None`; a deleted one too.
    ///
    /// # Errors
    /// [`Error::Mongo`](crate::Error::Mongo) when MongoDB does not answer.
    pub async fn registered_model(&self, name: &str) -> Result<Option<RegisteredModel>> {
        let models = Collections::of(self).models();
        let found = models
            .find_one(doc! { run_field::ID: name })
            .optional(self.max_time, |find, time| find.max_time(time))
            .await;
        let found = found.map_err(|error| failed("cannot read a registered model", error))?;
        Ok(found.as_ref().and_then(RegisteredModel::of))
    }

    /// This version of a registered model, or `None`; a deleted one too.
    ///
    /// # Errors
    /// As [`registered_model`](Self::registered_model).
    pub async fn model_version(&self, name: &str, version: &str) -> Result<Option<ModelVersion>> {
        let versions = Collections::of(self).model_versions();
        let id = version_id(name, version);
        let found = versions
            .find_one(doc! { run_field::ID: id })
            .optional(self.max_time, |find, time| find.max_time(time))
            .await;
        let found = found.map_err(|error| failed("cannot read a version of a model", error))?;
        Ok(found.as_ref().and_then(ModelVersion::of))
    }

    /// The versions of a registered model, the newest first; deleted ones too.
    ///
    /// # Errors
    /// As [`registered_model`](Self::registered_model).
    pub async fn model_versions(&self, name: &str) -> Result<Vec<ModelVersion>> {
        self.versions(doc! { run_field::NAME: name }).await
    }

    /// The versions that are copies of this version; deleted ones too.
    ///
    /// # Errors
    /// As [`registered_model`](Self::registered_model).
    pub async fn copies_of_version(&self, name: &str, version: &str) -> Result<Vec<ModelVersion>> {
        let of = doc! { field::COPIED_FROM: version_id(name, version) };
        self.versions(of).await
    }

    /// The versions that were registered from this logged model; deleted ones too.
    ///
    /// # Errors
    /// As [`registered_model`](Self::registered_model).
    pub async fn versions_of_logged_model(&self, id: &str) -> Result<Vec<ModelVersion>> {
        self.versions(doc! { field::LOGGED_MODEL: id }).await
    }

    /// The logged model of this id, or `None`; a deleted one too.
    ///
    /// # Errors
    /// As [`registered_model`](Self::registered_model).
    pub async fn logged_model(&self, id: &str) -> Result<Option<LoggedModel>> {
        let logged_models = Collections::of(self).logged_models();
        let found = logged_models
            .find_one(doc! { run_field::ID: id })
            .optional(self.max_time, |find, time| find.max_time(time))
            .await;
        let found = found.map_err(|error| failed("cannot read a logged model", error))?;
        Ok(found.as_ref().and_then(LoggedModel::of))
    }

    /// The version to which an alias, a stage or `latest` points in the mirror; `None` where the mirror knows none.
    ///
    /// The mirror is as old as its last pass: see [`freshness`](Self::freshness).
    ///
    /// # Errors
    /// As [`registered_model`](Self::registered_model).
    pub async fn resolve_version(&self, pointer: &ModelPointer) -> Result<Option<String>> {
        let name = pointer.name.as_str();
        if let PointsTo::Alias(alias) = &pointer.to {
            let model = self.registered_model(name).await?;
            let model = model.filter(|model| model.deleted_at.is_none());
            return Ok(model.and_then(|model| model.version_of_alias(alias).map(str::to_owned)));
        }
        let mut versions = self.model_versions(name).await?;
        versions.retain(|version| version.deleted_at.is_none());
        if let PointsTo::Stage(stage) = &pointer.to {
            versions.retain(|version| {
                let stored = version.stage.as_deref();
                stored.is_some_and(|stored| stored.eq_ignore_ascii_case(stage))
            });
        }
        Ok(versions.into_iter().next().map(|version| version.version))
    }

    async fn versions(&self, filter: Document) -> Result<Vec<ModelVersion>> {
        let versions = Collections::of(self).model_versions();
        let found = versions
            .find(filter)
            .optional(self.max_time, |find, time| find.max_time(time));
        let found = async { found.await?.try_collect::<Vec<_>>().await };
        let found = found.await;
        let found = found.map_err(|error| failed("cannot read versions of models", error))?;
        let mut versions: Vec<ModelVersion> = found.iter().filter_map(ModelVersion::of).collect();
        versions.sort_by_key(|version| (version.name.clone(), Reverse(version.number())));
        Ok(versions)
    }
}
