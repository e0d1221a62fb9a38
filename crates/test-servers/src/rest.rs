//! MLflow's REST API in plain JSON, without the code under test.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::mlflow::MlflowServer;
use crate::unique;

/// Creates and changes experiments and runs in MLflow.
pub struct Rest {
    uri: String,
}

impl Rest {
    pub fn new(server: &MlflowServer) -> Self {
        Self { uri: server.uri() }
    }

    pub async fn post(&self, call: &str, body: Value) -> Value {
        post(&self.uri, call, &body)
    }

    /// Creates an experiment, and returns its name and its id.
    pub async fn experiment(&self, prefix: &str) -> (String, String) {
        let name = unique(prefix);
        let id = create_experiment(&self.uri, &name);
        (name, id)
    }

    /// Creates a run with these tags, and returns its id.
    pub async fn run(&self, experiment: &str, tags: &[(&str, &str)]) -> String {
        let run = create_run(&self.uri, experiment, 1_700_000_000_000);
        for (key, value) in tags {
            self.set_tag(&run, key, value).await;
        }
        run
    }

    pub async fn set_tag(&self, run: &str, key: &str, value: &str) {
        let body = json!({ "run_id": run, "key": key, "value": value });
        self.post("runs/set-tag", body).await;
    }

    /// The tags of a run, as an object.
    pub async fn tags(&self, run: &str) -> Value {
        let (_, answer) = ask(
            &self.uri,
            "GET",
            &format!("runs/get?run_id={run}"),
            &Value::Null,
            "",
        );
        let tags = answer["run"]["data"]["tags"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let pair = |tag: Value| {
            (
                tag["key"].as_str().expect("a key").to_owned(),
                tag["value"].clone(),
            )
        };
        tags.into_iter()
            .map(pair)
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// The status and the JSON of the answer to one call. `user` is a header line `Authorization: …\r\n`, or empty.
pub fn ask(uri: &str, method: &str, call: &str, body: &Value, user: &str) -> (u16, Value) {
    let address = uri.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the tracking server is there");
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    // A call that begins with a slash names its own API version.
    let path = if call.starts_with('/') {
        call.to_owned()
    } else {
        format!("/api/2.0/mlflow/{call}")
    };
    // One write: a server that answers without reading a body that arrives later resets the connection, and the answer is lost.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{user}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream
        .write_all(request.as_bytes())
        .expect("it takes a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("it answers HTTP");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (
        status.expect("HTTP has a status"),
        serde_json::from_str(body).unwrap_or(Value::Null),
    )
}

/// The answer to one call, which must succeed.
#[track_caller]
pub fn post(uri: &str, call: &str, body: &Value) -> Value {
    let (status, answer) = ask(uri, "POST", call, body, "");
    assert_eq!(status, 200, "{call} {body}: {answer}");
    answer
}

/// Creates an experiment, and returns its id.
#[track_caller]
pub fn create_experiment(uri: &str, name: &str) -> String {
    let answer = post(uri, "experiments/create", &json!({ "name": name }));
    answer["experiment_id"].as_str().expect("an id").to_owned()
}

/// Creates a run, and returns its id.
#[track_caller]
pub fn create_run(uri: &str, exp: &str, start_time: i64) -> String {
    let answer = post(
        uri,
        "runs/create",
        &json!({ "experiment_id": exp, "start_time": start_time }),
    );
    answer["run"]["info"]["run_id"]
        .as_str()
        .expect("an id")
        .to_owned()
}
