//! The registry's records of versions, logged models and models.

use std::collections::BTreeSet;

use bson::{Bson, DateTime, Document, doc};
use futures::TryStreamExt as _;
use mongodb::Collection;
use mongodb::action::Action as _;

use super::{CHUNK, Neighbours, cannot_read, chunks};
use crate::error::Result;
use crate::mongo::collections::Collections;
use crate::node::{Kind, Node};
use crate::run::field;

/// The registry record of a version.
#[derive(Debug, Clone)]
pub(crate) struct RegisteredVersion {
    pub(crate) node: Node,
    pub(crate) created: Option<DateTime>,
    pub(crate) run: Option<String>,
    pub(crate) logged_model: Option<String>,
    pub(crate) copied_from: Option<Node>,
    pub(crate) stage: Option<String>,
    pub(crate) is_deleted: bool,
}

/// The record of a logged model.
#[derive(Debug, Clone)]
pub(crate) struct LoggedModel {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) experiment: Option<String>,
    pub(crate) source_run: Option<String>,
    pub(crate) is_deleted: bool,
}

/// The registry record of a model.
#[derive(Debug, Clone)]
pub(crate) struct RegisteredModel {
    pub(crate) name: String,
    pub(crate) former_names: Vec<String>,
    /// Pairs of alias and version.
    pub(crate) aliases: Vec<(String, String)>,
}

/// A field of `model_versions` to search by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum VersionsBy {
    Id,
    Name,
    Run,
    LoggedModel,
    CopiedFrom,
}

/// A field of `logged_models` to search by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LoggedModelsBy {
    Id,
    SourceRun,
}

const VERSION_FIELDS: &[&str] = &[
    "name",
    "version",
    "created",
    "run",
    "logged_model",
    "copied_from",
    "stage",
    "deleted_at",
];

const LOGGED_MODEL_FIELDS: &[&str] = &["name", field::EXP_ID, "source_run", "deleted_at"];

impl Neighbours<'_> {
    /// The registered models of these names.
    pub(crate) async fn models(&self, names: &BTreeSet<String>) -> Result<Vec<RegisteredModel>> {
        let models = Collections::of(self.store).models();
        let fields = ["aliases"];
        let found = self.find_by(models, field::ID, names, &fields).await?;
        Ok(found.iter().filter_map(RegisteredModel::of).collect())
    }

    pub(crate) async fn versions(
        &self,
        by: VersionsBy,
        keys: &BTreeSet<String>,
    ) -> Result<Vec<RegisteredVersion>> {
        if !self.filled.versions {
            return Ok(Vec::new());
        }
        let versions = Collections::of(self.store).model_versions();
        let found = self
            .find_by(versions, by.field(), keys, VERSION_FIELDS)
            .await?;
        Ok(found.iter().filter_map(RegisteredVersion::of).collect())
    }

    pub(crate) async fn logged_models(
        &self,
        by: LoggedModelsBy,
        keys: &BTreeSet<String>,
    ) -> Result<Vec<LoggedModel>> {
        if !self.filled.logged_models {
            return Ok(Vec::new());
        }
        let models = Collections::of(self.store).logged_models();
        let found = self
            .find_by(models, by.field(), keys, LOGGED_MODEL_FIELDS)
            .await?;
        let models = found.iter().filter_map(|model| {
            Some(LoggedModel {
                id: model.get_str(field::ID).ok()?.to_owned(),
                name: text(model, "name"),
                experiment: model
                    .get_document(field::EXP)
                    .ok()
                    .and_then(|exp| text(exp, "id")),
                source_run: text(model, "source_run"),
                is_deleted: model.contains_key("deleted_at"),
            })
        });
        Ok(models.collect())
    }

    async fn find_by(
        &self,
        collection: Collection<Document>,
        by: &str,
        keys: &BTreeSet<String>,
        fields: &[&str],
    ) -> Result<Vec<Document>> {
        let fields: Document = fields
            .iter()
            .map(|field| ((*field).to_owned(), Bson::from(1)))
            .collect();
        let mut found = Vec::new();
        for keys in chunks(keys, CHUNK) {
            let find = async {
                let find = collection.find(doc! { by: { "$in": keys } });
                find.projection(fields.clone())
                    .optional(self.max_time, |find, time| find.max_time(time))
                    .await?
                    .try_collect::<Vec<_>>()
                    .await
            };
            found.extend(find.await.map_err(cannot_read)?);
        }
        Ok(found)
    }
}

impl VersionsBy {
    fn field(self) -> &'static str {
        match self {
            Self::Id => field::ID,
            Self::Name => "name",
            Self::Run => "run",
            Self::LoggedModel => "logged_model",
            Self::CopiedFrom => "copied_from",
        }
    }
}

impl LoggedModelsBy {
    fn field(self) -> &'static str {
        match self {
            Self::Id => field::ID,
            Self::SourceRun => "source_run",
        }
    }
}

impl RegisteredVersion {
    /// Whether the registry knows a source of the version.
    pub(crate) fn is_made(&self) -> bool {
        self.run.is_some() || self.logged_model.is_some() || self.copied_from.is_some()
    }

    fn of(version: &Document) -> Option<Self> {
        let name = version.get_str("name").ok()?;
        let number = version.get_str("version").ok()?;
        let copied_from = version.get_str("copied_from").ok();
        let copied_from = copied_from.and_then(|original| original.rsplit_once(':'));
        Some(Self {
            node: Node::stored(Kind::MODEL, name, Some(number)),
            created: version.get_datetime("created").ok().copied(),
            run: text(version, "run"),
            logged_model: text(version, "logged_model"),
            copied_from: copied_from
                .map(|(name, number)| Node::stored(Kind::MODEL, name, Some(number))),
            stage: text(version, "stage"),
            is_deleted: version.contains_key("deleted_at"),
        })
    }
}

impl RegisteredModel {
    pub(super) fn of(model: &Document) -> Option<Self> {
        let array = |field: &str| model.get_array(field).ok().into_iter().flatten();
        let alias = |alias: &Bson| {
            let alias = alias.as_document()?;
            Some((text(alias, "alias")?, text(alias, "version")?))
        };
        Some(Self {
            name: model.get_str(field::ID).ok()?.to_owned(),
            former_names: array("former_names")
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
            aliases: array("aliases").filter_map(alias).collect(),
        })
    }
}

/// The `_id` of a version's document.
pub(crate) fn version_id(node: &Node) -> Option<String> {
    let version = node.detail()?;
    Some(format!("{}:{version}", node.key()))
}

fn text(document: &Document, field: &str) -> Option<String> {
    document.get_str(field).ok().map(str::to_owned)
}
