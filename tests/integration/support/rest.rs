//! MLflow's own REST interface, spoken without the client under test.

use reqwest::Client;
use serde_json::{Value, json};

use super::mlflow::MlflowServer;
use super::unique;

/// Makes experiments and runs, and changes them behind the mirror's back.
pub(crate) struct Rest {
    http: Client,
    base: String,
}

impl Rest {
    pub(crate) fn new(server: &MlflowServer) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            http: Client::new(),
            base: format!("{}/api/2.0/mlflow", server.uri()),
        }
    }

    pub(crate) async fn post(&self, call: &str, body: Value) -> Value {
        let response = self
            .http
            .post(format!("{}/{call}", self.base))
            .json(&body)
            .send()
            .await;
        let response = response.expect("the server answers");
        let (status, text) = (
            response.status(),
            response.text().await.expect("the answer is text"),
        );
        assert!(status.is_success(), "{call}: {status}: {text}");
        serde_json::from_str(&text).expect("the answer is JSON")
    }

    /// A new experiment: its name and its id.
    pub(crate) async fn experiment(&self, prefix: &str) -> (String, String) {
        let name = unique(prefix);
        let answer = self
            .post("experiments/create", json!({ "name": name }))
            .await;
        (name, text(&answer["experiment_id"]))
    }

    /// A new run with these tags.
    pub(crate) async fn run(&self, experiment: &str, tags: &[(&str, &str)]) -> String {
        let tags: Vec<Value> = tags
            .iter()
            .map(|(key, value)| json!({ "key": key, "value": value }))
            .collect();
        let body = json!({ "experiment_id": experiment, "start_time": 1_700_000_000_000_i64, "tags": tags });
        text(&self.post("runs/create", body).await["run"]["info"]["run_id"])
    }

    pub(crate) async fn set_tag(&self, run: &str, key: &str, value: &str) {
        self.post(
            "runs/set-tag",
            json!({ "run_id": run, "key": key, "value": value }),
        )
        .await;
    }

    /// The tags of a run, as an object.
    pub(crate) async fn tags(&self, run: &str) -> Value {
        let response = self
            .http
            .get(format!("{}/runs/get?run_id={run}", self.base))
            .send()
            .await;
        let answer: Value = response
            .expect("the server answers")
            .json()
            .await
            .expect("the answer is JSON");
        let tags = answer["run"]["data"]["tags"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        tags.into_iter()
            .map(|tag| (text(&tag["key"]), tag["value"].clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .expect("MLflow answers ids and names as text")
        .to_owned()
}
