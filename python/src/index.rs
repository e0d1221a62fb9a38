//! [`Index`]: the connection to a mirror, and what is asked of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::TryStreamExt as _;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use runlineage::lineage::Kind;
use runlineage::{MongoRunStore, Search};
use runlineage_answer::{ShownNode, Versions, facet_json, facets, json_line};
use runlineage_local_mongod::LocalDatabase;

use crate::answer::Answer;
use crate::error::{Raised, exceptions, invalid};
use crate::frame::Frame;
use crate::local;
use crate::log;
use crate::node::{read_node, run_id_of};
use crate::run::{PyRun, Runs};
use crate::runtime::{PerProcess, wait, wait_and_show};
use crate::search::{Asked, SearchArgs, seconds};
use crate::values;
use crate::walk::{self, Levels, WalkArgs};

/// The columns of a frame: name, type and values.
type Columns<'py> = Vec<(String, &'static str, Bound<'py, PyAny>)>;

/// A mirror in MongoDB.
#[pyclass(frozen, module = "runlineage._native")]
pub(crate) struct Index {
    uri: String,
    database: Option<String>,
    /// The driver's client belongs to the runtime of one process.
    store: PerProcess<MongoRunStore>,
    /// Keeps the local database running.
    _local: Option<LocalDatabase>,
}

impl Index {
    fn open(
        py: Python<'_>,
        uri: String,
        database: Option<String>,
        local: Option<LocalDatabase>,
    ) -> PyResult<Self> {
        let index = Self {
            uri,
            database,
            store: PerProcess::new(),
            _local: local,
        };
        index.store(py)?;
        Ok(index)
    }

    /// The store of this process.
    pub(crate) fn store(&self, py: Python<'_>) -> PyResult<MongoRunStore> {
        if let Some(store) = self.store.get(py) {
            return Ok(store);
        }
        // It parses the URI, and sends nothing.
        let store = wait(py, MongoRunStore::open(&self.uri, self.database.as_deref()))?;
        Ok(self.store.keep(py, store))
    }
}

#[pymethods]
impl Index {
    #[new]
    #[pyo3(signature = (uri, database=None))]
    fn new(py: Python<'_>, uri: String, database: Option<String>) -> PyResult<Self> {
        Self::open(py, uri, database, None)
    }

    #[staticmethod]
    #[pyo3(signature = (database=None, folder=None))]
    fn local(py: Python<'_>, database: Option<String>, folder: Option<PathBuf>) -> PyResult<Self> {
        let local = local::open(py, folder)?;
        Self::open(py, local.uri().to_owned(), database, Some(local))
    }

    /// The name of the database.
    #[getter]
    fn database(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.store(py)?.database().name().to_owned())
    }

    /// The runs that match, as columns; and whether more runs match than the limit. `show` gets the number of runs so far.
    fn frame<'py>(
        &self,
        py: Python<'py>,
        filter: Option<&Bound<'py, PyAny>>,
        args: SearchArgs,
        decoded: bool,
        show: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Columns<'py>, usize)> {
        let asked = Asked::of(filter, args)?;
        let store = self.store(py)?;
        let read = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&read);
        let fetch = async {
            let mut runs = store.find_runs(asked.search.clone()).await?;
            let mut frame = Frame::new(decoded);
            let mut has_more = false;
            while let Some(run) = runs.try_next().await? {
                if asked.limit > 0 && frame.len() == asked.limit as usize {
                    has_more = true;
                    break;
                }
                frame.push(&run)?;
                count.store(frame.len(), Ordering::Relaxed);
            }
            Ok((frame, has_more))
        };
        // Beside each other, since the mirror's state takes as long as the search for one run.
        let search = async { futures::try_join!(fetch, introduce(&store, &asked)) };
        let show = show.map(Bound::unbind);
        let ((frame, has_more), warning) = wait_and_show(py, search, |py| match &show {
            Some(show) => show.call1(py, (read.load(Ordering::Relaxed),)).map(drop),
            None => Ok(()),
        })?;
        if let Some(warning) = warning {
            log::warn(py, warning);
        }
        if has_more {
            let shown = frame.len();
            log::warn(
                py,
                format!(
                    "only the first {shown} runs were read, and more match; raise max_results, or pass 0 for all"
                ),
            );
        }
        let runs = frame.len();
        Ok((frame.into_columns(py)?, runs))
    }

    /// An iterator of the runs that match.
    fn runs<'py>(
        &self,
        py: Python<'py>,
        filter: Option<&Bound<'py, PyAny>>,
        args: SearchArgs,
    ) -> PyResult<Runs> {
        let asked = Asked::of(filter, args)?;
        let store = self.store(py)?;
        let search = async {
            let runs = store.find_runs(asked.search.clone().limit(asked.limit));
            futures::try_join!(async { Ok(runs.await?) }, introduce(&store, &asked))
        };
        let (runs, warning) = wait(py, search)?;
        if let Some(warning) = warning {
            log::warn(py, warning);
        }
        Runs::new(py, runs)
    }

    /// How many runs match.
    fn count<'py>(
        &self,
        py: Python<'py>,
        filter: Option<&Bound<'py, PyAny>>,
        args: SearchArgs,
    ) -> PyResult<u64> {
        let asked = Asked::of(filter, args)?;
        let store = self.store(py)?;
        wait(py, async {
            let (count, _) = futures::try_join!(
                async { Ok(store.count_runs(asked.all.clone()).await?) },
                introduce(&store, &asked)
            )?;
            Ok::<_, Raised>(count)
        })
    }

    /// The run with this id; `None` if it is not mirrored.
    fn run(&self, py: Python<'_>, run_id: &Bound<'_, PyAny>) -> PyResult<Option<PyRun>> {
        let id = run_id_of(run_id)?;
        let id = id.strip_prefix("runs:/").unwrap_or(&id);
        let store = self.store(py)?;
        let run = wait(py, store.get_run(id))?;
        Ok(run.map(PyRun))
    }

    /// Counts the runs that match by value, as JSON.
    fn facet<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        filter: Option<&Bound<'py, PyAny>>,
        args: SearchArgs,
    ) -> PyResult<Vec<u8>> {
        let found = facets().find(|(known, _)| known == name);
        let (_, facet) = found.ok_or_else(|| {
            let names: Vec<String> = facets().map(|(name, _)| name).collect();
            invalid(
                "facet",
                format!("{name:?} is none; the facets are {}", names.join(", ")),
            )
        })?;
        let asked = Asked::of(filter, args)?;
        let store = self.store(py)?;
        wait(py, async {
            let counts = store.facet(facet, asked.all.clone().limit(asked.limit));
            let (counts, _) =
                futures::try_join!(async { Ok(counts.await?) }, introduce(&store, &asked))?;
            json(&facet_json(counts))
        })
    }

    /// A registered model and its versions, as JSON.
    fn versions(&self, py: Python<'_>, name: &str, timeout: f64) -> PyResult<Vec<u8>> {
        let max_time = Some(seconds(timeout)?);
        let store = self.store(py)?;
        wait(py, async {
            walk::filled(&store).await?;
            match Versions::of(&store, name, max_time).await? {
                Some(versions) => json(&versions),
                None => Err(exceptions::NotFound::new_err(format!(
                    "no registered model {name:?} is mirrored; if it is new in MLflow, run `runlineage sync` first"
                ))
                .into()),
            }
        })
    }

    /// What the mirror knows of a node, as JSON; of a run, its document.
    fn node(&self, py: Python<'_>, node: &Bound<'_, PyAny>, timeout: f64) -> PyResult<Vec<u8>> {
        let node = read_node(node)?;
        let max_time = Some(seconds(timeout)?);
        let store = self.store(py)?;
        wait(py, async {
            walk::filled(&store).await?;
            let node = walk::resolve(&store, node).await?;
            if node.kind() == Kind::ARTIFACT {
                let reason =
                    "an artifact has no fields of its own; find_runs lists the runs that read it";
                return Err(invalid("node", reason).into());
            }
            if node.kind() == Kind::RUN {
                let run = store.get_run(node.key()).await?;
                let run = run.ok_or_else(|| walk::not_found(&node))?;
                let mut json = Vec::new();
                run.write_json(&mut json)?;
                return Ok(json);
            }
            match ShownNode::of(&store, &node, max_time).await? {
                Some(shown) => json(&shown),
                None => Err(walk::not_found(&node).into()),
            }
        })
    }

    /// What is mirrored, and when it was last synced.
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let store = self.store(py)?;
        let mirror = wait(py, store.freshness())?;
        let date =
            |date: Option<bson::DateTime>| date.map(|date| values::date(py, date)).transpose();
        let status = PyDict::new(py);
        status.set_item("source", mirror.source)?;
        status.set_item("full_pass", date(mirror.full_pass)?)?;
        status.set_item("quick_pass", date(mirror.quick_pass)?)?;
        status.set_item("pending_migrations", mirror.pending_migrations)?;
        Ok(status)
    }

    fn graph(
        &self,
        py: Python<'_>,
        select: &Bound<'_, PyAny>,
        upstream: Option<Levels>,
        downstream: Option<Levels>,
        parents: bool,
        how: WalkArgs<'_>,
    ) -> PyResult<Answer> {
        walk::graph(
            py,
            &self.store(py)?,
            select,
            (upstream, downstream),
            parents,
            how,
        )
    }

    fn impact(
        &self,
        py: Python<'_>,
        node: &Bound<'_, PyAny>,
        downstream: Option<Levels>,
        how: WalkArgs<'_>,
    ) -> PyResult<Answer> {
        walk::impact(py, &self.store(py)?, read_node(node)?, downstream, how)
    }

    fn provenance(
        &self,
        py: Python<'_>,
        node: &Bound<'_, PyAny>,
        upstream: Option<Levels>,
        how: WalkArgs<'_>,
    ) -> PyResult<Answer> {
        walk::provenance(py, &self.store(py)?, read_node(node)?, upstream, how)
    }

    fn paths(
        &self,
        py: Python<'_>,
        a: &Bound<'_, PyAny>,
        b: &Bound<'_, PyAny>,
        how: WalkArgs<'_>,
    ) -> PyResult<Answer> {
        walk::paths(py, &self.store(py)?, (read_node(a)?, read_node(b)?), how)
    }

    fn diff(
        &self,
        py: Python<'_>,
        a: &Bound<'_, PyAny>,
        b: &Bound<'_, PyAny>,
        upstream: Option<Levels>,
        max_pairs: usize,
        timeout: f64,
    ) -> PyResult<Answer> {
        walk::diff(
            py,
            &self.store(py)?,
            (read_node(a)?, read_node(b)?),
            upstream,
            max_pairs,
            timeout,
        )
    }
}

/// Checks what a search names, and returns what its caller should know.
async fn introduce(store: &MongoRunStore, asked: &Asked) -> Result<Option<String>, Raised> {
    let (..) = futures::try_join!(walk::filled(store), asked.check_experiments(store))?;
    let filter = asked.all.filter()?;
    // A failure to explain the search is no reason to fail the search.
    let is_indexed = filter.is_empty() || is_indexed(store, &asked.all).await;
    Ok((!is_indexed).then(|| {
        "no index serves this search, so MongoDB reads every run; add an experiment, a model, an artifact or a start time".to_owned()
    }))
}

async fn is_indexed(store: &MongoRunStore, search: &Search) -> bool {
    store.is_indexed(search.clone()).await.unwrap_or(true)
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, Raised> {
    let json = json_line(value);
    json.map_err(|error| exceptions::Error::new_err(error.to_string()).into())
}
