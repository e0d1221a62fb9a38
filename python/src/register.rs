//! The steps of registering, for Python code that talks to MLflow through MLflow's own client.

use std::collections::{BTreeMap, BTreeSet};

use pyo3::prelude::*;
use runlineage::lineage::{self, Direction, Kind, Node, NodeArg, Registration, RunAnswer};
use runlineage::{Error, MlflowClient, RunId};

use crate::error::raised;
use crate::index::Index;
use crate::runtime::wait;

/// An addition to the lineage of a run: `input` or `output`, and the text of a node.
type Addition = (String, String);

/// The text of the node that these parts name, such as `model:churn:3`.
#[pyfunction]
#[pyo3(signature = (noun, key, detail=None))]
pub(crate) fn node(noun: &str, key: &str, detail: Option<&str>) -> PyResult<String> {
    let kind = Kind::all().find(|kind| kind.spec().noun == noun);
    let kind = kind.ok_or_else(|| raised(invalid("node", format!("no kind of node is named {noun:?}"))))?;
    let node = match kind {
        Kind::ARTIFACT => Node::artifact(&run_id(key)?, detail),
        kind => Node::new(kind, key, detail),
    };
    Ok(node.map_err(raised)?.to_string())
}

/// The text of the node that a text or a URI of MLflow names, if runs refer to it in this direction.
#[pyfunction]
pub(crate) fn parse_node(direction: &str, text: &str) -> PyResult<String> {
    let direction = parse_direction(direction).map_err(raised)?;
    let node: Node = text.parse().map_err(raised)?;
    let kind = node.kind();
    if !kind.spec().directions.contains(&direction) {
        let reason = format!("{text:?} is a {kind}, and no run records that as its {direction}");
        return Err(raised(invalid("node", reason)));
    }
    Ok(node.to_string())
}

/// The id of a run, from an id or `runs:/ID`.
#[pyfunction]
pub(crate) fn run_id(text: &str) -> PyResult<String> {
    let id: RunId = text.parse().map_err(raised)?;
    Ok(id.to_string())
}

/// The node that a URI of MLflow names, or the text of a node; `None` for an alias, a stage or `latest`, which MLflow resolves.
#[pyfunction]
pub(crate) fn parse_uri(uri: &str) -> PyResult<Option<String>> {
    let is_pointer = |uri| matches!(Kind::MODEL.read(uri), Ok(NodeArg::Pointer(_)));
    if uri.starts_with("models:/") && is_pointer(uri) {
        return Ok(None);
    }
    let node: Node = uri.parse().map_err(raised)?;
    let node = match node.kind() {
        // What a run reads of another run are its artifacts.
        Kind::RUN => Node::artifact(node.key(), None).map_err(raised)?,
        _ => node,
    };
    if node.kind() == Kind::MODEL && node.detail().is_none() {
        let reason = format!("{uri:?} names no version; write models:/NAME/VERSION, models:/NAME@ALIAS or models:/NAME/latest");
        return Err(raised(invalid("uri", reason)));
    }
    Ok(Some(node.to_string()))
}

/// The URI by which MLflow loads the node. A node that MLflow cannot load, such as a dataset, keeps its own text.
#[pyfunction]
pub(crate) fn uri(node: &str) -> PyResult<String> {
    let node: Node = node.parse().map_err(raised)?;
    let scheme = match node.kind() {
        Kind::MODEL | Kind::LOGGED_MODEL => "models:/",
        Kind::ARTIFACT => "runs:/",
        Kind::PROMPT => "prompts:/",
        _ => return Ok(node.to_string()),
    };
    let detail = node.detail().map(|detail| format!("/{detail}"));
    Ok(format!("{scheme}{}{}", node.key(), detail.unwrap_or_default()))
}

/// The tags to set on the run, which is MLflow's JSON; `None` if the run records every addition. `attempt` counts how often they
/// were set.
#[pyfunction]
pub(crate) fn tags_to_set(run: &str, additions: Vec<Addition>, attempt: usize) -> PyResult<Option<BTreeMap<String, String>>> {
    let run: RunAnswer = run.parse().map_err(raised)?;
    let registration = registration(run.id(), &additions).map_err(raised)?;
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
pub(crate) fn register(py: Python<'_>, index: &Index, tracking_uri: &str, run: &str, additions: Vec<Addition>) -> PyResult<()> {
    let registration = registration(run, &additions).map_err(raised)?;
    let mlflow = MlflowClient::new(tracking_uri).map_err(raised)?;
    let store = index.store(py)?;
    wait(py, async { registration.register(&mlflow, &store).await.map(drop) })
}

fn registration(run: &str, additions: &[Addition]) -> Result<Registration, Error> {
    let mut registration = lineage::of_id(run.parse()?);
    for (direction, node) in additions {
        let node: Node = node.parse()?;
        registration = match parse_direction(direction)? {
            Direction::Input => registration.with_input(node),
            Direction::Output => registration.with_output(node),
        };
    }
    Ok(registration)
}

fn parse_direction(text: &str) -> Result<Direction, Error> {
    let direction = Direction::BOTH.into_iter().find(|direction| direction.to_string() == text);
    direction.ok_or_else(|| invalid("direction", format!("{text:?} is neither input nor output")))
}

fn invalid(argument: &'static str, reason: String) -> Error {
    Error::invalid_argument(argument, reason)
}
