//! The exception for each error of the library. Their classes are Python's: `runlineage/_errors.py`.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;

use pyo3::PyErr;

pub(crate) mod exceptions {
    use pyo3::import_exception;

    import_exception!(runlineage._errors, Error);
    import_exception!(runlineage._errors, InvalidArgument);
    import_exception!(runlineage._errors, Unsupported);
    import_exception!(runlineage._errors, MongoError);
    import_exception!(runlineage._errors, DatabaseError);
    import_exception!(runlineage._errors, DocumentError);
    import_exception!(runlineage._errors, MlflowError);
    import_exception!(runlineage._errors, LocalDatabaseError);
    import_exception!(runlineage._errors, DrawingError);
    import_exception!(runlineage._errors, NotFound);
}

use exceptions as py;

/// An error of any crate, as the exception that Python gets.
pub(crate) struct Raised(PyErr);

impl From<Raised> for PyErr {
    fn from(raised: Raised) -> Self {
        raised.0
    }
}

impl From<PyErr> for Raised {
    fn from(error: PyErr) -> Self {
        Self(error)
    }
}

impl From<runlineage::Error> for Raised {
    fn from(error: runlineage::Error) -> Self {
        use runlineage::Error;
        let text = text(&error);
        Self(match error {
            Error::InvalidArgument { .. } => py::InvalidArgument::new_err(text),
            Error::Unsupported { .. } => py::Unsupported::new_err(text),
            Error::Mongo { .. } => py::MongoError::new_err(text),
            Error::Database { .. }
            | Error::Migration { .. }
            | Error::Leased { .. }
            | Error::LeaseLost { .. } => py::DatabaseError::new_err(text),
            Error::Document { .. } => py::DocumentError::new_err(text),
            Error::Mlflow { .. }
            | Error::MlflowProtocol { .. }
            | Error::MlflowUnreachable { .. }
            | Error::PageTooLarge { .. }
            | Error::RunDeleted { .. }
            | Error::TagsOverwritten { .. } => py::MlflowError::new_err(text),
            _ => py::Error::new_err(text),
        })
    }
}

impl From<runlineage_draw::Error> for Raised {
    fn from(error: runlineage_draw::Error) -> Self {
        Self(py::DrawingError::new_err(text(&error)))
    }
}

impl From<runlineage_local_mongod::Error> for Raised {
    fn from(error: runlineage_local_mongod::Error) -> Self {
        Self(py::LocalDatabaseError::new_err(text(&error)))
    }
}

/// For `?` outside of [`wait`](crate::runtime::wait).
pub(crate) fn raised(error: impl Into<Raised>) -> PyErr {
    error.into().0
}

/// An argument that only this package has.
pub(crate) fn invalid(argument: &'static str, reason: impl Into<String>) -> PyErr {
    raised(runlineage::Error::invalid_argument(argument, reason))
}

pub(crate) fn io_error(doing: &str, error: io::Error) -> PyErr {
    py::Error::new_err(format!("{doing}: {error}"))
}

/// The error and each of its causes on a line of its own, as the program prints them.
fn text(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let _ = write!(text, "\ncaused by: {source}");
        cause = source.source();
    }
    text
}
