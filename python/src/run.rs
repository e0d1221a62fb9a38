//! [`PyRun`]: a stored run, decoded on demand; and [`Runs`], an iterator of runs.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use futures::TryStreamExt as _;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use runlineage::lineage::Direction;
use runlineage::{Data, Run, RunStream};

use crate::error::{Raised, raised};
use crate::node::PyNode;
use crate::runtime::{InRuntime, wait};
use crate::values;

/// How many runs are fetched at once. The first batch of MongoDB has 101, so the first runs come without waiting for the second.
const CHUNK: usize = 100;

/// A run, as the mirror stores it. Each attribute is decoded when it is read.
#[pyclass(frozen, name = "Run", module = "runlineage")]
pub(crate) struct PyRun(pub(crate) Run);

#[pymethods]
impl PyRun {
    /// The id of the run in MLflow.
    #[getter]
    fn run_id(&self) -> &str {
        self.0.id()
    }

    /// The name of the run; `None` without one.
    #[getter]
    fn run_name(&self) -> Option<&str> {
        self.0.name()
    }

    /// The id of the experiment in MLflow.
    #[getter]
    fn experiment_id(&self) -> Option<String> {
        self.0.exp().map(|experiment| experiment.id)
    }

    /// The name of the experiment when the run was last mirrored.
    #[getter]
    fn experiment_name(&self) -> Option<String> {
        self.0.exp()?.name
    }

    /// MLflow's status, such as "FINISHED".
    #[getter]
    fn status(&self) -> Option<&str> {
        self.0.status()
    }

    /// The user who started the run.
    #[getter]
    fn user(&self) -> Option<&str> {
        self.0.user()
    }

    /// MLflow's URI of the run's artifacts.
    #[getter]
    fn artifact_uri(&self) -> Option<&str> {
        self.0.artifact_uri()
    }

    /// When the run started, in UTC.
    #[getter]
    fn start_time<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let time = self.0.start_time();
        time.map(|time| values::date(py, time)).transpose()
    }

    /// When the run ended, in UTC. A run that was resumed has an end time too.
    #[getter]
    fn end_time<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let time = self.0.end_time();
        time.map(|time| values::date(py, time)).transpose()
    }

    /// The params as MLflow's texts.
    #[getter]
    fn params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.texts(py, Data::Params)
    }

    /// The tags as MLflow's texts.
    #[getter]
    fn tags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.texts(py, Data::Tags)
    }

    /// The last value of each metric.
    #[getter]
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut metrics = Vec::new();
        let read = Data::Metrics.each(&self.0, |value| {
            metrics.extend(
                value
                    .number()
                    .map(|number| (value.key().to_owned(), number)),
            );
        });
        read.map_err(raised)?;
        let dict = PyDict::new(py);
        for (key, number) in metrics {
            dict.set_item(key, number)?;
        }
        Ok(dict)
    }

    /// The nodes that the run read.
    #[getter]
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.nodes(py, Direction::Input)
    }

    /// The nodes that the run wrote.
    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.nodes(py, Direction::Output)
    }

    /// The stored document: tags and params nested at dots, with decoded values; times as `datetime` in UTC.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        values::document(py, self.0.as_raw())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Self>()
            .is_ok_and(|other| other.get().0 == self.0)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let id = self.0.id().into_pyobject(py)?;
        let name = self.0.name().into_pyobject(py)?;
        Ok(format!("<Run {} name={}>", id.repr()?, name.repr()?))
    }
}

impl PyRun {
    fn texts<'py>(&self, py: Python<'py>, data: Data) -> PyResult<Bound<'py, PyDict>> {
        let mut texts = Vec::new();
        let read = data.each(&self.0, |value| {
            texts.push((value.key().to_owned(), value.text().into_owned()));
        });
        read.map_err(raised)?;
        let dict = PyDict::new(py);
        for (key, text) in texts {
            dict.set_item(key, text)?;
        }
        Ok(dict)
    }

    fn nodes<'py>(&self, py: Python<'py>, direction: Direction) -> PyResult<Bound<'py, PyList>> {
        let lineage = self.0.lineage().map_err(raised)?;
        PyList::new(
            py,
            lineage
                .side(direction)
                .nodes()
                .map(PyNode)
                .collect::<Vec<_>>(),
        )
    }
}

/// The runs of a search, fetched as they are asked for.
#[pyclass(frozen, module = "runlineage._native")]
pub(crate) struct Runs(Mutex<Stream>);

struct Stream {
    fetched: VecDeque<Run>,
    /// `None` after the last run, and after an error.
    rest: Option<InRuntime<RunStream>>,
}

impl Runs {
    pub(crate) fn new(py: Python<'_>, stream: RunStream) -> PyResult<Self> {
        Ok(Self(Mutex::new(Stream {
            fetched: VecDeque::new(),
            rest: Some(InRuntime::new(py, stream)?),
        })))
    }

    /// Takes the stream out, so that no lock is held while this thread waits.
    fn lock(&self) -> std::sync::MutexGuard<'_, Stream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Runs {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<PyRun>> {
        let mut rest = {
            let mut held = self.lock();
            if let Some(run) = held.fetched.pop_front() {
                return Ok(Some(PyRun(run)));
            }
            match held.rest.take() {
                Some(rest) => rest,
                None => return Ok(None),
            }
        };
        let stream = rest.get_mut()?;
        let mut fetched: VecDeque<Run> = wait(py, async {
            let mut fetched = VecDeque::new();
            while fetched.len() < CHUNK {
                match stream.try_next().await? {
                    Some(run) => fetched.push_back(run),
                    None => break,
                }
            }
            Ok::<_, Raised>(fetched)
        })?;
        let first = fetched.pop_front();
        let mut held = self.lock();
        held.fetched = fetched;
        held.rest = first.is_some().then_some(rest);
        Ok(first.map(PyRun))
    }
}
