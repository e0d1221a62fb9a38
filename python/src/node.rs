//! [`PyNode`]: a thing that lineage connects.

use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::prelude::*;
use runlineage::Node;
use runlineage::lineage::NodeArg;
use runlineage_answer::parse_start;

use crate::error::{invalid, raised};

/// A run, a model or a version of it, an artifact, a dataset, a logged model or a prompt.
///
/// It is parsed from its text, and prints as it:
///
/// >>> Node("models:/churn/3")
/// Node('model:churn:3')
#[pyclass(frozen, eq, ord, name = "Node", module = "runlineage")]
#[derive(Clone, PartialEq, PartialOrd)]
pub(crate) struct PyNode(pub(crate) Node);

#[pymethods]
impl PyNode {
    #[new]
    fn new(text: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::of(text)
    }

    /// A run.
    #[staticmethod]
    #[pyo3(signature = (run_id))]
    fn run(run_id: &str) -> PyResult<Self> {
        Node::run(run_id).map(Self).map_err(raised)
    }

    /// A model, or one version of it.
    #[staticmethod]
    #[pyo3(signature = (name, version=None))]
    fn model(name: &str, version: Option<Text>) -> PyResult<Self> {
        let version = version.map(|version| version.0);
        Node::model(name, version.as_deref())
            .map(Self)
            .map_err(raised)
    }

    /// The artifacts of a run, or a path among them.
    #[staticmethod]
    #[pyo3(signature = (run_id, path=None))]
    fn artifact(run_id: &str, path: Option<&str>) -> PyResult<Self> {
        Node::artifact(run_id, path).map(Self).map_err(raised)
    }

    /// A dataset, or one content of it.
    #[staticmethod]
    #[pyo3(signature = (name, digest=None))]
    fn dataset(name: &str, digest: Option<&str>) -> PyResult<Self> {
        Node::dataset(name, digest).map(Self).map_err(raised)
    }

    /// A logged model of MLflow 3.
    #[staticmethod]
    fn logged_model(id: &str) -> PyResult<Self> {
        Node::logged_model(id).map(Self).map_err(raised)
    }

    /// A prompt, or one version of it.
    #[staticmethod]
    #[pyo3(signature = (name, version=None))]
    fn prompt(name: &str, version: Option<Text>) -> PyResult<Self> {
        let version = version.map(|version| version.0);
        Node::prompt(name, version.as_deref())
            .map(Self)
            .map_err(raised)
    }

    /// The kind, such as "model".
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind().spec().noun
    }

    /// The id or the name.
    #[getter]
    fn key(&self) -> &str {
        self.0.key()
    }

    /// The version, the digest or the path; `None` without one.
    #[getter]
    fn detail(&self) -> Option<&str> {
        self.0.detail()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let text = self.0.to_string().into_pyobject(py)?;
        Ok(format!("Node({})", text.repr()?))
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    fn __getnewargs__(&self) -> (String,) {
        (self.0.to_string(),)
    }
}

impl PyNode {
    /// A node that no registry has to resolve.
    pub(crate) fn of(node: &Bound<'_, PyAny>) -> PyResult<Self> {
        match read_node(node)? {
            NodeArg::Node(node) => Ok(Self(node)),
            NodeArg::Pointer(pointer) => Err(invalid(
                "node",
                format!(
                    "{pointer} is an alias, a stage or the latest version, which only a mirror resolves; name the version"
                ),
            )),
        }
    }
}

/// A version, which MLflow gives as text or as a number.
pub(crate) struct Text(pub(crate) String);

impl<'a, 'py> FromPyObject<'a, 'py> for Text {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match value.extract::<String>() {
            Ok(text) => Ok(Self(text)),
            Err(_) => Ok(Self(value.extract::<u64>()?.to_string())),
        }
    }
}

/// A node by its text, or as a `Node`. A text without a kind is the id of a run.
pub(crate) fn read_node(node: &Bound<'_, PyAny>) -> PyResult<NodeArg> {
    if let Ok(node) = node.cast::<PyNode>() {
        return Ok(NodeArg::Node(node.get().0.clone()));
    }
    let text: String = node.extract()?;
    parse_start(&text).map_err(|reason| invalid("node", reason))
}

/// The id of a run, as text or as a run of MLflow, of mlopus or of this package.
pub(crate) fn run_id_of(run: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(id) = run.extract() {
        return Ok(id);
    }
    // MLflow's run has `info.run_id`, that of mlopus has `id`.
    let info = run.getattr_opt("info")?.unwrap_or_else(|| run.clone());
    for name in ["run_id", "id"] {
        if let Some(id) = info.getattr_opt(name)? {
            return id.extract();
        }
    }
    Err(invalid(
        "run_id",
        "a run's id is expected, or a run of MLflow or mlopus",
    ))
}
