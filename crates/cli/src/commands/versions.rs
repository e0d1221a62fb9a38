//! `versions`: lists the versions of a registered model, and who made and used them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::ExitCode;

use bson::{Bson, DateTime, doc};
use futures::TryStreamExt;
use runlineage::lineage::Kind;
use runlineage::{ModelVersion, MongoRunStore, Query, RegisteredModel, Search};
use serde::Serialize;

use super::{Result, say_freshness};
use crate::args::{ConnectionArgs, ReportFormat, VersionsArgs};
use crate::cell::value_text;
use crate::connect;
use crate::output::table;
use crate::say::{counted, say};
use crate::stdout::stdout;

/// Of more runs, the JSON of a version has only the number.
const MAX_USERS: usize = 1_000;

pub(crate) async fn run(connection: &ConnectionArgs, args: VersionsArgs) -> Result {
    let mirror = connect::mirror(connection).await?;
    if !say_freshness(&mirror.store).await? {
        return Ok(ExitCode::FAILURE);
    }
    let mut versions = Versions::of(&mirror.store, &args.name).await?;
    if !args.deleted {
        let all = versions.versions.len();
        let is_there = |version: &ListedVersion| version.version.deleted_at.is_none();
        versions.versions.retain(is_there);
        let deleted = (all - versions.versions.len()) as u64;
        if deleted > 0 {
            say!(
                "{} left out; --deleted lists them.",
                counted(deleted, "deleted version")
            );
        }
    }
    match args.format {
        ReportFormat::Json => {
            serde_json::to_writer(stdout(), &versions)?;
            stdout().write_all(b"\n")?;
        }
        ReportFormat::Table => writeln!(stdout(), "{}", versions.table())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A registered model and its versions, the newest first.
#[derive(Debug, Serialize)]
pub(super) struct Versions {
    model: RegisteredModel,
    versions: Vec<ListedVersion>,
}

#[derive(Debug, Serialize)]
struct ListedVersion {
    #[serde(flatten)]
    version: ModelVersion,
    aliases: Vec<String>,
    /// The versions that are copies of this one, as NAME:VERSION.
    copies: Vec<String>,
    used_by: UsedBy,
}

/// The runs that read a version.
#[derive(Debug, Default, Serialize)]
struct UsedBy {
    count: usize,
    runs: BTreeSet<String>,
}

impl Versions {
    pub(super) async fn of(store: &MongoRunStore, name: &str) -> Result<Self> {
        let Some(model) = store.registered_model(name).await? else {
            anyhow::bail!(
                "no registered model {name:?} is mirrored; if it is new in MLflow, run `runlineage sync` first. Models that only runs name are found by `find --input-model` and `find --output-model`"
            );
        };
        let mut used = users(store, name).await?;
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
        Ok(Self { model, versions })
    }

    pub(super) fn model(&self) -> &RegisteredModel {
        &self.model
    }

    pub(super) fn table(&self) -> impl std::fmt::Display {
        let header = [
            "version", "created", "run", "aliases", "stage", "copy of", "copies", "used by",
        ];
        let rows = self.versions.iter().map(|listed| {
            let version = &listed.version;
            let deleted = version.deleted_at.map(|_| " (deleted)");
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            vec![
                format!("{}{}", version.version, deleted.unwrap_or_default()),
                version.created.map(date).unwrap_or_default(),
                text(&version.run),
                listed.aliases.join("\n"),
                text(&version.stage),
                text(&version.copied_from),
                listed.copies.join("\n"),
                counted(listed.used_by.count as u64, "run"),
            ]
        });
        table(&header.map(str::to_owned), rows)
    }
}

fn date(date: DateTime) -> String {
    value_text(&Bson::DateTime(date))
}

/// The runs that read each version of a model.
async fn users(store: &MongoRunStore, name: &str) -> Result<BTreeMap<String, UsedBy>> {
    let query = Query::new().with_input_model(name, None);
    let search = Search::from(query).projection(doc! { "inputs.models": 1 });
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
