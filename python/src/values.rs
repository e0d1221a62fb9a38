//! From BSON to Python.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bson::raw::{RawArray, RawBsonRef, RawDocument, RawDocumentBuf};
use bson::{Bson, DateTime, Document};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::error::invalid;

/// A stored document as a `dict`.
pub(crate) fn document<'py>(py: Python<'py>, fields: &RawDocument) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for field in fields {
        let (name, field) = field.map_err(malformed)?;
        dict.set_item(name.as_str(), value(py, field)?)?;
    }
    Ok(dict)
}

fn array<'py>(py: Python<'py>, elements: &RawArray) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for element in elements {
        list.append(value(py, element.map_err(malformed)?)?)?;
    }
    Ok(list)
}

/// A stored value: texts, numbers, booleans, `datetime` in UTC, `None`, and lists and dicts of these.
pub(crate) fn value<'py>(py: Python<'py>, value: RawBsonRef<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        RawBsonRef::String(value) => PyString::new(py, value).into_any(),
        RawBsonRef::Document(value) => document(py, value)?.into_any(),
        RawBsonRef::Array(value) => array(py, value)?.into_any(),
        RawBsonRef::Int32(value) => value.into_pyobject(py)?.into_any(),
        RawBsonRef::Int64(value) => value.into_pyobject(py)?.into_any(),
        RawBsonRef::Double(value) => value.into_pyobject(py)?.into_any(),
        RawBsonRef::Boolean(value) => value.into_pyobject(py)?.to_owned().into_any(),
        RawBsonRef::Null | RawBsonRef::Undefined => py.None().into_bound(py),
        RawBsonRef::DateTime(value) => date(py, value)?,
        RawBsonRef::Binary(value) => PyBytes::new(py, value.bytes).into_any(),
        // What no run of this program holds.
        other => {
            let other = Bson::try_from(other).map_err(malformed)?;
            PyString::new(py, &other.into_relaxed_extjson().to_string()).into_any()
        }
    })
}

/// A decoded document as a `dict`.
pub(crate) fn dict<'py>(py: Python<'py>, fields: &Document) -> PyResult<Bound<'py, PyDict>> {
    document(py, &RawDocumentBuf::try_from(fields).map_err(malformed)?)
}

/// A decoded value.
pub(crate) fn bson<'py>(py: Python<'py>, value: &Bson) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Bson::String(text) => Ok(PyString::new(py, text).into_any()),
        Bson::Double(number) => Ok(number.into_pyobject(py)?.into_any()),
        Bson::Int32(number) => Ok(number.into_pyobject(py)?.into_any()),
        other => {
            let wrapped = bson::doc! { "value": other.clone() };
            dict(py, &wrapped)?
                .get_item("value")?
                .ok_or_else(|| malformed("it has no value"))
        }
    }
}

/// A `datetime` in UTC; the milliseconds for a year that Python has not.
pub(crate) fn date(py: Python<'_>, date: DateTime) -> PyResult<Bound<'_, PyAny>> {
    let millis = date.timestamp_millis();
    let distance = Duration::from_millis(millis.unsigned_abs());
    let time: Option<SystemTime> = match millis {
        0.. => UNIX_EPOCH.checked_add(distance),
        _ => UNIX_EPOCH.checked_sub(distance),
    };
    match time.map(|time| time.into_pyobject(py)) {
        Some(Ok(date)) => Ok(date.into_any()),
        _ => Ok(millis.into_pyobject(py)?.into_any()),
    }
}

fn malformed(error: impl std::fmt::Display) -> PyErr {
    invalid("document", error.to_string())
}
