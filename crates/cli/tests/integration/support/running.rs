//! A running `runlineage`: its output so far, and its end.

use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::outage::signal;
use super::poll;

/// A started program. Dropping it kills the process.
pub(crate) struct Running {
    process: Child,
    stdout: Lines,
    stderr: Lines,
}

/// The lines of an output so far.
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::spawned(command.stdin(Stdio::null()))
    }

    /// A program whose stdin the test writes.
    pub(crate) fn with_stdin(command: &mut Command) -> (Self, ChildStdin) {
        let mut running = Self::spawned(command.stdin(Stdio::piped()));
        let stdin = running.process.stdin.take().expect("the input is piped");
        (running, stdin)
    }

    fn spawned(command: &mut Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        Self {
            stdout: Lines::of(process.stdout.take().expect("the output is piped")),
            stderr: Lines::of(process.stderr.take().expect("the output is piped")),
            process,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.pid());
    }

    /// The lines on stdout so far.
    pub(crate) fn stdout(&self) -> Vec<String> {
        self.stdout.lines.lock().unwrap().clone()
    }

    /// The lines on stderr so far.
    pub(crate) fn stderr(&self) -> Vec<String> {
        self.stderr.lines.lock().unwrap().clone()
    }

    /// The fields of the JSON log lines about passes so far.
    pub(crate) fn passes(&self) -> Vec<Value> {
        let lines = self.stderr();
        let lines = lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter_map(|line: Value| {
                let fields = line.get("fields")?;
                fields.get("kind").is_some().then(|| fields.clone())
            })
            .collect()
    }

    /// Waits for a matching pass after the first `known` passes, and returns the number of passes up to it.
    #[track_caller]
    pub(crate) fn wait_for_pass(&mut self, known: usize, like: impl Fn(&Value) -> bool) -> usize {
        let found = poll(Duration::from_secs(60), || {
            if self.has_ended() {
                return Some(None);
            }
            let passes = self.passes();
            let at = passes.iter().skip(known).position(&like)?;
            Some(Some(known + at + 1))
        });
        found
            .flatten()
            .unwrap_or_else(|| panic!("no matching pass: {:#?}", self.stderr()))
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Waits for the end of the program. Returns the exit code (None: killed) and the lines of stdout and stderr.
    #[track_caller]
    pub(crate) fn end_within(mut self, bound: Duration) -> (Option<i32>, Vec<String>, Vec<String>) {
        let since = Instant::now();
        let ended = poll(bound, || {
            self.process
                .try_wait()
                .expect("the process can be waited for")
        });
        let Some(status) = ended else {
            panic!(
                "the program still runs after {:?}: {:#?}",
                since.elapsed(),
                self.stderr()
            )
        };
        (status.code(), self.stdout.all(), self.stderr.all())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Lines {
    fn of(output: impl Read + Send + 'static) -> Self {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = lines.clone();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Self {
            lines,
            reader: Some(reader),
        }
    }

    /// All lines, of a program that has ended.
    fn all(&mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading does not panic");
        }
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

/// The status and the body of a GET request; None if nobody listens.
pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String)> {
    use std::io::Write as _;
    let mut stream = TcpStream::connect(address).ok()?;
    let bound = Some(Duration::from_secs(10));
    stream.set_read_timeout(bound).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
