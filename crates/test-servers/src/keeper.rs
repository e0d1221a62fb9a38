//! Servers and folders that end with the test process, even after `kill -9`. `Drop` alone is not enough: Rust never drops statics.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const KEEPER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/keeper.py");

/// A running server. Dropping it kills the server and its child processes, and waits until they have ended.
pub struct Kept {
    keeper: Child,
    pid: u32,
}

impl Kept {
    /// Starts `server`, whose output goes to `log`.
    pub fn start(server: &Command, log: &Path) -> Self {
        let log_file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap_or_else(|e| panic!("cannot open {}: {e}", log.display()));
        let mut keeper = keeper("run");
        keeper.arg(server.get_program()).args(server.get_args());
        for (name, value) in server.get_envs() {
            match value {
                Some(value) => keeper.env(name, value),
                None => keeper.env_remove(name),
            };
        }
        if let Some(folder) = server.get_current_dir() {
            keeper.current_dir(folder);
        }
        // The keeper prints only the server's process id to stdout. The server writes to the log.
        let mut keeper = keeper
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .expect("python3 runs the keeper of test servers");
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().expect("stdout is piped"))
            .read_line(&mut line)
            .expect("the keeper's output is text");
        let pid = line
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{server:?} did not start: {}", tail(log)));
        Self { keeper, pid }
    }

    /// The server's own process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the server still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.keeper.try_wait(), Ok(None))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Runs a command that cleans up when this is dropped, or when the test process ends.
pub struct Finally(Child);

impl Finally {
    pub fn new<A: AsRef<OsStr>>(command: impl IntoIterator<Item = A>) -> Self {
        let keeper = keeper("finally").args(command).spawn();
        Self(keeper.expect("python3 runs the keeper of test servers"))
    }
}

impl Drop for Finally {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A new folder that is removed when this is dropped, or when the test process ends.
pub struct KeptFolder {
    path: PathBuf,
    _remove: Finally,
}

impl KeptFolder {
    pub fn new() -> Self {
        let path = tempfile::Builder::new()
            .prefix("runlineage-test-")
            .tempdir()
            .expect("a temporary folder can be made")
            .keep();
        let remove = Finally::new([OsStr::new("rm"), OsStr::new("-rf"), path.as_os_str()]);
        Self {
            path,
            _remove: remove,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The last lines of a log, for a failure's message.
pub fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(30)..].join("\n");
    format!("the end of {}:\n{last}", log.display())
}

fn keeper(mode: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(KEEPER)
        .arg(mode)
        .stdin(Stdio::piped())
        // In a process group of its own, the keeper survives Ctrl-C at the terminal and ends after the tests.
        .process_group(0);
    command
}
