//! The steps of registering, for Python code that talks to MLflow through MLflow's own client.

use std::collections::{BTreeMap, BTreeSet};

use pyo3::prelude::*;
use runlineage::lineage::{self, Direction, Kind, Node, NodeArg, Registration, RunAnswer};
use runlineage::{Error, MlflowClient, RunId};

use crate::error::{invalid, raised};
use crate::index::Index;
use crate::node::{PyNode, run_id_of};
use crate::runtime::wait;

/// An addition to the lineage of a run: `input` or `output`, and the node.
type Addition<'py> = (String, PyRef<'py, PyNode>);

/// The id of a run, as text or as a run of MLflow, of mlopus or of this package.
#[pyfunction]
pub(crate) fn run_id(run: &Bound<'_, PyAny>) -> PyResult<String> {
    let id: RunId = run_id_of(run)?.parse().map_err(raised)?;
    Ok(id.to_string())
}

/// A node by its text or as a `Node`, if runs refer to its kind in this direction.
#[pyfunction]
pub(crate) fn registrable(direction: &str, node: &Bound<'_, PyAny>) -> PyResult<PyNode> {
    let node = PyNode::of(node)?;
    let kind = node.0.kind();
    if kind
        .spec()
        .directions
        .contains(&parse_direction(direction)?)
    {
        return Ok(node);
    }
    let reason = format!(
        "{} is a {kind}, and no run records a {kind} as its {direction}",
        node.0
    );
    Err(invalid("node", reason))
}

/// What a run reads that loads from this URI of MLflow; `None` for an alias, a stage or `latest`, which MLflow has to resolve. The
/// text of a node is accepted too.
#[pyfunction]
pub(crate) fn node_of_uri(uri: &str) -> PyResult<Option<PyNode>> {
    let is_pointer = |uri| matches!(Kind::MODEL.read(uri), Ok(NodeArg::Pointer(_)));
    if uri.starts_with("models:/") && is_pointer(uri) {
        return Ok(None);
    }
    let node: Node = uri
        .parse()
        .map_err(|error: Error| raised(error.of_argument("uri")))?;
    let node = if node.kind() == Kind::RUN {
        // What a run reads of another run are its artifacts.
        Node::artifact(node.key(), None).map_err(raised)?
    } else {
        node
    };
    if node.kind() == Kind::MODEL && node.detail().is_none() {
        let reason = format!(
            "{uri:?} names no version; write models:/NAME/VERSION, models:/NAME@ALIAS or models:/NAME/latest"
        );
        return Err(invalid("uri", reason));
    }
    Ok(Some(PyNode(node)))
}

/// The URI by which MLflow loads the node. A node that MLflow cannot load, such as a dataset, has its text only.
#[pyfunction]
pub(crate) fn uri_of_node(node: &PyNode) -> String {
    const SCHEMES: [(Kind, &str); 4] = [
        (Kind::MODEL, "models:/"),
        (Kind::LOGGED_MODEL, "models:/"),
        (Kind::ARTIFACT, "runs:/"),
        (Kind::PROMPT, "prompts:/"),
    ];
    let node = &node.0;
    let scheme = SCHEMES.iter().find(|(kind, _)| *kind == node.kind());
    let Some((_, scheme)) = scheme else {
        return node.to_string();
    };
    let detail = node.detail().map(|detail| format!("/{detail}"));
    format!("{scheme}{}{}", node.key(), detail.unwrap_or_default())
}

/// The tags to set on the run, which is MLflow's JSON; `None` if the run records every addition. `attempt` is how often they have
/// been set so far.
#[pyfunction]
pub(crate) fn tags_to_set(
    run: &str,
    additions: Vec<Addition<'_>>,
    attempt: usize,
) -> PyResult<Option<BTreeMap<String, String>>> {
    let run: RunAnswer = run.parse().map_err(raised)?;
    let registration = registration(run.id(), &additions)?;
    registration.tags_to_set(&run, attempt).map_err(raised)
}

/// The ids of the logged models that MLflow records as read, evaluated or made by the run, which is MLflow's JSON.
#[pyfunction]
pub(crate) fn native_logged_models(run: &str) -> PyResult<BTreeSet<String>> {
    let run: RunAnswer = run.parse().map_err(raised)?;
    let nodes = run.native_nodes().into_iter().map(|(_, node)| node);
    let models = nodes.filter(|node| node.kind() == Kind::LOGGED_MODEL);
    Ok(models.map(|model| model.key().to_owned()).collect())
}

/// Registers the additions, and mirrors the run as MLflow shows it afterwards.
#[pyfunction]
pub(crate) fn register(
    py: Python<'_>,
    index: &Index,
    tracking_uri: &str,
    run_id: &str,
    additions: Vec<Addition<'_>>,
) -> PyResult<()> {
    let registration = registration(run_id, &additions)?;
    let mlflow = MlflowClient::new(tracking_uri).map_err(raised)?;
    let store = index.store(py)?;
    wait(py, async {
        registration.register(&mlflow, &store).await.map(drop)
    })
}

fn registration(run_id: &str, additions: &[Addition<'_>]) -> PyResult<Registration> {
    let mut registration = lineage::of_id(run_id.parse().map_err(raised)?);
    for (direction, node) in additions {
        let node = node.0.clone();
        registration = match parse_direction(direction)? {
            Direction::Input => registration.with_input(node),
            Direction::Output => registration.with_output(node),
        };
    }
    Ok(registration)
}

fn parse_direction(text: &str) -> PyResult<Direction> {
    let direction = Direction::BOTH
        .into_iter()
        .find(|direction| direction.to_string() == text);
    direction.ok_or_else(|| invalid("direction", format!("{text:?} is neither input nor output")))
}
