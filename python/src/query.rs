//! [`PyQuery`]: the builders of the library's query.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound as Limit;
use std::time::SystemTime;

use bson::DateTime;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyString, PyTuple};
use runlineage::query::{Condition, Operand, parse_time};
use runlineage::{Error, Node, Origin, Query};

use crate::error::{invalid, raised};
use crate::node::{PyNode, Text, run_id_of};
use crate::values;

/// Conditions on runs; a run has to meet all of them. Each method returns a new query.
#[pyclass(frozen, eq, name = "Query", module = "runlineage")]
#[derive(Clone, PartialEq)]
pub(crate) struct PyQuery(pub(crate) Query);

#[pymethods]
impl PyQuery {
    #[new]
    #[pyo3(signature = (text=None))]
    fn new(text: Option<&str>) -> PyResult<Self> {
        match text {
            Some(text) => parsed(text),
            None => Ok(Self(Query::new())),
        }
    }

    /// Runs that read this node, a `Node` or its text.
    fn with_input(&self, node: &Bound<'_, PyAny>) -> PyResult<Self> {
        let node = plain_node(node)?;
        Ok(Self(self.query().with_input(node)))
    }

    /// Runs that wrote this node, a `Node` or its text.
    fn with_output(&self, node: &Bound<'_, PyAny>) -> PyResult<Self> {
        let node = plain_node(node)?;
        Ok(Self(self.query().with_output(node)))
    }

    /// Runs that read this model; without a version, any version.
    #[pyo3(signature = (name, version=None))]
    fn with_input_model(&self, name: &str, version: Option<Text>) -> Self {
        Self(self.query().with_input_model(name, text(&version)))
    }

    /// Runs that wrote this model; without a version, any version.
    #[pyo3(signature = (name, version=None))]
    fn with_output_model(&self, name: &str, version: Option<Text>) -> Self {
        Self(self.query().with_output_model(name, text(&version)))
    }

    /// Runs that read one of these versions of a model.
    fn with_input_model_versions(&self, name: &str, versions: Vec<Text>) -> Self {
        let versions = versions.into_iter().map(|version| version.0);
        Self(self.query().with_input_model_versions(name, versions))
    }

    /// Runs that wrote one of these versions of a model.
    fn with_output_model_versions(&self, name: &str, versions: Vec<Text>) -> Self {
        let versions = versions.into_iter().map(|version| version.0);
        Self(self.query().with_output_model_versions(name, versions))
    }

    /// Runs that read this model, and recorded no version.
    fn with_input_model_without_version(&self, name: &str) -> Self {
        Self(self.query().with_input_model_without_version(name))
    }

    /// Runs that wrote this model, and recorded no version.
    fn with_output_model_without_version(&self, name: &str) -> Self {
        Self(self.query().with_output_model_without_version(name))
    }

    /// Runs that read this path of a run; without a path, any path. `run_id` may be a run object too.
    #[pyo3(signature = (run_id, path=None))]
    fn with_input_artifact(&self, run_id: &Bound<'_, PyAny>, path: Option<&str>) -> PyResult<Self> {
        let run = run_id_of(run_id)?;
        Ok(Self(self.query().with_input_artifact(&run, path)))
    }

    /// Runs that wrote this path of a run; without a path, any path. `run_id` may be a run object too.
    #[pyo3(signature = (run_id, path=None))]
    fn with_output_artifact(
        &self,
        run_id: &Bound<'_, PyAny>,
        path: Option<&str>,
    ) -> PyResult<Self> {
        let run = run_id_of(run_id)?;
        Ok(Self(self.query().with_output_artifact(&run, path)))
    }

    /// Runs that read this path of a run, or a path below it.
    fn with_input_artifact_under(&self, run_id: &Bound<'_, PyAny>, path: &str) -> PyResult<Self> {
        let run = run_id_of(run_id)?;
        Ok(Self(self.query().with_input_artifact_under(&run, path)))
    }

    /// Runs that wrote this path of a run, or a path below it.
    fn with_output_artifact_under(&self, run_id: &Bound<'_, PyAny>, path: &str) -> PyResult<Self> {
        let run = run_id_of(run_id)?;
        Ok(Self(self.query().with_output_artifact_under(&run, path)))
    }

    /// Runs that read this path of any run.
    fn with_input_path(&self, path: &str) -> Self {
        Self(self.query().with_input_path(path))
    }

    /// Runs that wrote this path of any run.
    fn with_output_path(&self, path: &str) -> Self {
        Self(self.query().with_output_path(path))
    }

    /// Runs that read this path of any run, or a path below it.
    fn with_input_path_under(&self, path: &str) -> Self {
        Self(self.query().with_input_path_under(path))
    }

    /// Runs that wrote this path of any run, or a path below it.
    fn with_output_path_under(&self, path: &str) -> Self {
        Self(self.query().with_output_path_under(path))
    }

    /// Runs that read this dataset; without a digest, any content.
    #[pyo3(signature = (name, digest=None))]
    fn with_input_dataset(&self, name: &str, digest: Option<&str>) -> Self {
        Self(self.query().with_input_dataset(name, digest))
    }

    /// Runs that read this logged model.
    fn with_input_logged_model(&self, id: &str) -> Self {
        Self(self.query().with_input_logged_model(id))
    }

    /// Runs that wrote this logged model.
    fn with_output_logged_model(&self, id: &str) -> Self {
        Self(self.query().with_output_logged_model(id))
    }

    /// Runs that read this prompt; without a version, any version.
    #[pyo3(signature = (name, version=None))]
    fn with_input_prompt(&self, name: &str, version: Option<Text>) -> Self {
        Self(self.query().with_input_prompt(name, text(&version)))
    }

    /// Runs without a recorded input.
    fn without_inputs(&self) -> Self {
        Self(self.query().without_inputs())
    }

    /// Runs without a recorded output.
    fn without_outputs(&self) -> Self {
        Self(self.query().without_outputs())
    }

    /// Runs of the experiment with this id or name.
    fn with_exp(&self, id_or_name: &str) -> Self {
        Self(self.query().with_exp(id_or_name))
    }

    /// Runs of the experiment with this id.
    fn with_exp_id(&self, id: &str) -> Self {
        Self(self.query().with_exp_id(id))
    }

    /// Runs of the experiment with this name.
    fn with_exp_name(&self, name: &str) -> Self {
        Self(self.query().with_exp_name(name))
    }

    /// Runs with this status, as MLflow spells it, such as "FINISHED".
    fn with_status(&self, status: &str) -> Self {
        Self(self.query().with_status(status))
    }

    /// Runs that this user started.
    fn with_user(&self, user: &str) -> Self {
        Self(self.query().with_user(user))
    }

    /// The run with this id.
    fn with_id(&self, run_id: &str) -> Self {
        Self(self.query().with_id(run_id))
    }

    /// Runs with this name.
    fn with_name(&self, name: &str) -> Self {
        Self(self.query().with_name(name))
    }

    /// Runs whose name begins with this text.
    fn with_name_prefix(&self, prefix: &str) -> Self {
        Self(self.query().with_name_prefix(prefix))
    }

    /// The child runs of this run.
    fn with_parent(&self, run_id: &str) -> Self {
        Self(self.query().with_parent(run_id))
    }

    /// Runs for which the mirror recorded a problem: a value that it could not store unchanged.
    fn with_problems(&self) -> Self {
        Self(self.query().with_problems())
    }

    /// Runs that started at `since` or later, and before `until`: a `datetime` with a time zone, or a text such as "2026-03-01" or "7d" (before now).
    #[pyo3(signature = (since=None, until=None))]
    fn with_start_time(
        &self,
        since: Option<&Bound<'_, PyAny>>,
        until: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self(self.query().with_start_time(range(since, until)?)))
    }

    /// Runs that ended at `since` or later, and before `until`; times are those of `with_start_time`.
    #[pyo3(signature = (since=None, until=None))]
    fn with_end_time(
        &self,
        since: Option<&Bound<'_, PyAny>>,
        until: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self(self.query().with_end_time(range(since, until)?)))
    }

    /// Runs with this tag. `value` is a text, a number, or a list of alternatives; conditions are `ne`, `lt`, `le`, `gt`, `ge`, `one_of`, `none_of`, `prefix`
    /// and `exists`. A text compares with MLflow's text, a number with the number that the text stands for. Without any, the tag exists.
    #[pyo3(signature = (key, value=None, **conditions))]
    fn with_tag(
        &self,
        key: &str,
        value: Option<Operands>,
        conditions: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let conditions = read_conditions(value, conditions)?.into_iter();
        let with = |query: Query, condition| query.with_tag(key, condition);
        Ok(Self(conditions.fold(self.query(), with)))
    }

    /// Runs with this param; values and conditions are those of `with_tag`.
    #[pyo3(signature = (key, value=None, **conditions))]
    fn with_param(
        &self,
        key: &str,
        value: Option<Operands>,
        conditions: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let conditions = read_conditions(value, conditions)?.into_iter();
        let with = |query: Query, condition| query.with_param(key, condition);
        Ok(Self(conditions.fold(self.query(), with)))
    }

    /// Runs whose last value of this metric meets the conditions, such as `with_metric("auc", gt=0.9)`; they are those of `with_tag`.
    #[pyo3(signature = (key, value=None, **conditions))]
    fn with_metric(
        &self,
        key: &str,
        value: Option<Operands>,
        conditions: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let conditions = read_conditions(value, conditions)?.into_iter();
        let with = |query: Query, condition| query.with_metric(key, condition);
        Ok(Self(conditions.fold(self.query(), with)))
    }

    /// Runs that match all of these queries or texts.
    #[pyo3(signature = (*queries))]
    fn with_all_of(&self, queries: &Bound<'_, PyTuple>) -> PyResult<Self> {
        Ok(Self(self.query().with_all_of(queries_of(queries)?)))
    }

    /// Runs that match at least one of these queries or texts.
    #[pyo3(signature = (*queries))]
    fn with_any_of(&self, queries: &Bound<'_, PyTuple>) -> PyResult<Self> {
        Ok(Self(self.query().with_any_of(queries_of(queries)?)))
    }

    /// Runs that match none of these queries or texts.
    #[pyo3(signature = (*queries))]
    fn with_none_of(&self, queries: &Bound<'_, PyTuple>) -> PyResult<Self> {
        Ok(Self(self.query().with_none_of(queries_of(queries)?)))
    }

    /// Counts only lineage of this origin: "tag", "registry", "inputs", "outputs", "metrics" or "evaluate".
    fn of_origin(&self, origin: &str) -> PyResult<Self> {
        let names = || Origin::ALL.map(Origin::as_str).join(", ");
        let origin = Origin::parse(origin).ok_or_else(|| {
            invalid(
                "origin",
                format!("{origin:?} is none; the origins are {}", names()),
            )
        })?;
        Ok(Self(self.query().of_origin(origin)))
    }

    /// Runs that also match this text, such as "metrics.auc > 0.9".
    #[pyo3(name = "where")]
    fn and_where(&self, condition: &str) -> PyResult<Self> {
        let condition = parsed(condition)?;
        Ok(Self(self.query().with_all_of([condition.0])))
    }

    /// The MongoDB filter, for pymongo: a `dict` of texts, numbers, `datetime`, lists and dicts.
    fn render<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let filter = self.0.render().map_err(raised)?;
        values::dict(py, &filter)
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let text = self.0.to_string().into_pyobject(py)?;
        Ok(format!("Query({})", text.repr()?))
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.to_string().hash(&mut hasher);
        hasher.finish()
    }
}

impl PyQuery {
    fn query(&self) -> Query {
        self.0.clone()
    }
}

/// Texts and numbers that a value is compared with.
#[derive(FromPyObject)]
enum Operands {
    One(Comparable),
    Many(Vec<Comparable>),
}

struct Comparable(Operand);

impl<'a, 'py> FromPyObject<'a, 'py> for Comparable {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        // A `bool` is an `int` in Python, and MLflow's text of it is "True".
        if value.is_instance_of::<PyBool>() {
            return Err(PyTypeError::new_err(
                "write a truth value as its text in MLflow, such as \"True\"",
            ));
        }
        if value.is_instance_of::<PyString>() {
            return Ok(Self(Operand::Text(value.extract()?)));
        }
        match value.is_instance_of::<PyInt>() {
            true => Ok(Self(Operand::Integer(value.extract()?))),
            false => Ok(Self(Operand::Float(value.extract()?))),
        }
    }
}

/// The conditions of `with_metric("auc", gt=0.9, exists=True)`.
fn read_conditions(
    value: Option<Operands>,
    named: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<Condition>> {
    let mut conditions = Vec::new();
    match value {
        Some(Operands::One(value)) => conditions.push(Condition::eq(value.0)),
        Some(Operands::Many(values)) => conditions.push(Condition::is_in(operands(values))),
        None => {}
    }
    for (name, value) in named.into_iter().flatten() {
        let one = || value.extract::<Comparable>().map(|value| value.0);
        conditions.push(match name.extract::<String>()?.as_str() {
            "ne" => Condition::ne(one()?),
            "lt" => Condition::lt(one()?),
            "le" => Condition::le(one()?),
            "gt" => Condition::gt(one()?),
            "ge" => Condition::ge(one()?),
            "one_of" => Condition::is_in(operands(value.extract()?)),
            "none_of" => Condition::is_none_of(operands(value.extract()?)),
            "prefix" => Condition::prefix(value.extract::<String>()?),
            "exists" => match value.extract::<bool>()? {
                true => Condition::exists(),
                false => Condition::missing(),
            },
            other => {
                return Err(PyTypeError::new_err(format!(
                    "unknown condition {other}; the conditions are ne, lt, le, gt, ge, one_of, none_of, prefix and exists"
                )));
            }
        });
    }
    if conditions.is_empty() {
        conditions.push(Condition::exists());
    }
    Ok(conditions)
}

fn operands(values: Vec<Comparable>) -> impl Iterator<Item = Operand> {
    values.into_iter().map(|value| value.0)
}

fn queries_of(queries: &Bound<'_, PyTuple>) -> PyResult<Vec<Query>> {
    let query = |query: Bound<'_, PyAny>| match query.cast::<PyQuery>() {
        Ok(query) => Ok(query.get().query()),
        Err(_) => parsed(&query.extract::<String>()?).map(|query| query.0),
    };
    queries.iter().map(query).collect()
}

fn parsed(text: &str) -> PyResult<PyQuery> {
    let query: Result<Query, Error> = text.parse();
    query.map(PyQuery).map_err(raised)
}

fn text(version: &Option<Text>) -> Option<&str> {
    version.as_ref().map(|version| version.0.as_str())
}

fn plain_node(node: &Bound<'_, PyAny>) -> PyResult<Node> {
    Ok(PyNode::of(node)?.0)
}

/// The times from `since` on and before `until`: a `datetime`, or a text as in `start_time >= '7d'`.
fn range(
    since: Option<&Bound<'_, PyAny>>,
    until: Option<&Bound<'_, PyAny>>,
) -> PyResult<(Limit<DateTime>, Limit<DateTime>)> {
    let since = since
        .map(time)
        .transpose()?
        .map_or(Limit::Unbounded, Limit::Included);
    let until = until
        .map(time)
        .transpose()?
        .map_or(Limit::Unbounded, Limit::Excluded);
    Ok((since, until))
}

fn time(time: &Bound<'_, PyAny>) -> PyResult<DateTime> {
    if let Ok(text) = time.extract::<String>() {
        return parse_time(&text).map_err(raised);
    }
    if time.getattr("tzinfo")?.is_none() {
        return Err(invalid(
            "time",
            "the datetime has no time zone; add one, such as tzinfo=datetime.timezone.utc",
        ));
    }
    let time: SystemTime = time.extract()?;
    Ok(DateTime::from_system_time(time))
}
