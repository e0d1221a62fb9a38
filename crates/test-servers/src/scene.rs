//! [`Scene`]: the folders of a user for one test of the local database, and the processes that use these folders.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::mongodb::mongod;

/// A temporary folder with a path short enough for sockets. Dropping it kills the processes that still use it.
pub struct Scene {
    root: TempDir,
}

impl Scene {
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("rl").tempdir();
        Self {
            root: root.expect("a temporary folder can be made"),
        }
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The folder of the database below this scene's `XDG_DATA_HOME`.
    pub fn database_folder(&self) -> PathBuf {
        self.root().join("data/runlineage/db")
    }

    /// Makes the command use the local database of this scene. The database stops when no command has used it for `linger`.
    pub fn set(&self, command: &mut Command, linger: Duration) {
        command
            .env("XDG_DATA_HOME", self.root().join("data"))
            .env("XDG_RUNTIME_DIR", self.root())
            .env("MONGOD", mongod())
            .env("RUNLINEAGE_LOCAL_LINGER_MS", linger.as_millis().to_string());
    }

    /// The processes of this scene whose command line contains `argument`.
    pub fn processes(&self, argument: &str) -> Vec<i32> {
        let root = self.root().to_str().expect("the folder's name is text");
        let is_one = |pid: &i32| {
            let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else {
                return false;
            };
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(root) && line.contains(argument)
        };
        std::fs::read_dir("/proc")
            .expect("a list of processes")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(is_one)
            .collect()
    }

    pub fn supervisors(&self) -> Vec<i32> {
        self.processes("local-supervisor")
    }

    pub fn mongods(&self) -> Vec<i32> {
        self.processes("--dbpath")
    }

    pub fn nothing_runs(&self) -> bool {
        self.processes("").is_empty()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for pid in self.processes("") {
            send(pid, Signal::KILL);
        }
    }
}

/// Sends a signal to a process. It is no error if the process has ended.
pub fn send(pid: i32, signal: Signal) {
    let _ = rustix::process::kill_process(Pid::from_raw(pid).expect("a process id"), signal);
}

/// Waits until `holds` returns true. Fails after two minutes, so that a broken program does not block the tests.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(120), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
