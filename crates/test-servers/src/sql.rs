//! [`Sql`]: writes into the SQLite file of a running MLflow server, for data sets and edits that would take minutes by its REST API.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::mlflow::MlflowServer;

const PROGRAM: &str = r"
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=120, isolation_level=None)
for line in sys.stdin:
    db.execute('BEGIN IMMEDIATE')
    for sql, rows in json.loads(line):
        db.executemany(sql, rows)
    db.execute('COMMIT')
    print(flush=True)
";

/// A connection to the file. Each call of [`write`](Self::write) is one transaction.
pub struct Sql {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    pending: Vec<(String, Vec<Value>)>,
}

/// A run to insert.
#[derive(Clone, Debug)]
pub struct NewRun {
    pub id: String,
    pub exp: String,
    pub start_time: i64,
    pub status: &'static str,
    pub tags: Vec<(String, String)>,
    pub params: Vec<(String, String)>,
    pub metrics: Vec<(String, f64)>,
}

impl NewRun {
    pub fn new(id: impl Into<String>, exp: &str, start_time: i64) -> Self {
        Self {
            id: id.into(),
            exp: exp.to_owned(),
            start_time,
            status: "FINISHED",
            tags: Vec::new(),
            params: Vec::new(),
            metrics: Vec::new(),
        }
    }
}

impl Sql {
    pub fn open(server: &MlflowServer) -> Self {
        let mut process = Command::new("python3")
            .args(["-c", PROGRAM])
            .arg(server.sql_file())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        Self {
            stdin: process.stdin.take().expect("it is piped"),
            stdout: BufReader::new(process.stdout.take().expect("it is piped")),
            process,
            pending: Vec::new(),
        }
    }

    /// Adds this statement, with one row of arguments, to the next `write`.
    pub fn add(&mut self, sql: &str, arguments: Value) -> &mut Self {
        match self.pending.last_mut() {
            Some((last, rows)) if last == sql => rows.push(arguments),
            _ => self.pending.push((sql.to_owned(), vec![arguments])),
        }
        self
    }

    /// Executes all added statements in one transaction.
    #[track_caller]
    pub fn write(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let line = json!(pending).to_string();
        writeln!(self.stdin, "{line}").expect("the SQL process takes statements");
        let mut answer = String::new();
        let read = self.stdout.read_line(&mut answer);
        assert_eq!(
            read.ok(),
            Some(1),
            "the SQL process ended: its error is above"
        );
    }

    /// Inserts runs.
    pub fn insert(&mut self, runs: &[NewRun]) {
        for run in runs {
            self.add(
                "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) VALUES (?, ?, 'LOCAL', '', '', 'ana', ?, ?, ?, '', 'active', ?, ?)",
                json!([run.id, format!("run {}", run.id), run.status, run.start_time, run.start_time.saturating_add(60_000), format!("s3://bucket/{}/artifacts", run.id), run.exp.parse::<i64>().expect("an id is a number")]),
            );
        }
        for run in runs {
            for (key, value) in &run.tags {
                self.set_tag(&run.id, key, value);
            }
        }
        for run in runs {
            for (key, value) in &run.params {
                self.add(
                    "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                    json!([key, value, run.id]),
                );
            }
        }
        for run in runs {
            for (key, value) in &run.metrics {
                self.add(
                    "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, 1, 0, 0, ?)",
                    json!([key, value, run.id]),
                );
            }
        }
        self.write();
    }

    pub fn set_tag(&mut self, run: &str, key: &str, value: &str) -> &mut Self {
        self.add(
            "INSERT OR REPLACE INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
            json!([key, value, run]),
        )
    }

    pub fn remove_tag(&mut self, run: &str, key: &str) -> &mut Self {
        self.add(
            "DELETE FROM tags WHERE key = ? AND run_uuid = ?",
            json!([key, run]),
        )
    }

    /// Marks a run as deleted or active, as MLflow's API does.
    pub fn set_stage(&mut self, run: &str, stage: &str) -> &mut Self {
        self.add(
            "UPDATE runs SET lifecycle_stage = ? WHERE run_uuid = ?",
            json!([stage, run]),
        )
    }

    /// Deletes a run for good, as `mlflow gc` does.
    pub fn erase(&mut self, run: &str) -> &mut Self {
        for table in ["tags", "params", "latest_metrics", "metrics", "runs"] {
            self.add(
                &format!("DELETE FROM {table} WHERE run_uuid = ?"),
                json!([run]),
            );
        }
        self
    }
}

impl Drop for Sql {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
