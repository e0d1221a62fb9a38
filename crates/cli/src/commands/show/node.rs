//! What the mirror knows of a node that is no run: its fields, and the runs that wrote and read it.

use std::fmt::Write as _;

use bson::{Bson, doc};
use futures::TryStreamExt;
use runlineage::lineage::{Direction, Kind};
use runlineage::{LoggedModel, ModelVersion, MongoRunStore, Node, Query, Run, Search};
use serde::Serialize;

use super::super::Result;
use super::super::versions::Versions;
use crate::cell::value_text;
use crate::output::{ago, printable, table};
use crate::pages::Pages;
use crate::say::counted;
use crate::secret::masked;

/// How many runs are listed on each side, the newest first.
const MAX_RUNS: u32 = 20;

/// A node, its fields, and the runs on both sides of it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    node: String,
    #[serde(flatten)]
    facts: Facts,
    written_by: Option<Runs>,
    read_by: Option<Runs>,
}

/// What the registry knows of the node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Facts {
    Model(Box<Versions>),
    Version {
        #[serde(flatten)]
        version: Box<ModelVersion>,
        aliases: Vec<String>,
        copies: Vec<String>,
    },
    LoggedModel {
        #[serde(flatten)]
        logged_model: Box<LoggedModel>,
        versions: Vec<String>,
    },
    /// Only runs name it.
    None {},
}

/// The newest runs on one side of a node, and how many there are.
#[derive(Debug, Serialize)]
struct Runs {
    count: u64,
    newest: Vec<ListedRun>,
}

#[derive(Debug, Serialize)]
struct ListedRun {
    run: String,
    name: Option<String>,
    experiment: Option<String>,
    status: Option<String>,
    started: Option<String>,
}

impl Shown {
    pub(super) async fn of(store: &MongoRunStore, node: &Node) -> Result<Self> {
        let facts = Facts::of(store, node).await?;
        let (written_by, read_by) = (
            Runs::of(store, node, Direction::Output).await?,
            Runs::of(store, node, Direction::Input).await?,
        );
        let count = |side: &Option<Runs>| side.as_ref().map_or(0, |side| side.count);
        let is_named = count(&written_by) + count(&read_by) > 0;
        if matches!(facts, Facts::None {}) && !is_named {
            let what = node.kind().spec().key_means;
            anyhow::bail!("the mirror has never seen the {what} {:?}", node.key());
        }
        Ok(Self {
            node: node.to_string(),
            facts,
            written_by,
            read_by,
        })
    }

    pub(super) fn text(&self, pages: Option<&Pages>) -> Result<String> {
        let mut text = String::new();
        let mut line = |name: &str, value: Option<String>| -> Result<()> {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                writeln!(text, "{name:<12} {}", printable(&masked(&value)))?;
            }
            Ok(())
        };
        line("node", Some(self.node.clone()))?;
        match &self.facts {
            Facts::Model(versions) => {
                let model = versions.model();
                let alias =
                    |alias: &runlineage::Alias| format!("{} → {}", alias.alias, alias.version);
                let aliases: Vec<String> = model.aliases.iter().map(alias).collect();
                line("created", model.created.map(ago))?;
                line("updated", model.updated.map(ago))?;
                line("aliases", Some(aliases.join(", ")))?;
                line("former names", Some(model.former_names.join(", ")))?;
                line("deleted", model.deleted_at.map(ago))?;
                line("in MLflow", pages.map(|pages| pages.model(&model.name)))?;
                writeln!(text, "\n{}", versions.table())?;
            }
            Facts::Version {
                version,
                aliases,
                copies,
            } => {
                line("created", version.created.map(ago))?;
                line("run", version.run.clone())?;
                line("aliases", Some(aliases.join(", ")))?;
                line("stage", version.stage.clone())?;
                line("source", version.source.clone())?;
                line("copy of", version.copied_from.clone())?;
                line("copies", Some(copies.join(", ")))?;
                line("former names", Some(version.former_names.join(", ")))?;
                line("deleted", version.deleted_at.map(ago))?;
                let page = |pages: &Pages| pages.version(&version.name, &version.version);
                line("in MLflow", pages.map(page))?;
            }
            Facts::LoggedModel {
                logged_model,
                versions,
            } => {
                line("name", logged_model.name.clone())?;
                line("created", logged_model.created.map(ago))?;
                line("status", logged_model.status.clone())?;
                line("model type", logged_model.model_type.clone())?;
                line("run", logged_model.source_run.clone())?;
                line("versions", Some(versions.join(", ")))?;
                line("deleted", logged_model.deleted_at.map(ago))?;
                let experiment = logged_model.experiment.as_deref();
                let page = pages.zip(experiment);
                line(
                    "in MLflow",
                    page.map(|(pages, exp)| pages.logged_model(exp, &logged_model.id)),
                )?;
            }
            Facts::None {} => {}
        }
        for (verb, runs) in [("wrote", &self.written_by), ("read", &self.read_by)] {
            if let Some(runs) = runs {
                runs.write(&mut text, verb)?;
            }
        }
        Ok(text)
    }
}

impl Facts {
    async fn of(store: &MongoRunStore, node: &Node) -> Result<Self> {
        let name = node.key();
        let known = match node.detail() {
            _ if node.kind() == Kind::LOGGED_MODEL => Self::logged_model(store, name).await?,
            _ if node.kind() != Kind::MODEL => None,
            Some(version) => Self::version(store, name, version).await?,
            None => match store.registered_model(name).await? {
                Some(_) => Some(Self::Model(Box::new(Versions::of(store, name).await?))),
                None => None,
            },
        };
        Ok(known.unwrap_or(Self::None {}))
    }

    async fn version(store: &MongoRunStore, name: &str, version: &str) -> Result<Option<Self>> {
        let Some(found) = store.model_version(name, version).await? else {
            return Ok(None);
        };
        let model = store.registered_model(name).await?;
        let aliases = model.map(|model| model.aliases).unwrap_or_default();
        let aliases = aliases.into_iter().filter(|alias| alias.version == version);
        let copies = store.copies_of_version(name, version).await?;
        Ok(Some(Self::Version {
            version: Box::new(found),
            aliases: aliases.map(|alias| alias.alias).collect(),
            copies: copies.iter().map(name_of_version).collect(),
        }))
    }

    async fn logged_model(store: &MongoRunStore, id: &str) -> Result<Option<Self>> {
        let Some(logged_model) = store.logged_model(id).await? else {
            return Ok(None);
        };
        let versions = store.versions_of_logged_model(id).await?;
        Ok(Some(Self::LoggedModel {
            logged_model: Box::new(logged_model),
            versions: versions.iter().map(name_of_version).collect(),
        }))
    }
}

fn name_of_version(version: &ModelVersion) -> String {
    format!("{}:{}", version.name, version.version)
}

impl Runs {
    /// `None` where runs cannot refer to a node of this kind.
    async fn of(store: &MongoRunStore, node: &Node, direction: Direction) -> Result<Option<Self>> {
        if !node.kind().spec().directions.contains(&direction) {
            return Ok(None);
        }
        let query = match direction {
            Direction::Input => Query::new().with_input(node.clone()),
            Direction::Output => Query::new().with_output(node.clone()),
        };
        let fields = doc! { "name": 1, "exp": 1, "status": 1, "start_time": 1 };
        let newest = Search::from(&query).newest_first().limit(MAX_RUNS);
        let newest = store.find_runs(newest.projection(fields)).await?;
        let newest: Vec<Run> = newest.try_collect().await?;
        Ok(Some(Self {
            count: store.count_runs(&query).await?,
            newest: newest.iter().map(ListedRun::of).collect(),
        }))
    }

    fn write(&self, text: &mut String, verb: &str) -> Result<()> {
        if self.count == 0 {
            writeln!(text, "\nNo run {verb} it, as far as the mirror knows.")?;
            return Ok(());
        }
        let newest = self.newest.len() as u64;
        let which = if newest < self.count {
            format!("; the newest {newest}:")
        } else {
            ":".to_owned()
        };
        writeln!(text, "\n{} {verb} it{which}", counted(self.count, "run"))?;
        let header = ["run", "name", "experiment", "status", "started"].map(str::to_owned);
        let rows = self.newest.iter().map(|run| {
            let cell = |cell: &Option<String>| cell.clone().unwrap_or_default();
            let cells = [&run.name, &run.experiment, &run.status, &run.started];
            let cells = cells.map(cell).into_iter();
            [run.run.clone()].into_iter().chain(cells).collect()
        });
        writeln!(text, "{}", table(&header, rows))?;
        Ok(())
    }
}

impl ListedRun {
    fn of(run: &Run) -> Self {
        let started = run.start_time().map(Bson::DateTime);
        Self {
            run: run.id().to_owned(),
            name: run.name().map(str::to_owned),
            experiment: run.exp().map(|exp| exp.name.unwrap_or(exp.id)),
            status: run.status().map(str::to_owned),
            started: started.map(|started| value_text(&started)),
        }
    }
}
