//! What the mirror knows of a node that is no run: its fields, and the runs that wrote and read it.

use std::time::Duration;

use bson::{Bson, doc};
use futures::TryStreamExt;
use runlineage::lineage::{Direction, Kind};
use runlineage::{LoggedModel, ModelVersion, MongoRunStore, Node, Query, Result, Run, Search};
use serde::Serialize;

use super::{Versions, value_text};

/// How many runs are listed on each side, the newest first.
const MAX_RUNS: u32 = 20;

/// A node, its fields, and the runs on both sides of it.
#[derive(Debug, Serialize)]
pub struct ShownNode {
    /// The node.
    pub node: String,
    /// What the registry knows of it.
    #[serde(flatten)]
    pub facts: Facts,
    /// The runs that wrote it; `None` if no run can write such a node.
    pub written_by: Option<Runs>,
    /// The runs that read it; `None` if no run can read such a node.
    pub read_by: Option<Runs>,
}

/// What the registry knows of the node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Facts {
    /// A registered model.
    Model(Box<Versions>),
    /// A version of a registered model.
    Version {
        /// The version.
        #[serde(flatten)]
        version: Box<ModelVersion>,
        /// The aliases that point to it now.
        aliases: Vec<String>,
        /// Its copies, as NAME:VERSION.
        copies: Vec<String>,
    },
    /// A logged model.
    LoggedModel {
        /// The logged model.
        #[serde(flatten)]
        logged_model: Box<LoggedModel>,
        /// The versions that were registered from it, as NAME:VERSION.
        versions: Vec<String>,
    },
    /// Only runs name it.
    None {},
}

/// The newest runs on one side of a node, and how many there are.
#[derive(Debug, Serialize)]
pub struct Runs {
    /// How many there are.
    pub count: u64,
    /// The newest of them.
    pub newest: Vec<ListedRun>,
}

/// A run, in short.
#[derive(Debug, Serialize)]
pub struct ListedRun {
    /// The id.
    pub run: String,
    /// The name.
    pub name: Option<String>,
    /// The name of the experiment, else its id.
    pub experiment: Option<String>,
    /// MLflow's status.
    pub status: Option<String>,
    /// When the run started.
    pub started: Option<String>,
}

impl ShownNode {
    /// What is known of the node; `None` if the mirror has never seen it.
    ///
    /// # Errors
    /// [`runlineage::Error::Mongo`] if MongoDB does not answer, or takes longer than `max_time` for the runs of the node.
    pub async fn of(
        store: &MongoRunStore,
        node: &Node,
        max_time: Option<Duration>,
    ) -> Result<Option<Self>> {
        let (facts, written_by, read_by) = futures::try_join!(
            Facts::of(store, node, max_time),
            Runs::of(store, node, Direction::Output, max_time),
            Runs::of(store, node, Direction::Input, max_time),
        )?;
        let count = |side: &Option<Runs>| side.as_ref().map_or(0, |side| side.count);
        let is_named = count(&written_by) + count(&read_by) > 0;
        if matches!(facts, Facts::None {}) && !is_named {
            return Ok(None);
        }
        Ok(Some(Self {
            node: node.to_string(),
            facts,
            written_by,
            read_by,
        }))
    }
}

impl Facts {
    async fn of(store: &MongoRunStore, node: &Node, max_time: Option<Duration>) -> Result<Self> {
        let name = node.key();
        let known = match node.detail() {
            _ if node.kind() == Kind::LOGGED_MODEL => Self::logged_model(store, name).await?,
            _ if node.kind() != Kind::MODEL => None,
            Some(version) => Self::version(store, name, version).await?,
            None => {
                let versions = Versions::of(store, name, max_time).await?;
                versions.map(|versions| Self::Model(Box::new(versions)))
            }
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
    async fn of(
        store: &MongoRunStore,
        node: &Node,
        direction: Direction,
        max_time: Option<Duration>,
    ) -> Result<Option<Self>> {
        if !node.kind().spec().directions.contains(&direction) {
            return Ok(None);
        }
        let query = match direction {
            Direction::Input => Query::new().with_input(node.clone()),
            Direction::Output => Query::new().with_output(node.clone()),
        };
        let fields = doc! { "name": 1, "exp": 1, "status": 1, "start_time": 1 };
        let mut all = Search::from(&query);
        if let Some(time) = max_time {
            all = all.max_time(time);
        }
        let newest = all.clone().newest_first().limit(MAX_RUNS);
        let newest = store.find_runs(newest.projection(fields)).await?;
        let newest: Vec<Run> = newest.try_collect().await?;
        Ok(Some(Self {
            count: store.count_runs(all).await?,
            newest: newest.iter().map(ListedRun::of).collect(),
        }))
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
