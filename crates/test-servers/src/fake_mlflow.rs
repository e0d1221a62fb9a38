//! A fake tracking server, for answers that a real one gives only after an accident or not at all.

use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// The calls that list the model registry.
const REGISTRY: [&str; 2] = ["registered-models/search", "model-versions/search"];

/// Gives `answer` to every request of a REST call. A second answer for the same call has no effect.
pub async fn answer(server: &MockServer, call: &str, answer: ResponseTemplate) {
    let verb = if call.ends_with("/get") || REGISTRY.contains(&call) {
        "GET"
    } else {
        "POST"
    };
    let mock = Mock::given(method(verb)).and(path(format!("/api/2.0/mlflow/{call}")));
    mock.respond_with(answer).mount(server).await;
}

pub fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

pub fn refusal(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status)
        .set_body_json(json!({ "error_code": code, "message": "a test's own words" }))
}

/// A server with one experiment and these runs, all on one page.
pub async fn with_runs(experiment: Value, runs: Vec<Value>) -> MockServer {
    let server = MockServer::start().await;
    answer(
        &server,
        "experiments/search",
        ok(json!({ "experiments": [experiment] })),
    )
    .await;
    answer(
        &server,
        "experiments/get",
        ok(json!({ "experiment": experiment })),
    )
    .await;
    answer(&server, "runs/search", ok(json!({ "runs": runs }))).await;
    for call in REGISTRY {
        answer(&server, call, ok(json!({}))).await;
    }
    server
}

/// A server that answers only requests with this header.
pub async fn server_that_requires(name: &'static str, value: &str) -> MockServer {
    let server = MockServer::start().await;
    for (call, answer) in [
        (
            "experiments/search",
            json!({ "experiments": [experiment("1")] }),
        ),
        ("runs/search", json!({ "runs": [] })),
        ("registered-models/search", json!({})),
        ("model-versions/search", json!({})),
    ] {
        Mock::given(path(format!("/api/2.0/mlflow/{call}")))
            .and(header(name, value))
            .respond_with(ok(answer))
            .mount(&server)
            .await;
    }
    server
}

pub fn experiment(id: &str) -> Value {
    json!({ "experiment_id": id, "name": format!("experiment {id}"), "lifecycle_stage": "active", "creation_time": 1 })
}

pub fn run(id: &str, experiment: &str, data: Value) -> Value {
    json!({
        "info": { "run_id": id, "experiment_id": experiment, "status": "FINISHED", "start_time": 1, "lifecycle_stage": "active" },
        "data": data,
    })
}
