//! The local database, whose supervisor is a process of the same interpreter.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;
use runlineage_local_mongod::{LocalDatabase, LocalOptions};

use crate::error::raised;
use crate::runtime::wait;

/// What the interpreter runs as the supervisor. Isolated, since neither a folder nor the user's settings may replace the package,
/// whose own folder is the first argument.
const SUPERVISOR: &str = "import sys; sys.path.insert(0, sys.argv[1]); from runlineage import _native; _native.run_stage(sys.argv[2:])";

pub(crate) fn open(py: Python<'_>, folder: Option<PathBuf>) -> PyResult<LocalDatabase> {
    let interpreter: PathBuf = py.import("sys")?.getattr("executable")?.extract()?;
    let package: PathBuf = py
        .import("os.path")?
        .call_method1(
            "dirname",
            (py.import("runlineage")?.getattr("__path__")?.get_item(0)?,),
        )?
        .extract()?;
    let mut options = LocalOptions::new()
        .with_program(interpreter)
        .with_program_arguments([
            OsString::from("-I"),
            "-c".into(),
            SUPERVISOR.into(),
            package.into(),
        ]);
    if let Some(folder) = folder {
        options = options.with_folder(folder);
    }
    wait(py, options.open())
}

/// Runs a stage of the local database, in the process that `Index.local` starts for it.
#[pyfunction]
pub(crate) fn run_stage(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<()> {
    let ended = py.detach(|| runlineage_local_mongod::run_stage(arguments));
    ended.unwrap_or(Ok(())).map_err(raised)
}
