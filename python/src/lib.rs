//! The native part of the Python package `runlineage`: its module `_native`.
//!
//! | module | contents |
//! |---|---|
//! | `runtime` | the one runtime of the process: waits for a future without the interpreter's lock, and ends it at Ctrl-C |
//! | `error`, `log` | the library's errors as exceptions, and its events in `logging` |
//! | `values` | from BSON to Python |
//! | `node`, `query`, `run` | the classes `Node`, `Query` and `Run` |
//! | `index` | `Index`: the connection, and what is asked of it |
//! | `search`, `frame` | a search for runs, and its answer as the columns of a data frame |
//! | `walk`, `answer` | walks through lineage, and their answers as JSON and as pictures |
//! | `register` | the steps of registering, for MLflow's own client |
//! | `local` | the local database |

mod answer;
mod error;
mod frame;
mod index;
mod local;
mod log;
mod node;
mod query;
mod register;
mod run;
mod runtime;
mod search;
mod values;
mod walk;

/// The native part of the package `runlineage`.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use super::answer::{Answer, format_of};
    #[pymodule_export]
    use super::index::Index;
    #[pymodule_export]
    use super::local::run_stage;
    #[pymodule_export]
    use super::node::PyNode;
    #[pymodule_export]
    use super::query::PyQuery;
    #[pymodule_export]
    use super::register::{
        native_logged_models, node_of_uri, register, registrable, run_id, tags_to_set, uri_of_node,
    };
    #[pymodule_export]
    use super::run::{PyRun, Runs};

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        use pyo3::types::PyModuleMethods as _;
        super::log::start();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
