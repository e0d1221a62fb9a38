//! A user's folders for one test of the local database, and the processes that run on them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::mongodb::mongod;

/// A folder of a short path, since sockets stand in it; what still runs on it at the end is killed.
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

    /// What `XDG_DATA_HOME` below the scene comes to.
    pub fn database_folder(&self) -> PathBuf {
        self.root().join("data/runlineage/db")
    }

    /// Makes the command use the local database of this scene, which stays so long after its last user.
    pub fn set(&self, command: &mut Command, linger: Duration) {
        command
            .env("XDG_DATA_HOME", self.root().join("data"))
            .env("XDG_RUNTIME_DIR", self.root())
            .env("MONGOD", mongod())
            .env("RUNLINEAGE_LOCAL_LINGER_MS", linger.as_millis().to_string());
    }

    /// The processes of this scene that have this in their arguments.
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

/// Sends a signal to a process, which may have ended just now.
pub fn send(pid: i32, signal: Signal) {
    let _ = rustix::process::kill_process(Pid::from_raw(pid).expect("a process id"), signal);
}

/// Waits until it holds; the bound only keeps a broken program from hanging the tests.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(120), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
