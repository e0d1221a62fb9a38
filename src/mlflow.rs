//! [`MlflowClient`]: a client of an MLflow tracking server.

mod builder;
mod connection;
pub(crate) mod document;
#[cfg(test)]
mod document_tests;
pub(crate) mod logged_models;
mod native;
mod page_size;
mod registry;
pub(crate) mod registry_document;
pub(crate) mod scan;
mod time_pages;
pub(crate) mod wire;
pub(crate) mod wire_registry;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bson::Document;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde_json::json;

use crate::error::{Error, Result};
use crate::node::{Direction, Kind, ModelPointer, PointsTo};
use crate::query::{Matcher, Search};
use crate::registry::{ProjectedRuns, with_projected};
use crate::run::{Run, RunId};
use crate::store::{RunStore, RunStream};

pub use builder::MlflowClientBuilder;
pub(crate) use connection::PagePermit;
use connection::{Connection, Memory};
use logged_models::LoggedModelScan;
use page_size::PageSize;
use scan::Scan;
use wire::{
    Empty, ExperimentAnswer, ExperimentsPage, RawExperiment, RawRun, RunAnswer, SearchExperiments,
};

/// How many experiments the first page may hold. Pages shrink if a gateway gives up on them.
const EXPERIMENTS_PAGE: u32 = 1_000;

/// A client of one MLflow tracking server (2.22 or 3), and workspace.
///
/// The client retries requests, with back-off, in the cases in which MLflow's own clients do. Errors name the call, the URL and
/// MLflow's answer. Cloning is cheap, and clones share connections.
#[derive(Clone)]
pub struct MlflowClient {
    connection: Arc<Connection>,
}

/// An experiment of the tracking server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExperimentInfo {
    /// MLflow's experiment id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it is deleted, which deletes all of its runs.
    pub deleted: bool,
}

impl MlflowClient {
    /// Makes a client of the server at this URL, with the settings of MLflow's environment variables.
    ///
    /// ```no_run
    /// # fn main() -> runlineage::Result<()> {
    /// let mlflow = runlineage::MlflowClient::new("http://localhost:5000")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the URL or the value of a variable cannot be used.
    pub fn new(tracking_uri: &str) -> Result<Self> {
        Self::builder(tracking_uri).environment()?.build()
    }

    /// A builder for a client. It reads the environment only if [`environment`](MlflowClientBuilder::environment) is called.
    pub fn builder(tracking_uri: &str) -> MlflowClientBuilder {
        MlflowClientBuilder::new(tracking_uri)
    }

    /// The name under which a mirror records this server. Default: the URL without credentials, and the workspace.
    #[must_use]
    pub fn source(&self) -> &str {
        self.connection.source()
    }

    /// Streams the experiments of the server, deleted ones too, page by page.
    pub fn experiments(&self) -> BoxStream<'static, Result<Vec<ExperimentInfo>>> {
        self.raw_experiments()
            .map_ok(|page| page.into_iter().map(ExperimentInfo::from).collect())
            .boxed()
    }

    /// Streams the active runs of an experiment, oldest first, page by page.
    ///
    /// It misses no run that exists from start to end, even if runs are created, deleted or restored between two pages.
    pub fn runs(&self, experiment: &ExperimentInfo) -> BoxStream<'static, Result<Vec<Run>>> {
        let name = experiment.name.clone();
        let scan = Scan::new(self.clone(), vec![experiment.id.clone()]);
        stream::try_unfold((scan, name), |(mut scan, name)| async move {
            let Some(page) = scan.next_page().await? else {
                return Ok(None);
            };
            let active = page.iter().filter(|run| !run.is_deleted());
            let runs = active
                .map(|run| document::map(run, &name))
                .collect::<Result<Vec<_>>>()?;
            Ok(Some((runs, (scan, name))))
        })
        .boxed()
    }

    /// Reads one run.
    ///
    /// # Errors
    /// [`Error::Mlflow`] with [`MlflowCode::ResourceDoesNotExist`](crate::MlflowCode) when MLflow has no run with this id, or hides
    /// it from this user.
    pub async fn run(&self, id: &RunId) -> Result<Run> {
        let raw = self.raw_run(id).await?;
        let experiment = self.raw_experiment(&raw.info.experiment_id).await?;
        document::map(&raw, &experiment.name)
    }

    /// Resolves an alias, a stage or `latest` of a registered model to a version.
    ///
    /// # Errors
    /// [`Error::Mlflow`] when MLflow does not know the model or the alias. [`Error::InvalidArgument`] when the stage or the model
    /// has no version.
    pub async fn model_version(&self, pointer: &ModelPointer) -> Result<String> {
        let name = pointer.name.as_str();
        let stages: &[&str] = match &pointer.to {
            PointsTo::Alias(alias) => {
                let query = [("name", name), ("alias", alias)];
                let answer: wire::ModelVersionAnswer = self
                    .connection
                    .get("registered-models/alias", &query)
                    .await?;
                return Ok(answer.model_version.version);
            }
            PointsTo::Stage(stage) => &[stage],
            PointsTo::Latest => &[],
        };
        let body = json!({ "name": name, "stages": stages });
        let answer: wire::LatestVersionsAnswer = self
            .connection
            .post("registered-models/get-latest-versions", &body)
            .await?;
        let versions = answer.model_versions.into_iter();
        // MLflow answers the newest version of each stage, and never reuses a version's number.
        let newest = versions.max_by_key(|version| version.version.parse::<u64>().ok());
        newest.map(|version| version.version).ok_or_else(|| {
            Error::invalid_argument(
                "model",
                format!("MLflow has no version for {pointer}; write NAME:VERSION"),
            )
        })
    }

    /// Sets tags on a run. On an error, some of them may be set.
    ///
    /// # Errors
    /// [`Error::Mlflow`] when MLflow refuses a tag or does not know the run.
    pub async fn set_tags(&self, run: &RunId, tags: &BTreeMap<String, String>) -> Result<()> {
        // MLflow accepts up to 100 tags, and about a megabyte, per request.
        for chunk in tags.iter().collect::<Vec<_>>().chunks(100) {
            let tags: Vec<_> = chunk
                .iter()
                .map(|(key, value)| json!({ "key": key, "value": value }))
                .collect();
            let body = json!({ "run_id": run.as_str(), "tags": tags });
            let _: Empty = self.connection.post("runs/log-batch", &body).await?;
        }
        Ok(())
    }

    /// The tracking URL, without credentials.
    #[must_use]
    pub fn address(&self) -> &str {
        self.connection.base()
    }

    /// One run as `runs/search` shows it too.
    pub(crate) async fn raw_run(&self, id: &RunId) -> Result<RawRun> {
        let mut run = self.raw_run_with_model_inputs(id).await?;
        run.inputs.model_inputs.clear();
        Ok(run)
    }

    /// One run with the logged models that it read, which `runs/search` does not show.
    pub(crate) async fn raw_run_with_model_inputs(&self, id: &RunId) -> Result<RawRun> {
        let answer: RunAnswer = self
            .connection
            .get("runs/get", &[("run_id", id.as_str())])
            .await?;
        Ok(answer.run)
    }

    pub(crate) async fn raw_experiment(&self, id: &str) -> Result<RawExperiment> {
        let answer: ExperimentAnswer = self
            .connection
            .get("experiments/get", &[("experiment_id", id)])
            .await?;
        Ok(answer.experiment)
    }

    pub(crate) fn raw_experiments(&self) -> BoxStream<'static, Result<Vec<RawExperiment>>> {
        let start = (
            self.clone(),
            PageSize::new(EXPERIMENTS_PAGE),
            Some(None::<String>),
        );
        stream::try_unfold(start, |(client, mut size, next)| async move {
            let Some(token) = next else { return Ok(None) };
            let call = "experiments/search";
            let request = |size| SearchExperiments {
                view_type: "ALL",
                max_results: size,
                page_token: token.as_deref(),
            };
            let connection = &client.connection;
            let page = connection.page(call, Memory::Own, &mut size, request);
            let (page, _): (ExperimentsPage, _) = page.await?;
            let next = page.next_page_token.filter(|token| !token.is_empty());
            if next.is_some() && next == token {
                return Err(connection.protocol_error(call, "the same page token twice"));
            }
            Ok(Some((page.experiments, (client, size, next.map(Some)))))
        })
        .boxed()
    }

    /// Streams the runs that match a query or a search. It fetches every active run and filters in process.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an order, and for operators other than those that [`Query`](crate::Query) renders.
    /// [`Error::Mlflow`] and [`Error::MlflowUnreachable`], also from the stream.
    pub fn find_runs(&self, search: impl Into<Search>) -> BoxFuture<'_, Result<RunStream>> {
        RunStore::find_runs(self, search.into())
    }

    /// What versions and logged models say of runs, as far as the filter asks for it.
    async fn projected(&self, filter: &Document) -> Result<ProjectedRuns> {
        let mut projected = ProjectedRuns::default();
        let text = filter.to_string();
        let asks_for = |kind: Kind| {
            let mut arrays = Direction::BOTH
                .into_iter()
                .map(|direction| kind.path(direction));
            arrays.any(|array| text.contains(&array))
        };
        if asks_for(Kind::MODEL) {
            let names: Vec<String> = self
                .raw_models()
                .await?
                .into_iter()
                .map(|model| model.name)
                .collect();
            let mut versions = self.raw_versions(&names);
            while let Some(page) = versions.try_next().await? {
                for version in page {
                    let logged = match registry_document::logged_model_of(&version) {
                        Some(id) if version.run_id.as_deref().is_none_or(str::is_empty) => {
                            Some(self.raw_logged_model(id, false).await?)
                        }
                        _ => None,
                    };
                    let run = logged.and_then(|model| model.info.source_run_id);
                    let version = registry_document::map_version(&version, None, run.as_deref())?;
                    projected.add_version(&version.fields);
                }
            }
        }
        if asks_for(Kind::LOGGED_MODEL) {
            let experiments: Vec<ExperimentInfo> = self.experiments().try_concat().await?;
            let ids = experiments.into_iter().map(|experiment| experiment.id);
            let mut scan = LoggedModelScan::new(self.clone(), ids.collect());
            while let Some((page, _)) = scan.next_page().await? {
                for model in &page {
                    let model = registry_document::map_logged_model(model, None)?;
                    projected.add_logged_model(&model.fields, |_| true);
                }
            }
        }
        Ok(projected)
    }

    fn all_runs(&self) -> impl stream::Stream<Item = Result<Run>> + Send + 'static {
        let client = self.clone();
        self.experiments()
            .map_ok(|page| stream::iter(page.into_iter().filter(|exp| !exp.deleted).map(Ok)))
            .try_flatten()
            .map_ok(move |experiment| client.runs(&experiment))
            .try_flatten()
            .map_ok(|page| stream::iter(page.into_iter().map(Ok)))
            .try_flatten()
    }
}

impl RunStore for MlflowClient {
    /// Fetches every active run and filters in process, as mlopus does. For what MLflow's registry and logged models know of
    /// runs, it fetches these as well, if the filter asks for models.
    fn find_runs(&self, search: Search) -> BoxFuture<'_, Result<RunStream>> {
        Box::pin(async move {
            let filter = search.filter()?;
            if search.is_sorted() || search.projection.is_some() {
                return Err(Error::unsupported(
                    "an order or a projection on MLflow itself",
                    "search the mirror, or sort the runs after you received them",
                ));
            }
            let matcher = Matcher::parse(&filter)?;
            let mut projected = self.projected(&filter).await?;
            let mut to_skip = search.skip.unwrap_or_default();
            let matching = self.all_runs().try_filter_map(move |run| {
                let matched = with_projected(&run, projected.remove(run.id())).map(|document| {
                    let matches = matcher.matches(&document);
                    let skipped = matches && to_skip > 0;
                    to_skip -= u64::from(skipped);
                    (matches && !skipped).then_some(run)
                });
                futures::future::ready(matched)
            });
            let limit = search.limit.map_or(usize::MAX, |limit| limit as usize);
            Ok(matching.take(limit).boxed())
        })
    }
}

impl fmt::Debug for MlflowClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MlflowClient")
            .field("source", &self.source())
            .finish_non_exhaustive()
    }
}

impl From<RawExperiment> for ExperimentInfo {
    fn from(raw: RawExperiment) -> Self {
        let deleted = raw.is_deleted();
        Self {
            id: raw.experiment_id,
            name: raw.name,
            deleted,
        }
    }
}
