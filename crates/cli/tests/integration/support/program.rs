//! The `runlineage` program, run to its end.

use std::ffi::OsStr;
use std::process::Command;

pub(crate) use runlineage_test_servers::program::{Finished, run};

/// `runlineage` with these arguments, in an environment without a developer's own MLflow and MongoDB settings.
pub(crate) fn runlineage<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runlineage"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("MLFLOW_")
            || text.starts_with("RUNLINEAGE_")
            || text.starts_with("MONGODB_URI")
        {
            command.env_remove(name);
        }
    }
    // The width of a developer's own terminal.
    command.env_remove("COLUMNS").args(args);
    command
}
