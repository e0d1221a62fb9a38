//! MLflow's REST API as plain JSON, asked without any of the code under test.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

/// What one call answers; `user` is a line `Authorization: …\r\n`, or empty.
pub(crate) fn ask(uri: &str, method: &str, call: &str, body: &Value, user: &str) -> (u16, Value) {
    let address = uri.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the tracking server is there");
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    // Of another version than most where it says so.
    let path = if call.starts_with('/') {
        call.to_owned()
    } else {
        format!("/api/2.0/mlflow/{call}")
    };
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{user}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(head.as_bytes())
        .expect("it takes a request");
    stream
        .write_all(body.as_bytes())
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

/// What one call answers that has to succeed.
#[track_caller]
pub(crate) fn post(uri: &str, call: &str, body: &Value) -> Value {
    let (status, answer) = ask(uri, "POST", call, body, "");
    assert_eq!(status, 200, "{call} {body}: {answer}");
    answer
}

/// A new experiment's id.
#[track_caller]
pub(crate) fn create_experiment(uri: &str, name: &str) -> String {
    let answer = post(uri, "experiments/create", &json!({ "name": name }));
    answer["experiment_id"].as_str().expect("an id").to_owned()
}

/// A new run's id.
#[track_caller]
pub(crate) fn create_run(uri: &str, exp: &str, start_time: i64) -> String {
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
